"""What pages of pictures offer of organising them: folders to put one into, the form that makes a link."""

from __future__ import annotations

from typing import Any

from core.job import Job
from web.call import Call

LASTS = (1, 7, 30, 90)  # days to choose from, beside the host's own


async def folders(call: Call, job: Job) -> list[dict[str, Any]]:
    """Return the folders that a picture can be put into: the author's own that aren't smart."""
    if job.origin.user_id != call.actor.user_id:
        return []
    found = await call.studio.organise.folders.all(call.actor)
    return [
        {"id": folder.id, "name": folder.name, "links": folder.links}
        for folder in found
        if folder.query is None
    ]


def share(call: Call, **what: Any) -> dict[str, Any] | None:
    """Return what the form to share something needs, None where nothing is shared. what: its fields."""
    days = call.studio.organise.shares.days
    return {"what": what, "days": days, "choices": sorted({*LASTS, days})} if days else None
