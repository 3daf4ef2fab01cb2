"""The queue as the rest of the program sees it: ask, watch, cancel, look, administer, answered with frozen
values; and what is known of people beside their jobs. The rows are the truth."""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa

from core.errors import LimitError, StorageError
from core.events import Cancelled, ChatAnswer, Event, Failed, Loading, Paused, Progress, Queued, Rendered
from core.job import Job, Lane, Origin, Reply, Status, new_job_id
from core.requests import ImagineRequest, Request, check_texts
from core.results import TextLine
from core.traces import UNTRACED, Tracing
from jobs.admission import Admission, Limits
from jobs.dispatcher import Dispatcher, note_asked
from jobs.eta import A_PICTURE
from jobs.executors.base import Device, Executor
from jobs.feed import ActiveJob, Converse, Feed, Gate, News, Wait, Watch, open_gate, question_alone
from jobs.tastes import Sees, sees_nothing
from jobs.waitlist import Waiting, cost_key
from storage import job_queries, people, privacy, webhooks
from storage import jobs as rows
from storage.blobs.base import Files
from storage.collections import trashed_positions
from storage.database import Database
from storage.job_queries import StoredOutput, StoredPicture
from storage.people import AuditRow, RoleLimit, RoleTokens, audited
from storage.videos import StoredVideo

log = logging.getLogger(__name__)
T = TypeVar("T")
P = ParamSpec("P")

SEEN_AGAIN, SEEN_AT_MOST = 3600.0, 10_000  # s, people


class People:
    """What is known of people beside their jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: dict[int, tuple[str, float]] = {}  # user → name, monotonic seconds

    async def user_seen(self, user_id: int, name: str) -> None:
        """Note a person's name; written once an hour at most, unless the name is another. Where the database
        can't, that is only logged: whoever asks this has just queued a job, which goes on."""
        known, at = self._seen.get(user_id, ("", 0.0))
        if known == name and time.monotonic() - at < SEEN_AGAIN:
            return
        if len(self._seen) >= SEEN_AT_MOST:
            self._seen.clear()
        self._seen[user_id] = name, time.monotonic()
        work = partial(people.user_seen, user_id=user_id, name=name, now=datetime.now(UTC))
        try:
            await self._database.write(work)
        except StorageError as error:
            self._seen.pop(user_id, None)
            log.warning("the name of user %d isn't noted (%s)", user_id, error)

    async def names(self, user_ids: Iterable[int]) -> dict[int, str]:
        """Return the names of these people, as far as they are known."""
        return await self._database.read(partial(people.read_names, user_ids=user_ids), once=True)

    async def guild_seen(self, guild_id: int, name: str) -> None:
        """Note a guild's name."""
        work = partial(people.guild_seen, guild_id=guild_id, name=name, now=datetime.now(UTC))
        await self._database.write(work)

    async def greet(self, guild_id: int, name: str) -> bool:
        """Note that a guild is told what the bot is; return False when it was before."""
        work = partial(people.greet, guild_id=guild_id, name=name, now=datetime.now(UTC))
        return await self._database.write(work)

    async def guilds_are(self, here: Mapping[int, str], mine: Callable[[int], bool]) -> None:
        """Note which guilds the bot is in, id → name, and which of those that are ``mine`` it has left."""
        now = datetime.now(UTC)

        def work(connection: sa.Connection) -> None:
            there = people.guilds_there(connection)
            people.guilds_left(connection, (one for one in there - here.keys() if mine(one)), now=now)
            for guild_id in here.keys() - there:
                people.guild_seen(connection, guild_id, here[guild_id], now=now)

        await self._database.write(work)

    async def guild_left(self, guild_id: int) -> None:
        """Note that the bot is no longer in a guild."""
        await self._database.write(partial(people.guilds_left, guild_ids=[guild_id], now=datetime.now(UTC)))

    async def guilds(self) -> frozenset[int]:
        """Return the ids of the guilds that the bot is in, by the rows of all its processes."""
        [found] = await self._database.look_up(partial(people.guilds_there), once=True)
        return found

    async def user_flag(self, user_id: int, key: str) -> Any:
        """Return a small setting of the user, None when it was never set."""
        return await self._database.read(partial(people.read_flag, user_id=user_id, key=key), once=True)

    async def set_user_flag(self, user_id: int, key: str, value: Any) -> None:
        """Keep a small setting of the user. ``value``: anything JSON takes; None removes it."""
        work = partial(people.set_flag, user_id=user_id, key=key, value=value)
        await self._database.write(work)

    async def note_upload(self, user_id: int, sha256: str) -> None:
        """Note that the person has sent this file."""
        work = partial(privacy.note_upload, user_id=user_id, sha256=sha256, now=datetime.now(UTC))
        await self._database.write(work)

    async def has_sent(self, user_id: int, sha256: str) -> bool:
        """Return whether the person has sent this file."""
        return await self._database.read(partial(privacy.sent, user_id=user_id, sha256=sha256), once=True)


TALK_IN = "talk in {}"  # setting: whether people talk to the studio in the channels of a guild
_NAMES = {RoleLimit: "role limit", RoleTokens: "role tokens"}
Clear = Callable[[AuditRow, Callable[[sa.Connection], list[str]]], Awaitable[int]]


class Admin:
    """What admins set. Each change writes an audit row in the same transaction; ``actor_id`` is who makes it.

    ``clear`` runs what cancels waiting jobs, with its audit row, and returns how many that were.
    """

    def __init__(self, database: Database, clear: Clear) -> None:
        self._database, self._clear = database, clear

    async def ban(
        self, actor_id: int, user_id: int, guild_id: int | None = None, *, everywhere: bool = False
    ) -> int:
        """Take nothing more from a user in a guild (None: anywhere), and cancel what of theirs waits there
        (``everywhere``: wherever they asked); return how many jobs that were."""
        row = AuditRow(datetime.now(UTC), actor_id, "ban", guild_id, str(user_id))

        def work(connection: sa.Connection) -> list[str]:
            people.ban(connection, user_id, guild_id, actor_id=actor_id, now=row.at)
            place = None if everywhere else guild_id
            return rows.cancel_waiting(connection, now=row.at, user_id=user_id, guild_id=place)

        return await self._clear(row, work)

    async def unban(self, actor_id: int, user_id: int, guild_id: int | None = None) -> bool:
        """End a ban in a guild (None: everywhere). Return False when there was none."""
        work = partial(people.unban, user_id=user_id, guild_id=guild_id)
        return await self._change(actor_id, "unban", guild_id, user_id, work)

    async def banned(self, guild_id: int | None) -> list[int]:
        """Return the users banned in the guild (None: everywhere)."""
        return await self._database.read(partial(people.banned, guild_id=guild_id), once=True)

    async def barred(self, user_id: int, guild_id: int | None) -> bool:
        """Return whether the user may ask for nothing there: banned in the guild, or everywhere."""
        work = partial(people.read_rules, user_id=user_id, guild_id=guild_id)
        [found] = await self._database.look_up(work, once=True)
        return found.banned

    async def allow(self, actor_id: int, guild_id: int, kind: str, target_id: int) -> None:
        """Put a channel or role (``kind``) on the guild's list; only what is on a list may be used then."""
        work = partial(people.allow, guild_id=guild_id, kind=kind, target_id=target_id)
        await self._change(actor_id, f"allow {kind}", guild_id, target_id, work)

    async def disallow(self, actor_id: int, guild_id: int, kind: str, target_id: int) -> bool:
        """Take it off the list; an empty list allows everything. Return False when it wasn't listed."""
        work = partial(people.disallow, guild_id=guild_id, kind=kind, target_id=target_id)
        return await self._change(actor_id, f"disallow {kind}", guild_id, target_id, work)

    async def allowed(self, guild_id: int) -> tuple[frozenset[int], frozenset[int]]:
        """Return the guild's allow lists: channels, roles."""
        work = partial(people.read_rules, user_id=0, guild_id=guild_id)
        found = await self._database.read(work, once=True)
        return found.channels, found.roles

    async def role_rules(self, guild_id: int, kind: type[T]) -> list[T]:
        """Return what the guild's roles have of a kind, RoleLimit or RoleTokens."""
        work = partial(people.list_role_rules, guild_id=guild_id, kind=kind)
        return await self._database.read(work, once=True)

    async def set_role_rule(self, actor_id: int, guild_id: int, rule: RoleLimit | RoleTokens) -> None:
        """Give members with a role limits or tokens of their own; the best of several roles counts."""
        detail = {name: value for name, value in vars(rule).items() if name != "role_id"}
        work = partial(people.set_role_rule, guild_id=guild_id, rule=rule)
        await self._change(actor_id, f"set {_NAMES[type(rule)]}", guild_id, rule.role_id, work, detail)

    async def remove_role_rule(self, actor_id: int, guild_id: int, role_id: int, kind: type) -> bool:
        """Take away what a role has of a kind. Return False when it had none."""
        work = partial(people.remove_role_rule, guild_id=guild_id, role_id=role_id, kind=kind)
        return await self._change(actor_id, f"remove {_NAMES[kind]}", guild_id, role_id, work)

    async def set_talk(self, actor_id: int, guild_id: int, *, on: bool) -> None:
        """Let people talk to the studio in the guild's channels, or not."""
        row = AuditRow(datetime.now(UTC), actor_id, "talk on" if on else "talk off", guild_id)
        work = partial(people.set_setting, key=TALK_IN.format(guild_id), value=on)
        await self._database.write(audited(row, work))

    async def talks(self, guild_id: int) -> bool:
        """Return whether people may talk to the studio in the guild's channels: unless it was set off."""
        work = partial(people.read_setting, key=TALK_IN.format(guild_id))
        return await self._database.read(work, once=True) is not False

    async def set_programs(self, actor_id: int, guild_id: int, *, on: bool) -> None:
        """Let tokens of people reach what belongs to the guild, or not."""
        row = AuditRow(datetime.now(UTC), actor_id, "programs on" if on else "programs off", guild_id)
        work = partial(people.set_setting, key=people.PROGRAMS_IN.format(guild_id), value=on)
        await self._database.write(audited(row, work))

    async def takes_programs(self, guild_id: int) -> bool:
        """Return whether tokens of people reach what belongs to the guild: unless it was set off."""
        work = partial(people.takes_programs, guild_id=guild_id)
        return await self._database.read(work, once=True)

    async def set_language(self, actor_id: int, guild_id: int, language: str) -> None:
        """Choose the language of public answers in the guild; "" = the one that it has on Discord."""
        row = AuditRow(datetime.now(UTC), actor_id, "language", guild_id, language or "as on Discord")
        work = partial(people.set_setting, key=people.LANGUAGE_IN.format(guild_id), value=language)
        await self._database.write(audited(row, work))

    async def language(self, guild_id: int) -> str:
        """Return the language that was chosen for public answers in the guild, "" for none."""
        work = partial(people.read_setting, key=people.LANGUAGE_IN.format(guild_id))
        return str(await self._database.read(work, once=True) or "")

    async def audit(self, guild_id: int | None = None, limit: int = 50) -> list[AuditRow]:
        """Return what admins did (in a guild, if it is named), newest first."""
        work = partial(people.audit_rows, guild_id=guild_id, limit=limit)
        return await self._database.read(work, once=True)

    async def _change(
        self,
        actor_id: int,
        action: str,
        guild_id: int | None,
        target: int,
        work: Callable[[sa.Connection], Any],
        detail: dict[str, Any] | None = None,
    ) -> Any:
        row = AuditRow(datetime.now(UTC), actor_id, action, guild_id, str(target), detail or {})
        return await self._database.write(audited(row, work))


@dataclass(frozen=True)
class Submitted:
    """``position`` 1 runs next, 0 runs or is over. ``duplicate``: the request had made this job before."""

    job: Job
    position: int
    eta: float | None = None  # seconds until it starts
    duplicate: bool = False


@dataclass(frozen=True)
class Result:
    """A finished job and what it made. ``parameters``: the values really used, "model" and "notes" among
    them. ``pictures`` are the posters of ``videos`` where there are any, those with the same index."""

    job: Job
    pictures: tuple[StoredPicture, ...] = ()
    grid: StoredPicture | None = None
    captions: tuple[str, ...] = ()
    scores: tuple[tuple[str, float], ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    answer: ChatAnswer | None = None
    lines: tuple[TextLine, ...] = ()
    videos: tuple[StoredVideo, ...] = ()

    @property
    def in_order(self) -> tuple[StoredPicture, ...]:
        """The pictures as they are shown: in the order of a taste, where one has put a sheet in order."""
        place = {index: place for place, index in enumerate(self.parameters.get("order", ()))}
        return tuple(sorted(self.pictures, key=lambda one: place.get(one.index, one.index)))

    @classmethod
    def of(cls, job: Job, output: StoredOutput) -> Result:
        """Return the result that rows hold."""
        made, told = (output.pictures, output.grid), (output.captions, output.scores)
        parameters, said = output.parameters or {}, (output.answer, output.lines)
        return cls(job, *made, *told, parameters, *said, output.videos)


@dataclass(frozen=True)
class JobView:
    """A live job. ``since``: asked or started. ``eta``: seconds until it starts, or ends if it is running.
    ``why``: what it waits for besides its turn. ``loading``: the model that is fetched or loaded for it.
    ``starting``: no worker is ready yet."""

    job: Job
    since: datetime
    position: int = 0
    eta: float | None = None
    progress: Progress | None = None
    device: str | None = None
    why: str = ""
    loading: Loading | None = None
    starting: bool = False


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


CLEARED_AT_ONCE = 1000  # rows of a clear in one transaction: others write in between
HUNG_AFTER = 900.0  # s without a sign of life, while a device has work
MINE = 100  # waiting jobs of one member that are shown


def _whole(
    method: Callable[Concatenate[Queue, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Queue, P], Coroutine[Any, Any, T]]:
    """Run a method to its end, even if its caller is cancelled: the rows and the memory must not part."""

    @functools.wraps(method)
    async def run(self: Queue, *args: P.args, **kwargs: P.kwargs) -> T:
        task = asyncio.create_task(method(self, *args, **kwargs))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        # a caller that was cancelled never sees its error
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        return await asyncio.shield(task)

    return run


class Queue:
    """Built beside the bot and started before it. ``gate``: asked before a job is written and again before it
    runs, whatever way it came. ``on_rendered``: called with the id of each job whose pictures are stored.
    ``converse``: asked, as a question is handed out, for the turns before it. ``sees``: asked which places a
    person can read, for what their taste is learned from. ``admin``: bans, lists, limits.
    ``people``: what is known of people. ``tracing``: takes where each job's time goes.
    ``dispatcher``: has the jobs that aren't over."""

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
        sees: Sees = sees_nothing,
        tracing: Tracing = UNTRACED,
    ) -> None:
        self.database, self.files, self.executor = database, files, executor
        self.limits, self.tracing = limits or Limits(), tracing
        self._on_rendered = on_rendered
        self.dispatcher = Dispatcher(
            database,
            files,
            executor,
            self.limits,
            gate=gate,
            on_rendered=on_rendered,
            converse=converse,
            sees=sees,
            tracing=tracing,
        )
        self.admission = Admission(database, files, self.limits)
        self.admin = Admin(database, self._cancel_all)
        self.people = People(database)
        self._started = False
        self.tasks: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Take up unfinished jobs, start the workers and the dispatcher."""
        paused = await self.database.read(partial(people.read_setting, key="paused"))
        self.dispatcher.waitlist.paused = bool(paused)
        await self.dispatcher.start()
        self._started = True

    async def stop(self, grace: float) -> None:
        """Start nothing more; running jobs may finish within ``grace`` seconds, the rest goes back to the
        queue without an attempt counted; watchers get Paused. Calling it again with 0 cuts a grace time
        short."""
        self._started = False
        await self.dispatcher.stop(grace)
        await asyncio.gather(*self.tasks, return_exceptions=True)

    # Asking

    @_whole
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
        if not self._started:
            raise LimitError("The studio is closing for a moment. Ask again in a minute.")
        before, status, reply = parent or (None, None), Status.QUEUED, reply or Reply()
        job = Job(new_job_id(), request, origin, status, lane, _now(), before[0], before[1], reply=reply)
        check_texts(request)
        problem = await self.admission.problem_with_files(request)
        if problem is None:
            await self.dispatcher.gate(job, False)
        admitted = await self.admission.admit(job, problem, made)
        if admitted.row is None:
            place = self.dispatcher.positions.position(admitted.job.id) or Queued(0)
            return Submitted(admitted.job, place.position, place.eta, duplicate=True)
        note_asked(self.tracing, job)
        if made is not None:
            log.info("job %s was made at once: %s for user %d", job.id, request.kind, origin.user_id)
            self.note_changed(origin.user_id, job.id)
            self.dispatcher.feeds.count(job.id, Rendered())
            self._on_rendered(job.id)
            return Submitted(job, 0)
        log.info("job %s queued: %s for user %d", job.id, request.kind, origin.user_id)
        self.dispatcher.enqueue(admitted.row, served=admitted.served)
        queued = self.dispatcher.positions.announce(job.id) or Queued(0)
        return Submitted(job, queued.position, queued.eta)

    # Watching

    def watch(self, job_id: str, wait: Wait | None = None) -> Watch:
        """The job's events from now on: where it waits whenever that moves, Started, Loading, Progress
        (always the newest), and one terminal event, or Paused when the studio stops. UserError when there is
        no such job. ``wait``: every wait of this watcher goes through it."""
        return Watch(partial(self._find, job_id), wait)

    def news(self, user_id: int, since: int = 0) -> News:
        """What is new about the person's jobs, whatever surface they were asked on, since the point that the
        last news ended at. Cheap: one caller may ask for everybody several times a second."""
        return self.dispatcher.feeds.news(user_id, since)

    @property
    def point(self) -> int:
        """The point that news end at now: rows that are read afterwards, and news since it, miss nothing."""
        return self.dispatcher.feeds.point

    def note_changed(self, user_id: int, *job_ids: str) -> None:
        """Tell the person's news that rows of these jobs were changed elsewhere; without ids, any of them."""
        self.dispatcher.feeds.note(user_id, *job_ids)

    def note_deleted(self, user_id: int, job_ids: Iterable[str]) -> None:
        """Rows of the person's were deleted, these jobs among them: what of them isn't over ends now."""
        for job_id in job_ids:
            if job_id in self.dispatcher.feeds:
                self.dispatcher.forget(job_id, Cancelled())
        self.note_changed(user_id)

    def repeat(self, job_id: str) -> None:
        """Tell those who watch the job its latest event once more."""
        if (feed := self.dispatcher.feeds.get(job_id)) is not None:
            feed.repeat()

    async def _find(self, job_id: str) -> Feed | Event | None:
        feed = self.dispatcher.feeds.get(job_id)
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
        return self.dispatcher.feeds.get(job_id) or ends.get(job.status, Paused())

    # Looking

    async def check_room(self) -> None:
        """Raise LimitError when the disk is too full for anything new."""
        if (full := await self.admission.full_disk()) is not None:
            raise full

    async def snapshot(self, limit: int = 25, guild_id: int | None = None) -> Snapshot:
        """Return the queue now, with the first ``limit`` of those waiting; ``guild_id``: of one server."""
        waitlist = self.dispatcher.waitlist
        beside = sum(_of(one, guild_id) for one in self._waiting(()))
        total = beside + (len(waitlist) if guild_id is None else waitlist.by_guild[guild_id])
        listed = (one for one in self._waiting(waitlist.order(time.monotonic())) if _of(one, guild_id))
        first = [one.job_id for one in itertools.islice(listed, min(limit, total))]
        running = [i for i, live in self.dispatcher.running.items() if _of(live.waiting, guild_id)]
        return await self._view(first, running, total)

    async def mine(self, user_id: int) -> Snapshot:
        """Return the queue now as it concerns one member: their jobs."""
        listed = self._waiting(self.dispatcher.waitlist.of_user(user_id))
        own = [w for w in listed if w.user_id == user_id]

        floor = self.dispatcher.positions.look()

        def place(job_id: str) -> int:  # 0 for one that is being claimed
            queued = self.dispatcher.positions.position(job_id, floor)
            return queued.position if queued else 0

        ids = sorted((w.job_id for w in own[:MINE]), key=place)
        running = [i for i, live in self.dispatcher.running.items() if live.waiting.user_id == user_id]
        return await self._view(ids, running, total=len(own))

    def _waiting(self, listed: Iterable[Waiting]) -> Iterator[Waiting]:
        """Yield the jobs that are being claimed, those that wait beside the list, then those in it."""
        held = (one for one in self.dispatcher.held.values() if one.job_id in self.dispatcher.feeds)
        return itertools.chain((claim.waiting for claim in self.dispatcher.claims), held, listed)

    async def _view(self, waiting: list[str], running: list[str], total: int) -> Snapshot:
        dispatcher = self.dispatcher
        work, jobs = partial(job_queries.read_jobs, ids=(*waiting, *running)), dict[str, Job]()
        if waiting or running:
            jobs = await self.database.read(work, once=True)
        views, floor = [], dispatcher.positions.look()
        for job_id in waiting:
            queued = dispatcher.positions.position(job_id, floor)
            claimed = job_id in dispatcher.claims
            held = job_id in dispatcher.held
            if job_id in jobs and (queued is not None or claimed or held):
                latest = self._latest(job_id) if held else None
                told = latest if isinstance(latest, Queued) else Queued(1, 0.0)
                place, eta = (queued.position, queued.eta) if queued else (1, told.eta)
                why = "" if queued else told.why
                starting, job = queued is not None and queued.starting, jobs[job_id]
                views.append(JobView(job, job.created_at, place, eta, why=why, starting=starting))
        return Snapshot(
            paused=dispatcher.waitlist.paused,
            draining=self.admission.draining,
            running=tuple(
                self._running_view(dispatcher.running[i], jobs.get(i))
                for i in (*running, *waiting)  # some of those that waited may have started during the read
                if i in dispatcher.running and i in dispatcher.feeds
            ),  # a cancelled one may still be stopping
            waiting=tuple(views),
            total_waiting=total,
            devices=tuple(self.executor.devices),
        )

    def _running_view(self, live: ActiveJob, job: Job | None) -> JobView:
        job = job or live.job
        began = job.started_at or job.created_at
        left, latest = self.dispatcher.positions.remaining(live), self._latest(job.id)
        loading = latest if isinstance(latest, Loading) else None
        return JobView(job, began, 0, left, live.progress, live.device, loading=loading)

    def _latest(self, job_id: str) -> Event | None:
        """Return what was told of a job last."""
        feed = self.dispatcher.feeds.get(job_id)
        return None if feed is None else feed.latest

    def picture_seconds(self, model: str | None = None) -> float | None:
        """Return how long an /imagine takes here by an image model that the host has named, None = the
        studio's usual one; None while none was measured."""
        return self.dispatcher.estimate.medians.get(A_PICTURE + (model or ImagineRequest.role))

    def seconds(self, request: Request) -> float | None:
        """Return about how long a request will take of a device, None while nothing like it was measured."""
        return self.dispatcher.estimate.seconds(cost_key(request))

    def usual_seconds(self, kind: str) -> float | None:
        """Return how long the last requests of a kind took, None while none was measured."""
        return self.dispatcher.estimate.medians.get(f"{kind}||")

    @property
    def unfinished(self) -> int:
        """How many jobs wait or run."""
        return len(self.dispatcher.running) + len(self.dispatcher.waitlist)

    @property
    def paused(self) -> bool:
        """Whether nothing starts until it is resumed."""
        return self.dispatcher.waitlist.paused

    def health(self) -> Health:
        """Return whether work moves. Cheap, and waits for nothing."""
        dispatcher, now = self.dispatcher, time.monotonic()
        last = None if dispatcher.last_step is None else now - dispatcher.last_step
        signs = [live.last_sign for live in dispatcher.running.values() if not live.waits_for]
        silence = now - max(min(signs, default=now), dispatcher.last_sign)
        problem, hung = None, silence > HUNG_AFTER
        if hung:
            problem = f"no job gave a sign of life for {silence:.0f} s"
        elif self.database.problem is not None:
            problem = self.database.problem
        elif dispatcher.saving.disk_full:
            problem = "the disk is nearly full"
        elif dispatcher.saving.waits:
            problem = "the store of files can't be reached"
        elif self._started and not any(device.state != "down" for device in self.executor.devices):
            problem = "no worker can be started"
        return Health(problem is None, last, len(dispatcher.running), len(dispatcher.waitlist), problem, hung)

    # The rows of jobs, whether they wait, run or are over

    async def job(self, job_id: str) -> Job | None:
        """Return the job as its row has it now, None when there is none."""
        [found] = await self.database.look_up(partial(job_queries.read_job, job_id=job_id), once=True)
        return found

    async def result(self, job_id: str) -> Result | None:
        """What a finished job made; None while, or if, it made nothing."""
        [found] = await self.database.look_up(partial(job_queries.read_output, job_id=job_id))
        if found is None:
            return None
        return Result.of(*found)

    async def trashed(self, job_id: str) -> frozenset[int]:
        """Return which pictures (from 0) of a job its author has put into the trash."""
        [found] = await self.database.look_up(partial(trashed_positions, job_ids=(job_id,)), once=True)
        return found.get(job_id, frozenset())

    async def undelivered(self) -> list[Job]:
        """Every job asked on Discord whose end nobody was told yet, in order of arrival; after a restart the
        bot goes on watching these."""
        return await self.database.read(job_queries.undelivered)

    async def delivered(
        self, job_id: str, *, message_id: int | None, channel_id: int | None, rung: str
    ) -> bool:
        """Note that the result, or the notice of another end, was sent; False when that was noted before."""
        where = partial(rows.deliver, job_id=job_id, message_id=message_id, channel_id=channel_id)
        return await self.database.write(partial(where, rung=rung, now=_now()), first=True)

    async def remember_message(
        self, job_id: str, message_id: int, channel_id: int, guild_id: int | None
    ) -> bool:
        """Note the message that shows the job. False when there is no such job."""
        where = partial(rows.remember_message, message_id=message_id, channel_id=channel_id)
        work = partial(where, job_id=job_id, guild_id=guild_id, now=_now())
        return await self.database.write(work, first=True)

    async def add_view(
        self, job_id: str, message_id: int, channel_id: int, guild_id: int | None, *, index: int | None = None
    ) -> None:
        """Note one more message that shows a finished job, or its picture ``index`` (from 0) alone."""
        where = partial(rows.add_message, message_id=message_id, channel_id=channel_id, guild_id=guild_id)
        await self.database.write(partial(where, job_id=job_id, index=index, now=_now()))

    async def children(self, job_id: str, index: int) -> int:
        """How many jobs were made from picture ``index`` (from 0) of this one."""
        return await self.database.read(
            partial(job_queries.count_children, job_id=job_id, index=index), once=True
        )

    async def job_of_interaction(self, interaction_id: int) -> Job | None:
        """Return the job that an interaction has made, None when it made none."""
        work = partial(job_queries.of_interaction, interaction_id=interaction_id)
        return await self.database.read(work, once=True)

    async def job_of_message(self, message_id: int) -> tuple[Job, int | None] | None:
        """The job a message shows, and which of its pictures alone (from 0), None = all."""
        return await self.database.read(partial(job_queries.of_message, message_id=message_id), once=True)

    async def last_picture(self, user_id: int) -> tuple[Job, int] | None:
        """The member's newest finished job that made pictures, and the index of its first."""
        job = await self.database.read(partial(job_queries.last_picture, user_id=user_id), once=True)
        return None if job is None else (job, 0)

    # Stopping jobs

    @_whole
    async def cancel(self, job_id: str) -> bool:
        """Stop a waiting or running job, an answer that has begun with what there is of it; False when it was
        over already. Who may, is the caller's to check."""
        if self.dispatcher.stop_answer(job_id):
            log.info("job %s: its answer is stopped", job_id)
            return True
        if not await self.database.write(partial(rows.cancel, job_id=job_id, now=_now())):
            return False
        log.info("job %s cancelled", job_id)
        self.dispatcher.forget(job_id, Cancelled())
        return True

    def run_again(self, job_ids: Iterable[str]) -> None:
        """Let the workers of these jobs begin anew with what the rows say now."""
        for job_id in job_ids:
            self.dispatcher.run_again(job_id)

    # Administering: each writes an audit row in the same transaction

    async def pause(self, actor_id: int) -> None:
        """Start no job until ``resume``, also after a restart. Running ones go on."""
        await self._audited(AuditRow(_now(), actor_id, "pause"), partial(_set_paused, value=True))
        self.dispatcher.waitlist.paused = True
        self.dispatcher.wake()

    async def resume(self, actor_id: int) -> None:
        """End a pause or a drain."""
        await self._audited(AuditRow(_now(), actor_id, "resume"), partial(_set_paused, value=False))
        self.dispatcher.waitlist.paused = self.admission.draining = False
        self.dispatcher.wake()

    async def drain(self, actor_id: int) -> None:
        """Take no new jobs until ``resume`` or the next start; finish what is there."""
        await self._audited(AuditRow(_now(), actor_id, "drain"))
        self.admission.draining = True

    async def clear(self, actor_id: int, user_id: int | None = None, *, guild_id: int | None = None) -> int:
        """Cancel everything that waits, of a user or in a guild if given; how many."""
        row = AuditRow(_now(), actor_id, "clear", guild_id, None if user_id is None else str(user_id))
        whose = partial(rows.cancel_waiting, now=_now(), user_id=user_id, guild_id=guild_id)
        return await self._cancel_all(row, partial(whose, most=CLEARED_AT_ONCE))

    @_whole
    async def _cancel_all(self, row: AuditRow, work: Callable[[sa.Connection], list[str]]) -> int:
        cancelled, count = await self._audited(row, work), 0
        while cancelled:
            for job_id in cancelled:
                self.dispatcher.forget(job_id, Cancelled())
                count += 1
                if count % 50 == 0:
                    await asyncio.sleep(0)
            more = len(cancelled) == CLEARED_AT_ONCE  # doing the same again changes nothing else
            cancelled = await self.database.write(work) if more else []
        return count

    @_whole
    async def move_to_front(self, actor_id: int, job_id: str) -> bool:
        """Before all others, whatever their lane; False when it isn't waiting."""
        row = AuditRow(_now(), actor_id, "move to front", target=job_id)
        place = await self._audited(row, partial(rows.set_front, job_id=job_id))
        if place is None:
            return False
        self.dispatcher.waitlist.move_to_front(job_id, place, time.monotonic())
        self.dispatcher.wake()
        return True

    # Inside

    async def _audited(self, row: AuditRow, work: Callable[[sa.Connection], Any] = lambda _: None) -> Any:
        log.info("%s by user %d, target %s", row.action, row.actor_id, row.target)
        return await self.database.write(audited(row, work))


def _now() -> datetime:
    return datetime.now(UTC)


def _set_paused(connection: sa.Connection, value: bool) -> None:
    if bool(people.read_setting(connection, "paused")) is not value:
        webhooks.note_queue(connection, webhooks.PAUSED if value else webhooks.RESUMED, now=_now())
    people.set_setting(connection, "paused", value)


def _of(waiting: Waiting, guild_id: int | None) -> bool:
    return guild_id is None or waiting.guild_id == guild_id
