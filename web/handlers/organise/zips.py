"""Pictures as one file to keep: those that are named, those of a job, or those of a folder."""

from __future__ import annotations

from datetime import UTC, datetime

from core.errors import ImageError, NotAllowedError
from storage.collections import Named
from storage.gallery import MOST
from studio.library.downloads import MOST_PICTURES
from web.call import Answer, Call, Gone, Stream
from web.fields import chosen_of
from web.handlers import gallery


async def chosen(call: Call) -> Answer:
    """Send the pictures that a form names."""
    return _sent(call, chosen_of(call.body))


async def found(call: Call) -> Answer:
    """Send the pictures of the job or the folder that the address names."""
    if "job" in call.query:
        try:
            seen = await call.studio.gallery.look(call.actor, call.query["job"])
        except (ImageError, NotAllowedError) as error:  # neither tells whether there is such a job
            raise Gone() from error
        return _sent(call, [(seen.job.id, one.index) for one in seen.result.pictures] if seen.result else [])
    if "folder" in call.query:
        return _sent(call, await _in_folder(call))
    raise Gone()


async def _in_folder(call: Call) -> list[Named]:
    """Return the pictures of a folder, at most one more than a file holds."""
    names: list[Named] = []
    while len(names) <= MOST_PICTURES:
        page = await gallery.find(call, MOST, len(names))
        names += [(tile["job"], tile["n"] - 1) for tile in page.pictures]
        if page.older is None:
            break
    return names


def _sent(call: Call, names: list[Named]) -> Stream:
    name = f"atelier-{datetime.now(UTC):%Y-%m-%d}.zip"
    return Stream(call.studio.organise.zips.pack(call.actor, names), "application/zip", name)
