"""Documents of the editor: listed, read, saved over the version that one knows, deleted."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import Any

from core.errors import UserError
from storage.web.documents import Kept
from studio.editor.document import MOST_STROKES
from studio.editor.documents import EditedElsewhere
from web.call import Answer, Call, Gone, Json, Refused
from web.fields import field, text_of

_VERSION = re.compile(r'"(\d{1,9})"')
UNSAID = (
    'Say which version you have changed, in a header `If-Match`: the `ETag` of the last answer, such as "3".'
)


async def all(call: Call) -> Answer:
    """Return the person's documents, the last changed first, without what is in them."""
    found = await call.studio.editor.documents.all(call.actor)
    return Json({"documents": [_shape(one) for one in found]})


async def create(call: Call) -> Answer:
    """Keep a new document."""
    name = field(call.body, "name", str) or ""
    made = await call.studio.editor.documents.create(call.actor, _given(call.body), name)
    return Json(_shape(made), HTTPStatus.CREATED, etag=str(made.version))


async def one(call: Call) -> Answer:
    """Return a document as it was saved last."""
    found = await call.studio.editor.documents.one(call.actor, call.path["document"])
    if found is None or found.content is None:
        raise Gone()
    return Json({**_shape(found), "document": json.loads(found.content)}, etag=str(found.version))


async def save(call: Call) -> Answer:
    """Save a document over the version that `If-Match` names."""
    version, name = _version(call), field(call.body, "name", str)
    documents, given = call.studio.editor.documents, _given(call.body)
    try:
        saved = await documents.save(call.actor, call.path["document"], version, given, name)
    except EditedElsewhere as error:
        raise _changed(error) from error
    return _saved(saved)


async def extend(call: Call) -> Answer:
    """Save the last strokes of a document's mask, and its words, over the version that `If-Match` names."""
    version, strokes = _version(call), field(call.body, "strokes", list)
    if strokes is None or len(strokes) > MOST_STROKES:
        raise UserError(f"`strokes` takes a list of up to {MOST_STROKES:,}.")
    keep, words = field(call.body, "keep", int) or 0, field(call.body, "words", str)
    documents = call.studio.editor.documents
    try:
        saved = await documents.extend(call.actor, call.path["document"], version, keep, strokes, words)
    except EditedElsewhere as error:
        raise _changed(error) from error
    return _saved(saved)


async def rename(call: Call) -> Answer:
    """Give a document another name, which is no new version of it."""
    name = text_of(call.body, "name")
    if not await call.studio.editor.documents.rename(call.actor, call.path["document"], name):
        raise Gone()
    return Json(None, HTTPStatus.NO_CONTENT)


async def delete(call: Call) -> Answer:
    """Delete a document; pictures made from it stay."""
    if not await call.studio.editor.documents.delete(call.actor, call.path["document"]):
        raise Gone()
    return Json(None, HTTPStatus.NO_CONTENT)


def _given(body: Any) -> dict[str, Any]:
    given = field(body, "document", dict)
    if given is None:
        raise UserError("`document` is missing.")
    return given


def _version(call: Call) -> int:
    """Return the version that a call was made over. Raises Refused when it doesn't say."""
    if (found := _VERSION.fullmatch(call.headers.get("If-Match", "").strip())) is None:
        raise Refused(HTTPStatus.PRECONDITION_REQUIRED, UNSAID)
    return int(found[1])


def _changed(error: EditedElsewhere) -> Refused:
    return Refused(HTTPStatus.PRECONDITION_FAILED, str(error), more={"version": error.version})


def _saved(version: int | None) -> Json:
    if version is None:
        raise Gone()
    return Json({"version": version}, etag=str(version))


def _shape(kept: Kept) -> dict[str, Any]:
    """Return a document as lists show it."""
    times = {"created": kept.created_at.isoformat(), "updated": kept.updated_at.isoformat()}
    return {"id": kept.id, "name": kept.name, "version": kept.version, **times, **kept.summary}
