"""A queue that leads while nobody else does, and knows what other programs do.

Rows are the truth for all of them. Each looks at those of the jobs that aren't over every second: so it knows
of what the others did, whether a word of theirs came or not. One leads: the writer's session that has the
leader's lock. It alone has a dispatcher that runs; what only that knows is asked of it over the bus, and
where it doesn't answer, the rows say what they can.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Unpack

from core.errors import StorageError
from core.events import Cancelled, Event, Failed, Loading, Paused, Progress, Queued, Rendered, Started
from core.job import Status
from core.recent import Recent
from core.telemetry.tracing import UNTRACED
from jobs.executor import Executor
from jobs.feed import Feeds
from jobs.limits import Limits
from jobs.overview import Overview
from jobs.queue import Hooks, Queue
from jobs.running.dispatcher import Dispatcher
from jobs.sharing.feeds import ToldFeeds
from jobs.sharing.words import Answers, Line, Words
from storage.database import Database
from storage.files import Files
from storage.lookup import WaitingRow
from storage.several import unfinished
from storage.several.unfinished import Standing

EVERY = 1.0  # s between two looks at the rows, and at the leader's lock
HAD = 20_000  # jobs that the leader remembers to have taken in, or to be over, the latest
PAUSES = 5.0  # times what a look takes of the processor, until the next: with a crowd waiting that is long
log = logging.getLogger(__name__)


async def nothing() -> None:
    """Do nothing more at the beginning of a term."""


class LeadingQueue(Queue):
    """A queue beside those of other programs. ``on_leading``: called with whether this one leads, whenever
    that has changed; ``on_term``: before it does, each time. ``line``: the bus. The rest is of ``Queue``."""

    def __init__(
        self,
        database: Database,
        files: Files,
        executor: Executor,
        limits: Limits | None = None,
        *,
        on_leading: Callable[[bool], None] = lambda leads: None,
        on_term: Callable[[], Awaitable[None]] = nothing,
        line: Line | None = None,
        every: float = EVERY,
        **hooks: Unpack[Hooks],
    ) -> None:
        self.leads = False
        self._feeds = ToldFeeds(
            self._tell, self._note_over, lambda: self.leads, hooks.get("tracing", UNTRACED)
        )
        super().__init__(database, files, executor, limits, **hooks)
        self._words = Words(line)
        self._on_leading, self._on_term, self._every = on_leading, on_term, every
        self._had = Recent[str, bool](HAD)
        self._look_now = asyncio.Event()
        self._may_look = 0.0  # monotonic seconds
        self._going_on: asyncio.Task[None] | None = None

    def _new_dispatcher(self, feeds: Feeds | None = None) -> Dispatcher:
        """Of one term; who watches goes on watching."""
        return super()._new_dispatcher(feeds or self._feeds)

    # Start and stop

    async def start(self) -> None:
        """Look at what there is, and lead if nobody does."""
        await self._look()
        self._started = True
        self._going_on = asyncio.create_task(self._go_on(), name="shared queue")

    async def stop(self, grace: float) -> None:
        """As of ``Queue``; then another may lead."""
        self._started = False
        if self._going_on is not None and not self.leads:
            self._going_on.cancel()  # not amid taking over: that ends by itself, see _go_on
            await asyncio.gather(self._going_on, return_exceptions=True)
        await super().stop(grace)
        if self._going_on is not None:
            self._going_on.cancel()
            await asyncio.gather(self._going_on, return_exceptions=True)
        self._dispatcher.feeds.end_all(Paused())
        await self._words.close()
        if self.leads:
            self._set_leading(False)
            try:
                await self.database.resign()
            except StorageError:
                log.info("the leader's lock has gone already")

    async def _go_on(self) -> None:
        """Lead while nobody else does, and know what the others do."""
        while self._started:
            try:
                await self._turn()
            except StorageError as error:
                log.warning("the rows of the queue can't be looked at (%s)", type(error).__name__)
            except Exception:  # whatever one look meets, the next one comes
                log.exception("a look at the shared queue failed")
            self._look_now.clear()
            try:
                async with asyncio.timeout(self._every):
                    await self._look_now.wait()
            except TimeoutError:
                continue

    async def _turn(self) -> None:
        leads = await self.database.lead()
        if leads and not self.leads:
            await self._take_over()
        elif self.leads and not leads:
            await self._step_down()
        if time.monotonic() >= self._may_look:
            began = time.thread_time()
            await self._look()
            self._may_look = time.monotonic() + PAUSES * (time.thread_time() - began)

    async def _take_over(self) -> None:
        """Start jobs from now on, and first what the leader before left behind."""
        log.info("this Atelier starts the jobs from now on")
        dispatcher = self._new_dispatcher()
        try:
            await self._on_term()
            await dispatcher.start()
        except BaseException:
            await dispatcher.stop(0, over=False)
            raise
        self._dispatcher = dispatcher
        self._overview = Overview(self.database, self.executor, dispatcher, self._admission)
        self._had = Recent[str, bool](HAD)
        for waiting in dispatcher.waitlist:
            self._had[waiting.job_id] = True
        for job_id in dispatcher.running:
            self._had[job_id] = True
        self._set_leading(True)
        await self._words.lead(self._answers())

    async def _step_down(self) -> None:
        """Start nothing more: another does. What runs here is no longer ours."""
        log.warning("another Atelier starts the jobs from now on")
        self._set_leading(False)
        before, self._dispatcher = self._dispatcher, self._new_dispatcher()
        self._overview = Overview(self.database, self.executor, self._dispatcher, self._admission)
        await self._words.follow_others()
        await before.stop(0, over=False)

    def _set_leading(self, leads: bool) -> None:
        self.leads = leads
        self._on_leading(leads)

    def _answers(self) -> Answers:
        """Return what the leader answers others."""
        return {}

    def look_soon(self) -> None:
        """Look at the rows now and not only within a second."""
        self._look_now.set()

    # What the others did, by the rows

    async def _look(self) -> None:
        audits = self._audits
        found = await self.database.read(unfinished.standing)
        if audits == self._audits:  # else it may be of before a pause: the next look is of after it
            self._admission.draining = found.draining
            if self._dispatcher.paused != found.paused:
                self._dispatcher.paused = found.paused
                self._dispatcher.wake()
        feeds = self._dispatcher.feeds
        over = [job_id for job_id in feeds if job_id not in found.jobs]
        if over:
            await self._note_ends(over)
        if self.leads:
            await self._note_new(found)
        else:
            self._note_states(found)

    async def _note_ends(self, ids: list[str]) -> None:
        """Tell the watchers of jobs that are over; some may be too new for the look that misses them."""
        known = await self.database.read(partial(unfinished.ends, ids=ids))
        for job_id in ids:
            status, error = known.get(job_id, (Status.CANCELLED, ""))
            if not status.over or job_id not in self._dispatcher.feeds:
                continue
            event = _end(status, error)
            if self.leads and isinstance(event, Cancelled):
                self._dispatcher.forget(job_id, event)
            elif job_id not in self._dispatcher.running:  # those are the dispatcher's to tell of
                self._dispatcher.feeds.end(job_id, event)

    async def _note_new(self, found: Standing) -> None:
        """The leader takes in what another program has queued or moved."""
        new = [job_id for job_id, one in found.jobs.items() if not one.runs and not self._knows(job_id)]
        if new:
            await self.take_in(new)
        for job_id, one in found.jobs.items():
            if one.front is None:
                continue
            waiting = self._dispatcher.waitlist.get(job_id)
            if waiting is not None and waiting.front != one.front:
                self._dispatcher.waitlist.move_to_front(job_id, one.front, time.monotonic())
                self._dispatcher.wake()

    async def take_in(self, ids: list[str]) -> None:
        """Let the leader's dispatcher have those of these jobs that wait and that it never had."""
        for row, served in await self.database.read(partial(unfinished.waiting, ids=ids)):
            self._take_in(row, served)

    def _knows(self, job_id: str) -> bool:
        """Whether the leader has the job, or had it lately: then it is over, whatever was read before."""
        return job_id in self._had or self._dispatcher.has(job_id)

    def _take_in(self, row: WaitingRow, served: int) -> None:
        if self.leads and not self._knows(row.id):
            self._had[row.id] = True
            self._dispatcher.enqueue(row, served=served)

    def _note_states(self, found: Standing) -> None:
        """Whoever doesn't lead knows by the rows what waits and what runs."""
        feeds = self._dispatcher.feeds
        for job_id, one in found.jobs.items():
            feeds.open(job_id, one.user_id, one.created_at)
            latest = feeds[job_id].latest
            shows_a_run = isinstance(latest, (Started, Loading, Progress))
            if one.runs and not shows_a_run:
                feeds[job_id].publish(Started())
            elif not one.runs and (shows_a_run or latest is None):
                feeds[job_id].publish(Queued(0, held=found.paused))

    def _tell(self, job_id: str) -> None:
        if self.leads:
            self._words.tell(job_id, partial(self._latest, job_id))

    def _latest(self, job_id: str) -> Event | None:
        feed = self._dispatcher.feeds.get(job_id)
        return None if feed is None else feed.latest

    def _note_over(self, job_id: str) -> None:
        self._words.leave(job_id)
        if self.leads:
            self._had[job_id] = True  # once more: others were taken in since
            self._words.tell_end(job_id)


def _end(status: Status, error: str) -> Event:
    if status is Status.FAILED:
        return Failed(error)
    return Cancelled() if status is Status.CANCELLED else Rendered()
