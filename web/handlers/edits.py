"""The editor: what a document would become, the job it asks for, and the masks that it names."""

from __future__ import annotations

import asyncio
import base64
import re
from hashlib import sha256
from http import HTTPStatus
from typing import Any

from core.errors import ImageError, UserError
from core.limits import MAX_LABEL
from studio.editor.document import Document, read_document, read_source
from studio.editor.selecting import Wanted
from web.call import Answer, Bytes, Call, Gone, Json
from web.fields import field, key_of
from web.handlers.jobs import each

MOST_POINTS, FARTHEST = 20, 65_536  # px
_SHA256 = re.compile(r"[0-9a-f]{64}")


async def ask(call: Call) -> Answer:
    """Queue what a document asks for, if its mask is the one that was painted."""
    studio, actor = call.studio, call.actor
    painted = field(call.body, "painted", str) or None
    if painted is not None and not _SHA256.fullmatch(painted):
        raise UserError("`painted` takes a SHA-256 in hex.")
    key = key_of(call)
    asked = await studio.editor.ask(actor, await document_of(call.body), painted)
    chosen = await studio.own.preferences(actor)
    new = asked.new.chosen(chosen.lane, private=chosen.private)
    submitted = await studio.submit(actor, new, once=key)
    said = {"kind": asked.plan.kind, "said": asked.plan.said, "seam": asked.plan.seam}
    return Json({"jobs": await each(call, [submitted.job]), **said}, HTTPStatus.ACCEPTED)


async def look(call: Call) -> Answer:
    """Return what a document would become, without queueing it."""
    given = await document_of(call.body)
    found = await call.studio.editor.look(call.actor, given)
    shape = {"width": given.width, "height": given.height}
    return Json({"kind": found.kind, "said": found.said, "seam": found.seam, **shape})


async def select(call: Call) -> Answer:
    """Return which pixels of a picture belong to a thing, as a mask; of nothing, what can be asked here."""
    found = await call.studio.editor.select(
        call.actor, read_source(field(call.body, "source", dict)), _wanted(call.body)
    )
    shape: dict[str, Any] = {"points": found.points, "words": found.words}
    if found.mask is not None:
        png = base64.b64encode(found.mask).decode()
        shape |= {"mask": png, "score": found.score, "box": list(found.box), "by": found.by}
    return Json(shape)


def _wanted(body: Any) -> Wanted:
    """Return what a body asks for. Raises UserError."""
    points, box = field(body, "points", list) or [], field(body, "box", list) or None
    words = field(body, "words", str) or ""
    if len(points) > MOST_POINTS or not all(_numbers(point, 3) and point[2] in (0, 1) for point in points):
        raise UserError(
            f"`points` takes up to {MOST_POINTS} of [x, y, 1], or [x, y, 0] for what is left out."
        )
    if box is not None and not (_numbers(box, 4) and box[0] < box[2] and box[1] < box[3]):
        raise UserError("`box` takes [left, top, right, bottom].")
    if len(words) > MAX_LABEL:
        raise UserError(f"`words` has {len(words)} characters; up to {MAX_LABEL} fit.")
    places = tuple((float(x), float(y), int(label)) for x, y, label in points)
    return Wanted(places, None if box is None else (box[0], box[1], box[2], box[3]), words)


def _numbers(value: Any, count: int) -> bool:
    """Return whether a value is a list of so many numbers of px."""
    return (
        isinstance(value, list)
        and len(value) == count
        and all(isinstance(one, int | float) and -FARTHEST <= one <= FARTHEST for one in value)
    )


async def keep_mask(call: Call) -> Answer:
    """Keep a mask that the person sends, as it is."""
    data = await call.body.read()
    mask = await call.studio.editor.keep_mask(call.actor, data)
    name = await asyncio.to_thread(lambda: sha256(data).hexdigest())
    shape = {"sha256": name, "width": mask.width, "height": mask.height, "painted": mask.painted}
    return Json(shape, HTTPStatus.CREATED)


async def mask(call: Call) -> Answer:
    """Return a mask that the person has sent."""
    try:
        data = await call.studio.editor.mask(call.actor, call.path["sha256"])
    except ImageError as error:
        raise Gone() from error
    return Bytes(data, "image/png", own=True)


async def document_of(body: Any) -> Document:
    """Return the document that a body carries, read in a thread. Raises UserError."""
    given = field(body, "document", dict)
    if given is None:
        raise UserError("`document` is missing.")
    return await asyncio.to_thread(read_document, given)
