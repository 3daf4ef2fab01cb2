"""Runs that go on at other machines although the process that began them has ended: found, and taken up
as they are."""

from __future__ import annotations

from datetime import UTC, datetime
from time import monotonic  # by name: the sandbox's simulator stops the module's clock for the bot's tasks

from jobs.active import ActiveJob
from jobs.executor import Executor, Lease
from jobs.order.fairness import Waiting
from storage import job_queries
from storage.database import Database
from storage.job_queries import RunningRow, WaitingRow


async def going_on(database: Database, executor: Executor) -> list[RunningRow]:
    """Return those running jobs that an executor still has from an earlier process."""
    known = await database.read(job_queries.running)
    leases = [Lease(one.job.id, one.token, one.device) for one in known]
    kept = set(await executor.take_up(leases)) if leases else set()
    return [one for one in known if one.job.id in kept]


def adopted(row: RunningRow, cost: int) -> ActiveJob:
    """Return a job that goes on, as if this process had begun it. cost: what it was counted as."""
    waiting, started = waiting_of(row.waiting), row.job.started_at or row.job.created_at
    before = max(0.001, (datetime.now(UTC) - started).total_seconds())
    return ActiveJob(row.job, waiting, row.token, row.device, monotonic() - before, cost, before=before)


def waiting_of(row: WaitingRow) -> Waiting:
    """Return a job as ordering sees it."""
    age = max(0.0, (datetime.now(UTC) - row.created_at).total_seconds())  # asked once: the clock may jump
    return Waiting(
        row.id,
        row.seq,
        row.user_id,
        row.guild_id,
        row.lane,
        row.cost_key,
        row.max_running,
        monotonic() - age,
        row.front,
        alone=row.attempts > 0 or row.cut_off > 1,
    )
