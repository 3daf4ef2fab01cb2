"""Films that jobs have made: written with their posters, found by job."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import sqlalchemy as sa

from storage.schema import films, pictures


@dataclass(frozen=True)
class StoredFilm:
    """A film of a finished job; its poster is the job's picture with the same ``index`` (from 0).

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


_COLUMNS = (  # of the fields of StoredFilm, in their order
    "sha256 media_type width height frames fps sound seed position size ends_sha256".split()
)
_OF_JOBS = (  # built once
    sa.select(films)
    .where(films.c.job_id.in_(sa.bindparam("jobs", expanding=True)))
    .order_by(films.c.job_id, films.c.position)
)


def add_films(connection: sa.Connection, job_id: str, made: Sequence[StoredFilm]) -> None:
    """Write the rows of a job's films; those of their posters are there."""
    rows = [dict(zip(_COLUMNS, astuple(film), strict=True)) | {"sound": int(film.sound)} for film in made]
    if rows:
        connection.execute(sa.insert(films), [row | {"job_id": job_id} for row in rows])


def films_of_jobs(connection: sa.Connection, job_ids: Iterable[str]) -> dict[str, tuple[StoredFilm, ...]]:
    """Return the films of each of these jobs that has any, in order. A few hundred jobs at a time."""
    found: dict[str, list[StoredFilm]] = {}
    for row in connection.execute(_OF_JOBS, {"jobs": list(job_ids)}):
        values: list[Any] = [bool(row.sound) if name == "sound" else getattr(row, name) for name in _COLUMNS]
        found.setdefault(row.job_id, []).append(StoredFilm(*values))
    return {job_id: tuple(made) for job_id, made in found.items()}


def films_of_posters(connection: sa.Connection, posters: Collection[str]) -> dict[str, set[str]]:
    """Return the SHA-256 of the films whose posters these pictures (SHA-256) are, by poster. A few hundred at
    a time."""
    found: dict[str, set[str]] = {}
    belongs = sa.and_(films.c.job_id == pictures.c.job_id, films.c.position == pictures.c.position)
    statement = sa.select(pictures.c.sha256, films.c.sha256).join(films, belongs)
    for poster, film in connection.execute(statement.where(pictures.c.sha256.in_(list(posters)))):
        found.setdefault(poster, set()).add(film)
    return found


def files_of_jobs(
    connection: sa.Connection, job_ids: Collection[str], positions: Collection[int] | None = None
) -> set[str]:
    """Return the files of these jobs' films and of their ends; positions: of these alone."""
    chosen = [films.c.job_id.in_(list(job_ids))]
    if positions is not None:
        chosen.append(films.c.position.in_(list(positions)))
    rows = connection.execute(sa.select(films.c.sha256, films.c.ends_sha256).where(*chosen))
    return {name for row in rows for name in row if name is not None}
