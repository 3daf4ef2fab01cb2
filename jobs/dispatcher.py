"""Takes waiting jobs to free devices and brings what comes of them to the rows. Who asked, and whether they
may, is past."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from time import monotonic  # by name: the sandbox's simulator stops the module's clock for the bot's tasks
from typing import Any, TypeVar

import sqlalchemy as sa

from core.errors import StorageError, UserError
from core.events import Event, Failed, Loading, Output, Paused, Picture, Progress, Queued, Rendered, Started
from core.job import Job, Status
from core.requests import to_json
from jobs.executor import Executor, Lost, Outcome
from jobs.feed import Feeds
from jobs.limits import Limits
from jobs.order.estimate import Estimate, Line, Shares, until_start
from jobs.order.fairness import Waiting
from jobs.order.placement import Placement, Room
from jobs.order.waitlist import Waitlist
from storage import jobs as rows
from storage import people
from storage.database import Database
from storage.files import Files
from storage.jobs import StoredOutput, StoredPicture, WaitingRow
from storage.schema import GRID
from vision.protocol import Broke, Done, Fault, LoadingModel, Run, Step

ANNOUNCE_GAP = 0.25  # s between two rounds of telling positions
EXACT_POSITIONS = 20  # further back, a position is told again when it has moved by a tenth
CHUNK = 50  # events between two breaths of the event loop
DISK_CHECK = 5.0  # s between two looks at a full disk
RETRY_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # s, while the database refuses to write
GAVE_UP = "This job stopped the worker three times and was given up. Other words or a smaller size may work."
UNREADABLE = "This job was made by another version of Atelier and can't be run any more. Please ask again."
NOT_SAVED = (
    "The picture is ready but could not be saved: the studio's disk is full. Please tell the host and try"
    " again later."
)
INPUT_GONE = "The picture this job starts from is gone. Attach it again."
log = logging.getLogger(__name__)
T = TypeVar("T")
Gate = Callable[[Job, bool], Awaitable[None]]


async def open_gate(job: Job, running: bool) -> None:
    """Whether a job may be queued (or, ``running``, still may run); a UserError says why not. This one lets
    everything through."""


@dataclass
class Live:
    """A running job. ``began``: monotonic seconds."""

    job: Job
    waiting: Waiting
    token: str
    device: str
    began: float
    handed: bool = False  # the executor has it, or had it
    seconds: float = 0.0  # of its device, once the run has ended
    progress: Progress | None = None


class Dispatcher:
    """The jobs that are not over, in memory, and the tasks that move them on."""

    def __init__(
        self, database: Database, files: Files, executor: Executor, limits: Limits, gate: Gate
    ) -> None:
        self.database, self.files, self.executor, self.limits, self.gate = (
            database,
            files,
            executor,
            limits,
            gate,
        )
        self.waitlist = Waitlist()
        self.running: dict[str, Live] = {}
        self.feeds = Feeds()
        self.estimate = Estimate()
        self.claiming: str | None = None  # out of the list, not yet running
        self.paused = False
        self.stopping = False
        self.disk_full = False
        self.last_step: float | None = None  # monotonic
        self.steps = 0  # finished since the start
        self._placement = Placement(self.waitlist)
        self._shares = Shares()
        self._turn = 0
        self._wake, self._moved = asyncio.Event(), asyncio.Event()
        self._loop_tasks: list[asyncio.Task[None]] = []
        self._runs: set[asyncio.Task[None]] = set()
        self._hurry = asyncio.Event()
        self._told: dict[str, Queued] = {}

    # Start and stop

    async def start(self) -> None:
        """Take up what a crash or a stop left behind, then begin."""
        recovered = await self.database.write(partial(rows.recover, message=GAVE_UP, now=_now()))
        for job_id, status in recovered:
            log.info("job %s was cut off: %s again", job_id, status.value)
        for key, seconds in await self.database.read(rows.durations):
            self.estimate.add(key, seconds)
        self._turn = await self.database.read(people.last_turn)
        waiting = await self.database.read(rows.waiting)
        turns = await self.database.read(lambda c: people.turns(c, {row.user_id for row in waiting}))
        for count, row in enumerate(waiting, 1):
            self.enqueue(row, served=turns[row.user_id])
            if count % CHUNK == 0:
                await asyncio.sleep(0)
        await asyncio.to_thread(self.files.create_ballast)
        await self.executor.start(self.wake)
        self._loop_tasks = [
            asyncio.create_task(self._dispatch_for_ever(), name="dispatcher"),
            asyncio.create_task(self._announce_for_ever(), name="positions"),
        ]
        self.wake()

    async def stop(self, grace: float) -> None:
        """Start nothing more; what runs may finish within ``grace`` seconds, the rest is queued again, not
        counted as an attempt. A second call with a shorter grace cuts the first one short."""
        if grace <= 0:
            self._hurry.set()
        if self.stopping:
            await asyncio.gather(*self._loop_tasks, return_exceptions=True)
            return
        self.stopping = True
        self.wake()
        if self._loop_tasks:
            await self._loop_tasks[0]
        if self._runs and grace > 0:
            log.info("%d running jobs have %.0f s to finish", len(self._runs), grace)
            await self._until_done_or_hurry(grace)
        for live in list(self.running.values()):
            if await self._try_once(partial(rows.give_back, job_id=live.job.id, token=live.token)):
                log.info("job %s goes back to the queue", live.job.id)
        await self.executor.stop()
        self._hurry.set()  # nobody waits for a pause to end
        await asyncio.gather(*self._runs, return_exceptions=True)
        for task in self._loop_tasks[1:]:
            task.cancel()
        await asyncio.gather(*self._loop_tasks, return_exceptions=True)
        self.feeds.end_all(Paused())

    async def _until_done_or_hurry(self, grace: float) -> None:
        hurry = asyncio.create_task(self._hurry.wait())
        everything = asyncio.gather(*self._runs, return_exceptions=True)
        waited: set[asyncio.Future[Any]] = {hurry, everything}
        await asyncio.wait(waited, timeout=grace, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()

    async def _try_once(self, work: Callable[..., bool]) -> bool:
        try:
            return await self.database.write(work, first=True)
        except StorageError:
            log.exception("a job stays marked as running; the next start takes it up")
            return False

    def wake(self) -> None:
        self._wake.set()
        self._moved.set()

    # Waiting

    def enqueue(self, row: WaitingRow, *, served: int) -> None:
        """The row is written: from now on it may be started any moment. ``served``: its user's latest
        turn."""
        now = monotonic()
        age = max(
            0.0, (_now() - row.created_at).total_seconds()
        )  # the wall clock is asked once: it may jump later
        waiting = Waiting(
            row.id,
            row.seq,
            row.user_id,
            row.guild_id,
            row.lane,
            row.cost_key,
            row.max_running,
            now - age,
            row.front,
            alone=row.attempts > 0,
        )
        self.feeds.open(row.id, row.user_id)
        self.waitlist.add(waiting, now)
        if self.waitlist.served(row.user_id) < served:
            self.waitlist.set_served(row.user_id, served, now)
        self.wake()

    def announce(self, job_id: str) -> Queued | None:
        """Tell one job where it stands, now."""
        event = self.position(job_id)
        if event is not None:
            self._told[job_id] = event
            self.feeds[job_id].publish(event)
        return event

    def forget(self, job_id: str, event: Event) -> None:
        """It is over in the rows: out of the list, off the device, and the watchers are told."""
        self.waitlist.remove(job_id, monotonic())
        if job_id in self.running:
            self.executor.cancel(job_id)
        self._publish_end(job_id, event)
        self.wake()

    def position(self, job_id: str) -> Queued | None:
        """Where a waiting job stands, None when it isn't waiting."""
        waiting = self.waitlist.get(job_id)
        if waiting is None:
            return None
        place = self.waitlist.position(waiting, monotonic())
        return Queued(place, self._eta_of(waiting, place))

    def _eta_of(self, waiting: Waiting, place: int) -> float | None:
        """Seconds until the job at ``place`` starts, taking those before it for average ones of this queue.
        Its member's limit counts, too."""
        total = known = 0.0
        for key, count in self.waitlist.by_cost.items():
            seconds = self.estimate.seconds(key)
            if seconds is not None:
                total, known = total + count * seconds, known + count
        if not known or self.paused:
            return None
        average, devices = total / known, len(self.executor.devices) or 1
        lines = ((place, self._left()), (self.waitlist.own_place(waiting), self._left_of(waiting)))
        return max(
            until_start(place, left, average * max(0, place - len(left)), devices) for place, left in lines
        )

    def _left(self) -> list[float]:
        """For each slot the seconds until it is free, shortest first."""
        slots = sum(device.slots for device in self.executor.devices) or 1
        left = sorted(self.remaining(live) or 0.0 for live in self.running.values())
        return [0.0] * (slots - len(left)) + left[:slots]

    def _left_of(self, waiting: Waiting) -> list[float]:
        """The same for the slots that the job's member may have at once."""
        left = sorted(
            self.remaining(live) or 0.0
            for live in self.running.values()
            if live.waiting.user_id == waiting.user_id
        )
        slots = max(1, waiting.max_running)  # 0: rows from before such members were refused
        return ([0.0] * (slots - len(left)) + left)[:slots]

    def remaining(self, live: Live) -> float | None:
        """Seconds until a running job ends: by its own pace once it has one, else by those before it."""
        elapsed, progress = monotonic() - live.began, live.progress
        if progress is not None and progress.step >= 2:
            return elapsed / progress.step * max(0, progress.total - progress.step)
        expected = self.estimate.seconds(live.waiting.cost_key)
        return None if expected is None else max(0.0, expected * self._shares.beside(live.device) - elapsed)

    async def _announce_for_ever(self) -> None:
        while True:
            await self._moved.wait()
            self._moved.clear()
            began = monotonic()
            await self._announce()
            await asyncio.sleep(max(ANNOUNCE_GAP, 10 * (monotonic() - began)))

    async def _announce(self) -> None:
        """Tell each waiting job where it stands, if that has changed."""
        told = self._told
        self._told = now_told = {}
        devices = len(self.executor.devices) or 1
        everybody, members = Line(self._left(), devices), dict[int, Line]()
        for place, waiting in enumerate(list(self.waitlist.order(monotonic())), 1):
            seconds = self.estimate.seconds(waiting.cost_key)
            if waiting.user_id not in members:
                members[waiting.user_id] = Line(self._left_of(waiting), devices)
            eta = max(everybody.next(seconds or 0.0), members[waiting.user_id].next(seconds or 0.0))
            event = Queued(place, None if seconds is None or self.paused else eta)
            if place % CHUNK == 0:
                await asyncio.sleep(0)
            before = told.get(waiting.job_id)
            if before is not None and not _worth_telling(before, event):
                now_told[waiting.job_id] = before
                continue
            now_told[waiting.job_id] = event
            feed = self.feeds.get(waiting.job_id)
            if feed is not None and waiting.job_id in self.waitlist:
                feed.publish(event)

    # Running

    async def _dispatch_for_ever(self) -> None:
        failures = 0
        while not self.stopping:
            await self._wake.wait()
            self._wake.clear()
            try:
                while await self._start_one():
                    failures = 0
            except Exception:  # whatever one job does, the next one gets its turn
                log.exception("a job could not be started")
                self._wake_later(RETRY_PAUSES[min(failures, len(RETRY_PAUSES) - 1)])
                failures += 1

    async def _start_one(self) -> bool:
        """Claim one job and hand it to a device. False when there is nothing to do now."""
        choice = None if self.stopping or self.paused else self.choose()
        if choice is None or not await self._disk_has_room():
            return False
        device, waiting = choice
        if self.waitlist.remove(waiting.job_id, monotonic()) is None:
            return True  # cancelled while we looked at the disk
        token, self.claiming = secrets.token_hex(16), waiting.job_id
        try:
            job = await self.database.write(partial(self._claim, waiting, token, device), first=True)
            if isinstance(job, rows.UnreadableJob):
                log.error("%s", job)
                self._publish_end(waiting.job_id, Failed(UNREADABLE))
                return True
        except BaseException:
            self.waitlist.add(waiting, monotonic())
            raise
        finally:
            self.claiming = None
        if job is None or job.id not in self.feeds:
            return True  # cancelled in the meantime
        self._turn += 1
        self.waitlist.note_start(waiting, self._turn, monotonic())
        self._placement.note_start(device, waiting)
        live = self.running[job.id] = Live(job, waiting, token, device, monotonic())
        self._shares.begin(device, job.id, live.began)
        task = asyncio.create_task(self._run(live), name=f"job {job.id}")
        self._runs.add(task)
        task.add_done_callback(self._runs.discard)
        self._moved.set()
        return True

    def choose(self) -> tuple[str, Waiting] | None:
        """The next job and its device, None while nothing can be started."""
        if not self.waitlist:
            return None
        busy = [live for live in self.running.values() if not live.handed or self.executor.has(live.job.id)]
        users = Counter(live.waiting.user_id for live in busy)  # not those whose result is only being written
        return self._placement.choose(self._rooms(busy), users, monotonic())

    def _rooms(self, busy: list[Live]) -> dict[str, Room]:
        """The devices that work. Jobs that are claimed but not yet handed over count as there."""
        starting = Counter(live.device for live in busy if not live.handed)
        free = Counter(self.executor.free())
        free.subtract(starting)
        alone = {live.device for live in busy if live.waiting.alone}
        return {
            device.name: Room(
                0 if device.name in alone else free[device.name], device.running + starting[device.name]
            )
            for device in self.executor.devices
            if device.state == "ready"
        }

    def _claim(
        self, waiting: Waiting, token: str, device: str, connection: sa.Connection
    ) -> Job | rows.UnreadableJob | None:
        try:
            job = rows.claim(connection, waiting.job_id, token=token, device=device, now=_now())
        except rows.UnreadableJob as error:
            rows.fail(connection, waiting.job_id, UNREADABLE, token=token, now=_now())
            return error
        if job is not None:
            people.set_served(connection, waiting.user_id, self._turn + 1)
        return job

    async def _run(self, live: Live) -> None:
        job = live.job
        try:
            self.feeds[job.id].publish(Started())
            try:
                outcome = await self._on_device(live)
            finally:
                live.seconds = self._shares.end(live.device, job.id, monotonic())
            await self._end(live, outcome)
        except Exception:  # the last net: the row must not stay "running" for ever
            log.exception("job %s failed in the queue itself", job.id)
            await self._retry(live, "Something went wrong in the studio.")
        finally:
            self.running.pop(job.id, None)
            self.wake()

    async def _on_device(self, live: Live) -> Outcome:
        job = live.job
        try:
            await self.gate(job, True)  # what was allowed on asking may be forbidden by now
        except UserError as error:
            return Broke(job.id, Fault.USER, str(error))
        try:
            paths = await asyncio.to_thread(
                lambda: {s: str(self.files.path(s)) for s in job.request.pictures}
            )
        except StorageError:
            return Broke(job.id, Fault.USER, INPUT_GONE)
        log.info("job %s starts on %s, attempt %d", job.id, live.device, job.attempts)
        run = Run(job.id, job.request.kind, to_json(job.request), paths)
        live.handed = True
        return await self.executor.run(live.device, run, partial(self._report, live))

    def _report(self, live: Live, message: LoadingModel | Step) -> None:
        event: Event
        if isinstance(message, Step):
            self.last_step = monotonic()
            self.steps += 1
            event = live.progress = Progress(message.step, message.total, message.preview)
        else:
            event = Loading(message.model, message.fraction)
        if (feed := self.feeds.get(live.job.id)) is not None:
            feed.publish(event)

    async def _end(self, live: Live, outcome: Outcome) -> None:
        """One of: rendered, failed, queued again. Nothing, when the job was cancelled or given back
        meanwhile."""
        job_id = live.job.id
        if job_id not in self.feeds:
            log.info("job %s had been cancelled", job_id)
        elif isinstance(outcome, Done):
            await self._rendered(live, outcome.output)
        elif isinstance(outcome, Broke) and outcome.fault in (Fault.USER, Fault.MODEL, Fault.MEMORY):
            log.info("job %s failed: %s", job_id, outcome.fault.value)
            await self._failed(live, outcome.message)
        elif isinstance(outcome, Broke):
            log.warning("job %s broke: %s", job_id, outcome.fault.value)
            await self._retry(live, outcome.message)
        elif isinstance(outcome, Lost):
            await self._lost(live, outcome)
        else:
            log.warning("job %s stopped on its own", job_id)
            await self._retry(live, GAVE_UP)

    async def _lost(self, live: Live, lost: Lost) -> None:
        """The first loss that nobody can be blamed for costs no attempt; but then the job has a device to
        itself, and if that is lost too, both count."""
        self._placement.note_loss(live.device)
        if not self.stopping:  # else we ended it ourselves, and the row has no lease any more
            log.warning(
                "job %s: worker lost: %s%s",
                live.job.id,
                lost.reason,
                ", other jobs with it" if lost.shared else "",
            )
        if lost.untouched or lost.shared and not live.waiting.suspect:
            live.waiting.suspect = live.waiting.suspect or lost.shared
            live.waiting.alone = live.waiting.alone or lost.shared
            if await self._persist(partial(rows.give_back, job_id=live.job.id, token=live.token)):
                self._back_to_waiting(live)
        else:
            await self._retry(live, GAVE_UP, uncounted=int(live.waiting.suspect))

    async def _rendered(self, live: Live, output: Output) -> None:
        """Files first, then the rows and the status in one transaction: what a row names is there."""
        self.last_step = monotonic()
        try:
            stored = await self._save(output)
        except StorageError:
            log.exception("job %s can't be saved", live.job.id)
            await self._failed(live, NOT_SAVED)
            return
        work = partial(
            rows.finish,
            job_id=live.job.id,
            output=stored,
            token=live.token,
            now=_now(),
            run_seconds=live.seconds,
        )
        if await self._persist(work):
            self.estimate.add(live.waiting.cost_key, live.seconds)
            log.info("job %s rendered in %.1f s", live.job.id, monotonic() - live.began)
            self._publish_end(live.job.id, Rendered())

    async def _save(self, output: Output) -> StoredOutput:
        pictures = [await self._save_one(picture, index) for index, picture in enumerate(output.pictures)]
        grid = await self._save_one(output.grid, GRID) if output.grid else None
        return StoredOutput(tuple(pictures), grid, output.captions, output.scores, output.parameters)

    async def _save_one(self, picture: Picture, index: int) -> StoredPicture:
        try:
            sha256 = await self.files.put(picture.data, picture.media_type)
        except StorageError:
            if not await asyncio.to_thread(self.files.release_ballast):
                raise
            log.warning("the disk is full: the ballast is given up")
            sha256 = await self.files.put(picture.data, picture.media_type)
        return StoredPicture(
            sha256, picture.media_type, picture.width, picture.height, picture.seed, index, len(picture.data)
        )

    async def _failed(self, live: Live, message: str) -> None:
        if await self._persist(
            partial(rows.fail, job_id=live.job.id, message=message, token=live.token, now=_now())
        ):
            self._publish_end(live.job.id, Failed(message))

    async def _retry(self, live: Live, message: str, *, uncounted: int = 0) -> None:
        live.waiting.alone, live.waiting.suspect = True, False
        status = await self._persist(
            partial(
                rows.retry,
                job_id=live.job.id,
                message=message,
                token=live.token,
                now=_now(),
                uncounted=uncounted,
            )
        )
        if status is Status.FAILED:
            log.warning("job %s failed after %d attempts", live.job.id, live.job.attempts)
            self._publish_end(live.job.id, Failed(message))
        elif status is Status.QUEUED:
            self._back_to_waiting(live)

    def _back_to_waiting(self, live: Live) -> None:
        if live.job.id in self.feeds:  # else cancelled in this very moment
            self.waitlist.add(live.waiting, monotonic())
            self._told.pop(live.job.id, None)

    async def _persist(self, work: Callable[..., T]) -> T | None:
        """Write until it is written: the work is done, only the note of it is missing. None when we stop
        before that."""
        failures = 0
        while True:
            try:
                return await self.database.write(work, first=True)
            except StorageError:
                log.exception("the database refuses to write; trying again")
                if await asyncio.to_thread(self.files.release_ballast):
                    continue
            if self._hurry.is_set():
                return None
            pause = RETRY_PAUSES[min(failures, len(RETRY_PAUSES) - 1)]
            failures += 1
            try:
                await asyncio.wait_for(self._hurry.wait(), pause)
            except TimeoutError:
                continue

    def _publish_end(self, job_id: str, event: Event) -> None:
        self._told.pop(job_id, None)
        self.feeds.end(job_id, event)

    # The disk

    async def _disk_has_room(self) -> bool:
        free = await asyncio.to_thread(self.files.free_bytes)
        if free < self.limits.disk_floor:
            if not self.disk_full:
                log.error(
                    "%d MB are free on the disk, the floor is %d MB: no job is started",
                    free // 10**6,
                    self.limits.disk_floor // 10**6,
                )
            self.disk_full = True
            self._wake_later(DISK_CHECK)
            return False
        if self.disk_full:
            log.info("the disk has room again")
            await asyncio.to_thread(self.files.create_ballast)
        self.disk_full = False
        return True

    def _wake_later(self, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self.wake)


def _worth_telling(before: Queued, now: Queued) -> bool:
    if before.position <= EXACT_POSITIONS or now.position <= EXACT_POSITIONS:
        moved = before.position != now.position
    else:
        moved = abs(before.position - now.position) * 10 >= before.position
    return moved or (before.eta is None) != (now.eta is None)


def _now() -> datetime:
    return datetime.now(UTC)
