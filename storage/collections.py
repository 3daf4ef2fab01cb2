"""Rows of what people gather: the trash, and the deletion of single pictures for good; folders; and shares,
which are links that show something until they end. A job's id and a number from 0 name a picture."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa

from core.job import Job, new_job_id
from storage import conversations, embeddings, people
from storage import videos as videos
from storage.job_queries import StoredPicture, read_jobs, read_pictures
from storage.people import from_row
from storage.privacy import Removed, delete_jobs, messages_of_duels, note_unposted, unneeded
from storage.projects import projects as project_rows
from storage.schema import (
    GRID,
    duel_pictures,
    favourites,
    folder_items,
    folders,
    messages,
    pictures,
    shares,
    trash,
)
from storage.sessions import derived_token, hash_of

Named = tuple[str, int]
pages = partial(people.pages, size=100)  # the event loop waits while their rows become jobs


def pick_pictures(connection: sa.Connection, names: Sequence[Named]) -> list[tuple[Job, StoredPicture]]:
    """Return those of the named pictures that there are, with their jobs, as they are named."""
    found: dict[Named, tuple[Job, StoredPicture]] = {}
    for page in pages(names):
        known = read_jobs(connection, {job_id for job_id, _ in page})
        for job_id, stored in read_pictures(connection, known).items():
            found |= {(job_id, one.index): (known[job_id], one) for one in stored if one.index > GRID}
    return [found[name] for name in dict.fromkeys(names) if name in found]


def put_in_trash(connection: sa.Connection, user_id: int, names: Iterable[Named], *, now: datetime) -> None:
    """Put pictures of the person's own into their trash; those that are there keep their time."""
    for page in pages(names):
        there = set(list_trashed(connection, user_id, page))
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
        found = sa.delete(trash).where(trash.c.user_id == user_id, _named(page, trash))
        rows = connection.execute(found.returning(trash.c.job_id, trash.c.position))
        back += [(row.job_id, row.position) for row in rows]
    return back


def count_trash(connection: sa.Connection, user_id: int) -> int:
    """Return how many pictures are in the person's trash."""
    return connection.scalar(sa.select(sa.func.count()).where(trash.c.user_id == user_id)) or 0


def list_trash(connection: sa.Connection, user_id: int, limit: int) -> list[Named]:
    """Return pictures in the person's trash, those that came first."""
    statement = sa.select(trash.c.job_id, trash.c.position).where(trash.c.user_id == user_id)
    return _names(connection, statement, limit)


def list_trashed(connection: sa.Connection, user_id: int, names: Iterable[Named]) -> list[Named]:
    """Return those of the named pictures that are in the person's trash."""
    found: list[Named] = []
    for page in pages(names):
        mine = (trash.c.user_id == user_id, _named(page, trash))
        found += _names(connection, sa.select(trash.c.job_id, trash.c.position).where(*mine), len(page))
    return found


def list_overdue(connection: sa.Connection, before: datetime, limit: int) -> dict[int, list[Named]]:
    """Return pictures that came into the trash before then, by whose they are."""
    statement = sa.select(trash).where(trash.c.at < before).order_by(trash.c.at).limit(limit)
    found: defaultdict[int, list[Named]] = defaultdict(list)
    for row in connection.execute(statement):
        found[row.user_id].append((row.job_id, row.position))
    return dict(found)


def trashed_positions(connection: sa.Connection, job_ids: Collection[str]) -> dict[str, frozenset[int]]:
    """Return which pictures (from 0) of these jobs are in the trash, of those that have any there."""
    found: defaultdict[str, set[int]] = defaultdict(set)
    statement = sa.select(trash.c.job_id, trash.c.position).where(trash.c.job_id.in_(list(job_ids)))
    for row in connection.execute(statement):
        found[row.job_id].add(row.position)
    return {job_id: frozenset(positions) for job_id, positions in found.items()}


def trashed_files(connection: sa.Connection, job_ids: Iterable[str], reader: int) -> set[tuple[str, str]]:
    """Return (job, SHA-256) of these jobs' pictures that another than the reader has put into trash."""
    found = set[tuple[str, str]]()
    wanted = sa.select(pictures.c.job_id, pictures.c.sha256).join(trash, is_trashed())
    for page in pages(job_ids):
        these = wanted.where(pictures.c.job_id.in_(page), trash.c.user_id != reader)
        found |= {(row.job_id, row.sha256) for row in connection.execute(these)}
    return found


def in_trash() -> sa.ColumnElement[bool]:
    """Return the condition that a row of ``pictures`` is in the trash."""
    return sa.exists().where(is_trashed()).correlate(pictures)


def is_trashed() -> sa.ColumnElement[bool]:
    """Return the condition by which rows of the trash belong to rows of ``pictures``."""
    return sa.and_(trash.c.job_id == pictures.c.job_id, trash.c.position == pictures.c.position)


def delete_pictures(connection: sa.Connection, names: Iterable[Named], *, now: datetime) -> Removed:
    """Delete these pictures for good, with what hangs on them and the overview that shows them too. A job
    that has no other picture goes as a whole.

    Messages on Discord that show one of them alone, or in a duel, are noted, to be deleted there.
    """
    wanted: defaultdict[str, set[int]] = defaultdict(set)
    for job_id, position in names:
        wanted[job_id].add(position)
    whole: list[str] = []
    files: set[str] = set()
    forgotten: set[str] = set()
    shown: list[tuple[int, int]] = []
    learned = project_rows.Gone()
    for job_id, positions in wanted.items():
        others = (pictures.c.position > GRID, pictures.c.position.not_in(positions))
        left = sa.select(pictures.c.position).where(pictures.c.job_id == job_id, *others).limit(1)
        if connection.execute(left).first() is None:
            whole.append(job_id)
            continue
        these = (duel_pictures.c.job_id == job_id, duel_pictures.c.position.in_(positions))
        shown += messages_of_duels(connection, sa.and_(*these))
        deleted = _delete_rows(connection, job_id, positions)
        forgotten |= conversations.remove_pictures(connection, job_id, deleted)
        learned |= project_rows.forget_pictures(connection, job_id, deleted)
        files |= deleted
        alone = sa.delete(messages).where(messages.c.job_id == job_id, messages.c.position.in_(positions))
        rows = connection.execute(alone.returning(messages.c.channel_id, messages.c.message_id))
        shown += [(row.channel_id, row.message_id) for row in rows]
    removed = delete_jobs(connection, [*whole, *learned.shown], now=now)
    for channel_id, message_id in shown:
        note_unposted(connection, channel_id, message_id, now=now)
    seen = embeddings.forget_vectors(connection, files)
    forgotten |= learned.files
    gone = unneeded(connection, files | forgotten) | set(removed.files)
    forgotten |= set(removed.forgotten)
    spoilt = tuple(learned.spoilt.union(removed.spoilt))
    told, copies = (*removed.messages, *shown), (*removed.vectors, *seen)
    return Removed(removed.jobs, told, tuple(gone), copies, tuple(forgotten), spoilt)


def existing_pictures(connection: sa.Connection, names: Collection[Named]) -> list[Named]:
    """Return those of these pictures that there are."""
    found = sa.select(pictures.c.job_id, pictures.c.position).where(_named(names, pictures))
    return [(row.job_id, row.position) for row in connection.execute(found)]


def _delete_rows(connection: sa.Connection, job_id: str, positions: Collection[int]) -> set[str]:
    """Delete rows of a job's pictures, and of videos with these posters; return the files that they named."""
    kept = sa.and_(favourites.c.job_id == job_id, favourites.c.position.in_(positions))
    connection.execute(sa.delete(favourites).where(kept))
    embeddings.drop_places(connection, job_id, positions)
    clips = videos.files_of_jobs(connection, [job_id], positions)
    gone = sa.delete(pictures).where(pictures.c.job_id == job_id, pictures.c.position.in_([*positions, GRID]))
    return clips | set(connection.execute(gone.returning(pictures.c.sha256)).scalars())


def _names(connection: sa.Connection, statement: sa.Select[tuple[str, int]], limit: int) -> list[Named]:
    return [(row.job_id, row.position) for row in connection.execute(statement.limit(limit))]


@dataclass(frozen=True)
class Folder:
    """A folder. query: of a smart one. pictures: in it, 0 of a smart one. links: if that was asked for."""

    id: str
    name: str
    query: str | None = None
    pictures: int = 0
    links: int = 0


def list_folders(connection: sa.Connection, user_id: int) -> list[Folder]:
    """Return the person's folders by name."""
    rows = connection.execute(sa.select(folders).where(folders.c.user_id == user_id)).all()
    statement = (
        sa.select(folder_items.c.folder_id, sa.func.count().label("pictures"))
        .select_from(_shown().join(folders, folders.c.id == folder_items.c.folder_id))
        .where(folders.c.user_id == user_id, ~in_trash())
        .group_by(folder_items.c.folder_id)
    )
    counts = {row.folder_id: row.pictures for row in connection.execute(statement)}
    found = [Folder(row.id, row.name, row.query, counts.get(row.id, 0)) for row in rows]
    return sorted(found, key=lambda folder: folder.name.casefold())


def read_folder(connection: sa.Connection, user_id: int, folder_id: str) -> Folder | None:
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


def add_folder(
    connection: sa.Connection, user_id: int, name: str, query: str | None, *, now: datetime, most: int
) -> Folder | None:
    """Write a folder; None when the person has ``most`` already. IntegrityError for a name they have."""
    count = sa.select(sa.func.count()).where(folders.c.user_id == user_id)
    if connection.execute(count).scalar_one() >= most:
        return None
    made = Folder(new_job_id(), name, query)
    row = {"id": made.id, "user_id": user_id, "name": name, "query": query, "created_at": now}
    connection.execute(sa.insert(folders).values(**row))
    return made


def rename_folder(connection: sa.Connection, user_id: int, folder_id: str, name: str) -> bool:
    """Rename a folder of the person's; False when there is none. IntegrityError for a name they have."""
    own = (folders.c.id == folder_id, folders.c.user_id == user_id)
    return bool(connection.execute(sa.update(folders).where(*own).values(name=name)).rowcount)


def delete_folder(connection: sa.Connection, user_id: int, folder_id: str) -> bool:
    """Delete a folder of the person's, not its pictures; False when there is no such one."""
    own = (folders.c.id == folder_id, folders.c.user_id == user_id)
    return bool(connection.execute(sa.delete(folders).where(*own)).rowcount)


def put_in_folder(
    connection: sa.Connection, folder_id: str, names: Iterable[Named], *, now: datetime, most: int
) -> int | None:
    """Put pictures into a folder; return how many are new, None if there would be more than ``most``."""
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


def _named(names: Iterable[Named], table: sa.Table = folder_items) -> sa.ColumnElement[bool]:
    return sa.tuple_(table.c.job_id, table.c.position).in_(list(names))


def _shown() -> sa.Join:
    same = (folder_items.c.job_id == pictures.c.job_id, folder_items.c.position == pictures.c.position)
    return folder_items.join(pictures, sa.and_(*same))


@dataclass(frozen=True)
class Shared:
    """What a link shows: picture ``position`` (from 0) of a job, all of a job's (None), or a folder's."""

    job_id: str | None = None
    position: int | None = None
    folder_id: str | None = None


@dataclass(frozen=True)
class Share:
    """A link. id: what its owner ends it by. words: prompts are shown, too. embed: Discord may show its
    pictures where it is pasted, and keep copies. token_hash: of its secret."""

    id: str
    user_id: int
    what: Shared
    title: str
    words: bool
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    views: int = 0
    embed: bool = False
    token_hash: str = field(default="", repr=False)

    def token(self, key: bytes) -> str | None:
        """Return the secret that the link carries; None where another key has made it, or none."""
        token = derived_token(key, self.id)
        return token if hash_of(token) == self.token_hash else None

    def ended(self, now: datetime) -> bool:
        """Return whether the link shows nothing any more."""
        return self.revoked_at is not None or self.expires_at <= now


def add_share(
    connection: sa.Connection,
    user_id: int,
    what: Shared,
    *,
    title: str,
    words: bool,
    embed: bool,
    now: datetime,
    expires: datetime,
    most: int,
    key: bytes,
) -> Share | None:
    """Write a share and return it; None when the person has ``most`` that haven't ended. key: of the studio,
    that tells its secret again, and isn't in the database."""
    live = (shares.c.user_id == user_id, shares.c.revoked_at.is_(None), shares.c.expires_at > now)
    count = sa.select(sa.func.count()).select_from(shares).where(*live)
    if connection.execute(count).scalar_one() >= most:
        return None
    made = Share(new_job_id(), user_id, what, title, words, now, expires, embed=embed)
    made = replace(made, token_hash=hash_of(derived_token(key, made.id)))
    row = {"id": made.id, "user_id": user_id, **vars(what), "title": title, "words": int(words)}
    row["embed"] = int(embed)
    times = {"created_at": now, "expires_at": expires}
    connection.execute(sa.insert(shares).values(token_hash=made.token_hash, **row, **times))
    return made


def find_share(connection: sa.Connection, token: str, now: datetime) -> Share | None:
    """Return the share that a link carries the secret of, None when there is none or it has ended."""
    row = connection.execute(sa.select(shares).where(shares.c.token_hash == hash_of(token))).first()
    found = None if row is None else _share(row)
    return None if found is None or found.ended(now) else found


def list_shares(connection: sa.Connection, user_id: int) -> list[Share]:
    """Return the person's shares, the newest first."""
    statement = sa.select(shares).where(shares.c.user_id == user_id).order_by(shares.c.created_at.desc())
    return [_share(row) for row in connection.execute(statement)]


def count_links(connection: sa.Connection, user_id: int, now: datetime) -> dict[str, int]:
    """Return how many links show each of the person's folders now, of those that any shows."""
    live = (shares.c.user_id == user_id, shares.c.revoked_at.is_(None), shares.c.expires_at > now)
    counted = sa.select(shares.c.folder_id, sa.func.count().label("links")).where(
        *live, shares.c.folder_id.is_not(None)
    )
    return {row.folder_id: row.links for row in connection.execute(counted.group_by(shares.c.folder_id))}


def revoke_share(connection: sa.Connection, user_id: int, share_id: str, *, now: datetime) -> bool:
    """End a share of the person's; False when there is no such one. One that has ended stays so."""
    own = (shares.c.user_id == user_id, shares.c.id == share_id)
    ended = sa.func.coalesce(shares.c.revoked_at, sa.literal(now, shares.c.revoked_at.type))
    return bool(connection.execute(sa.update(shares).where(*own).values(revoked_at=ended)).rowcount)


def count_view(connection: sa.Connection, share_id: str) -> None:
    """Count one more visit of a share's page."""
    connection.execute(sa.update(shares).where(shares.c.id == share_id).values(views=shares.c.views + 1))


def drop_shares(connection: sa.Connection, before: datetime) -> None:
    """Delete the rows of shares that ended before then."""
    ended = sa.or_(shares.c.expires_at < before, shares.c.revoked_at < before)
    connection.execute(sa.delete(shares).where(ended))


def _share(row: sa.Row[Any]) -> Share:
    return from_row(Share, row, what=from_row(Shared, row), words=bool(row.words), embed=bool(row.embed))
