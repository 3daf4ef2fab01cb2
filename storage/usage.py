"""How many seconds of video people have had made, by day; and what of theirs is being made."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from core.requests import Request
from core.requests.video import VideoRequest
from storage import job_queries
from storage.conversations import day_of
from storage.people import upsert
from storage.schema import UNFINISHED, jobs, videos_used
from storage.videos import StoredVideo


def seconds_used(connection: sa.Connection, user_id: int, *, now: datetime) -> float:
    """Return the seconds of video that were made for a person today."""
    mine = (videos_used.c.user_id == user_id, videos_used.c.day == day_of(now))
    return connection.scalar(sa.select(videos_used.c.seconds).where(*mine)) or 0.0


def list_coming(connection: sa.Connection, user_id: int) -> list[Request]:
    """Return the videos that a person has asked for and that aren't made yet."""
    open_ = sa.select(jobs).where(
        jobs.c.user_id == user_id,
        jobs.c.kind == sa.literal_column(f"'{VideoRequest.kind}'"),
        sa.text(UNFINISHED),
        jobs.c.rendered_at.is_(None),
    )
    found = (job_queries.readable(row) for row in connection.execute(open_))
    return [job.request for job in found if job is not None]


def spend_seconds(
    connection: sa.Connection, user_id: int, made: Iterable[StoredVideo], *, now: datetime
) -> None:
    """Count videos that were made for a person."""
    seconds = sum(video.seconds for video in made)
    values = {"user_id": user_id, "day": day_of(now), "seconds": seconds}
    connection.execute(upsert(connection, videos_used, values, {"seconds": videos_used.c.seconds + seconds}))


def drop_seconds_used(connection: sa.Connection, *, now: datetime) -> None:
    """Forget what was made on days before yesterday."""
    connection.execute(sa.delete(videos_used).where(videos_used.c.day < day_of(now) - 1))
