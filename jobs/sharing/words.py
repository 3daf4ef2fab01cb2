"""What programs that share a queue say to each other on the bus: they ask the leader for what only it knows,
and it tells of jobs that run.

Rows decide; a word only spares waiting for the next look at them. ``queue.<verb>`` is answered by whoever
leads, ``bot.told.<job>`` is heard by those who follow the job.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from bus.messages import Message
from core.errors import BusAway, WireError
from core.events import TERMINAL, Event, Paused, Progress
from jobs.sharing.messages import Answered, Look, Told

PATIENCE = 1.0  # s for the leader to answer
TOLD_EVERY = 0.25  # s between two words about one job, at least
TOLD_A_SECOND = 600.0  # words about the steps of all jobs: with more that run, each is told of more seldom
SMALL = 64 * 2**10  # bytes of a question
log = logging.getLogger(__name__)
T = TypeVar("T", bound=Message)
Answers = dict[str, tuple[type[Any], Callable[[Any, str], Awaitable[Message]]]]


class Line(Protocol):
    """The bus, as far as it is needed here."""

    async def publish(self, subject: str, message: Message) -> bool:
        """Send a message to whoever listens. Raises WireError."""

    async def request(self, subject: str, message: Message, kind: type[T], *, patience: float) -> T:
        """Send a message and return its answer. Raises BusAway, WireError."""

    async def listen(self, subject: str, kind: type[T], hear: Callable[[T, str], None]) -> Any:
        """Call ``hear`` with each message; return what ends that."""

    async def serve(self, subject: str, kind: type[T], answer: Any, *, most: int = ...) -> Any:
        """Answer each message; return what ends that."""


class Words:
    """One program's end of it. ``line``: None where there is no bus, and nobody answers or is told."""

    def __init__(self, line: Line | None) -> None:
        self._line = line
        self._serving: list[Callable[[], Awaitable[None]]] = []
        self._following: dict[str, asyncio.Task[Callable[[], Awaitable[None]]]] = {}
        self._telling: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    # Of the leader

    async def lead(self, answers: Answers) -> None:
        """Answer questions: verb → the class of its message, and what answers it."""
        if self._line is not None:
            for verb, (kind, answer) in answers.items():
                self._serving.append(await self._line.serve(f"queue.{verb}", kind, answer, most=SMALL))

    async def follow_others(self) -> None:
        """Answer nothing more: another leads."""
        serving, self._serving = self._serving, []
        for end in serving:
            await end()

    def tell(self, job_id: str, latest: Callable[[], Event | None]) -> None:
        """Tell of a job's ``latest`` event soon; it may be another by then."""
        if self._line is not None and job_id not in self._telling:
            steps = isinstance(latest(), Progress)
            pause = max(TOLD_EVERY, len(self._telling) / TOLD_A_SECOND) if steps else TOLD_EVERY
            loop = asyncio.get_running_loop()
            self._telling[job_id] = loop.call_later(pause, self._tell_now, job_id, latest)

    def tell_end(self, job_id: str) -> None:
        """Tell that a job is over."""
        if (telling := self._telling.pop(job_id, None)) is not None:
            telling.cancel()
        if self._line is not None:
            self._begin(self._line.publish(f"bot.told.{job_id}", Told()))

    def _tell_now(self, job_id: str, latest: Callable[[], Event | None]) -> None:
        self._telling.pop(job_id, None)
        event = latest()
        if self._line is not None and event is not None and not isinstance(event, (*TERMINAL, Paused)):
            self._begin(self._publish(job_id, event))

    async def _publish(self, job_id: str, event: Event) -> None:
        assert self._line is not None
        try:
            await self._line.publish(f"bot.told.{job_id}", Told.of(event))
        except WireError:  # a preview that is too large for a message
            if isinstance(event, Progress):
                await self._line.publish(f"bot.told.{job_id}", Told.of(replace(event, preview=None)))

    # Of the others

    async def ask(
        self, verb: str, message: Message, kind: type[T], *, patience: float = PATIENCE
    ) -> T | None:
        """Ask the leader; None without an answer."""
        if self._line is None:
            return None
        try:
            return await self._line.request(f"queue.{verb}", message, kind, patience=patience)
        except (BusAway, WireError) as error:
            log.info("the leader doesn't answer: %s", error)
            return None

    def say_look(self) -> None:
        """Let the leader look at the rows now."""
        if self._line is not None:
            self._begin(self._line.request("queue.look", Look(), Answered, patience=PATIENCE))

    def follow(self, job_id: str, hear: Callable[[Event | None], None]) -> None:
        """Hear what is told of a job, None = that it is over, until ``leave``."""
        if self._line is not None and job_id not in self._following:
            listening = self._line.listen(f"bot.told.{job_id}", Told, lambda told, _: hear(told.event))
            self._following[job_id] = asyncio.create_task(listening, name=f"follow {job_id}")

    def leave(self, job_id: str) -> None:
        """Hear no more of a job."""
        if (listening := self._following.pop(job_id, None)) is not None:
            self._begin(_end(listening))

    async def close(self) -> None:
        """Say and hear nothing more."""
        for telling in self._telling.values():
            telling.cancel()
        await self.follow_others()
        for job_id in list(self._following):
            self.leave(job_id)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda one: one.cancelled() or one.exception())


async def _end(listening: asyncio.Task[Callable[[], Awaitable[None]]]) -> None:
    await (await listening)()
