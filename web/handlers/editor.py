"""The editor's pages: of a picture, and of a document that is kept.

The editor: what a document would become, the job it asks for, and the masks that it names.

Documents of the editor: listed, read, saved over the version that one knows, deleted."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from hashlib import sha256
from http import HTTPStatus
from typing import Any

from core.errors import ImageError, UserError
from core.limits import MAX_LABEL
from storage.documents import Kept
from studio.editor.document import MOST_STROKES, Document, read_document, read_source
from studio.editor.editor import MOST_DOCUMENTS, EditedElsewhere, Wanted
from studio.janitor import DOCUMENTS_KEPT
from studio.moderation.rules import Visibility
from studio.requests.actions import RIGHTS
from studio.requests.prompts import remix_text
from web import views
from web.call import Answer, Bytes, Call, Gone, Json, Refused
from web.handlers.jobs import queued_jobs
from web.handlers.pages import Pages
from web.schemas import field, key_of, number_of, text_of


class EditorPages:
    """Handlers of the editor's pages."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    async def documents(self, call: Call) -> Answer:
        """A page of the person's documents."""
        found = await call.studio.editor.documents.all(call.actor)
        values = {
            "documents": [_card(one) for one in found],
            "most": MOST_DOCUMENTS,
            "days": DOCUMENTS_KEPT.days,
        }
        return self._pages.page(call, "documents", values)

    async def picture(self, call: Call) -> Answer:
        """The editor with one picture in it."""
        studio, index = call.studio, number_of(call.path["n"]) - 1
        job = await studio.rights.job(call.actor, call.path["job"], RIGHTS["region"])
        seen = await studio.gallery.look(call.actor, job.id)
        if seen.result is None or index in seen.trashed:
            raise Gone()
        found = views.job(seen, call.actor.user_id)["pictures"]
        picture = next((one for one in found if one["n"] == index + 1), None)
        if picture is None or picture["visibility"] == Visibility.BLOCK.value:
            raise Gone()
        edited = {
            "job": job.id,
            "n": index + 1,
            "width": picture["width"],
            "height": picture["height"],
        }
        return self._page(call, edited, remix_text(job) or "a picture", picture["href"])

    async def document(self, call: Call) -> Answer:
        """The editor with a document that was kept."""
        kept = await call.studio.editor.documents.one(call.actor, call.path["document"])
        if kept is None:
            raise Gone()
        return self._page(call, {"id": kept.id}, kept.name or "a document", "/documents", kept.name)

    def _page(self, call: Call, edited: dict[str, Any], title: str, back: str, name: str = "") -> Answer:
        """The editor. edited: what it opens. back: where it is left to. name: of the document."""
        edited["asks"] = call.studio.talking.is_possible
        values = {"edited": edited, "title": title, "back": back, "name": name}
        return self._pages.page(call, "edit", {**values, "days": DOCUMENTS_KEPT.days})


def _card(kept: Kept) -> dict[str, Any]:
    """Return a document as its page shows it."""
    source = kept.summary["source"]
    small = f"uploads/{source['upload']}" if "upload" in source else f"{source['job']}/{source['n']}/256"
    return {
        "id": kept.id,
        "name": kept.name,
        "href": f"/edit/d/{kept.id}",
        "small": f"/files/{small}.webp",
        "size": f"{kept.summary['width']} × {kept.summary['height']} px",
        "updated": kept.updated_at.isoformat(timespec="minutes"),
    }


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
    return Json({"jobs": await queued_jobs(call, [submitted.job]), **said}, HTTPStatus.ACCEPTED)


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


_VERSION = re.compile(r'"(\d{1,9})"')
UNSAID = (
    'Say which version you have changed, in a header `If-Match`: the `ETag` of the last answer, such as "3".'
)


async def documents_all(call: Call) -> Answer:
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
