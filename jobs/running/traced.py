"""The spans of a job that its queue knows of."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager

from core.job import Job
from core.tracing import Tracing, time_of
from jobs.active import ActiveJob

ASKING = 60.0  # seconds from Discord's interaction to us that are believed: its clock and ours may differ


def note_asked(tracing: Tracing, job: Job) -> None:
    """Begin the trace of a job whose row is written just now, with Discord's interaction if it was asked by
    one."""
    asked = came = job.created_at.timestamp()
    if job.reply.interaction_id is not None:
        came = time_of(job.reply.interaction_id)
    if not 0 < asked - came < ASKING:
        came = asked
    tracing.begin(job.id, came)
    if came < asked:
        tracing.note(job.id, "interaction", came, asked)
    told = {"kind": job.request.kind, "lane": job.lane.value, "surface": job.origin.surface.value}
    tracing.note(job.id, "admit", asked, time.time(), **told)


def note_waited(tracing: Tracing, job: Job) -> None:
    """Take the wait of a job that was claimed for the first time."""
    if job.attempts == 1 and job.started_at is not None:
        waited = job.created_at.timestamp(), job.started_at.timestamp()
        tracing.note(job.id, "wait", *waited, lane=job.lane.value)


def running(tracing: Tracing, live: ActiveJob) -> AbstractContextManager[str]:
    """Take the block for a job's run on its device; give its ``traceparent``."""
    return tracing.span(live.job.id, "run", device=live.device, attempt=live.job.attempts)
