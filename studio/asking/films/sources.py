"""A stored film to work on, and the job that made it, if one of ours did."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.errors import ImageError
from core.job import Job
from core.requests import GenerateRequest
from jobs.queue import Result
from storage.videos import StoredFilm
from studio.asking.new_job import OfJob, new_seed


@dataclass(frozen=True)
class FilmSource(OfJob):
    """Sides in px, ``frames`` at ``fps`` a second. ends: SHA-256 of the latents of its ends, None = there are
    none. next_seed: the seed for what is made from it next."""

    sha256: str
    width: int
    height: int
    frames: int
    fps: float
    sound: bool = False
    ends: str | None = None
    job: Job | None = None
    index: int = 0
    next_seed: int = field(default_factory=new_seed)

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.frames / self.fps


def film_of(result: Result, index: int) -> StoredFilm:
    """Return the row of film ``index`` (from 0). Raises ImageError when there is none of that number."""
    found = next((film for film in result.films if film.index == index), None)
    if found is None:
        raise ImageError(f"That job has no film number {index + 1}.")
    return found


def film_source(result: Result, index: int, *, children: int = 0) -> FilmSource:
    """Return film ``index`` (from 0) of a finished job.

    children: how many jobs were made from that film before; each gets a seed of its own, four apart since a
    job makes up to four films. Raises ImageError when there is no such film.
    """
    film, job = film_of(result, index), result.job
    request = job.request
    seed = request.seed if isinstance(request, GenerateRequest) else new_seed()
    return FilmSource(
        film.sha256,
        film.width,
        film.height,
        film.frames,
        film.fps,
        film.sound,
        film.ends,
        job,
        index,
        (seed + index + 4 * (children + 1)) % 2**32,
    )
