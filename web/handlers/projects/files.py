"""Bytes of projects: pictures, charts, labels for other programs, verdicts as a table, bundles."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from core.errors import FilesAway, NotAllowedError, StorageError, UserError
from web.call import Answer, Bytes, Call, Gone, Stream
from web.handlers.projects import found

T = TypeVar("T")


async def picture(call: Call) -> Answer:
    """Return a picture of a project, small as WebP or whole as PNG."""
    whole = call.path["suffix"] == "png"
    name, sha256 = call.path["project"], call.path["sha256"]
    data = await _there(call.studio.projects.pictures.show(call.actor, name, sha256, whole=whole))
    return Bytes(data, "image/png" if whole else "image/webp")


async def mask(call: Call) -> Answer:
    """Return what somebody has painted on a picture of a project, white on black."""
    name, sha256, painted = call.path["project"], call.path["sha256"], call.path["mask"]
    data = await _there(call.studio.projects.labelling.mask(call.actor, name, sha256, painted))
    return Bytes(data, "image/png")


async def chart(call: Call) -> Answer:
    """Return a chart of a version's report."""
    name, number = call.path["project"], int(call.path["version"])
    asked = call.studio.projects.training.chart(call.actor, name, number, call.path["chart"])
    data, media_type = await _there(asked)
    return Bytes(data, media_type)


async def labels(call: Call) -> Answer:
    """Return a project's labels for another program, as a zip file."""
    card, form = await found.card(call), call.path["form"]
    labelling, called = call.studio.projects.labelling, f"{card.project.name}-{form}.zip"
    if call.query.get("pictures") == "1":
        return Stream(labelling.pack(call.actor, card.project.id, form), "application/zip", called)
    data = await labelling.export(call.actor, card.project.id, form)
    return Bytes(data, "application/zip", name=called)


async def table(call: Call) -> Answer:
    """Return what was said of each picture of a job, as a table."""
    data = await _there(call.studio.projects.trying.table(call.actor, call.path["job"]), of_job=True)
    return Bytes(data, "text/csv; charset=utf-8", name=f"verdicts-{call.path['job']}.csv")


async def bundle(call: Call) -> Answer:
    """Return the file by which a version runs elsewhere."""
    files = await _there(call.studio.projects.trying.files(call.actor, call.path["job"]), of_job=True)
    if not files:
        raise Gone()
    stored, data = files[0]
    return Bytes(data, stored.media_type, name=stored.name)


async def _there(asked: Awaitable[T], *, of_job: bool = False) -> T:
    """Return bytes; what the person may not see looks like what never was. of_job: one who knows of the job,
    but may not look at it any more, is told so."""
    try:
        return await asked
    except FilesAway:
        raise
    except (UserError, StorageError) as error:
        if of_job and isinstance(error, NotAllowedError):
            raise
        raise Gone() from error
