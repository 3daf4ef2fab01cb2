"""Live jobs: what is known of one that is on a device, what is asked before it gets there, and what happens
to it, for any number of watchers. Each sees the newest state, never a backlog: ``Watch`` follows one job,
``Feeds.news`` tells what is new about all jobs of a person at a glance."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from core.errors import UserError
from core.events import TERMINAL, Event, Loading, Paused, Progress, Started
from core.job import Job
from core.requests import AskRequest
from core.traces import UNTRACED, Tracing
from jobs.waitlist import Waiting
from vision.protocol import Talk, Turn

CHANGES_KEPT = 10_000  # of rows, of all people together

Wait = Callable[[Awaitable[Any]], Awaitable[Any]]  # how a watcher waits, where it doesn't just await


class Feed:
    """The latest event of one job. ``starts`` counts how often it was started: nobody misses that they
    were. ``next_point`` gives the point that each event gets, as ``at``."""

    def __init__(self, user_id: int, next_point: Callable[[], int]) -> None:
        self.user_id, self._next_point = user_id, next_point
        self.latest: Event | None = None
        self.at = 0
        self.starts = 0
        self._waiters: set[asyncio.Future[None]] = set()

    def publish(self, event: Event) -> None:
        """Make ``event`` the latest, and wake those who wait for a change."""
        if isinstance(event, Started):
            self.starts += 1
        if isinstance(event, Progress) and isinstance(self.latest, Progress):
            preview, text = event.preview or self.latest.preview, event.text or self.latest.text
            event = replace(event, preview=preview, text=text)  # a slow watcher gets the newest of each
        self.latest, self.at = event, self._next_point()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    def repeat(self) -> None:
        """The latest event once more; a start isn't counted twice."""
        if self.latest is not None and not isinstance(self.latest, Started):
            self.publish(replace(self.latest))

    async def changed(self) -> None:
        """Return at the next ``publish``."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)


@dataclass(frozen=True)
class News:
    """What is new about a person's jobs since a point.

    at: the point to ask from next time. live: job → newest event, of the waiting and running ones that moved.
    changed: jobs whose rows were made, ended or changed in another way.
    complete: False when more may have changed than is told, so that the rows must be read again.
    """

    at: int
    live: Mapping[str, Event]
    changed: frozenset[str]
    complete: bool = True


class Feeds(dict[str, Feed]):
    """The feeds of all jobs that are not over, by id, and which rows changed lately.

    A point is a number that grows with every event and change. It starts at the time of the start in
    microseconds, so that a point of an earlier process is known to be too old.
    """

    def __init__(self, tracing: Tracing = UNTRACED) -> None:
        super().__init__()
        self._tracing = tracing
        self._jobs: defaultdict[int, set[str]] = defaultdict(set)  # user → their live jobs
        self._changes: deque[tuple[int, int, str | None]] = deque()  # point, user, job (None = any)
        self._point = self._forgotten = time.time_ns() // 1000
        self.ends: Counter[str] = Counter()  # jobs since the start, by the event that they ended with

    def open(self, job_id: str, user_id: int, asked: datetime) -> None:
        """Begin the feed of a job that was queued, unless it has one."""
        if job_id not in self:
            self[job_id] = Feed(user_id, self._next_point)
            self._jobs[user_id].add(job_id)
            self._tracing.begin(job_id, asked.timestamp())
            self.note(user_id, job_id)

    def end(self, job_id: str, event: Event) -> None:
        """Tell the watchers the last event, and let the feed go."""
        feed = self.pop(job_id, None)
        if feed is None:
            return
        own = self._jobs[feed.user_id]
        own.discard(job_id)
        if not own:
            del self._jobs[feed.user_id]
        self.note(feed.user_id, job_id)
        self.count(job_id, event)
        feed.publish(event)

    def count(self, job_id: str, event: Event) -> None:
        """Count the end of a job, if ``event`` is one."""
        if isinstance(event, TERMINAL):
            how = type(event).__name__.lower()
            self.ends[how] += 1
            self._tracing.end(job_id, how)

    def end_all(self, event: Event) -> None:
        """Tell every watcher the last event there will be."""
        for job_id in list(self):
            self.end(job_id, event)

    def note(self, user_id: int, *job_ids: str) -> None:
        """The rows of these jobs of the person's have changed; without ids, any of them may have."""
        for job_id in job_ids or (None,):
            self._changes.append((self._next_point(), user_id, job_id))
        while len(self._changes) > CHANGES_KEPT:
            self._forgotten = self._changes.popleft()[0]

    @property
    def point(self) -> int:
        """Where the news of everybody end now."""
        return self._point

    def news(self, user_id: int, since: int) -> News:
        """Everything new since then, at the cost of what changed since for everybody."""
        changed: set[str | None] = set()
        for at, owner, job_id in reversed(self._changes):
            if at <= since:
                break
            if owner == user_id:
                changed.add(job_id)
        live = {
            job_id: feed.latest
            for job_id in self._jobs.get(user_id, ())
            if (feed := self[job_id]).latest is not None and feed.at > since
        }
        complete = None not in changed and self._forgotten <= since <= self._point
        return News(self._point, live, frozenset(filter(None, changed)), complete)

    def _next_point(self) -> int:
        self._point += 1
        return self._point


class Watch(AsyncIterator[Event]):
    """One watcher's view. ``find`` gives the job's feed, or the event it ended with, or None for no such job.

    Every wait goes through ``wait``, if one is given.
    """

    def __init__(self, find: Callable[[], Awaitable[Feed | Event | None]], wait: Wait | None = None) -> None:
        self._find, self._wait = find, wait or (lambda awaitable: awaitable)
        self._feed: Feed | None = None
        self._seen: Event | None = None
        self._starts = 0
        self._over = False

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> Event:
        if self._over:
            raise StopAsyncIteration
        if self._feed is None:
            found = await self._wait(self._find())
            if found is None:
                raise UserError("There is no such job any more.")
            if not isinstance(found, Feed):
                return self._return(found)
            self._feed, self._starts = found, max(0, found.starts - 1)
        while True:
            latest = self._feed.latest
            if self._feed.starts > self._starts and isinstance(latest, (Started, Loading, Progress)):
                self._starts = self._feed.starts
                if isinstance(latest, Started):
                    self._seen = latest
                return Started()
            if latest is not None and latest is not self._seen:
                return self._return(latest)
            await self._wait(self._feed.changed())

    def _return(self, event: Event) -> Event:
        self._seen = event
        self._over = isinstance(event, (*TERMINAL, Paused))
        return event


Gate = Callable[[Job, bool], Awaitable[None]]


async def open_gate(job: Job, running: bool) -> None:
    """Let everything through. Another gate raises a UserError for a job that may not be queued or, when it is
    about to run (``running``), may not run any more; NotYet for one of which that can't be told now."""


@dataclass(frozen=True)
class Conversation:
    """What a job is handed out with that is told what was said before. notes: sentences for whoever asked
    about what is missing of it. video: id of the job whose question's video is told, the newest one, "" =
    none.

    hear: is given all of an answer so far, and whether that is the whole; returns what of it may be read.
    Raises UserError for an answer that may not be given. see: is given the text that was read in the
    pictures, before the answer; raises UserError where that ends the question.
    """

    talk: Talk
    hear: Callable[[str, bool], str] = lambda text, whole: text  # everybody may read it as it comes
    notes: tuple[str, ...] = ()
    see: Callable[[str], None] = lambda text: None  # the question goes on, whatever its pictures say
    video: str = ""


Converse = Callable[[Job], Awaitable[Conversation]]


async def question_alone(job: Job) -> Conversation:
    """Hand a question out without the turns before it, or examples."""
    request = job.request
    if not isinstance(request, AskRequest):
        return Conversation(Talk((Turn("user", "", request.pictures, job.id),)))
    turn = Turn("user", request.question, request.images, job.id, request.times, request.video_used)
    return Conversation(Talk((turn,), request.form), video=job.id if turn.has_video else "")


Awaited = Literal["gate", "files", "rows", ""]


@dataclass
class ActiveJob:
    """A running job. ``began``: monotonic seconds; ``before``: how many of these were an earlier process's, 0
    for one that this process has begun.
    ``cost``: what it was counted as. ``text``: all of its answer so far. ``stopped``: its asker wants no more
    of it than that. ``refused``: why that may not be given.

    ``waits_for``: what its device isn't to blame for, "" while a device has it: whether it may run, the files
    that it needs, or that its end is written down. ``last_sign``: monotonic seconds of its last sign of life:
    handed over or taken up, loading, a step. ``is_begun``: there was one since it was handed over.
    ``working_since``: when it would have begun, had its device done nothing but work on it. ``fetches``: its
    model's files are on their way.
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
    fetches: bool = False

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
