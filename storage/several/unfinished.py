"""The jobs that are not over, as each of several programs looks at them every second: by partial indexes,
without their requests."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from core.job import Status
from storage import people
from storage.lookup import WaitingRow, to_waiting, waiting_statement
from storage.privacy import PAGE
from storage.records import setting
from storage.schema import QUEUED, RUNNING, jobs

PAUSED, DRAINING = "paused", "draining"
_COLUMNS = (
    jobs.c.id,
    jobs.c.seq,
    jobs.c.user_id,
    jobs.c.guild_id,
    jobs.c.status,
    jobs.c.front,
    jobs.c.created_at,
)
AT_ONCE = 1000  # rows: turning more into Python's values in one go would hold up the event loop
_AFTER = jobs.c.seq > sa.bindparam("last")
_PAGES = [
    sa.select(*_COLUMNS).where(sa.text(which), _AFTER).order_by(jobs.c.seq).limit(AT_ONCE)
    for which in (QUEUED, RUNNING)
]
_WAITING = waiting_statement().where(jobs.c.id.in_(sa.bindparam("ids", expanding=True)))


@dataclass(frozen=True)
class Unfinished:
    """A job that waits or runs. front: its place among those moved to the front."""

    seq: int
    user_id: int
    guild_id: int | None
    runs: bool
    front: int | None
    created_at: datetime


@dataclass(frozen=True)
class Standing:
    """The queue by its rows: jobs by id, and what admins have set."""

    jobs: dict[str, Unfinished]
    paused: bool
    draining: bool


def standing(connection: sa.Connection) -> Standing:
    """Return how the queue stands now."""
    found = {
        row.id: Unfinished(
            row.seq,
            row.user_id,
            row.guild_id,
            row.status == Status.RUNNING.value,
            row.front,
            row.created_at,
        )
        for row in _rows(connection)
    }
    return Standing(found, bool(setting(connection, PAUSED)), bool(setting(connection, DRAINING)))


def _rows(connection: sa.Connection) -> Iterator[sa.Row[Any]]:
    for statement in _PAGES:
        last, page = -1, list[sa.Row[Any]]()
        while last < 0 or len(page) == AT_ONCE:
            page = list(connection.execute(statement, {"last": last}))
            yield from page
            last = page[-1].seq if page else 0


def ends(connection: sa.Connection, ids: Collection[str]) -> dict[str, tuple[Status, str]]:
    """Return how those of these jobs that there are stand: status and error."""
    found: dict[str, tuple[Status, str]] = {}
    for page in _pages(ids):
        rows = connection.execute(
            sa.select(jobs.c.id, jobs.c.status, jobs.c.error).where(jobs.c.id.in_(page))
        )
        found |= {row.id: (Status(row.status), row.error or "") for row in rows}
    return found


def waiting(connection: sa.Connection, ids: Iterable[str]) -> list[tuple[WaitingRow, int]]:
    """Return those of these jobs that are queued, in order of arrival, each with what its member had had of
    the devices by their latest turn."""
    found = [to_waiting(row) for page in _pages(ids) for row in connection.execute(_WAITING, {"ids": page})]
    turns = people.turns(connection, {row.user_id for row in found})
    return [(row, turns[row.user_id]) for row in found]


def _pages(ids: Iterable[str]) -> list[list[str]]:
    names = list(ids)
    return [names[start : start + PAGE] for start in range(0, len(names), PAGE)]
