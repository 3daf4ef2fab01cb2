"""A job that is on a device, and what is asked before it gets there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from core.errors import UserError
from core.events import Progress
from core.job import Job
from core.requests import AskRequest
from jobs.order.fairness import Waiting
from vision.protocol import Talk, Turn

Gate = Callable[[Job, bool], Awaitable[None]]


async def open_gate(job: Job, running: bool) -> None:
    """Let everything through. Another gate raises a UserError for a job that may not be queued or, when it is
    about to run (``running``), may not run any more; NotYet for one of which that can't be told now."""


def see_all(text: str) -> None:
    """Let every question go on, whatever its pictures say."""


def hear_all(text: str, whole: bool) -> str:
    """Let everybody read an answer as it comes."""
    return text


@dataclass(frozen=True)
class Conversation:
    """What a job is handed out with that is told what was said before. notes: sentences for whoever asked
    about what is missing of it. film: id of the job whose question's film is told, the newest one, "" = none.

    hear: is given all of an answer so far, and whether that is the whole; returns what of it may be read.
    Raises UserError for an answer that may not be given. see: is given the text that was read in the
    pictures, before the answer; raises UserError where that ends the question.
    """

    talk: Talk
    hear: Callable[[str, bool], str] = hear_all
    notes: tuple[str, ...] = ()
    see: Callable[[str], None] = see_all
    film: str = ""


Converse = Callable[[Job], Awaitable[Conversation]]


async def question_alone(job: Job) -> Conversation:
    """Hand a question out without the turns before it, or examples."""
    request = job.request
    if not isinstance(request, AskRequest):
        return Conversation(Talk((Turn("user", "", request.pictures, job.id),)))
    turn = Turn("user", request.question, request.images, job.id, request.times, request.film_used)
    return Conversation(Talk((turn,), request.form), film=job.id if turn.has_film else "")


Awaited = Literal["gate", "files", "rows", ""]


@dataclass
class ActiveJob:
    """A running job. ``began``: monotonic seconds; ``before``: how many of these were an earlier process's, 0
    for one that this process has begun.
    ``cost``: what it was counted as. ``text``: all of its
    answer so far. ``stopped``: its asker wants no more of it than that. ``refused``: why that may not be
    given.

    ``waits_for``: what its device isn't to blame for, "" while a device has it: whether it may run, the files
    that it needs, or that its end is written down. ``last_sign``: monotonic seconds of its last sign of life:
    handed over or taken up, loading, a step. ``is_begun``: there was one since it was handed over.
    ``working_since``: when it would have begun, had its device done nothing but work on it.
    """

    job: Job
    waiting: Waiting
    token: str
    device: str
    began: float
    cost: int = 1
    handed: bool = False  # the executor has it, or had it
    seconds: float = 0.0  # of its device, once the run has ended
    progress: Progress | None = None
    conversation: Conversation | None = None
    text: str = field(default="", repr=False)
    stopped: bool = False
    refused: UserError | None = None
    traceparent: str = ""  # of its run's span
    task: asyncio.Task[None] | None = None  # that brings it to its end
    before: float = 0.0
    waits_for: Awaited = "gate"
    last_sign: float = 0.0
    is_begun: bool = False
    working_since: float = 0.0

    def hand_over(self, now: float) -> None:
        """Note that a device has it from now on, or has had it all along."""
        self.handed, self.waits_for, self.is_begun = True, "", self.before > 0
        self.last_sign, self.working_since = now, now - self.before

    def sign(self, now: float, *, loads: bool) -> None:
        """Note a sign of life. loads: a model was loaded since the one before."""
        self.working_since += now - self.last_sign if loads else 0.0
        self.last_sign, self.is_begun = now, True

    def stop(self) -> None:
        """End its task if that waits for what a device needs still; it is in the queue again."""
        if self.task is not None and not self.handed:
            self.task.cancel()
