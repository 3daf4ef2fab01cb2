"""Rows of the wall of styles: which styles were drawn, for which image model, and who likes which."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from storage import place_sets
from storage.people import from_row, pages, upsert
from storage.schema import (
    GRID,
    jobs,
    own_style_pictures,
    own_styles,
    picture_vectors,
    pictures,
    style_likes,
    style_tiles,
)


@dataclass(frozen=True)
class WallTile:
    """A style that was drawn. style: its lowest number. subject: its place among the wall's."""

    style: int
    subject: int
    job_id: str
    sha256: str


def add_tile(connection: sa.Connection, model: str, style: int, subject: int, job_id: str) -> None:
    """Note that a job draws a tile."""
    row = {"model": model, "style": style, "subject": subject, "job_id": job_id}
    connection.execute(sa.insert(style_tiles).values(**row))


def asked(connection: sa.Connection, model: str) -> set[tuple[int, int]]:
    """Return (style, subject) of the tiles that were asked for, whatever became of them."""
    mine = sa.select(style_tiles.c.style, style_tiles.c.subject).where(style_tiles.c.model == model)
    return {(row.style, row.subject) for row in connection.execute(mine)}


def list_tiles(connection: sa.Connection, model: str) -> list[WallTile]:
    """Return the tiles that are drawn, in the order in which they were."""
    joined = style_tiles.join(pictures, pictures.c.job_id == style_tiles.c.job_id)
    joined = joined.join(jobs, jobs.c.id == style_tiles.c.job_id)
    chosen = sa.select(style_tiles, pictures.c.sha256).select_from(joined)
    mine = (style_tiles.c.model == model, pictures.c.position > GRID)
    return [from_row(WallTile, row) for row in connection.execute(chosen.where(*mine).order_by(jobs.c.seq))]


def list_vectors(connection: sa.Connection, model: str, vectors: str, limit: int) -> tuple[bytes, ...]:
    """Return vectors of tiles of an image model, by the model ``vectors``: the first that were asked for,
    which show each word alike."""
    joined = style_tiles.join(pictures, pictures.c.job_id == style_tiles.c.job_id)
    joined = joined.join(picture_vectors, picture_vectors.c.sha256 == pictures.c.sha256)
    joined = joined.join(jobs, jobs.c.id == style_tiles.c.job_id)
    mine = (style_tiles.c.model == model, pictures.c.position > GRID, picture_vectors.c.model == vectors)
    found = sa.select(picture_vectors.c.vector).select_from(joined).where(*mine)
    return tuple(connection.scalars(found.order_by(jobs.c.seq).limit(limit)))


def seconds_since(connection: sa.Connection, since: datetime) -> float:
    """Return how long devices have drawn tiles since then."""
    joined = style_tiles.join(jobs, jobs.c.id == style_tiles.c.job_id)
    total = sa.select(sa.func.coalesce(sa.func.sum(jobs.c.run_seconds), 0.0)).select_from(joined)
    return float(connection.execute(total.where(jobs.c.finished_at >= since)).scalar_one())


def places_of(connection: sa.Connection, vectors: str, sha256s: Iterable[str]) -> dict[int, str]:
    """Return place → SHA-256 of the vectors of pictures, by the model ``vectors``."""
    found: dict[int, str] = {}
    for page in pages(sha256s):
        mine = (picture_vectors.c.model == vectors, picture_vectors.c.sha256.in_(page))
        chosen = sa.select(picture_vectors.c.place, picture_vectors.c.sha256).where(*mine)
        found |= {row.place: row.sha256 for row in connection.execute(chosen)}
    return found


def packed(places: Iterable[int]) -> bytes:
    """Return places as a question takes them: a bit for each, the lowest first."""
    bits = place_sets.marked(list(places))
    return bits.to_bytes(-(-bits.bit_length() // 8), "little")


# What people like


def like(connection: sa.Connection, user_id: int, style: int, *, liked: bool, now: datetime) -> None:
    """Note that somebody likes a style, or no more."""
    mine = (style_likes.c.user_id == user_id, style_likes.c.style == style)
    connection.execute(sa.delete(style_likes).where(*mine))
    if liked:
        connection.execute(sa.insert(style_likes).values(user_id=user_id, style=style, at=now))


def liked_by(connection: sa.Connection, user_id: int) -> list[int]:
    """Return the styles that somebody likes, the latest first."""
    chosen = sa.select(style_likes.c.style).where(style_likes.c.user_id == user_id)
    return list(connection.scalars(chosen.order_by(style_likes.c.at.desc(), style_likes.c.style)))


def count_likes(connection: sa.Connection) -> dict[int, int]:
    """Return how many people like each style."""
    chosen = sa.select(style_likes.c.style, sa.func.count()).group_by(style_likes.c.style)
    return {style: count for style, count in connection.execute(chosen)}


# Codes of one's own pictures


def put_code(
    connection: sa.Connection,
    user_id: int,
    code: str,
    style: int,
    made: Iterable[tuple[str, int]],
    now: datetime,
) -> None:
    """Keep what somebody's code stands for. made: (job, position) of those of its pictures that jobs made."""
    for job_id, position in sorted(set(made)):
        row = {"user_id": user_id, "code": code, "job_id": job_id, "position": position}
        connection.execute(upsert(connection, own_style_pictures, row, {}))
    mine = (own_styles.c.user_id == user_id, own_styles.c.code == code)
    connection.execute(sa.delete(own_styles).where(*mine))
    connection.execute(sa.insert(own_styles).values(user_id=user_id, code=code, style=style, at=now))


def pictures_of(connection: sa.Connection, user_id: int, code: str) -> list[tuple[str, int]]:
    """Return (job, position) of the pictures of somebody's own code that are still there."""
    one = own_style_pictures
    chosen = sa.select(one.c.job_id, one.c.position).where(one.c.user_id == user_id, one.c.code == code)
    rows = connection.execute(chosen.order_by(one.c.job_id, one.c.position))
    return [(row.job_id, row.position) for row in rows]


def style_of(connection: sa.Connection, code: str) -> int | None:
    """Return the style that a code stands for, None where nobody has made it."""
    chosen = sa.select(own_styles.c.style).where(own_styles.c.code == code).order_by(own_styles.c.at.desc())
    return connection.execute(chosen.limit(1)).scalar_one_or_none()
