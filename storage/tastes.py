"""Rows of tastes: what somebody likes and what was seen beside it, from hearts, rated pages, folders and
codes. A code is
a taste as it was; what is deleted goes out of it too. Nothing that is learned is kept."""

import base64
import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from core.convert import Preferences
from core.job import NOBODY
from core.prompt.values import OWN
from storage.collections import in_trash
from storage.members import read_choices
from storage.people import pages, upsert
from storage.schema import (
    favourites,
    folder_items,
    folders,
    jobs,
    messages,
    picture_vectors,
    pictures,
    taste_choices,
    taste_codes,
    taste_rows,
)

MOST = 2000  # liked pictures that are learned from, the newest
MOST_CODES = 50  # of a person
PREFIX = "p"  # of a code

Spot = tuple[int | None, int]  # a server, None = none, and a channel


class Row(NamedTuple):
    """A picture that was liked or passed over. page: on which it was rated, "" = in the grid of its job."""

    job_id: str
    position: int
    liked: bool
    page: str = ""


@dataclass(frozen=True)
class Code:
    """A taste as it was. pictures: how many liked ones of it are still there. guild_id: of the server
    whose members may use it, None = its owner alone."""

    code: str
    user_id: int
    name: str
    guild_id: int | None
    pictures: int


def typed_name(name: str) -> str:
    """Return how a folder's name is typed behind ``--p``: in small letters, in one word."""
    return "-".join(name.lower().split())


def find_rows(connection: sa.Connection, user_id: int, name: str, guild_id: int | None) -> list[Row] | None:
    """Return the pictures of a person's own taste, of a folder of theirs, or of a code that they may use in a
    server; None where there is no such one, or the person wants nothing learned."""
    chosen = read_choices(connection, user_id)
    if chosen and not Preferences.of_json(chosen).taste:
        return None
    if name == OWN:
        kept = sa.select(favourites.c.job_id, favourites.c.position).where(favourites.c.user_id == user_id)
        rows = _with_neighbours(connection, user_id, kept.order_by(favourites.c.created_at.desc()))
        return [*rows, *_rated(connection, user_id)]
    if may_use(connection, user_id, name, guild_id):
        mine = sa.select(taste_rows.c.job_id, taste_rows.c.position, taste_rows.c.liked)
        mine = mine.add_columns(taste_rows.c.page).where(taste_rows.c.code == name)
        found = connection.execute(mine)
        return [Row(row.job_id, row.position, bool(row.liked), row.page or "") for row in found]
    own = sa.select(folders.c.id, folders.c.name).where(
        folders.c.user_id == user_id, folders.c.query.is_(None)
    )
    for row in connection.execute(own):
        if typed_name(row.name) == name:
            items = sa.select(folder_items.c.job_id, folder_items.c.position)
            items = items.where(folder_items.c.folder_id == row.id)
            return _with_neighbours(connection, user_id, items.order_by(folder_items.c.added_at.desc()))
    return None


def _with_neighbours(connection: sa.Connection, user_id: int, liked: sa.Select[tuple[str, int]]) -> list[Row]:
    """Return liked pictures that aren't in the trash, and, of the person's own jobs, those that were seen
    beside them."""
    some = liked.limit(MOST).subquery()
    same = (pictures.c.job_id == some.c.job_id, pictures.c.position == some.c.position)
    there = sa.select(pictures.c.job_id, pictures.c.position).join(some, sa.and_(*same)).where(~in_trash())
    kept = {(row.job_id, row.position) for row in connection.execute(there)}
    rows = [Row(*name, True) for name in sorted(kept)]
    for page in pages({job_id for job_id, _ in kept}):
        beside = sa.select(pictures.c.job_id, pictures.c.position).join(jobs, jobs.c.id == pictures.c.job_id)
        own = (jobs.c.id.in_(page), jobs.c.user_id == user_id, pictures.c.position >= 0)
        found = [(row.job_id, row.position) for row in connection.execute(beside.where(*own))]
        rows += [Row(*name, False) for name in found if name not in kept]
    return rows


def _rated(connection: sa.Connection, user_id: int) -> list[Row]:
    """Return what somebody has said on pages of the studio's own pictures, the newest. A person's hearts name
    other pictures, so none comes twice."""
    one = taste_choices.c
    own = sa.select(one.job_id, one.position, one.liked, one.page).where(one.user_id == user_id)
    found = connection.execute(own.order_by(one.at.desc(), one.job_id).limit(MOST))
    return [Row(row.job_id, row.position, bool(row.liked), row.page) for row in found]


def rate(connection: sa.Connection, user_id: int, page: str, said: Mapping[str, bool], now: datetime) -> None:
    """Keep what somebody says of the pictures of a page: whether each job's first is liked. What they said
    on that page before, or of these pictures on others, goes."""
    mine = (taste_choices.c.user_id == user_id, taste_choices.c.page == page)
    connection.execute(sa.delete(taste_choices).where(*mine))
    for job_id, liked in said.items():
        values = {"page": page, "liked": int(liked), "at": now}
        row = {"user_id": user_id, "job_id": job_id, "position": 0}
        connection.execute(upsert(connection, taste_choices, row | values, values))


def last_rated(connection: sa.Connection, user_id: int) -> tuple[str, list[tuple[str, bool]]]:
    """Return the page that somebody rated last, and whether each of its jobs was liked; "" = there is
    none."""
    one = taste_choices.c
    last = sa.select(one.page).where(one.user_id == user_id).order_by(one.at.desc(), one.page).limit(1)
    page = connection.scalar(last) or ""
    said = sa.select(one.job_id, one.liked).where(one.user_id == user_id, one.page == page)
    found = connection.execute(said.order_by(one.job_id))
    return page, [(row.job_id, bool(row.liked)) for row in found]


def rated_jobs(connection: sa.Connection, user_id: int) -> set[str]:
    """Return the jobs whose pictures somebody has rated."""
    own = sa.select(taste_choices.c.job_id).where(taste_choices.c.user_id == user_id)
    return set(connection.scalars(own))


def forget_rated(connection: sa.Connection, user_id: int) -> None:
    """Forget all that somebody said of pictures that they were shown to rate."""
    connection.execute(sa.delete(taste_choices).where(taste_choices.c.user_id == user_id))


def may_use(connection: sa.Connection, user_id: int, code: str, guild_id: int | None) -> bool:
    """Return whether there is such a code that a person may use in a server."""
    shared = sa.false() if guild_id is None else taste_codes.c.guild_id == guild_id
    mine = (taste_codes.c.code == code, sa.or_(taste_codes.c.user_id == user_id, shared))
    return connection.execute(sa.select(taste_codes.c.code).where(*mine)).first() is not None


@dataclass(frozen=True)
class Told:
    """What a taste is learned from. pages: SHA-256 of pictures that were liked, and that were passed over
    beside them. vectors: of those pictures, as ``picture_vectors`` has them. voters: whose each page is, by a
    number, of a taste of several people."""

    name: str
    weight: float
    pages: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    vectors: Mapping[str, bytes]
    voters: tuple[int, ...] = ()

    @property
    def likes(self) -> int:
        """How many pictures are liked, of those that were looked at."""
        return len({name for liked, _ in self.pages for name in liked})


def read_lesson(
    connection: sa.Connection, rows: Iterable[Row], model: str, name: str = OWN, weight: float = 1.0
) -> Told:
    """Return what some rows tell, of pictures that ``model`` has seen."""
    liked, passed = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    named = {(row.job_id, row.position): row for row in rows}
    vectors = dict[str, bytes]()
    columns = (pictures.c.job_id, pictures.c.position, pictures.c.sha256, picture_vectors.c.vector)
    joined = pictures.join(picture_vectors, picture_vectors.c.sha256 == pictures.c.sha256)
    read = sa.select(*columns).select_from(joined).where(picture_vectors.c.model == model)
    for page in pages({job_id for job_id, _ in named}):
        for row in connection.execute(read.where(pictures.c.job_id.in_(page))):
            if (said := named.get((row.job_id, row.position))) is not None:
                (liked if said.liked else passed)[said.page or said.job_id].append(row.sha256)
                vectors[row.sha256] = row.vector
    refused = {row.page for row in named.values() if row.page} & passed.keys()
    refused -= {row.page for row in named.values() if row.liked}
    found = tuple((tuple(liked[page]), tuple(passed[page])) for page in (*liked, *sorted(refused)))
    return Told(name, weight, found, vectors)


def owner_of(connection: sa.Connection, name: str, user_id: int) -> int:
    """Return whose taste it is that a person names: their own, unless it is another's code."""
    owner = sa.select(taste_codes.c.user_id).where(taste_codes.c.code == name)
    return connection.execute(owner).scalar_one_or_none() or user_id


def others_shown(
    connection: sa.Connection, user_id: int, rows: Collection[Row]
) -> tuple[set[str], dict[Spot, set[str]]]:
    """Return which jobs of some rows aren't a person's own, and where those are shown."""
    others, shown = set[str](), defaultdict[Spot, set[str]](set)
    rated = {row.job_id for row in rows if row.page}  # shown to everybody
    for page in pages({row.job_id for row in rows} - rated):
        theirs = (jobs.c.id.in_(page), jobs.c.user_id != user_id)
        found = connection.execute(
            sa.select(jobs.c.id, jobs.c.guild_id, jobs.c.channel_id, jobs.c.private).where(*theirs)
        ).all()
        others |= {row.id for row in found}
        for row in found:
            if not row.private and row.guild_id is not None:
                shown[row.guild_id, row.channel_id].add(row.id)
        posted = sa.select(messages.c.job_id, messages.c.guild_id, messages.c.channel_id)
        posts = posted.where(messages.c.job_id.in_([row.id for row in found]))
        for post in connection.execute(posts):
            shown[post.guild_id, post.channel_id].add(post.job_id)
    return others, shown


def private_jobs(connection: sa.Connection, rows: Iterable[Row]) -> set[str]:
    """Return which jobs of some rows only their author sees."""
    found = set[str]()
    for page in pages({row.job_id for row in rows}):
        own = (jobs.c.id.in_(page), jobs.c.private == 1, jobs.c.user_id != NOBODY)
        hidden = sa.select(jobs.c.id).where(*own)
        found |= set(connection.execute(hidden).scalars())
    return found


def code_of(user_id: int, rows: Sequence[Row]) -> str:
    """Return the code of a taste: the same pictures of the same person give the same one."""
    lines = (f"{one.job_id} {one.position} {int(one.liked)} {one.page}" for one in sorted(rows))
    told = "\n".join(line.rstrip() for line in lines)
    digest = hashlib.sha256(f"{user_id}\n{told}".encode()).digest()
    return PREFIX + base64.b32encode(digest).decode().lower()[:9]


def add_code(
    connection: sa.Connection,
    user_id: int,
    name: str,
    rows: Sequence[Row],
    guild_id: int | None,
    *,
    now: datetime,
) -> str | None:
    """Keep a taste as it is and return its code; None when the person has MOST_CODES already. guild_id: of
    the server whose members may use it; a code that is there is shared with it."""
    code = code_of(user_id, rows)
    mine = (taste_codes.c.code == code, taste_codes.c.user_id == user_id)
    if connection.execute(sa.select(taste_codes.c.code).where(*mine)).first() is not None:
        if guild_id is not None:
            connection.execute(sa.update(taste_codes).where(*mine).values(guild_id=guild_id))
        return code
    count = sa.select(sa.func.count()).where(taste_codes.c.user_id == user_id)
    if connection.execute(count).scalar_one() >= MOST_CODES:
        return None
    row = {"code": code, "user_id": user_id, "name": name, "guild_id": guild_id, "created_at": now}
    connection.execute(sa.insert(taste_codes).values(**row))
    connection.execute(
        sa.insert(taste_rows),
        [
            {"code": code, "job_id": one.job_id, "position": one.position}
            | {"liked": int(one.liked), "page": one.page or None}
            for one in rows
        ],
    )
    return code


def list_codes(connection: sa.Connection, user_id: int, guild_id: int | None) -> list[Code]:
    """Return the codes that somebody may use: their own, newest first, then those shared with a server."""
    likes = (taste_rows.c.code == taste_codes.c.code, taste_rows.c.liked == 1)
    count = sa.select(sa.func.count()).where(*likes).scalar_subquery()
    shared = sa.false() if guild_id is None else taste_codes.c.guild_id == guild_id
    usable = sa.or_(taste_codes.c.user_id == user_id, shared)
    found = sa.select(taste_codes, count.label("pictures")).where(usable)
    own_first = (taste_codes.c.user_id != user_id, taste_codes.c.created_at.desc(), taste_codes.c.code)
    return [
        Code(row.code, row.user_id, row.name, row.guild_id, row.pictures)
        for row in connection.execute(found.order_by(*own_first))
    ]


def find_code(connection: sa.Connection, code: str) -> Code | None:
    """Return a code, whoever's it is."""
    found = sa.select(taste_codes).where(taste_codes.c.code == code)
    row = connection.execute(found).first()
    return None if row is None else Code(row.code, row.user_id, row.name, row.guild_id, 0)


def delete_code(connection: sa.Connection, code: str) -> None:
    """Take a code back."""
    connection.execute(sa.delete(taste_codes).where(taste_codes.c.code == code))


def delete_codes(connection: sa.Connection, user_id: int) -> None:
    """Take back every code of a person."""
    connection.execute(sa.delete(taste_codes).where(taste_codes.c.user_id == user_id))
