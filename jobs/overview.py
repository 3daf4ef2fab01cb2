"""The queue as it stands: who runs, who waits, whether work moves."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial

from core.job import Job
from jobs.active import ActiveJob
from jobs.admission import Admission
from jobs.executor import Executor
from jobs.order.fairness import Waiting
from jobs.running.dispatcher import Dispatcher
from jobs.views import Health, JobView, Snapshot
from storage import lookup
from storage.database import Database

HUNG_AFTER = 900.0  # s without a sign of life, while a device has work
MINE = 100  # waiting jobs of one member that are shown


class Overview:
    """Looks at the dispatcher and changes nothing."""

    def __init__(
        self, database: Database, executor: Executor, dispatcher: Dispatcher, admission: Admission
    ) -> None:
        self._database, self._executor = database, executor
        self._dispatcher, self._admission = dispatcher, admission

    async def snapshot(self, limit: int, guild_id: int | None = None) -> Snapshot:
        """Return the queue now, with the first ``limit`` of those waiting; ``guild_id``: of one server."""
        order = [
            w for w in self._waiting(self._dispatcher.waitlist.order(time.monotonic())) if _of(w, guild_id)
        ]
        running = [i for i, live in self._dispatcher.running.items() if _of(live.waiting, guild_id)]
        return await self._view([w.job_id for w in order[:limit]], running, total=len(order))

    async def mine(self, user_id: int) -> Snapshot:
        """Return the same of one member's jobs."""
        listed = self._waiting(self._dispatcher.waitlist.of_user(user_id))
        own = [w for w in listed if w.user_id == user_id]
        ids = sorted((w.job_id for w in own[:MINE]), key=self._place)
        running = [
            job_id for job_id, live in self._dispatcher.running.items() if live.waiting.user_id == user_id
        ]
        return await self._view(ids, running, total=len(own))

    def _waiting(self, listed: Iterable[Waiting]) -> list[Waiting]:
        """Return the jobs that are being claimed, then those in the list."""
        return [*(claim.waiting for claim in self._dispatcher.claims), *listed]

    def _place(self, job_id: str) -> int:
        """Return the place of a job that waits; 0 for one that is being claimed."""
        queued = self._dispatcher.positions.position(job_id)
        return queued.position if queued else 0

    async def _view(self, waiting: list[str], running: list[str], total: int) -> Snapshot:
        dispatcher = self._dispatcher
        jobs = await self._database.read(partial(lookup.get_many, ids=[*waiting, *running]), once=True)
        views = []
        for job_id in waiting:
            queued = dispatcher.positions.position(job_id)
            claimed = job_id in dispatcher.claims
            if job_id in jobs and (queued is not None or claimed):
                place, eta = (queued.position, queued.eta) if queued else (1, 0.0)
                views.append(JobView(jobs[job_id], jobs[job_id].created_at, place, eta))
        return Snapshot(
            paused=dispatcher.paused,
            draining=self._admission.draining,
            running=tuple(
                self._running_view(dispatcher.running[i], jobs.get(i))
                for i in (*running, *waiting)  # some of those that waited may have started during the read
                if i in dispatcher.running and i in dispatcher.feeds
            ),  # a cancelled one may still be stopping
            waiting=tuple(views),
            total_waiting=total,
            devices=tuple(self._executor.devices),
        )

    def _running_view(self, live: ActiveJob, job: Job | None) -> JobView:
        job = job or live.job
        began = job.started_at or job.created_at
        return JobView(job, began, 0, self._dispatcher.positions.remaining(live), live.progress, live.device)

    def health(self, *, started: bool) -> Health:
        """Return whether work moves. Cheap, and waits for nothing."""
        dispatcher, now = self._dispatcher, time.monotonic()
        last = None if dispatcher.last_step is None else now - dispatcher.last_step
        signs = [live.last_sign for live in dispatcher.running.values() if not live.waits_for]
        silence = now - max(min(signs, default=now), dispatcher.last_sign)
        problem, hung = None, silence > HUNG_AFTER
        if hung:
            problem = f"no job gave a sign of life for {silence:.0f} s"
        elif self._database.problem is not None:
            problem = self._database.problem
        elif dispatcher.saving.disk_full:
            problem = "the disk is nearly full"
        elif dispatcher.saving.waits:
            problem = "the store of files can't be reached"
        elif started and not any(device.state != "down" for device in self._executor.devices):
            problem = "no worker can be started"
        return Health(problem is None, last, len(dispatcher.running), len(dispatcher.waitlist), problem, hung)


def _of(waiting: Waiting, guild_id: int | None) -> bool:
    return guild_id is None or waiting.guild_id == guild_id
