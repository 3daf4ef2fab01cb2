"""What a project's model says of pictures: asked, shown, and told when it is wrong."""

from __future__ import annotations

from typing import Any

from core.job import Job, Status
from jobs.views import Result
from web.call import Call
from web.handlers import talks
from web.handlers.projects import shapes

NAMED = 5  # labels of a verdict that are shown


def page_of(project_id: str, job_id: str) -> str:
    """Return where a job's verdicts are shown."""
    return f"/projects/{project_id}/try#job-{job_id}"


async def of_job(call: Call, job_id: str) -> list[dict[str, Any]]:
    """Return a job's verdicts, in the order of its pictures."""
    judged = await call.studio.projects.trying.judged(call.actor, job_id)
    seen = await call.studio.gallery.look(call.actor, job_id)
    said = list(seen.result.parameters.get("verdicts", ())) if seen.result else []
    shown = []
    for one in judged:
        told = said[one.position] if one.position < len(said) else {}
        thumb = await talks.thumb(call, seen.job, one.sha256)
        shown.append(shapes.verdict(one, told, thumb))
    return shown


async def tried(call: Call, job: Job, result: Result | None) -> dict[str, Any]:
    """Return a try as its page shows it. map: where the pictures with their heat maps are."""
    chart = result.grid if result else None
    return {
        "id": job.id,
        "created": job.created_at.isoformat(),
        "over": job.status.over,
        "cancelled": job.status is Status.CANCELLED,
        "error": job.error,
        "count": len(job.request.pictures),
        "map": chart and {"src": f"/files/{job.id}/0", "width": chart.width, "height": chart.height},
        "verdicts": await of_job(call, job.id) if result else [],
        "notes": list(result.parameters.get("notes", ())) if result else [],
    }
