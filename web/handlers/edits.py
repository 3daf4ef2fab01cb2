"""The editor: what a document would become, the job it asks for, and the masks that it names."""

from __future__ import annotations

import asyncio
import re
from hashlib import sha256
from http import HTTPStatus
from typing import Any

from core.errors import ImageError, UserError
from studio.editor import document
from studio.editor.document import Document
from web.call import GONE, Answer, Bytes, Call, Json
from web.fields import field, key_of
from web.handlers.jobs import each

_SHA256 = re.compile(r"[0-9a-f]{64}")


async def ask(call: Call) -> Answer:
    """Queue what a document asks for, if its mask is the one that was painted."""
    studio, actor = call.studio, call.actor
    painted = field(call.body, "painted", str) or None
    if painted is not None and not _SHA256.fullmatch(painted):
        raise UserError("`painted` takes a SHA-256 in hex.")
    key = key_of(call.body)
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


async def keep_mask(call: Call) -> Answer:
    """Keep a mask that the person sends, as it is."""
    data = bytes(call.body or b"")
    mask = await call.studio.editor.keep_mask(call.actor, data)
    name = await asyncio.to_thread(lambda: sha256(data).hexdigest())
    shape = {"sha256": name, "width": mask.width, "height": mask.height, "painted": mask.painted}
    return Json(shape, HTTPStatus.CREATED)


async def mask(call: Call) -> Answer:
    """Return a mask that the person has sent."""
    try:
        data = await call.studio.editor.mask(call.actor, call.path["sha256"])
    except ImageError as error:
        raise GONE from error
    return Bytes(data, "image/png", own=True)


async def document_of(body: Any) -> Document:
    """Return the document that a body carries, read in a thread. Raises UserError."""
    given = field(body, "document", dict)
    if given is None:
        raise UserError("`document` is missing.")
    return await asyncio.to_thread(document.read, given)
