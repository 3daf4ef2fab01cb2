"""A job that is on a device, and the question that is asked before it gets there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from core.events import Progress
from core.job import Job
from jobs.order.fairness import Waiting

Gate = Callable[[Job, bool], Awaitable[None]]


async def open_gate(job: Job, running: bool) -> None:
    """Let everything through. Another gate raises a UserError for a job that may not be queued or, when it is
    about to run (``running``), may not run any more."""


@dataclass
class ActiveJob:
    """A running job. ``began``: monotonic seconds."""

    job: Job
    waiting: Waiting
    token: str
    device: str
    began: float
    handed: bool = False  # the executor has it, or had it
    seconds: float = 0.0  # of its device, once the run has ended
    progress: Progress | None = None
