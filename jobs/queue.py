"""The queue as the rest of the program sees it: ask, watch, cancel, look, administer. The rows are the
truth."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sa

from core.errors import LimitError
from core.events import TERMINAL, Cancelled, Event, Failed, Paused, Queued, Rendered
from core.job import Job, Lane, Origin, Reply, Status, new_job_id
from core.requests import Request, check_texts
from core.telemetry.tracing import UNTRACED, Tracing
from jobs.active import Converse, Gate, open_gate, question_alone
from jobs.admin import Admin
from jobs.admission import Admission
from jobs.executor import Executor
from jobs.feed import Feed, News, Wait, Watch
from jobs.job_rows import JobRows
from jobs.limits import Limits
from jobs.overview import Overview
from jobs.people import People
from jobs.running.dispatcher import Dispatcher
from jobs.running.traced import note_asked
from jobs.views import Health, Snapshot, Submitted
from storage import jobs as rows
from storage import records
from storage.database import Database
from storage.files import Files
from storage.lookup import StoredOutput, WaitingRow
from storage.records import AuditRow, audited

log = logging.getLogger(__name__)
T = TypeVar("T")
CLEARED_AT_ONCE = 1000  # rows of a clear in one transaction: others write in between
ENDS = tuple(event.__name__.lower() for event in TERMINAL)


def _nothing(connection: sa.Connection) -> None:
    """For an action that changes no row but the audit's."""


class Queue(JobRows):
    """Built beside the bot and started before it. ``gate``: asked before a job is written and again before it
    runs, whatever way it came. ``on_rendered``: called with the id of each job whose pictures are stored.
    ``converse``: asked, as a question is handed out, for the turns before it. ``admin``: bans, lists, limits.
    ``people``: what is known of people. ``tracing``: takes where each job's time goes."""

    def __init__(
        self,
        database: Database,
        files: Files,
        executor: Executor,
        limits: Limits | None = None,
        *,
        gate: Gate = open_gate,
        on_rendered: Callable[[str], None] = lambda job_id: None,
        converse: Converse = question_alone,
        tracing: Tracing = UNTRACED,
    ) -> None:
        super().__init__(database)
        self.files, self.executor = files, executor
        self.limits, self.tracing = limits or Limits(), tracing
        self._on_rendered = on_rendered
        self._dispatcher = Dispatcher(
            database, files, executor, self.limits, gate, on_rendered, converse, tracing
        )
        self._admission = Admission(database, files, self.limits)
        self._overview = Overview(database, executor, self._dispatcher, self._admission)
        self.admin = Admin(database, self._cancel_all)
        self.people = People(database)
        self._started = False
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Take up unfinished jobs, start the workers and the dispatcher."""
        self._dispatcher.paused = bool(await self.database.read(partial(records.setting, key="paused")))
        await self._dispatcher.start()
        self._started = True

    async def stop(self, grace: float) -> None:
        """Start nothing more; running jobs may finish within ``grace`` seconds, the rest goes back to the
        queue without an attempt counted; watchers get Paused. Calling it again with 0 cuts a grace time
        short."""
        self._started = False
        await self._dispatcher.stop(grace)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # Asking

    async def submit(
        self,
        request: Request,
        origin: Origin,
        reply: Reply | None = None,
        *,
        lane: Lane = Lane.FAST,
        parent: tuple[str, int] | None = None,
        made: StoredOutput | None = None,
    ) -> Submitted:
        """Queue a request; the same interaction, request key or unfinished button press again gives the same
        job. ``reply``: where Discord's delivery sends the answer. ``made``: what it makes, where that needed
        no worker: the job is rendered as soon as it is written.
        LimitError, NotAllowedError or UserError says in plain words, with the limit, why not."""
        return await self._whole(self._submit(request, origin, reply or Reply(), lane, parent, made))

    async def _submit(
        self,
        request: Request,
        origin: Origin,
        reply: Reply,
        lane: Lane,
        parent: tuple[str, int] | None,
        made: StoredOutput | None,
    ) -> Submitted:
        if not self._started:
            raise LimitError("The studio is closing for a moment. Ask again in a minute.")
        parent_id, parent_index = parent or (None, None)
        job = Job(
            new_job_id(),
            request,
            origin,
            Status.QUEUED,
            lane,
            _now(),
            parent_id,
            parent_index,
            reply=reply,
        )
        check_texts(request)
        problem = await self._admission.problem_with_files(request)
        if problem is None:
            await self._dispatcher.gate(job, False)
        admitted = await self._admission.admit(job, problem, made)
        if admitted.row is None:
            return self._duplicate(admitted.job)
        note_asked(self.tracing, job)
        if made is not None:
            log.info("job %s was made at once: %s for user %d", job.id, request.kind, origin.user_id)
            self.note_changed(origin.user_id, job.id)
            self._dispatcher.feeds.count(job.id, Rendered())
            self._on_rendered(job.id)
            return Submitted(job, 0)
        log.info("job %s queued: %s for user %d", job.id, request.kind, origin.user_id)
        return await self._queued(job, admitted.row, admitted.served)

    async def _queued(self, job: Job, row: WaitingRow, served: int) -> Submitted:
        self._dispatcher.enqueue(row, served=served)
        queued = self._dispatcher.positions.announce(job.id) or Queued(0)
        return Submitted(job, queued.position, queued.eta)

    def _duplicate(self, job: Job) -> Submitted:
        queued = self._dispatcher.positions.position(job.id)
        return Submitted(
            job, queued.position if queued else 0, queued.eta if queued else None, duplicate=True
        )

    # Watching

    def watch(self, job_id: str, wait: Wait | None = None) -> Watch:
        """The job's events from now on: where it waits whenever that moves, Started, Loading, Progress
        (always the newest), and one terminal event, or Paused when the studio stops. UserError when there is
        no such job. ``wait``: every wait of this watcher goes through it."""
        return Watch(partial(self._find, job_id), wait)

    def news(self, user_id: int, since: int = 0) -> News:
        """What is new about the person's jobs, whatever surface they were asked on, since the point that the
        last news ended at. Cheap: one caller may ask for everybody several times a second."""
        return self._dispatcher.feeds.news(user_id, since)

    @property
    def point(self) -> int:
        """The point that news end at now: rows that are read afterwards, and what is told since it, leave
        nothing out."""
        return self._dispatcher.feeds.point

    def note_changed(self, user_id: int, *job_ids: str) -> None:
        """Tell the person's news that rows of these jobs were changed elsewhere; without ids, any of them."""
        self._dispatcher.feeds.note(user_id, *job_ids)

    def note_deleted(self, user_id: int, job_ids: Iterable[str]) -> None:
        """Rows of the person's were deleted, these jobs among them: what of them isn't over ends now."""
        for job_id in job_ids:
            if job_id in self._dispatcher.feeds:
                self._dispatcher.forget(job_id, Cancelled())
        self.note_changed(user_id)

    def repeat(self, job_id: str) -> None:
        """Tell those who watch the job its latest event once more."""
        if (feed := self._dispatcher.feeds.get(job_id)) is not None:
            feed.repeat()

    async def _find(self, job_id: str) -> Feed | Event | None:
        feed = self._dispatcher.feeds.get(job_id)
        if feed is not None:
            return feed
        job = await self.job(job_id)
        if job is None:
            return None
        ends: dict[Status, Event] = {
            Status.FAILED: Failed(job.error or ""),
            Status.CANCELLED: Cancelled(),
            Status.RENDERED: Rendered(),
            Status.DELIVERED: Rendered(),
        }
        return self._dispatcher.feeds.get(job_id) or ends.get(job.status, Paused())

    # Looking

    async def check_room(self) -> None:
        """Raise LimitError when the disk is too full for anything new."""
        if (full := await self._admission.full_disk()) is not None:
            raise full

    async def snapshot(self, limit: int = 25, guild_id: int | None = None) -> Snapshot:
        """Return the queue now, with the first ``limit`` of those waiting; ``guild_id``: of one server."""
        return await self._overview.snapshot(limit, guild_id)

    async def mine(self, user_id: int) -> Snapshot:
        """Return the queue now as it concerns one member: their jobs."""
        return await self._overview.mine(user_id)

    @property
    def unfinished(self) -> int:
        """How many jobs wait or run."""
        return len(self._dispatcher.running) + len(self._dispatcher.waitlist)

    @property
    def steps(self) -> int:
        """Steps finished since the start, on all devices."""
        return self._dispatcher.steps

    @property
    def ends(self) -> dict[str, int]:
        """Jobs that ended since the start, by how: each of ``ENDS``."""
        return {end: self._dispatcher.feeds.ends[end] for end in ENDS}

    @property
    def draining(self) -> bool:
        """Whether no new jobs are taken."""
        return self._admission.draining

    @property
    def paused(self) -> bool:
        """Whether no waiting job is started."""
        return self._dispatcher.paused

    def depth(self, lane: Lane) -> int:
        """Return how many jobs wait in a lane."""
        return self._dispatcher.waitlist.by_lane[lane]

    def health(self) -> Health:
        """Return whether work moves. Cheap, and waits for nothing."""
        return self._overview.health(started=self._started)

    # Stopping jobs

    async def cancel(self, job_id: str) -> bool:
        """Stop a waiting or running job, an answer that has begun with what there is of it; False when it was
        over already. Who may, is the caller's to check."""
        return await self._whole(self._cancel(job_id))

    async def _cancel(self, job_id: str) -> bool:
        if self._dispatcher.stop_answer(job_id):
            log.info("job %s: its answer is stopped", job_id)
            return True
        if not await self.database.write(partial(rows.cancel, job_id=job_id, now=_now())):
            return False
        log.info("job %s cancelled", job_id)
        self._dispatcher.forget(job_id, Cancelled())
        return True

    def run_again(self, job_ids: Iterable[str]) -> None:
        """Let the workers of these jobs begin anew with what the rows say now."""
        for job_id in job_ids:
            self._dispatcher.run_again(job_id)

    # Administering: each writes an audit row in the same transaction

    async def pause(self, actor_id: int) -> None:
        """Start no job until ``resume``, also after a restart. Running ones go on."""
        await self._audited(
            AuditRow(_now(), actor_id, "pause"), partial(records.set_setting, key="paused", value=True)
        )
        self._dispatcher.paused = True
        self._dispatcher.wake()

    async def resume(self, actor_id: int) -> None:
        """End a pause or a drain."""
        await self._audited(
            AuditRow(_now(), actor_id, "resume"), partial(records.set_setting, key="paused", value=False)
        )
        self._dispatcher.paused = self._admission.draining = False
        self._dispatcher.wake()

    async def drain(self, actor_id: int) -> None:
        """Take no new jobs until ``resume`` or the next start; finish what is there."""
        await self._audited(AuditRow(_now(), actor_id, "drain"))
        self._admission.draining = True

    async def clear(self, actor_id: int, user_id: int | None = None, *, guild_id: int | None = None) -> int:
        """Cancel everything that waits, of a user or in a guild if given; how many."""
        row = AuditRow(_now(), actor_id, "clear", guild_id, None if user_id is None else str(user_id))
        whose = partial(rows.cancel_waiting, now=_now(), user_id=user_id, guild_id=guild_id)
        return await self._cancel_all(row, partial(whose, most=CLEARED_AT_ONCE))

    async def _cancel_all(self, row: AuditRow, work: Callable[[sa.Connection], list[str]]) -> int:
        return await self._whole(self._clear(row, work))

    async def _clear(self, row: AuditRow, work: Callable[[sa.Connection], list[str]]) -> int:
        cancelled, count = await self._audited(row, work), 0
        while cancelled:
            for job_id in cancelled:
                self._dispatcher.forget(job_id, Cancelled())
                count += 1
                if count % 50 == 0:
                    await asyncio.sleep(0)
            more = len(cancelled) == CLEARED_AT_ONCE  # doing the same again changes nothing else
            cancelled = await self.database.write(work) if more else []
        return count

    async def move_to_front(self, actor_id: int, job_id: str) -> bool:
        """Before all others, whatever their lane; False when it isn't waiting."""
        return await self._whole(self._move_to_front(actor_id, job_id))

    async def _move_to_front(self, actor_id: int, job_id: str) -> bool:
        place = await self._audited(
            AuditRow(_now(), actor_id, "move to front", target=job_id), partial(rows.set_front, job_id=job_id)
        )
        if place is None:
            return False
        self._dispatcher.waitlist.move_to_front(job_id, place, time.monotonic())
        self._dispatcher.wake()
        return True

    # Inside

    async def _audited(self, row: AuditRow, work: Callable[[sa.Connection], Any] = _nothing) -> Any:
        log.info("%s by user %d, target %s", row.action, row.actor_id, row.target)
        return await self.database.write(audited(row, work))

    async def _whole(self, work: Coroutine[Any, Any, T]) -> T:
        """To its end, even if the caller is cancelled: the rows and the memory must not part."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(_look_at_error)
        return await asyncio.shield(task)


def _now() -> datetime:
    return datetime.now(UTC)


def _look_at_error(task: asyncio.Task[Any]) -> None:
    """Let a task fail unseen: a caller that was cancelled never sees it."""
    if not task.cancelled():
        task.exception()
