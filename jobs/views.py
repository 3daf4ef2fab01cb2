"""What the queue answers: frozen values for the bot to show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from core.events import ChatAnswer, Progress
from core.job import Job
from core.results import TextLine
from jobs.executor import Device
from storage.job_queries import StoredOutput, StoredPicture
from storage.videos import StoredFilm


@dataclass(frozen=True)
class Submitted:
    """``position`` 1 runs next, 0 is running or over already. ``duplicate``: the request had made this job
    before."""

    job: Job
    position: int
    eta: float | None = None  # seconds until it starts
    duplicate: bool = False


@dataclass(frozen=True)
class Result:
    """A finished job and what it made. ``parameters``: the values really used, "model" and "notes" among
    them. ``pictures`` are the posters of ``films`` where there are any, those with the same index."""

    job: Job
    pictures: tuple[StoredPicture, ...] = ()
    grid: StoredPicture | None = None
    captions: tuple[str, ...] = ()
    scores: tuple[tuple[str, float], ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    answer: ChatAnswer | None = None
    lines: tuple[TextLine, ...] = ()
    films: tuple[StoredFilm, ...] = ()

    @classmethod
    def of(cls, job: Job, output: StoredOutput) -> Result:
        """Return the result that rows hold."""
        return cls(
            job,
            output.pictures,
            output.grid,
            output.captions,
            output.scores,
            output.parameters or {},
            output.answer,
            output.lines,
            output.films,
        )


@dataclass(frozen=True)
class JobView:
    """A live job. ``since``: asked or started. ``eta``: seconds until it starts, or ends if it is running."""

    job: Job
    since: datetime
    position: int = 0
    eta: float | None = None
    progress: Progress | None = None
    device: str | None = None


@dataclass(frozen=True)
class Snapshot:
    """The queue now. ``waiting`` holds its first ones, ``total_waiting`` counts all."""

    paused: bool
    draining: bool
    running: tuple[JobView, ...] = ()
    waiting: tuple[JobView, ...] = ()
    total_waiting: int = 0
    devices: tuple[Device, ...] = ()

    @property
    def jobs(self) -> tuple[JobView, ...]:
        """Those that run, then those that wait."""
        return (*self.running, *self.waiting)


@dataclass(frozen=True)
class Health:
    """Whether work moves. ``last_step``: seconds since the last finished step, None before the first.
    ``ok`` is False when there is work and nothing has moved for longer than a step may take (``hung``,
    which a restart may mend), or when something else is wrong."""

    ok: bool
    last_step: float | None
    running: int
    waiting: int
    problem: str | None = None
    hung: bool = False
