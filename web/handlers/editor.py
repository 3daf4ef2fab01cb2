"""The editor's pages, what a document asks for, and the documents that are kept: each is saved over the
version that one knows."""

import asyncio
import base64
import json
import re
from collections.abc import Awaitable
from hashlib import sha256
from http import HTTPStatus
from typing import Any

from core.errors import ImageError, UserError
from core.language import N_, _
from core.limits import MAX_LABEL
from storage.documents import Kept
from studio.editor.document import read_document, read_source
from studio.editor.editor import MOST_DOCUMENTS, EditedElsewhere, Wanted
from studio.janitor import DOCUMENTS_KEPT
from studio.moderation.rules import Visibility
from studio.requests.actions import RIGHTS
from studio.requests.prompts import remix_text
from web import schemas, views
from web.call import DONE, Answer, Bytes, Call, Gone, Html, Json, Refused, bytes_of, there
from web.handlers.jobs import describe_queued
from web.schemas import key_of, number_of, read_body


async def documents_page(call: Call) -> Answer:
    """A page of the person's documents."""
    found = await call.studio.editor.documents.all(call.actor)
    values = {"documents": [_card(one) for one in found], "most": MOST_DOCUMENTS, "days": DOCUMENTS_KEPT.days}
    return Html("documents", values)


async def edit_picture_page(call: Call) -> Answer:
    """The editor with one picture in it."""
    studio, index = call.studio, number_of(call.path["n"]) - 1
    job = await studio.rights.job(call.actor, call.path["job"], RIGHTS["region"])
    seen = await studio.gallery.look(call.actor, job.id)
    if seen.result is None or index in seen.trashed:
        raise Gone()
    found = views.describe_job(seen, call.actor.user_id)["pictures"]
    picture = next((one for one in found if one["n"] == index + 1), None)
    if picture is None or picture["visibility"] == Visibility.BLOCK.value:
        raise Gone()
    edited = {"job": job.id, "n": index + 1, "width": picture["width"], "height": picture["height"]}
    return _editor(call, edited, remix_text(job, picture["seed"]) or _("a picture"), picture["href"])


async def edit_document_page(call: Call) -> Answer:
    """The editor with a document that was kept."""
    kept = there(await call.studio.editor.documents.one(call.actor, call.path["document"]))
    return _editor(call, {"id": kept.id}, kept.name or _("a document"), "/documents", kept.name)


def _editor(call: Call, edited: dict[str, Any], title: str, back: str, name: str = "") -> Answer:
    """The editor. edited: what it opens. back: where it is left to. name: of the document."""
    edited["asks"] = call.studio.talking.is_possible
    values = {"edited": edited, "title": title, "back": back, "name": name}
    return Html("edit", {**values, "days": DOCUMENTS_KEPT.days})


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


async def ask_edit(call: Call) -> Answer:
    """Queue what a document asks for, if its mask is the one that was painted."""
    studio, actor = call.studio, call.actor
    given, key = read_body(call, schemas.Edit), key_of(call)
    document = await asyncio.to_thread(read_document, given.document)
    asked = await studio.editor.ask(actor, document, given.painted or None)
    chosen = await studio.own.preferences(actor)
    new = asked.new.chosen(chosen.lane, private=chosen.private)
    submitted = await studio.submit(actor, new, once=key)
    said = {"kind": asked.plan.kind, "said": asked.plan.said, "seam": asked.plan.seam}
    return Json({"jobs": await describe_queued(call, [submitted.job]), **said}, HTTPStatus.ACCEPTED)


async def preview_edit(call: Call) -> Answer:
    """Return what a document would become, without queueing it."""
    given = await asyncio.to_thread(read_document, read_body(call, schemas.Look).document)
    found = await call.studio.editor.look(call.actor, given)
    shape = {"width": given.width, "height": given.height}
    return Json({"kind": found.kind, "said": found.said, "seam": found.seam, **shape})


async def select_pixels(call: Call) -> Answer:
    """Return which pixels of a picture belong to an object, as a mask; of nothing, what can be asked here."""
    given = read_body(call, schemas.Select)
    box = given.box
    if box is not None and not (box[0] < box[2] and box[1] < box[3]):
        raise UserError("`box` takes [left, top, right, bottom].")
    if len(given.words) > MAX_LABEL:
        raise UserError(f"`words` has {len(given.words)} characters; up to {MAX_LABEL} fit.")
    wanted = Wanted(tuple(given.points), box, given.words)
    found = await call.studio.editor.select(call.actor, read_source(given.source), wanted)
    shape: dict[str, Any] = {"points": found.points, "words": found.words}
    if found.mask is not None:
        png = base64.b64encode(found.mask).decode()
        shape |= {"mask": png, "score": found.score, "box": list(found.box), "by": found.by}
    return Json(shape)


async def keep_mask(call: Call) -> Answer:
    """Keep a mask that the person sends, as it is."""
    data = await call.body.read()
    mask = await call.studio.editor.keep_mask(call.actor, data)
    name = await asyncio.to_thread(lambda: sha256(data).hexdigest())
    shape = {"sha256": name, "width": mask.width, "height": mask.height, "painted": mask.painted}
    return Json(shape, HTTPStatus.CREATED)


async def send_mask(call: Call) -> Answer:
    """Return a mask that the person has sent."""
    mask = call.studio.editor.mask(call.actor, call.path["sha256"])
    return Bytes(await bytes_of(mask, ImageError), "image/png", own=True)


_VERSION = re.compile(r'"(\d{1,9})"')
UNSAID = N_(
    "Say which version you have changed, in a header `If-Match`: the `ETag` of "
    '\'the last answer, such as "3".'
)


async def list_documents(call: Call) -> Answer:
    """Return the person's documents, the last changed first, without what is in them."""
    found = await call.studio.editor.documents.all(call.actor)
    return Json({"documents": [_shape(one) for one in found]})


async def create_document(call: Call) -> Answer:
    """Keep a new document."""
    given = read_body(call, schemas.Saved)
    made = await call.studio.editor.documents.create(call.actor, given.document, given.name or "")
    return Json(_shape(made), HTTPStatus.CREATED, etag=str(made.version))


async def show_document(call: Call) -> Answer:
    """Return a document as it was saved last."""
    found = await call.studio.editor.documents.one(call.actor, call.path["document"])
    if found is None or found.content is None:
        raise Gone()
    return Json({**_shape(found), "document": json.loads(found.content)}, etag=str(found.version))


async def save_document(call: Call) -> Answer:
    """Save a document over the version that `If-Match` names."""
    version, given = _version(call), read_body(call, schemas.Saved)
    documents, name = call.studio.editor.documents, call.path["document"]
    return await _saved(documents.save(call.actor, name, version, given.document, given.name))


async def extend_document(call: Call) -> Answer:
    """Save the last strokes of a document's mask, and its words, over the version that `If-Match` names."""
    version, given = _version(call), read_body(call, schemas.Tail)
    documents, name = call.studio.editor.documents, call.path["document"]
    return await _saved(documents.extend(call.actor, name, version, given.keep, given.strokes, given.words))


async def rename_document(call: Call) -> Answer:
    """Give a document another name, which is no new version of it."""
    name = read_body(call, schemas.Rename).name
    there(await call.studio.editor.documents.rename(call.actor, call.path["document"], name))
    return DONE


async def delete_document(call: Call) -> Answer:
    """Delete a document; pictures made from it stay."""
    there(await call.studio.editor.documents.delete(call.actor, call.path["document"]))
    return DONE


def _version(call: Call) -> int:
    """Return the version that a call was made over. Raises Refused when it doesn't say."""
    if (found := _VERSION.fullmatch(call.headers.get("If-Match", "").strip())) is None:
        raise Refused(HTTPStatus.PRECONDITION_REQUIRED, UNSAID)
    return int(found[1])


async def _saved(saving: Awaitable[int | None]) -> Json:
    """Return the version that a document has now. Raises Refused where another one was saved meanwhile."""
    try:
        version = there(await saving)
    except EditedElsewhere as error:
        changed = HTTPStatus.PRECONDITION_FAILED
        raise Refused(changed, str(error), more={"version": error.version}) from error
    return Json({"version": version}, etag=str(version))


def _shape(kept: Kept) -> dict[str, Any]:
    """Return a document as lists show it."""
    times = {"created": kept.created_at.isoformat(), "updated": kept.updated_at.isoformat()}
    return {"id": kept.id, "name": kept.name, "version": kept.version, **times, **kept.summary}
