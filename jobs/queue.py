"""The queue as the rest of the program sees it: ask, watch, cancel, look, administer. The rows are the
truth."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sa

from core.errors import ImageError, LimitError, UserError
from core.events import Cancelled, Event, Failed, Paused, Rendered
from core.job import Job, Lane, Origin, Reply, Status, new_job_id
from core.requests import Request
from jobs import policy
from jobs.dispatcher import Dispatcher, Gate, Live, open_gate
from jobs.executor import Executor
from jobs.feed import Feed, News, Wait, Watch
from jobs.policy import Limits
from jobs.views import Health, JobView, Result, Snapshot, Submitted
from storage import admission, people, privacy, records
from storage import jobs as rows
from storage.database import Database
from storage.files import Files
from storage.jobs import WaitingRow
from storage.people import RoleLimit
from storage.records import AuditRow

SEEN_AGAIN, SEEN_AT_MOST = 3600.0, 10_000  # s, people
DISK_KNOWN = 1.0  # s for which a look at the disk holds
HUNG_AFTER = 900.0  # s without a finished step, while there is work and a device for it
log = logging.getLogger(__name__)
T = TypeVar("T")


class Queue:
    """Built beside the bot and started before it. ``gate``: asked before a job is written and again before it
    runs, whatever way it came."""

    def __init__(
        self,
        database: Database,
        files: Files,
        executor: Executor,
        limits: Limits | None = None,
        *,
        gate: Gate = open_gate,
    ) -> None:
        self.database, self.files, self.executor = database, files, executor
        self.limits = limits or Limits()
        self.draining = False
        self._dispatcher = Dispatcher(database, files, executor, self.limits, gate)
        self._started = False
        self._seen: dict[int, tuple[str, float]] = {}  # user → name, monotonic seconds
        self._disk_had_room = -DISK_KNOWN  # monotonic seconds
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
    ) -> Submitted:
        """Queue a request; the same interaction, request key or unfinished button press again gives the same
        job. ``reply``: where Discord's delivery sends the answer.
        LimitError, NotAllowedError or UserError says in plain words, with the limit, why not."""
        return await self._whole(self._submit(request, origin, reply or Reply(), lane, parent))

    async def _submit(
        self, request: Request, origin: Origin, reply: Reply, lane: Lane, parent: tuple[str, int] | None
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
        problem = await self._problem_with_files(request)
        if problem is None:
            await self._dispatcher.gate(job, False)
        found, row, served = await self.database.write(partial(self._admit, job, problem))
        if row is None:
            return await self._duplicate(found)
        self._dispatcher.enqueue(row, served=served)
        queued = self._dispatcher.announce(job.id)
        log.info("job %s queued: %s for user %d", job.id, request.kind, origin.user_id)
        return Submitted(job, queued.position, queued.eta)

    def _admit(
        self, job: Job, problem: UserError | None, connection: sa.Connection
    ) -> tuple[Job, WaitingRow | None, int]:
        """In one transaction: known already, allowed, within the limits, written. No row for a duplicate."""
        known = admission.facts(connection, job)
        if known.same_id is not None and (same := rows.get(connection, known.same_id)) is not None:
            return same, None, 0
        if self.draining:
            raise LimitError(
                "The studio takes no new jobs at the moment; what is waiting will be finished. Try again"
                " later."
            )
        if problem is not None:
            raise problem
        allowed = policy.allowance(self.limits, known.rules.role_limits)
        policy.admit(
            job.origin,
            known.rules,
            allowed,
            self.limits,
            user_waiting=known.user_waiting,
            guild_waiting=known.guild_waiting,
        )
        if job.parent_id is not None and not known.has_parent:
            raise UserError("The job it comes from is gone.")
        cost_key = policy.cost_key(job.request)
        row = rows.add(connection, job, cost_key=cost_key, max_running=allowed.user_running)
        return job, row, known.served

    async def _problem_with_files(self, request: Request) -> UserError | None:
        now = time.monotonic()
        if not request.pictures and now - self._disk_had_room < DISK_KNOWN:
            return None
        free = await asyncio.to_thread(self.files.free_bytes)
        if free < self.limits.disk_floor:
            return LimitError(
                f"The studio's disk is nearly full (less than {self.limits.disk_floor // 10**6} MB free). "
                "Please tell the host; nothing was queued."
            )
        self._disk_had_room = now
        if not await asyncio.to_thread(lambda: all(self.files.exists(sha256) for sha256 in request.pictures)):
            return ImageError("That picture is gone. Attach it again.")
        return None

    async def _duplicate(self, job: Job) -> Submitted:
        queued = self._dispatcher.position(job.id)
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

    def note_changed(self, user_id: int, *job_ids: str) -> None:
        """Tell the person's news that rows of these jobs were changed elsewhere; without ids, any of them."""
        self._dispatcher.feeds.note(user_id, *job_ids)

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
        ends = {
            Status.FAILED: Failed(job.error or ""),
            Status.CANCELLED: Cancelled(),
            Status.RENDERED: Rendered(),
            Status.DELIVERED: Rendered(),
        }
        return self._dispatcher.feeds.get(job_id) or ends.get(job.status, Paused())

    async def job(self, job_id: str) -> Job | None:
        return await self.database.read(partial(rows.get, job_id=job_id), once=True)

    async def result(self, job_id: str) -> Result | None:
        """What a finished job made; None while, or if, it made nothing."""
        found = await self.database.read(partial(rows.output, job_id=job_id))
        if found is None:
            return None
        job, output = found
        return Result(
            job, output.pictures, output.grid, output.captions, output.scores, output.parameters or {}
        )

    async def undelivered(self) -> list[Job]:
        """Every job asked on Discord whose end nobody was told yet, in order of arrival; after a restart the
        bot goes on watching these."""
        return await self.database.read(rows.undelivered)

    async def delivered(
        self, job_id: str, *, message_id: int | None, channel_id: int | None, rung: str
    ) -> bool:
        """The result, or the notice of a failed or cancelled job, was sent. False when that had been noted
        before."""
        return await self.database.write(
            partial(
                rows.deliver,
                job_id=job_id,
                message_id=message_id,
                channel_id=channel_id,
                rung=rung,
                now=_now(),
            ),
            first=True,
        )

    async def remember_message(
        self, job_id: str, message_id: int, channel_id: int, guild_id: int | None
    ) -> bool:
        """Note the message that shows the job. False when there is no such job."""
        return await self.database.write(
            partial(
                rows.remember_message,
                job_id=job_id,
                message_id=message_id,
                channel_id=channel_id,
                guild_id=guild_id,
                now=_now(),
            ),
            first=True,
        )

    async def add_view(
        self, job_id: str, message_id: int, channel_id: int, guild_id: int | None, *, index: int | None = None
    ) -> None:
        """Note one more message that shows a finished job, or its picture ``index`` (from 0) alone."""
        await self.database.write(
            partial(
                rows.add_view,
                job_id=job_id,
                message_id=message_id,
                channel_id=channel_id,
                guild_id=guild_id,
                index=index,
                now=_now(),
            )
        )

    async def children(self, job_id: str, index: int) -> int:
        """How many jobs were made from picture ``index`` (from 0) of this one."""
        return await self.database.read(partial(rows.children, job_id=job_id, index=index), once=True)

    async def job_of_interaction(self, interaction_id: int) -> Job | None:
        return await self.database.read(
            partial(rows.of_interaction, interaction_id=interaction_id), once=True
        )

    async def job_of_message(self, message_id: int) -> tuple[Job, int | None] | None:
        """The job a message shows, and which of its pictures alone (from 0), None = all."""
        return await self.database.read(partial(rows.of_message, message_id=message_id), once=True)

    async def places(self, job_id: str) -> set[tuple[int | None, int]]:
        """(guild or None, channel) of every message that shows the job."""
        return await self.database.read(partial(rows.places, job_id=job_id), once=True)

    async def last_picture(self, user_id: int) -> tuple[Job, int] | None:
        """The member's newest finished job that made pictures, and the index of its first."""
        job = await self.database.read(partial(rows.last_picture, user_id=user_id), once=True)
        return None if job is None else (job, 0)

    async def recent_prompts(self, user_id: int, prefix: str, limit: int = 25) -> list[str]:
        """The member's own prompts that start with ``prefix``, newest first."""
        return await self.database.read(
            partial(rows.recent_prompts, user_id=user_id, prefix=prefix, limit=limit), once=True
        )

    # Looking

    async def snapshot(self, limit: int = 25) -> Snapshot:
        """The queue now, with the first ``limit`` of those waiting."""
        order = list(self._dispatcher.waitlist.order(time.monotonic()))[:limit]
        return await self._view([waiting.job_id for waiting in order], list(self._dispatcher.running))

    async def mine(self, user_id: int) -> Snapshot:
        """The same, of one member's jobs."""
        own = self._dispatcher.waitlist.of_user(user_id)
        places = {w.job_id: self._dispatcher.position(w.job_id) for w in own[:100]}
        ids = sorted(places, key=lambda job_id: places[job_id].position)
        running = [
            job_id for job_id, live in self._dispatcher.running.items() if live.waiting.user_id == user_id
        ]
        return await self._view(ids, running, total=len(own))

    async def _view(self, waiting: list[str], running: list[str], total: int | None = None) -> Snapshot:
        dispatcher = self._dispatcher
        jobs = await self.database.read(partial(rows.get_many, ids=[*waiting, *running]), once=True)
        views = []
        for job_id in waiting:
            queued = dispatcher.position(job_id)
            if queued is not None and job_id in jobs:
                views.append(JobView(jobs[job_id], jobs[job_id].created_at, queued.position, queued.eta))
        return Snapshot(
            paused=dispatcher.paused,
            draining=self.draining,
            running=tuple(
                self._running_view(dispatcher.running[i], jobs.get(i))
                for i in running
                if i in dispatcher.running and i in dispatcher.feeds
            ),  # a cancelled one may still be stopping
            waiting=tuple(views),
            total_waiting=len(dispatcher.waitlist) if total is None else total,
            devices=tuple(self.executor.devices),
        )

    def _running_view(self, live: Live, job: Job | None) -> JobView:
        job = job or live.job
        return JobView(
            job,
            job.started_at or job.created_at,
            0,
            self._dispatcher.remaining(live),
            live.progress,
            live.device,
        )

    @property
    def unfinished(self) -> int:
        """How many jobs wait or run."""
        return len(self._dispatcher.running) + len(self._dispatcher.waitlist)

    @property
    def steps(self) -> int:
        """Steps finished since the start, on all devices."""
        return self._dispatcher.steps

    def depth(self, lane: Lane) -> int:
        """Waiting jobs in a lane."""
        return sum(waiting.lane is lane for waiting in self._dispatcher.waitlist)

    def health(self) -> Health:
        """Cheap, and waits for nothing."""
        dispatcher, now = self._dispatcher, time.monotonic()
        last = None if dispatcher.last_step is None else now - dispatcher.last_step
        oldest = min((live.began for live in dispatcher.running.values()), default=now)
        problem = None
        if dispatcher.running and now - max(oldest, dispatcher.last_step or 0.0) > HUNG_AFTER:
            problem = f"no step was finished for {now - max(oldest, dispatcher.last_step or 0.0):.0f} s"
        elif dispatcher.disk_full:
            problem = "the disk is nearly full"
        elif self._started and not any(device.state != "down" for device in self.executor.devices):
            problem = "no worker can be started"
        return Health(problem is None, last, len(dispatcher.running), len(dispatcher.waitlist), problem)

    # Stopping jobs

    async def cancel(self, job_id: str) -> bool:
        """Stop a waiting or running job; False when it was over already. Who may, is the caller's to
        check."""
        return await self._whole(self._cancel(job_id))

    async def _cancel(self, job_id: str) -> bool:
        if not await self.database.write(partial(rows.cancel, job_id=job_id, now=_now())):
            return False
        log.info("job %s cancelled", job_id)
        self._dispatcher.forget(job_id, Cancelled())
        return True

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
        self._dispatcher.paused = self.draining = False
        self._dispatcher.wake()

    async def drain(self, actor_id: int) -> None:
        """Take no new jobs until ``resume`` or the next start; finish what is there."""
        await self._audited(AuditRow(_now(), actor_id, "drain"))
        self.draining = True

    async def clear(self, actor_id: int, user_id: int | None = None, *, guild_id: int | None = None) -> int:
        """Cancel everything that waits, of a user or in a guild if given; how many."""
        row = AuditRow(_now(), actor_id, "clear", guild_id, None if user_id is None else str(user_id))
        return await self._whole(
            self._clear(row, partial(rows.cancel_waiting, now=_now(), user_id=user_id, guild_id=guild_id))
        )

    async def _clear(self, row: AuditRow, work: Callable[..., list[str]]) -> int:
        cancelled = await self._audited(row, work)
        for count, job_id in enumerate(cancelled, 1):
            self._dispatcher.forget(job_id, Cancelled())
            if count % 200 == 0:
                await asyncio.sleep(0)
        return len(cancelled)

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

    async def ban(self, actor_id: int, user_id: int, guild_id: int | None = None) -> int:
        """Take nothing more from a user in a guild (None: anywhere), and cancel what of theirs waits there;
        how many."""
        row = AuditRow(_now(), actor_id, "ban", guild_id, str(user_id))

        def work(connection: sa.Connection) -> list[str]:
            people.ban(connection, user_id, guild_id, actor_id=actor_id, now=row.at)
            return rows.cancel_waiting(connection, now=row.at, user_id=user_id, guild_id=guild_id)

        return await self._whole(self._clear(row, work))

    async def unban(self, actor_id: int, user_id: int, guild_id: int | None = None) -> bool:
        row = AuditRow(_now(), actor_id, "unban", guild_id, str(user_id))
        return await self._audited(row, partial(people.unban, user_id=user_id, guild_id=guild_id))

    async def banned(self, guild_id: int | None) -> list[int]:
        """Users banned in the guild (None: everywhere)."""
        return await self.database.read(partial(people.banned, guild_id=guild_id), once=True)

    async def barred(self, user_id: int, guild_id: int | None) -> bool:
        """Whether the user may ask for nothing there: banned in the guild, or everywhere."""
        return (
            await self.database.read(partial(people.rules, user_id=user_id, guild_id=guild_id), once=True)
        ).banned

    async def allow(self, actor_id: int, guild_id: int, kind: str, target_id: int) -> None:
        """Put a channel or role (``kind``) on the guild's list; once a list has an entry, only what is on it
        may be used."""
        row = AuditRow(_now(), actor_id, f"allow {kind}", guild_id, str(target_id))
        await self._audited(row, partial(people.allow, guild_id=guild_id, kind=kind, target_id=target_id))

    async def disallow(self, actor_id: int, guild_id: int, kind: str, target_id: int) -> bool:
        """Take it off the list; an empty list allows everything."""
        row = AuditRow(_now(), actor_id, f"disallow {kind}", guild_id, str(target_id))
        return await self._audited(
            row, partial(people.disallow, guild_id=guild_id, kind=kind, target_id=target_id)
        )

    async def allowed(self, guild_id: int) -> tuple[frozenset[int], frozenset[int]]:
        """The guild's allow lists: channels, roles."""
        found = await self.database.read(partial(people.rules, user_id=0, guild_id=guild_id), once=True)
        return found.channels, found.roles

    async def set_role_limit(self, actor_id: int, guild_id: int, limit: RoleLimit) -> None:
        """Give members with a role limits of their own; who has several such roles has the best of each."""
        detail = {"user_running": limit.user_running, "user_waiting": limit.user_waiting}
        row = AuditRow(_now(), actor_id, "set role limit", guild_id, str(limit.role_id), detail)
        await self._audited(row, partial(people.set_role_limit, guild_id=guild_id, limit=limit))

    async def remove_role_limit(self, actor_id: int, guild_id: int, role_id: int) -> bool:
        row = AuditRow(_now(), actor_id, "remove role limit", guild_id, str(role_id))
        return await self._audited(row, partial(people.remove_role_limit, guild_id=guild_id, role_id=role_id))

    async def audit(self, limit: int = 50) -> list[AuditRow]:
        """What admins did, newest first."""
        return await self.database.read(partial(records.audit_rows, limit=limit), once=True)

    # People

    async def user_seen(self, user_id: int, name: str) -> None:
        """Written once an hour at most, unless the name is another."""
        known, at = self._seen.get(user_id, ("", 0.0))
        if known == name and time.monotonic() - at < SEEN_AGAIN:
            return
        if len(self._seen) >= SEEN_AT_MOST:
            self._seen.clear()
        self._seen[user_id] = name, time.monotonic()
        await self.database.write(partial(people.user_seen, user_id=user_id, name=name, now=_now()))

    async def guild_seen(self, guild_id: int, name: str) -> None:
        await self.database.write(partial(people.guild_seen, guild_id=guild_id, name=name, now=_now()))

    async def user_flag(self, user_id: int, key: str) -> Any:
        """A small setting of the user, None when it was never set."""
        return await self.database.read(partial(people.flag, user_id=user_id, key=key), once=True)

    async def set_user_flag(self, user_id: int, key: str, value: Any) -> None:
        """``value``: anything JSON takes; None removes it."""
        await self.database.write(partial(people.set_flag, user_id=user_id, key=key, value=value))

    async def note_upload(self, user_id: int, sha256: str) -> None:
        """The member has sent this file."""
        await self.database.write(partial(privacy.note_upload, user_id=user_id, sha256=sha256, now=_now()))

    async def has_sent(self, user_id: int, sha256: str) -> bool:
        """Whether the member has sent this file."""
        return await self.database.read(partial(privacy.sent, user_id=user_id, sha256=sha256), once=True)

    # Inside

    async def _audited(self, row: AuditRow, work: Callable[..., Any] | None = None) -> Any:
        def both(connection: sa.Connection) -> Any:
            records.add_audit(connection, row)
            return work(connection) if work is not None else None

        log.info("%s by user %d, target %s", row.action, row.actor_id, row.target)
        return await self.database.write(both)

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
    """A caller that was cancelled never sees it."""
    if not task.cancelled():
        task.exception()
