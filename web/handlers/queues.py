"""The queues of servers that the person manages, as ``/queue show`` on Discord has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.job import NOBODY
from jobs.queue import JobView
from studio.admin import ServerQueue
from studio.requests.prompts import remix_text
from web.call import Answer, Call, Json


async def managed(call: Call) -> Answer:
    """Return what runs and waits in the servers that the person manages, none for anybody else."""
    return Json({"queues": await values(call)})


async def values(call: Call) -> list[dict[str, Any]]:
    """Return each queue as pages read it."""
    return [_queue(queue) for queue in await call.studio.server.queues(call.actor)]


def _queue(queue: ServerQueue) -> dict[str, Any]:
    snapshot = queue.snapshot
    return {
        "name": queue.server or "The whole studio",
        "paused": snapshot.paused,
        "draining": snapshot.draining,
        "running": len(snapshot.running),
        "waiting": snapshot.total_waiting,
        "more": snapshot.total_waiting - len(snapshot.waiting),
        "jobs": [_row(view, queue.names) for view in snapshot.jobs],
        "devices": [
            {"name": device.name, "state": device.state, "problem": device.problem}
            for device in snapshot.devices
        ],
    }


def _row(view: JobView, names: Mapping[int, str]) -> dict[str, Any]:
    """Return a live job for somebody who manages its queue: of a private one no words."""
    job, progress = view.job, view.progress
    return {
        "id": job.id,
        "kind": job.request.kind,
        "prompt": "" if job.origin.private else remix_text(job),
        "private": job.origin.private,
        "who": _who(job.origin.user_id, names),
        "since": view.since.isoformat(),
        "position": view.position,
        "eta": view.eta,
        "percent": None if progress is None else round(100 * progress.step / max(1, progress.total)),
        "device": view.device,
    }


def _who(user_id: int, names: Mapping[int, str]) -> str:
    """Return who asked for a job: somebody by their name where it is known, or the studio itself."""
    return "The studio itself" if user_id == NOBODY else names.get(user_id, f"Member {user_id}")
