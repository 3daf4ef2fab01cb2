"""Rows of folders: what their owner has put into them, or the filters by which a smart one finds it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from core.job import new_job_id
from storage.schema import pictures
from storage.web.picked import Named, pages
from storage.web.schema import folder_items, folders
from storage.web.trash import in_trash


@dataclass(frozen=True)
class Folder:
    """A folder. query: of a smart one. pictures: how many are in it; a smart one's aren't counted. links: how
    many show it, where that was asked for."""

    id: str
    name: str
    query: str | None = None
    pictures: int = 0
    links: int = 0


def of_person(connection: sa.Connection, user_id: int) -> list[Folder]:
    """Return the person's folders by name."""
    rows = connection.execute(sa.select(folders).where(folders.c.user_id == user_id)).all()
    counts = _counts(connection, user_id)
    found = [Folder(row.id, row.name, row.query, counts.get(row.id, 0)) for row in rows]
    return sorted(found, key=lambda folder: folder.name.casefold())


def one(connection: sa.Connection, user_id: int, folder_id: str) -> Folder | None:
    """Return a folder of the person's, None when there is no such one."""
    own = (folders.c.id == folder_id, folders.c.user_id == user_id)
    row = connection.execute(sa.select(folders).where(*own)).first()
    if row is None:
        return None
    count = sa.select(sa.func.count()).select_from(_shown()).where(folder_items.c.folder_id == folder_id)
    return Folder(row.id, row.name, row.query, connection.execute(count.where(~in_trash())).scalar_one())


def holds(connection: sa.Connection, user_id: int, folder_id: str, name: Named) -> bool:
    """Return whether a picture is in a folder of the person's."""
    joined = folder_items.join(folders, folders.c.id == folder_items.c.folder_id)
    own = (folders.c.id == folder_id, folders.c.user_id == user_id, _named([name]))
    statement = sa.select(folders.c.id).select_from(joined).where(*own)
    return connection.execute(statement).first() is not None


def put_after(
    connection: sa.Connection, folder_id: str, names: Iterable[Named], moment: datetime
) -> set[Named]:
    """Return those of these pictures that came into a folder after ``moment``."""
    late = sa.select(folder_items.c.job_id, folder_items.c.position).where(
        folder_items.c.folder_id == folder_id, folder_items.c.added_at > moment
    )
    found = (connection.execute(late.where(_named(page))) for page in pages(names))
    return {(row.job_id, row.position) for rows in found for row in rows}


def add(
    connection: sa.Connection, user_id: int, name: str, query: str | None, *, now: datetime, most: int
) -> Folder | None:
    """Write a folder; None when the person has ``most`` already. IntegrityError when they have one of that
    name."""
    count = sa.select(sa.func.count()).select_from(folders).where(folders.c.user_id == user_id)
    if connection.execute(count).scalar_one() >= most:
        return None
    made = Folder(new_job_id(), name, query)
    row = {"id": made.id, "user_id": user_id, "name": name, "query": query, "created_at": now}
    connection.execute(sa.insert(folders).values(**row))
    return made


def rename(connection: sa.Connection, user_id: int, folder_id: str, name: str) -> bool:
    """Give a folder of the person's another name; False when there is no such one. IntegrityError when they
    have another of that name."""
    own = (folders.c.id == folder_id, folders.c.user_id == user_id)
    return bool(connection.execute(sa.update(folders).where(*own).values(name=name)).rowcount)


def delete(connection: sa.Connection, user_id: int, folder_id: str) -> bool:
    """Delete a folder of the person's, not its pictures; False when there is no such one."""
    own = (folders.c.id == folder_id, folders.c.user_id == user_id)
    return bool(connection.execute(sa.delete(folders).where(*own)).rowcount)


def put(
    connection: sa.Connection, folder_id: str, names: Iterable[Named], *, now: datetime, most: int
) -> int | None:
    """Put pictures into a folder and return how many are new there; None, and nothing is done, when there
    would be more than ``most``."""
    new: list[Named] = []
    for page in pages(names):
        there = sa.select(folder_items.c.job_id, folder_items.c.position)
        rows = connection.execute(there.where(folder_items.c.folder_id == folder_id, _named(page)))
        known = {(row.job_id, row.position) for row in rows}
        new += [name for name in page if name not in known]
    count = sa.select(sa.func.count()).where(folder_items.c.folder_id == folder_id)
    if connection.execute(count).scalar_one() + len(new) > most:
        return None
    for page in pages(new):
        items = [
            {"folder_id": folder_id, "job_id": job_id, "position": position, "added_at": now}
            for job_id, position in page
        ]
        connection.execute(sa.insert(folder_items), items)
    return len(new)


def take_out(connection: sa.Connection, folder_id: str, names: Iterable[Named]) -> int:
    """Take pictures out of a folder; return how many were in it."""
    gone = 0
    for page in pages(names):
        statement = sa.delete(folder_items).where(folder_items.c.folder_id == folder_id, _named(page))
        gone += connection.execute(statement).rowcount
    return gone


def _named(names: Iterable[Named]) -> sa.ColumnElement[bool]:
    return sa.tuple_(folder_items.c.job_id, folder_items.c.position).in_(list(names))


def _shown() -> sa.Join:
    same = (folder_items.c.job_id == pictures.c.job_id, folder_items.c.position == pictures.c.position)
    return folder_items.join(pictures, sa.and_(*same))


def _counts(connection: sa.Connection, user_id: int) -> dict[str, int]:
    """How many pictures each folder of the person shows."""
    joined = _shown().join(folders, folders.c.id == folder_items.c.folder_id)
    statement = (
        sa.select(folder_items.c.folder_id, sa.func.count().label("pictures"))
        .select_from(joined)
        .where(folders.c.user_id == user_id, ~in_trash())
        .group_by(folder_items.c.folder_id)
    )
    return {row.folder_id: row.pictures for row in connection.execute(statement)}
