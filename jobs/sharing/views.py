"""How the queue stands, as the leader tells it and as whoever asked shows it; by the rows alone where nobody
tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from core.job import Job
from jobs.sharing.messages import Runs, View, Waits
from jobs.views import JobView, Snapshot
from storage.several.unfinished import Standing, Unfinished


def told(snapshot: Snapshot) -> View:
    """Return what the leader tells of its queue; no previews."""
    return View(
        snapshot.total_waiting,
        [Waits(one.job.id, one.position, one.eta) for one in snapshot.waiting],
        [
            Runs(
                one.job.id,
                one.eta,
                None if one.progress is None else replace(one.progress, preview=None),
                one.device,
            )
            for one in snapshot.running
        ],
        list(snapshot.devices),
    )


def shown(view: View, jobs: Mapping[str, Job], standing: Standing) -> Snapshot:
    """Return what the leader has told, with the jobs' rows."""
    return Snapshot(
        standing.paused,
        standing.draining,
        tuple(
            JobView(job, job.started_at or job.created_at, 0, one.eta, one.progress, one.device)
            for one in view.running
            if (job := jobs.get(one.id)) is not None
        ),
        tuple(
            JobView(job, job.created_at, one.position, one.eta)
            for one in view.waiting
            if (job := jobs.get(one.id)) is not None
        ),
        view.total,
        tuple(view.devices),
    )


def by_rows(standing: Standing, limit: int, guild_id: int | None, user_id: int | None) -> View:
    """Return what the rows alone say: no places, no times, no devices."""

    def counts(one: Unfinished) -> bool:
        return guild_id in (None, one.guild_id) and user_id in (None, one.user_id)

    mine = [(job_id, one) for job_id, one in standing.jobs.items() if counts(one)]
    waiting = [(one.seq, job_id) for job_id, one in mine if not one.runs]
    first = [Waits(job_id, 0) for _, job_id in sorted(waiting)[:limit]]
    return View(len(waiting), first, [Runs(job_id) for job_id, one in mine if one.runs], [])
