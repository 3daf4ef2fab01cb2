"""A stored film to work on, and the job that made it, if one of ours did."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.errors import ImageError
from core.job import Job
from core.requests import GenerateRequest
from jobs.views import Result
from storage.films.rows import StoredFilm
from studio.asking.new_job import new_seed


@dataclass(frozen=True)
class Clip:
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

    @property
    def parent(self) -> tuple[str, int] | None:
        """Job id and index (from 0), None for a film that somebody sent."""
        return (self.job.id, self.index) if self.job else None

    @property
    def request(self) -> GenerateRequest | None:
        """The request that drew the film, None if nobody here drew it."""
        made_by = self.job.request if self.job else None
        return made_by if isinstance(made_by, GenerateRequest) else None

    @property
    def private(self) -> bool:
        """Whether what is made from the film is private, because the film is."""
        return self.job is not None and self.job.origin.private


def film_of(result: Result, index: int) -> StoredFilm:
    """Return the row of film ``index`` (from 0). Raises ImageError when there is none of that number."""
    found = next((film for film in result.films if film.index == index), None)
    if found is None:
        raise ImageError(f"That job has no film number {index + 1}.")
    return found


def clip_of(result: Result, index: int, *, children: int = 0) -> Clip:
    """Return film ``index`` (from 0) of a finished job.

    children: how many jobs were made from that film before; each gets a seed of its own, four apart since a
    job makes up to four films. Raises ImageError when there is no such film.
    """
    film, job = film_of(result, index), result.job
    request = job.request
    seed = request.seed if isinstance(request, GenerateRequest) else new_seed()
    return Clip(
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
