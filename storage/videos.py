"""Videos that jobs have made: written with their posters, found by job."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import sqlalchemy as sa

from storage.schema import pictures, videos


@dataclass(frozen=True)
class StoredVideo:
    """A video of a finished job; its poster is the job's picture with the same ``index`` (from 0).

    ``size`` in bytes, sides in px. ends: SHA-256 of the latents of its first and last frames, from which it
    can be extended; None = none were kept.
    """

    sha256: str
    media_type: str
    width: int
    height: int
    frames: int
    fps: float
    sound: bool
    seed: int | None
    index: int
    size: int
    ends: str | None = None

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.frames / self.fps


_COLUMNS = (  # of the fields of StoredVideo, in their order
    "sha256 media_type width height frames fps sound seed position size ends_sha256".split()
)
_OF_JOBS = (  # built once
    sa.select(videos)
    .where(videos.c.job_id.in_(sa.bindparam("jobs", expanding=True)))
    .order_by(videos.c.job_id, videos.c.position)
)


def add_videos(connection: sa.Connection, job_id: str, made: Sequence[StoredVideo]) -> None:
    """Write the rows of a job's videos; those of their posters are there."""
    rows = [dict(zip(_COLUMNS, astuple(video), strict=True)) | {"sound": int(video.sound)} for video in made]
    if rows:
        connection.execute(sa.insert(videos), [row | {"job_id": job_id} for row in rows])


def videos_of_jobs(connection: sa.Connection, job_ids: Iterable[str]) -> dict[str, tuple[StoredVideo, ...]]:
    """Return the videos of each of these jobs that has any, in order. A few hundred jobs at a time."""
    found: dict[str, list[StoredVideo]] = {}
    for row in connection.execute(_OF_JOBS, {"jobs": list(job_ids)}):
        values: list[Any] = [bool(row.sound) if name == "sound" else getattr(row, name) for name in _COLUMNS]
        found.setdefault(row.job_id, []).append(StoredVideo(*values))
    return {job_id: tuple(made) for job_id, made in found.items()}


def videos_of_posters(connection: sa.Connection, posters: Collection[str]) -> dict[str, set[str]]:
    """Return the videos (SHA-256) with these posters (SHA-256), by poster. A few hundred at a time."""
    found: dict[str, set[str]] = {}
    belongs = sa.and_(videos.c.job_id == pictures.c.job_id, videos.c.position == pictures.c.position)
    statement = sa.select(pictures.c.sha256, videos.c.sha256).join(videos, belongs)
    for poster, video in connection.execute(statement.where(pictures.c.sha256.in_(list(posters)))):
        found.setdefault(poster, set()).add(video)
    return found


def files_of_jobs(
    connection: sa.Connection, job_ids: Collection[str], positions: Collection[int] | None = None
) -> set[str]:
    """Return the files of these jobs' videos and of their ends; positions: of these alone."""
    chosen = [videos.c.job_id.in_(list(job_ids))]
    if positions is not None:
        chosen.append(videos.c.position.in_(list(positions)))
    rows = connection.execute(sa.select(videos.c.sha256, videos.c.ends_sha256).where(*chosen))
    return {name for row in rows for name in row if name is not None}
