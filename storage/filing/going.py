"""Rows of files that are to be deleted. They are noted in the transaction that takes the last name of them,
and looked at again in the one before their end: what some row names by then stays."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storage import privacy
from storage.schema import going

PAGE = 500  # rows in one statement


class Going(NamedTuple):
    """A file that goes. at: when it was noted; written after that, it stays."""

    sha256: str
    at: datetime


def note(connection: sa.Connection, sha256s: Collection[str], *, now: datetime, wait: timedelta) -> None:
    """Note that these files go, ``wait`` from now; one that goes sooner already keeps its time."""
    insert: Any = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[connection.dialect.name](going)
    new = insert.excluded
    statement = insert.on_conflict_do_update(
        index_elements=["sha256"], set_={"at": new.at, "due": new.due}, where=new.due < going.c.due
    )
    if sha256s:
        connection.execute(statement, [{"sha256": one, "at": now, "due": now + wait} for one in sha256s])


def note_orphans(
    connection: sa.Connection, sha256s: Collection[str], *, now: datetime, wait: timedelta
) -> int:
    """Note those of these files that no row names; return how many that are."""
    left = privacy.unneeded(connection, sha256s)
    note(connection, left, now=now, wait=wait)
    return len(left)


def orphans(connection: sa.Connection, sha256s: Collection[str]) -> list[str]:
    """Return those of these files that no row names and that aren't going already."""
    noted = set[str]()
    for page in _pages(sha256s):
        noted |= set(connection.scalars(sa.select(going.c.sha256).where(going.c.sha256.in_(page))))
    left = privacy.unneeded(connection, sha256s) - noted
    return [sha256 for sha256 in sha256s if sha256 in left]


def is_due(connection: sa.Connection, *, now: datetime) -> bool:
    """Return whether files are to be deleted now."""
    return (
        connection.execute(sa.select(going.c.sha256).where(going.c.due <= now).limit(1)).first() is not None
    )


def take(
    connection: sa.Connection, *, now: datetime, limit: int, among: Collection[str] | None = None
) -> list[Going]:
    """Return files whose time has come, and forget those that some row names again. among: only of these."""
    due = (
        sa.select(going.c.sha256, going.c.at).where(going.c.due <= now).order_by(going.c.due, going.c.sha256)
    )
    if among is not None:
        due = due.where(going.c.sha256.in_(list(among)))
    while rows := connection.execute(due.limit(limit)).all():
        needed = privacy.known_files(connection, [row.sha256 for row in rows])
        forget(connection, needed)
        if left := [Going(row.sha256, row.at) for row in rows if row.sha256 not in needed]:
            return left
    return []


def forget(connection: sa.Connection, sha256s: Collection[str]) -> None:
    """These files have gone, or stay."""
    for page in _pages(sha256s):
        connection.execute(sa.delete(going).where(going.c.sha256.in_(page)))


def put_off(connection: sa.Connection, sha256s: Collection[str], *, until: datetime) -> None:
    """These files couldn't be deleted: try it again then."""
    for page in _pages(sha256s):
        connection.execute(sa.update(going).where(going.c.sha256.in_(page)).values(due=until))


def put_off_all(connection: sa.Connection, *, after: datetime, until: datetime) -> None:
    """Let what would be deleted later than ``after`` wait until then."""
    connection.execute(sa.update(going).where(going.c.due > after).values(due=until))


def hasten(connection: sa.Connection, *, until: datetime) -> None:
    """Let no file wait longer than that: a clock that was ahead has said so."""
    connection.execute(sa.update(going).where(going.c.due > until).values(due=until))


def _pages(sha256s: Iterable[str]) -> Iterator[list[str]]:
    names = list(sha256s)
    return (names[i : i + PAGE] for i in range(0, len(names), PAGE))
