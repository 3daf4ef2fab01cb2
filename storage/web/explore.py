"""Rows of what channels of a server have made for everybody in them, newest job first."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from storage.gallery import MOST, Cursor, Filter, Tile, conditions, kept_by, tile_columns, to_tiles
from storage.schema import GRID, SHOWN, favourites, jobs, messages, pictures


def message(connection: sa.Connection, job_id: str) -> tuple[int, int] | None:
    """Return (channel, message) where the whole job stands in the channel that it was asked for in."""
    statement = (
        sa.select(messages.c.channel_id, messages.c.message_id)
        .join(jobs, jobs.c.id == messages.c.job_id)
        .where(
            messages.c.job_id == job_id,
            messages.c.position.is_(None),
            messages.c.channel_id == jobs.c.channel_id,
        )
        .order_by(messages.c.message_id)
        .limit(1)
    )
    row = connection.execute(statement).first()
    return None if row is None else (row.channel_id, row.message_id)


def shown(
    connection: sa.Connection,
    reader: int,
    guild_id: int,
    channel_ids: Collection[int],
    wanted: Filter,
    *,
    before: Cursor | None = None,
    limit: int,
) -> list[Tile]:
    """Return pictures that a message in one of these channels shows, after ``before`` or the newest, with the
    favourites of user ``reader``. Only of jobs that were asked for in that channel, and aren't private."""
    joined = jobs.join(pictures, jobs.c.id == pictures.c.job_id).join(
        favourites, kept_by(reader), isouter=not wanted.favourite
    )
    stands = sa.exists().where(messages.c.job_id == jobs.c.id, messages.c.channel_id == jobs.c.channel_id)
    statement: sa.Select[Any] = (
        sa.select(*tile_columns())
        .select_from(joined)
        .where(
            sa.text(SHOWN),
            jobs.c.guild_id == guild_id,
            jobs.c.channel_id.in_(channel_ids),
            stands,
            pictures.c.position > GRID,
            *conditions(wanted),
        )
        .order_by(jobs.c.seq.desc(), pictures.c.position)
        .limit(min(limit, MOST + 1))
    )
    if before is not None:
        later = sa.and_(jobs.c.seq == before.seq, pictures.c.position > before.position)
        statement = statement.where(sa.or_(jobs.c.seq < before.seq, later), jobs.c.seq <= before.seq)
    return to_tiles(connection.execute(statement))
