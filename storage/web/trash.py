"""Rows of pictures in the trash, and the deletion of single pictures for good."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime

import sqlalchemy as sa

from storage.asking import examples
from storage.films import rows as films
from storage.privacy import Removed, delete_jobs, note_unposted, unneeded
from storage.projects import forgetting
from storage.schema import GRID, favourites, messages, pictures
from storage.search import vectors
from storage.web.picked import Named, pages
from storage.web.schema import trash


def put(connection: sa.Connection, user_id: int, names: Iterable[Named], *, now: datetime) -> None:
    """Put pictures of the person's own into their trash; those that are there keep their time."""
    for page in pages(names):
        there = set(among(connection, user_id, page))
        new = [
            {"job_id": job_id, "position": position, "user_id": user_id, "at": now}
            for job_id, position in page
            if (job_id, position) not in there
        ]
        if new:
            connection.execute(sa.insert(trash), new)


def take_back(connection: sa.Connection, user_id: int, names: Iterable[Named]) -> list[Named]:
    """Take pictures out of the person's trash; return those that were in it."""
    back: list[Named] = []
    for page in pages(names):
        found = sa.delete(trash).where(trash.c.user_id == user_id, _named(page))
        rows = connection.execute(found.returning(trash.c.job_id, trash.c.position))
        back += [(row.job_id, row.position) for row in rows]
    return back


def count(connection: sa.Connection, user_id: int) -> int:
    """Return how many pictures are in the person's trash."""
    statement = sa.select(sa.func.count()).select_from(trash).where(trash.c.user_id == user_id)
    return connection.execute(statement).scalar_one()


def of_person(connection: sa.Connection, user_id: int, limit: int) -> list[Named]:
    """Return pictures in the person's trash, those that came first."""
    statement = sa.select(trash.c.job_id, trash.c.position).where(trash.c.user_id == user_id)
    return _names(connection, statement, limit)


def among(connection: sa.Connection, user_id: int, names: Iterable[Named]) -> list[Named]:
    """Return those of the named pictures that are in the person's trash."""
    found: list[Named] = []
    for page in pages(names):
        mine = (trash.c.user_id == user_id, _named(page))
        found += _names(connection, sa.select(trash.c.job_id, trash.c.position).where(*mine), len(page))
    return found


def ended(connection: sa.Connection, before: datetime, limit: int) -> dict[int, list[Named]]:
    """Return pictures that came into the trash before then, by whose they are."""
    statement = sa.select(trash).where(trash.c.at < before).order_by(trash.c.at).limit(limit)
    found: defaultdict[int, list[Named]] = defaultdict(list)
    for row in connection.execute(statement):
        found[row.user_id].append((row.job_id, row.position))
    return dict(found)


def hidden(connection: sa.Connection, job_ids: Collection[str]) -> dict[str, frozenset[int]]:
    """Return which pictures (from 0) of these jobs are in the trash, of those that have any there."""
    found: defaultdict[str, set[int]] = defaultdict(set)
    statement = sa.select(trash.c.job_id, trash.c.position).where(trash.c.job_id.in_(list(job_ids)))
    for row in connection.execute(statement):
        found[row.job_id].add(row.position)
    return {job_id: frozenset(positions) for job_id, positions in found.items()}


def files(connection: sa.Connection, job_ids: Iterable[str], reader: int) -> set[tuple[str, str]]:
    """Return (job, SHA-256) of those pictures of these jobs that another than the reader has put into their
    trash."""
    found = set[tuple[str, str]]()
    wanted = sa.select(pictures.c.job_id, pictures.c.sha256).join(trash, is_trashed())
    for page in pages(job_ids):
        these = wanted.where(pictures.c.job_id.in_(page), trash.c.user_id != reader)
        found |= {(row.job_id, row.sha256) for row in connection.execute(these)}
    return found


def first_shown(connection: sa.Connection, job_ids: Collection[str]) -> dict[str, int]:
    """Return the first picture (from 0) of each of these jobs that isn't in the trash."""
    statement = (
        sa.select(pictures.c.job_id, sa.func.min(pictures.c.position).label("first"))
        .where(pictures.c.job_id.in_(list(job_ids)), pictures.c.position > GRID, ~in_trash())
        .group_by(pictures.c.job_id)
    )
    return {row.job_id: row.first for row in connection.execute(statement)}


def in_trash() -> sa.ColumnElement[bool]:
    """Return the condition that a row of ``pictures`` is in the trash."""
    return sa.exists().where(is_trashed()).correlate(pictures)


def is_trashed() -> sa.ColumnElement[bool]:
    """Return the condition by which rows of the trash belong to rows of ``pictures``."""
    return sa.and_(trash.c.job_id == pictures.c.job_id, trash.c.position == pictures.c.position)


def delete_pictures(connection: sa.Connection, names: Iterable[Named], *, now: datetime) -> Removed:
    """Delete these pictures for good, with what hangs on them and the overview that shows them too. A job
    that has no other picture goes as a whole.

    Messages on Discord that show one of them alone are noted, to be deleted there.
    """
    wanted: defaultdict[str, set[int]] = defaultdict(set)
    for job_id, position in names:
        wanted[job_id].add(position)
    whole: list[str] = []
    files: set[str] = set()
    forgotten: set[str] = set()
    shown: list[tuple[int, int]] = []
    learned = forgetting.Gone()
    for job_id, positions in wanted.items():
        if not _others(connection, job_id, positions):
            whole.append(job_id)
            continue
        deleted = _delete_rows(connection, job_id, positions)
        forgotten |= examples.remove_pictures(connection, job_id, deleted)
        learned |= forgetting.forget_pictures(connection, job_id, deleted)
        files |= deleted
        shown += _take_messages(connection, job_id, positions)
    removed = delete_jobs(connection, [*whole, *learned.shown], now=now)
    for channel_id, message_id in shown:
        note_unposted(connection, channel_id, message_id, now=now)
    seen = vectors.forget(connection, files)
    forgotten |= learned.files
    gone = unneeded(connection, files | forgotten) | set(removed.files)
    forgotten |= set(removed.forgotten)
    spoilt = tuple(learned.spoilt.union(removed.spoilt))
    told, copies = (*removed.messages, *shown), (*removed.vectors, *seen)
    return Removed(removed.jobs, told, tuple(gone), copies, tuple(forgotten), spoilt)


def there(connection: sa.Connection, names: Collection[Named]) -> list[Named]:
    """Return those of these pictures that there are."""
    found = sa.select(pictures.c.job_id, pictures.c.position)
    mine = sa.tuple_(pictures.c.job_id, pictures.c.position).in_(list(names))
    return [(row.job_id, row.position) for row in connection.execute(found.where(mine))]


def _others(connection: sa.Connection, job_id: str, positions: Collection[int]) -> bool:
    """Return whether a job has other pictures than these."""
    others = sa.select(pictures.c.position).where(
        pictures.c.job_id == job_id, pictures.c.position > GRID, pictures.c.position.not_in(positions)
    )
    return connection.execute(others.limit(1)).first() is not None


def _delete_rows(connection: sa.Connection, job_id: str, positions: Collection[int]) -> set[str]:
    """Delete the rows of a job's pictures, and of the films whose posters they are; return the files that all
    of them named."""
    kept = sa.and_(favourites.c.job_id == job_id, favourites.c.position.in_(positions))
    connection.execute(sa.delete(favourites).where(kept))
    vectors.drop_places(connection, job_id, positions)
    clips = films.files_of_jobs(connection, [job_id], positions)
    gone = sa.delete(pictures).where(pictures.c.job_id == job_id, pictures.c.position.in_([*positions, GRID]))
    return clips | set(connection.execute(gone.returning(pictures.c.sha256)).scalars())


def _take_messages(
    connection: sa.Connection, job_id: str, positions: Collection[int]
) -> list[tuple[int, int]]:
    """Forget the messages that show one of these pictures alone; return (channel, message) of each."""
    alone = sa.delete(messages).where(messages.c.job_id == job_id, messages.c.position.in_(positions))
    rows = connection.execute(alone.returning(messages.c.channel_id, messages.c.message_id))
    return [(row.channel_id, row.message_id) for row in rows]


def _named(names: Collection[Named]) -> sa.ColumnElement[bool]:
    return sa.tuple_(trash.c.job_id, trash.c.position).in_(list(names))


def _names(connection: sa.Connection, statement: sa.Select[tuple[str, int]], limit: int) -> list[Named]:
    return [(row.job_id, row.position) for row in connection.execute(statement.limit(limit))]
