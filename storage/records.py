"""Rows that outlive any job: the audit trail of what admins did, and settings changed while running."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from storage.people import upsert
from storage.schema import audit, settings

STUDIO = "studio"  # setting: the name of this studio, which outlives all its processes
T = TypeVar("T")


@dataclass(frozen=True)
class AuditRow:
    """``actor_id`` did ``action`` to ``target`` (a job, user, channel or role id)."""

    at: datetime
    actor_id: int
    action: str
    guild_id: int | None = None
    target: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)


def add_audit(connection: sa.Connection, row: AuditRow) -> None:
    """Note what an admin does."""
    connection.execute(
        sa.insert(audit).values(
            at=row.at,
            actor_id=row.actor_id,
            action=row.action,
            guild_id=row.guild_id,
            target=row.target,
            detail=json.dumps(row.detail, ensure_ascii=False),
        )
    )


def audited(row: AuditRow, work: Callable[[sa.Connection], T]) -> Callable[[sa.Connection], T]:
    """Return ``work`` with its audit row, as one function on rows."""

    def both(connection: sa.Connection) -> T:
        add_audit(connection, row)
        return work(connection)

    return both


def audit_rows(connection: sa.Connection, *, guild_id: int | None = None, limit: int = 50) -> list[AuditRow]:
    """Return the latest rows, newest first; of one guild if it is named."""
    here = [] if guild_id is None else [audit.c.guild_id == guild_id]
    rows = connection.execute(sa.select(audit).where(*here).order_by(audit.c.seq.desc()).limit(limit))
    return [AuditRow(r.at, r.actor_id, r.action, r.guild_id, r.target, json.loads(r.detail)) for r in rows]


def setting(connection: sa.Connection, key: str) -> Any:
    """Return a setting's value, None when it was never set."""
    value = connection.execute(sa.select(settings.c.value).where(settings.c.key == key)).scalar_one_or_none()
    return None if value is None else json.loads(value)


def set_setting(connection: sa.Connection, key: str, value: Any) -> None:
    """Change a setting. ``value``: anything JSON takes."""
    text = json.dumps(value)
    connection.execute(upsert(connection, settings, {"key": key, "value": text}, {"value": text}))


def studio(connection: sa.Connection) -> str:
    """Return the name by which this database's studio is told from others; made up when it is first asked."""
    name = setting(connection, STUDIO)
    if name is None:
        set_setting(connection, STUDIO, name := secrets.token_hex(8))
    return str(name)
