"""Takes waiting jobs to free devices, and what comes of them to ``results``. Who asked, and whether they
may, is past.

Devices are looked at once for all the jobs that are chosen in a moment: with a thousand machines a look
takes milliseconds. These are claimed in the rows in one commit: a slow disk, or a database far away, holds
up what comes after them and not each of them in turn."""

import asyncio
import logging
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from time import monotonic, thread_time
from typing import Any

import sqlalchemy as sa

from core.errors import FilesAway, NotYet, StorageError, UserError
from core.events import Cancelled, Event, Failed, Loading, Paused, Progress, Started
from core.job import Job
from core.requests import recheck
from core.traces import Tracing, time_of
from jobs import runs
from jobs.admission import Limits, is_video, videos_fit
from jobs.eta import Estimate, Positions
from jobs.executors.base import Device, Executor, Lease, Outcome
from jobs.feed import ActiveJob, Converse, Feeds, Gate
from jobs.tastes import Sees
from jobs.waitlist import CLEARED_WITHIN, Placement, Room, Takes, Turn, Waiting, Waitlist
from storage import job_queries, people
from storage import jobs as rows
from storage.blobs.base import Files
from storage.database import Database
from storage.job_queries import RunningRow, UnreadableJob, WaitingRow
from vision.protocol import Broke, Done, Fault, LoadingModel, Step, Stopped


def adopted(row: RunningRow, cost: int) -> ActiveJob:
    """Return a job that goes on, as if this process had begun it. cost: what it was counted as."""
    waiting, started = waiting_of(row.waiting), row.job.started_at or row.job.created_at
    before = max(0.001, (datetime.now(UTC) - started).total_seconds())
    return ActiveJob(row.job, waiting, row.token, row.device, monotonic() - before, cost, before=before)


def waiting_of(row: WaitingRow) -> Waiting:
    """Return a job as ordering sees it."""
    age = max(0.0, (datetime.now(UTC) - row.created_at).total_seconds())  # asked once: the clock may jump
    who, what = (row.id, row.seq, row.user_id, row.guild_id), (row.lane, row.cost_key, row.max_running)
    alone = row.attempts > 0 or row.cut_off > 1
    return Waiting(*who, *what, monotonic() - age, row.front, alone=alone)


AT_ONCE = 16  # claims in one commit, at most
UNREADABLE = "This job was made by another version of Atelier and can't be run any more. Please ask again."


@dataclass
class Claim:
    """A job that has left the list and isn't running yet. token: of its run. turn: what its member had for
    it. Once ``written``: row, None when the job waits no more; unreadable: why it can't be run, its row says
    by now that it has failed. Else error: why not."""

    waiting: Waiting
    device: str
    token: str
    turn: Turn
    written: bool = False
    row: Job | None = None
    unreadable: UnreadableJob | None = None
    error: Exception | None = None
    handed = False  # as running jobs are asked

    @property
    def cost(self) -> int:
        """What the job is counted as."""
        return self.turn.cost


class Claims:
    """Those that are under way."""

    def __init__(
        self, database: Database, waitlist: Waitlist, placement: Placement, tracing: Tracing
    ) -> None:
        self._database, self._waitlist, self._placement = database, waitlist, placement
        self._tracing = tracing
        self._claims: dict[str, Claim] = {}

    def __len__(self) -> int:
        return len(self._claims)

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._claims

    def __iter__(self) -> Iterator[Claim]:
        return iter(self._claims.values())

    def begin(self, waiting: Waiting, device: str, own: str) -> None:
        """Take a job for a device: it counts as its member's turn now. own: see ``Waitlist.note_start``."""
        now = monotonic()
        self._waitlist.remove(waiting.job_id, now)
        turn = self._waitlist.note_start(waiting, now, own)
        self._placement.note_start(device, waiting)
        self._claims[waiting.job_id] = Claim(waiting, device, secrets.token_hex(16), turn)

    async def write(self) -> Sequence[Claim]:
        """Write all that were begun and return them; jobs that couldn't be written are in the list again."""
        claims = list(self)
        try:
            await asyncio.gather(*map(self._write_one, claims))
        finally:
            for claim in reversed(claims):  # what was counted last is taken back first
                del self._claims[claim.waiting.job_id]
                if claim.row is None:
                    self._waitlist.take_back(claim.waiting, claim.turn, monotonic())
                if not claim.written:
                    self._waitlist.add(claim.waiting, monotonic())
        return claims

    async def _write_one(self, claim: Claim) -> None:
        waiting = claim.waiting
        work = partial(self.claim_row, waiting, claim.token, claim.device, claim.turn.had.until)
        try:
            with self._tracing.span(waiting.job_id, "claim", device=claim.device):
                row = await self._database.write(work, first=True)
        except Exception as error:
            claim.error = error
            return
        claim.written = True
        if isinstance(row, UnreadableJob):
            log.error("%s", row)
            claim.unreadable = row
        else:
            claim.row = row

    @staticmethod
    def claim_row(
        waiting: Waiting, token: str, device: str, served: int, connection: sa.Connection
    ) -> Job | UnreadableJob | None:
        """Claim a job's row for a run with ``token``, and note its asker's turn. Return None when it waits no
        more, the error when its row is another version's, which ends it."""
        try:
            job = rows.claim(connection, waiting.job_id, token=token, device=device, now=datetime.now(UTC))
        except UnreadableJob as error:
            rows.fail(connection, waiting.job_id, UNREADABLE, token=token, now=datetime.now(UTC))
            return error
        if job is not None:
            people.set_served(connection, waiting.user_id, served)
        return job


class Rooms:
    """The rooms of devices that work, made anew only where a device has changed since the last look."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[Device, int, Room]] = {}

    def of(self, devices: Sequence[Device], free: Mapping[str, int]) -> dict[str, Room]:
        """Return them by device. free: slots."""
        rooms = dict[str, Room]()
        for device in devices:
            if device.state != "ready":
                continue
            name, slots = device.name, free.get(device.name, 0)
            made = self._made.get(name)
            if made is None or made[0] is not device or made[1] != slots:
                made = self._made[name] = device, slots, Room(slots, device.running, device.only)
            rooms[name] = made[2]
        if len(self._made) > 2 * len(devices):  # others are gone
            self._made = {name: made for name, made in self._made.items() if name in rooms}
        return rooms


class Free:
    """busy: the jobs that take a slot and their member's share; those that aren't handed over yet are counted
    on their devices here. kept: of earlier looks."""

    def __init__(
        self, executor: Executor, busy: Iterable[ActiveJob | Claim], limits: Limits, kept: Rooms
    ) -> None:
        self._limits = limits
        devices = executor.devices
        self.rooms = kept.of(devices, executor.free())
        own = {device.name for device in devices if device.only}
        users, videos_running = dict[int, int](), dict[int, int]()
        starting, people = dict[str, int](), {name: Counter[int]() for name in own}
        alone = set[str]()
        for live in busy:
            waiting, device = live.waiting, live.device
            user_id = waiting.user_id
            if device in own:
                people[device][user_id] += 1
            else:
                users[user_id] = users.get(user_id, 0) + 1
                if waiting.alone:
                    alone.add(device)
            if not live.handed:
                starting[device] = starting.get(device, 0) + 1
            if is_video(waiting.cost_key):
                videos_running[user_id] = videos_running.get(user_id, 0) + 1
        for name, count in starting.items():
            if name in self.rooms:
                room = self.rooms[name]
                self.rooms[name] = room._replace(free=room.free - count, running=room.running + count)
        for name in alone & self.rooms.keys():
            self.rooms[name] = self.rooms[name]._replace(free=0)
        for name in own & self.rooms.keys():
            self.rooms[name] = self.rooms[name]._replace(people=people[name])
        self.users, self._videos_running = Counter(users), Counter(videos_running)
        self.fits: Takes | None = videos_fit(limits, self._videos_running) if self._videos_running else None

    def take(self, device: str, job: Waiting) -> None:
        """Count a job that has just been chosen for a device."""
        room = self.rooms[device]
        if room.only:
            people = Counter(room.people)
            people[job.user_id] += 1
            self.rooms[device] = room._replace(free=room.free - 1, running=room.running + 1, people=people)
        else:
            free = 0 if job.alone else room.free - 1
            self.rooms[device] = room._replace(free=free, running=room.running + 1)
            self.users[job.user_id] += 1
        if is_video(job.cost_key):
            self._videos_running[job.user_id] += 1
            self.fits = self.fits or videos_fit(self._limits, self._videos_running)


ASKING = 60.0  # seconds from Discord's interaction to us that are believed: its clock and ours may differ


def note_asked(tracing: Tracing, job: Job) -> None:
    """Begin the trace of a job whose row was just written, with Discord's interaction if there is one."""
    asked = came = job.created_at.timestamp()
    if job.reply.interaction_id is not None:
        came = time_of(job.reply.interaction_id)
    if not 0 < asked - came < ASKING:
        came = asked
    tracing.begin(job.id, came)
    if came < asked:
        tracing.note(job.id, "interaction", came, asked)
    surface = "away" if job.origin.away else job.origin.surface.value
    told = {"kind": job.request.kind, "lane": job.lane.value, "surface": surface}
    tracing.note(job.id, "admit", asked, time.time(), **told)


def note_waited(tracing: Tracing, job: Job) -> None:
    """Take the wait of a job that was claimed for the first time."""
    if job.attempts == 1 and job.started_at is not None:
        waited = job.created_at.timestamp(), job.started_at.timestamp()
        tracing.note(job.id, "wait", *waited, lane=job.lane.value)


CHUNK = 50  # events between two breaths of the event loop
CHOOSING = 0.008  # s for which jobs are chosen without a breath of the event loop
LOOK_IS_DEAR = 0.0005  # processor s that a look at what is free may take before looks are made more seldom
LOOK_SHARE = 0.02  # of a core, for such looks: what comes meanwhile shares the next one, and a commit
LOOK_REST = 0.25  # s between two of them, at most: one that took long by chance holds nobody up for long
DISK_CHECK = 5.0  # s between two looks at a full disk
INPUT_GONE = "The picture this job starts from is gone. Attach it again."
log = logging.getLogger(__name__)


class Dispatcher:
    """The jobs that are not over, in memory, and the tasks that move them on. on_rendered: see Outcomes.
    converse: asked for what a question is handed out with. sees: which places people can read."""

    def __init__(
        self,
        database: Database,
        files: Files,
        executor: Executor,
        limits: Limits,
        *,
        gate: Gate,
        on_rendered: Callable[[str], None],
        converse: Converse,
        sees: Sees,
        tracing: Tracing,
    ) -> None:
        self.database, self.files, self.executor = database, files, executor
        self.limits, self.gate, self.tracing = limits, gate, tracing
        self.converse, self._sees = converse, sees
        self.estimate = Estimate()
        self.waitlist = Waitlist(self.estimate.cost)
        self.running: dict[str, ActiveJob] = {}
        self.feeds = Feeds(tracing)
        self._stopping = asyncio.Event()
        self.last_step: float | None = None  # monotonic
        self.last_sign = 0.0  # of any job's life, monotonic
        self.steps = 0  # finished since the start
        known = self.waitlist, self.running, self.feeds
        self.positions = Positions(*known, executor, self.estimate, limits)
        self._placement = Placement(self.waitlist)
        self._clearing_since: float | None = None  # as of the latest look
        self.claims = Claims(database, self.waitlist, self._placement, tracing)
        self.saving = runs.Saving(database, files)
        self.incoming = runs.Incoming(files, limits.disk_floor)
        self._outcomes = runs.Outcomes(
            self.saving,
            self.waitlist,
            self.feeds,
            self._placement,
            self.positions,
            stopping=self._stopping,
            on_rendered=on_rendered,
            wake=self.wake,
        )
        self._wake = asyncio.Event()
        self._rooms, self._look_again = Rooms(), 0.0  # monotonic seconds
        self._loop_tasks: list[asyncio.Task[None]] = []
        self._runs: set[asyncio.Task[None]] = set()

    # Start and stop

    async def start(self) -> None:
        """Take up what a crash or a stop left behind, then begin."""
        known = await self.database.read(job_queries.list_running)
        leases = [Lease(one.job.id, one.token, one.device) for one in known]
        held = set(await self.executor.take_up(leases)) if leases else set()
        going = [one for one in known if one.job.id in held]  # from an earlier process
        kept = [one.job.id for one in going]
        recover = partial(rows.recover, message=runs.CUT_OFF, now=datetime.now(UTC), but=kept)
        recovered = await self.database.write(recover)
        for job_id, status in recovered:
            log.info("job %s was cut off: %s again", job_id, status.value)
        for key, seconds in await self.database.read(job_queries.durations):
            self.estimate.add(key, seconds)
        self.waitlist.resume(await self.database.read(people.last_turn))
        waiting = await self.database.read(job_queries.list_waiting)
        await self.incoming.sweep({row.id for row in waiting} | set(kept))
        turns = await self.database.read(lambda c: people.turns(c, {row.user_id for row in waiting}))
        for count, row in enumerate(waiting, 1):
            self.enqueue(row, served=turns[row.user_id])
            if count % CHUNK == 0:
                await asyncio.sleep(0)
        await asyncio.to_thread(self.files.drop_unfinished)
        await asyncio.to_thread(self.files.create_ballast)
        await self.executor.start(self.wake)
        for one in going:
            self.feeds.open(one.job.id, one.waiting.user_id, one.job.created_at)
            self._begin(adopted(one, self.estimate.cost(one.waiting.cost_key)))
        self._loop_tasks = [
            asyncio.create_task(self.database.supervisor.forever(name, work), name=name)
            for name, work in (
                ("dispatcher", self._dispatch_for_ever),
                ("positions", self.positions.announce_for_ever),
            )
        ]
        self.wake()

    async def stop(self, grace: float) -> None:
        """Start nothing more; what runs may finish within ``grace`` seconds, the rest is queued again, not
        counted as an attempt. A second call with a shorter grace cuts the first one short."""
        if grace <= 0:
            self.saving.hurry.set()
        if self._stopping.is_set():
            await asyncio.gather(*self._loop_tasks, return_exceptions=True)
            return
        self._stopping.set()
        self.wake()
        if self._loop_tasks:
            await self._loop_tasks[0]
        for live in [live for live in self.running.values() if not live.handed]:  # no device has it yet
            await self._give_back(live)
            live.stop()
        waited_for = [live for live in self.running.values() if not self.executor.outlives(live.job.id)]
        if waited_for and grace > 0:
            log.info("%d running jobs have %.0f s to finish", len(waited_for), grace)
            hurry: asyncio.Future[Any] = asyncio.create_task(self.saving.hurry.wait())
            tasks = [live.task for live in waited_for if live.task is not None]
            ended: asyncio.Future[Any] = asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.wait({hurry, ended}, timeout=grace, return_when=asyncio.FIRST_COMPLETED)
            hurry.cancel()
        ours = [live for live in self.running.values() if not self.executor.outlives(live.job.id)]
        await asyncio.gather(*map(self._give_back, ours))
        await self.executor.stop()
        self.saving.hurry.set()  # nobody waits for a pause to end
        await asyncio.gather(*self._runs, return_exceptions=True)
        for task in self._loop_tasks[1:]:
            task.cancel()
        await asyncio.gather(*self._loop_tasks, return_exceptions=True)
        await self.incoming.settle()
        self.feeds.end_all(Paused())

    async def _give_back(self, live: ActiveJob) -> None:
        try:
            work = partial(rows.give_back, job_id=live.job.id, token=live.token)
            if await self.database.write(work, first=True):
                log.info("job %s goes back to the queue", live.job.id)
        except StorageError:
            log.exception("a job stays marked as running; the next start takes it up")

    def wake(self) -> None:
        """Look for a job to start, and tell positions anew."""
        self._wake.set()
        self.positions.note_moved()

    # Waiting

    def enqueue(self, row: WaitingRow, *, served: int) -> None:
        """Queue a job whose row is written. ``served``: what its user had had by their latest turn."""
        now, waiting = monotonic(), waiting_of(row)
        self.feeds.open(row.id, row.user_id, row.created_at)
        self.waitlist.know(row.user_id, served, now)
        self.waitlist.add(waiting, now)
        self.wake()

    def forget(self, job_id: str, event: Event) -> None:
        """It is over in the rows: out of the list, off the device, and the watchers are told."""
        self.waitlist.remove(job_id, monotonic())
        if job_id in self.running:
            self.executor.cancel(job_id)
        self._outcomes.publish_end(job_id, event)
        self._clean_up(job_id)
        self.wake()

    def _clean_up(self, job_id: str) -> None:
        """Remove what a job's worker has written, once it is over and no worker has it."""
        if job_id not in self.feeds and job_id not in self.running:
            self.incoming.remove(job_id)

    def run_again(self, job_id: str) -> None:
        """Let a running job be handed out anew, with what the rows say now; one that waits will be anyway."""
        if job_id in self.running and job_id in self.feeds:
            self.executor.cancel(job_id)

    def stop_answer(self, job_id: str) -> bool:
        """Let a running job end with what there is of its answer. False when there is nothing of it yet."""
        live = self.running.get(job_id)
        if live is None or not live.text or live.refused is not None or job_id not in self.feeds:
            return False
        live.stopped = True
        self.executor.cancel(job_id)
        return True

    # Running

    async def _dispatch_for_ever(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            await self._wake.wait()
            self._wake.clear()
            try:
                while await self._start_some():
                    failures = 0
            except Exception:  # whatever one job does, the next one gets its turn
                log.exception("a job could not be started")
                self._wake_later(runs.RETRY_PAUSES[min(failures, len(runs.RETRY_PAUSES) - 1)])
                failures += 1

    async def _start_some(self) -> bool:
        """Claim what devices can take now, AT_ONCE jobs at most, and hand it out; False for nothing to do."""
        if not self._starts or not self.waitlist or not self.executor.free():
            return False
        if not await self.saving.has_room(self.limits.disk_floor):
            self._wake_later(DISK_CHECK)
            return False
        if (rest := self._look_again - monotonic()) > 0:
            await asyncio.sleep(rest)
        if self._starts:
            self._begin_claims()
        if not self.claims:
            return False
        failed = None
        for one in await self.claims.write():
            failed = failed or one.error
            if (job := one.row) is not None and job.id in self.feeds:
                note_waited(self.tracing, job)
                self._begin(ActiveJob(job, one.waiting, one.token, one.device, monotonic(), one.cost))
            elif one.error is None:  # cancelled or deleted in the meantime, or not to be read
                end = Cancelled() if one.unreadable is None else Failed(UNREADABLE)
                self._outcomes.publish_end(one.waiting.job_id, end)
        if failed is not None:
            raise failed
        return True

    @property
    def _starts(self) -> bool:
        """Whether jobs are started: the queue is neither paused nor about to stop."""
        return not (self._stopping.is_set() or self.waitlist.paused)

    def _begin_claims(self) -> None:
        free, began = self.look(), monotonic()
        while len(self.claims) < AT_ONCE and monotonic() - began < CHOOSING:
            choice = self._choose(free)
            if choice is None:
                # a device isn't cleared for longer than it may be, whatever else happens
                since = self._placement.clearing_since
                if since is not None and since != self._clearing_since:
                    self._wake_later(CLEARED_WITHIN)
                self._clearing_since = since
                break
            device, waiting = choice
            self.claims.begin(waiting, device, free.rooms[device].only)
            free.take(device, waiting)

    def _begin(self, live: ActiveJob) -> None:
        job_id = live.job.id
        self.running[job_id] = live
        self.feeds[job_id].publish(Started())  # now: the task may begin after a cancel
        task = live.task = asyncio.create_task(self._run(live), name=f"job {job_id}")
        self._runs.add(task)
        task.add_done_callback(self._runs.discard)
        self.positions.note_moved()

    def _choose(self, free: Free) -> tuple[str, Waiting] | None:
        """Return the device that takes a job next and the job, None while nothing can be started."""
        return self._placement.choose(free.rooms, free.users, monotonic(), free.fits)

    @property
    def held(self) -> Mapping[str, Waiting]:
        """The jobs that wait beside the list for a while."""
        return self._outcomes.held

    def look(self) -> Free:
        """Return what is free; where that takes long, the next look has to wait."""
        began = thread_time()
        # not those whose result is only being written
        has, going = self.executor.has, self.running.items()
        busy: list[ActiveJob | Claim] = [live for id_, live in going if not live.handed or has(id_)]
        free = Free(self.executor, [*busy, *self.claims], self.limits, self._rooms)
        if (took := thread_time() - began) > LOOK_IS_DEAR:
            self._look_again = monotonic() + min(LOOK_REST, took / LOOK_SHARE)
        return free

    async def _run(self, live: ActiveJob) -> None:
        job = live.job
        try:
            try:
                span = self.tracing.span(job.id, "run", device=live.device, attempt=job.attempts)
                with span as live.traceparent:
                    outcome = await self._on_device(live)
            finally:
                live.seconds = live.before + self.positions.shares.end(live.device, job.id, monotonic())
                if (pictures := self.estimate.pictures(live.seconds)) is not None:  # not as expected
                    self.waitlist.note_end(live.waiting, pictures - live.cost, monotonic())
            self.last_sign, live.waits_for = monotonic(), "rows"
            if isinstance(outcome, Done):
                self.last_step = self.last_sign
            with self.tracing.span(job.id, "store", outcome=type(outcome).__name__.lower()):
                await self._outcomes.end(live, runs.conclude(live, outcome))
        except NotYet as error:
            await self._outcomes.wait_on(live, str(error))
        except Exception:  # the last net: the row must not stay "running" for ever
            log.exception("job %s failed in the queue itself", job.id)
            await self._outcomes.retry(live, "Something went wrong in the studio.")
        finally:
            self.running.pop(job.id, None)
            if (
                not self._stopping.is_set()
                and job.id not in self.waitlist
                and job.id not in self._outcomes.held
            ):
                self._outcomes.publish_end(job.id, Cancelled())  # unless told: its row was deleted under it
            self._clean_up(job.id)
            if not self._stopping.is_set():
                self.executor.settle(job.id)
            self.wake()

    async def _on_device(self, live: ActiveJob) -> Outcome:
        job = live.job
        try:
            if not live.before:  # what was allowed may not be by now
                recheck(job.request)
                await self.saving.until_there(partial(self.gate, job, True))
            live.waits_for = "files"
            if job.request.told:
                live.conversation = await self.converse(job)
            folder = await self.incoming.make(job.id, job.request)
        except UserError as error:
            return Broke(job.id, Fault.USER, str(error))
        async with AsyncExitStack() as stack:
            stored = self.database, self.files
            handing = partial(runs.lend_inputs, live, folder, *stored, self.executor, self._sees)
            try:
                run = await self.saving.until_there(lambda: stack.enter_async_context(handing()))
            except FilesAway:  # and we stop: the row has been given back
                return Stopped(job.id)
            except StorageError:
                return Broke(job.id, Fault.USER, INPUT_GONE)
            if job.id not in self.feeds:  # cancelled before the executor knew of it
                return Stopped(job.id)
            log.info("job %s starts on %s, attempt %d", job.id, live.device, job.attempts)
            live.hand_over(monotonic())
            self.positions.shares.begin(live.device, job.id, live.last_sign)
            return await self.executor.run(live.device, run, partial(self._report, live))

    def _report(self, live: ActiveJob, message: LoadingModel | Step) -> None:
        event: Event
        now, loads = monotonic(), isinstance(message, LoadingModel)
        self.last_sign = now
        live.fetches = isinstance(message, LoadingModel) and message.fetching
        live.sign(now, loads=loads)
        self.positions.shares.sign(live.device, live.job.id, now, loads=loads)
        if isinstance(message, Step):
            self.last_step = now
            if message.seen:
                runs.see_text(live, message.seen)
                return self._stop_refused(live)
            self.steps += 1
            text = runs.hear_answer(live, message.text) if message.text else ""
            self._stop_refused(live)
            shown = (message.preview, message.box, text, message.doing)
            event = live.progress = Progress(message.step, message.total, *shown)
        else:
            event = Loading(message.model, message.fraction, message.fetching, message.left)
        if (feed := self.feeds.get(live.job.id)) is not None:
            feed.publish(event)

    def _stop_refused(self, live: ActiveJob) -> None:
        if live.refused is not None:
            self.executor.cancel(live.job.id)

    def _wake_later(self, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self.wake)
