"""Bytes of pictures: originals, small copies, previews. Each is checked against its job, like everything."""

from __future__ import annotations

from http import HTTPStatus

from core.errors import FilesAway, ImageError, NotAllowedError, StorageError
from studio.library.rendition import SIZES, Shown
from studio.moderation.rules import Visibility
from web.call import Answer, Bytes, Call, File, Gone, Refused
from web.fields import number_of

LIMIT = 2**31  # bytes of an original; a browser takes any
GIF_LIMIT = 25 * 2**20  # bytes
EXTENSIONS = {"image/png": "png", "image/webp": "webp", "image/jpeg": "jpg", "image/gif": "gif"}
STARTS = {b"\x89PNG": "image/png", b"\xff\xd8": "image/jpeg", b"GIF8": "image/gif"}
BLOCKED = "This picture isn't fit to be shown here."


async def original(call: Call) -> Answer:
    """Return a picture as it was made, with the marks that the host wants; number 0 is a job's chart."""
    job_id, number = call.path["job"], _number(call)
    if number:
        shown = await _found(call.studio.picture(call.actor, job_id, number - 1, LIMIT))
    else:
        shown = await _found(call.studio.gallery.chart(call.actor, job_id, LIMIT))
    name = f"{job_id}-{number}.{EXTENSIONS[shown.media_type]}" if call.query.get("download") == "1" else None
    return Bytes(_data(shown), shown.media_type, await call.studio.gallery.is_own(call.actor, job_id), name)


async def small(call: Call) -> Answer:
    """Return a small copy of a picture; number 0 is a job's chart. A spoiler is blurred until ?plain=1."""
    side = int(call.path["side"])
    if side not in SIZES:
        raise Gone()
    number = _number(call)
    veiled = call.query.get("plain") != "1"
    job_id = call.path["job"]
    found = call.studio.gallery.thumbnail(call.actor, job_id, number - 1, side, veiled=veiled)
    shown = await _found(found)
    keep = shown.visibility is Visibility.SHOW and await call.studio.gallery.is_own(call.actor, job_id)
    return Bytes(_data(shown), shown.media_type, keep)


async def film(call: Call) -> Answer:
    """Return a film as it was made, with the mark that the host wants, whole or in parts."""
    job_id, number = call.path["job"], number_of(call.path["n"])
    path = await _found(call.studio.filming.file(call.actor, job_id, number - 1))
    if path is None:
        raise Refused(HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS, BLOCKED)
    name = f"{job_id}-{number}.mp4" if call.query.get("download") == "1" else None
    return File(path, "video/mp4", await call.studio.gallery.is_own(call.actor, job_id), name)


async def gif(call: Call) -> Answer:
    """Return a film as a GIF, to be saved."""
    job_id, number = call.path["job"], number_of(call.path["n"])
    shown = await _found(call.studio.filming.gif(call.actor, job_id, number - 1, GIF_LIMIT))
    return Bytes(_data(shown), shown.media_type, name=f"{job_id}-{number}.{EXTENSIONS[shown.media_type]}")


async def preview(call: Call) -> Answer:
    """Return the newest preview of a job that runs; the number in the address only makes it new."""
    found = await call.studio.gallery.preview(call.actor, call.path["job"])
    if found is None:
        raise Gone()
    return Bytes(found, "image/jpeg")


async def sent(call: Call) -> Answer:
    """Return a small copy of a picture that the person has sent."""
    return Bytes(await _sent(call), "image/webp", own=True)


async def sent_whole(call: Call) -> Answer:
    """Return a picture that the person has sent, whole."""
    data = await _sent(call, whole=True)
    kind = next((kind for start, kind in STARTS.items() if data.startswith(start)), "image/webp")
    return Bytes(data, kind, own=True)


async def _sent(call: Call, *, whole: bool = False) -> bytes:
    try:
        return await _found(call.studio.gallery.sent(call.actor, call.path["sha256"], whole=whole))
    except (ImageError, NotAllowedError) as error:
        raise Gone() from error


def _number(call: Call) -> int:
    """Return the number of a picture in the address, 0 = the chart."""
    return 0 if call.path["n"] == "0" else number_of(call.path["n"])


async def _found(asked):
    try:
        return await asked
    except FilesAway:
        raise
    except StorageError as error:
        raise Gone() from error


def _data(shown: Shown) -> bytes:
    if shown.data is None:
        raise Refused(HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS, BLOCKED)
    return shown.data
