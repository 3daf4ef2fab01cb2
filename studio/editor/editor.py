"""The editor as every door sees it: documents kept as they are worked on, from any tab; what one asks for,
with the right to every source checked; and the masks and selections of its pictures.

| the document | becomes |
|---|---|
| one picture on a canvas of its size, something painted | ``RegionRequest`` |
| one picture at whole px inside of a larger canvas, nothing painted | ``OutpaintRequest`` |
| one picture on a canvas of its size, nothing painted, but words or an amount | ``VariationRequest`` |
| anything else that leaves something to draw | ``ComposeRequest`` |
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec

from core.errors import FilesAway, ImageError, LimitError, StorageError, UserError
from core.limits import KEPT, MAX_SIDE, name_of
from storage import documents as rows
from storage.database import Database
from storage.documents import Content, Kept
from studio.authority import Action, Actor
from studio.editor.document import Document, Layer, Source, read_document
from studio.embeddings import Blind
from studio.inputs import Sources
from studio.media import masks
from studio.media.masks import Bits
from studio.media.uploads import MASK_GONE
from studio.new_job import NewJob, PromptWithPictures
from studio.new_job import Source as Found
from studio.requests import actions
from studio.requests.prompts import Requests
from studio.rights import Rights
from studio.services import Services

ROLES = {"style": "style_references", "character": "character_references", "thing": "omni_references"}
NOTHING = (
    "There is nothing to draw: paint over a part, make the canvas larger than the picture, or say what to"
    " change."
)
SEEN = "No picture can be seen on the canvas: show a layer, or make one less transparent."
REGION, OUTPAINT, VARIATION, RETEXTURE, COMPOSE = "region", "outpaint", "variation", "retexture", "compose"
SAID = {
    REGION: "The painted part is redrawn; every other pixel stays.",
    OUTPAINT: "What is added to the canvas is drawn; the picture fades into it along that edge.",
    VARIATION: "The whole picture is redrawn from itself (image-to-image).",
    RETEXTURE: (
        "A new look for the same shapes, by image-to-image. This studio has no ControlNet, so shapes may"
        " move a little; a smaller amount keeps them better."
    ),
    COMPOSE: "The layers are put together; what is painted over, and what no layer covers, is drawn.",
}
CONTROLLED = (
    "A new look for the same shapes: ControlNet keeps their edges. A model that it doesn't fit uses"
    " image-to-image, and the result says so."
)


@dataclass(frozen=True)
class Laid:
    """A layer that can be seen, with its picture."""

    layer: Layer
    source: Found


@dataclass(frozen=True)
class Plan:
    """What a document becomes. said: what it does, in a sentence. seam: px of what is covered that change
    along uncovered parts, None = the model decides."""

    kind: str
    said: str
    seam: int | None = 0


def plan_document(
    document: Document, laid: Sequence[Laid], painted: bool, *, controlnet: bool = False
) -> Plan:
    """Return what ``document`` becomes. laid: its layers that can be seen. painted: its mask isn't empty.
    controlnet: the host has set one up. Raises UserError when nothing is seen, or nothing is left to draw."""
    kind = _kind(document, laid, painted)
    said = CONTROLLED if kind == RETEXTURE and controlnet else SAID[kind]
    if kind == COMPOSE:
        return Plan(kind, said, getattr(_compose(document, laid, None, None).request, "seam", 0))
    return Plan(kind, said, None if kind == OUTPAINT else 0)


def _kind(document: Document, laid: Sequence[Laid], painted: bool) -> str:
    if not laid:
        raise UserError(SEEN)
    first = laid[0]
    if len(laid) > 1 or not first.layer.is_plain:
        return COMPOSE
    x, y, source = int(first.layer.x), int(first.layer.y), first.source
    right, bottom = document.width - x - source.width, document.height - y - source.height
    if (x, y, right, bottom) == (0, 0, 0, 0):
        if painted:
            return REGION
        if document.keep_structure:
            return RETEXTURE
        if document.words.strip() or document.amount is not None:
            return VARIATION
        raise UserError(NOTHING)
    fits = max(document.width, document.height) <= MAX_SIDE
    if min(x, y, right, bottom) >= 0 and not painted and not document.keep_seam and fits:
        return OUTPAINT
    if max(x, y, right, bottom) <= 0 and not painted:
        raise UserError(NOTHING)
    return COMPOSE


def job_of(
    document: Document,
    laid: Sequence[Laid],
    words: PromptWithPictures | None,
    mask: str | None,
    references: Mapping[str, Sequence[str]] | None = None,
) -> NewJob:
    """Return the job that ``document`` asks for.

    words: None = the picture's own. mask: SHA-256 of what is painted, None for nothing. references: role →
    SHA-256 of pictures beside the words. Raises UserError as ``plan`` does, and for numbers out of range.
    """
    kind = _kind(document, laid, mask is not None)
    source = laid[0].source
    if kind == REGION:
        new = actions.redraw_region(source, words, mask=mask)
    elif kind == OUTPAINT:
        x, y = int(laid[0].layer.x), int(laid[0].layer.y)
        right, bottom = document.width - x - source.width, document.height - y - source.height
        new = actions.outpaint(source, {"left": x, "top": y, "right": right, "bottom": bottom}, words)
    elif kind in (VARIATION, RETEXTURE):
        new = actions.variation(source, "subtle" if kind == RETEXTURE else "strong", words)
    else:
        new = _compose(document, laid, words, mask)
    private = new.private or any(one.source.private for one in laid)
    request: Any = new.request
    named = {"num_images": document.images, "strength": document.amount, "seed": document.seed}
    given: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    for role, pictures in (references or {}).items():
        before = getattr(request, ROLES[role])
        given[ROLES[role]] = (*before, *((sha256, 1.0) for sha256 in pictures))
    if kind == RETEXTURE:
        given["keep_structure"] = True
    elif document.keep_structure:
        given.setdefault("strength", KEPT)
    return replace(new, request=replace(request, **given), private=private)


def _compose(
    document: Document, laid: Sequence[Laid], words: PromptWithPictures | None, mask: str | None
) -> NewJob:
    """Return the composed job: a child of the lowest layer that a job has made."""
    made = [one.source for one in laid if one.source.job is not None]
    layers = [
        (one.source.sha256, one.layer.x, one.layer.y, one.layer.scale, one.layer.opacity, one.layer.clip)
        for one in laid
    ]
    return actions.compose(
        made[0] if made else laid[0].source,
        words,
        canvas=(document.width, document.height),
        layers=layers,
        mask=mask,
        keep_seam=document.keep_seam,
    )


MOST_DOCUMENTS, MOST_BYTES = 200, 256 * 1024  # of a person; of one, as JSON
ELSEWHERE = "This document was changed in another tab or on another device. Keep yours, or take theirs."


class EditedElsewhere(UserError):
    """Somebody's other tab has saved meanwhile. version: what is there now."""

    def __init__(self, version: int) -> None:
        super().__init__(ELSEWHERE)
        self.version = version


class Documents:
    """Keeps documents. Where a method returns None or False, the actor has no such document."""

    def __init__(self, rights: Rights, database: Database) -> None:
        self._rights, self._database = rights, database

    async def all(self, actor: Actor) -> list[Kept]:
        """Return the actor's documents, the last changed first, without what is in them."""
        await self._rights.check(actor, Action.MINE)
        return await self._database.read(partial(rows.list_documents, user_id=actor.user_id))

    async def one(self, actor: Actor, document_id: str) -> Kept | None:
        """Return a document of the actor's."""
        await self._rights.check(actor, Action.MINE)
        work = partial(rows.find_document, user_id=actor.user_id, document_id=document_id)
        return await self._database.read(work)

    async def create(self, actor: Actor, data: Any, name: str = "") -> Kept:
        """Keep a new document. Raises UserError for one that isn't a document, and after too many."""
        await self._rights.check(actor, Action.MINE)
        content, now, called = await _content(lambda: data), datetime.now(UTC), _name(name)
        work = partial(rows.add_document, user_id=actor.user_id, name=called, content=content, now=now)
        if (document_id := await self._database.write(partial(work, most=MOST_DOCUMENTS))) is None:
            raise UserError(
                f"You have {MOST_DOCUMENTS} documents, which is the limit, so this one isn't saved. Delete"
                " some under Documents."
            )
        return Kept(document_id, called, 1, now, now, content.summary)

    async def save(
        self, actor: Actor, document_id: str, version: int, data: Any, name: str | None = None
    ) -> int | None:
        """Save a document over ``version`` and return the new version. name: None = the one it has. Raises
        EditedElsewhere when another version is there, UserError for what isn't a document."""
        await self._rights.check(actor, Action.MINE)
        return await self._save(actor, document_id, version, await _content(lambda: data), name)

    async def extend(
        self,
        actor: Actor,
        document_id: str,
        version: int,
        keep: int,
        strokes: Sequence[Any],
        words: str | None = None,
    ) -> int | None:
        """Save ``strokes`` behind the first ``keep`` of the document's mask, and new ``words``; return the
        new version. Raises EditedElsewhere when another version is there, UserError for what isn't a
        document."""
        found = await self.one(actor, document_id)
        if found is None:
            return None
        if found.version != version:
            raise EditedElsewhere(found.version)

        def longer() -> Any:
            data = json.loads(found.content or "{}")
            mask = data.setdefault("mask", {})
            mask["strokes"] = [*mask.get("strokes", [])[: max(0, keep)], *strokes]
            return data if words is None else {**data, "words": words}

        return await self._save(actor, document_id, version, await _content(longer), None)

    async def _save(
        self, actor: Actor, document_id: str, version: int, content: Content, name: str | None
    ) -> int | None:
        work = partial(rows.save_document, user_id=actor.user_id, document_id=document_id, version=version)
        called, now = None if name is None else _name(name), datetime.now(UTC)
        saved = await self._database.write(partial(work, content=content, now=now, name=called))
        if saved is None and (there := await self.one(actor, document_id)) is not None:
            raise EditedElsewhere(there.version)
        return saved

    async def rename(self, actor: Actor, document_id: str, name: str) -> bool:
        """Give a document another name, which tabs that have it open needn't know. Raises UserError for one
        that isn't taken."""
        await self._rights.check(actor, Action.MINE)
        work = partial(rows.rename_document, user_id=actor.user_id, document_id=document_id, name=_name(name))
        return await self._database.write(work)

    async def delete(self, actor: Actor, document_id: str) -> bool:
        """Delete a document; pictures made from it stay."""
        await self._rights.check(actor, Action.MINE)
        work = partial(rows.delete_document, user_id=actor.user_id, document_id=document_id)
        return await self._database.write(work)


async def _content(given: Callable[[], Any]) -> Content:
    """Return a document as it is kept, read in a thread: hundreds of strokes take a while."""

    def read() -> Content:
        found = read_document(data := given())
        text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
        if (size := len(text.encode())) > MOST_BYTES:
            raise UserError(
                f"The document has {size:,} bytes; up to {MOST_BYTES:,} fit. Bake its strokes into the mask"
                " below them."
            )
        source = msgspec.to_builtins(found.layers[0].source)
        return Content(text, {"width": found.width, "height": found.height, "source": source}, found.files)

    return await asyncio.to_thread(read)


def _name(text: str) -> str:
    """Return a document's name as it is kept, "" for none. Raises UserError."""
    return name_of(text, "A document")


READY_PATIENCE = 30.0  # seconds; a model may have to be loaded first
BUSY = "Your last question about a picture isn't answered yet."
NOBODY = "Picking is unavailable: the studio is starting or busy. Use the magic wand instead."


@dataclass(frozen=True)
class Wanted:
    """What an object is found by: points (x, y, 1 = belongs to it, 0 = doesn't), a box around it, words. None
    of them: get ready for the picture."""

    points: tuple[tuple[float, float, int], ...] = ()
    box: tuple[float, float, float, float] | None = None
    words: str = ""


@dataclass(frozen=True)
class Selection:
    """An object. mask: a file as ``studio.media.masks`` writes it, None when none was asked for. by: "sam",
    "segment", "cutout" or "clip". box: around it, px. points, words: what can be asked here."""

    mask: bytes | None = field(repr=False)
    score: float
    box: tuple[int, int, int, int]
    by: str
    points: bool
    words: bool


NOT_THERE = "A picture of the document is gone, or you don't have access to it. Remove its layer."
DIFFERS = (
    "What arrived isn't what you painted, so nothing was queued. Reload the page and try again. If it"
    " happens again, tell the operator."
)


@dataclass(frozen=True)
class Asked:
    """What a document has become."""

    new: NewJob
    plan: Plan


class Editor:
    """Turns documents into jobs. ``documents`` keeps them."""

    def __init__(self, rights: Rights, services: Services, sources: Sources, requests: Requests) -> None:
        self._rights, self._sources, self._requests = rights, sources, requests
        self._queue, self._intake = services.queue, services.intake
        self._files, self._eyes = services.files, services.eyes
        self.documents = Documents(rights, services.database)
        self._asking: set[int] = set()  # people whose last question about a picture isn't answered yet
        self._controlnet = bool(services.settings.controlnet_model)

    async def keep_mask(self, actor: Actor, data: bytes) -> Bits:
        """Keep a mask that the actor sends. Raises ImageError for anything else, NotAllowedError for a barred
        person, LimitError after too many or on a full disk."""
        await self._rights.check(actor, Action.ASK)
        await self._queue.check_room()
        return await self._intake.keep_mask(data, actor.user_id)

    async def mask(self, actor: Actor, sha256: str) -> bytes:
        """Return a mask that the actor has sent. Raises ImageError for any other."""
        return (await self._mask(actor, sha256))[0]

    async def _mask(self, actor: Actor, sha256: str) -> tuple[bytes, Bits]:
        await self._rights.check(actor, Action.MINE)
        if not await self._queue.people.has_sent(actor.user_id, sha256):
            raise ImageError(MASK_GONE)
        return await self._intake.read_mask(sha256)

    async def select(self, actor: Actor, source: Source, wanted: Wanted) -> Selection:
        """Return which pixels of a picture belong to the object that is pointed at or named. Nothing is
        queued, and the answer is nobody's gallery's. Raises ImageError for no such picture or object,
        NotAllowedError for a barred person, LimitError while the last question isn't answered or the studio
        can't answer now."""
        await self._rights.check(actor, Action.ASK)
        sha256 = (await self._find(actor, source)).sha256
        if actor.user_id in self._asking:
            raise LimitError(BUSY)
        self._asking.add(actor.user_id)
        try:
            path = await self._files.local(sha256)
            found = await self._eyes.select(
                path, wanted.points, wanted.box, wanted.words, patience=READY_PATIENCE
            )
        except FilesAway:
            raise
        except StorageError as error:
            raise ImageError("That picture is gone.") from error
        except Blind as error:
            raise LimitError(NOBODY) from error
        finally:
            self._asking.discard(actor.user_id)
        if found.refused:
            raise ImageError(found.refused)
        mask = None
        if found.rows:
            mask = await asyncio.to_thread(masks.write_mask, Bits(*found.size, found.rows))
        return Selection(mask, found.score, found.box, found.by, found.points, found.words)

    async def look(self, actor: Actor, document: Document) -> Plan:
        """Return what ``document`` would become, as far as that can be told without painting it. Raises
        UserError, which says why it can't become anything, ImageError for a picture that isn't there,
        NotAllowedError for somebody else's."""
        await self._rights.check(actor, Action.ASK)
        laid = await self._laid(actor, document)
        return self._plan(document, laid, not document.mask.is_empty)

    async def ask(self, actor: Actor, document: Document, painted: str | None = None) -> Asked:
        """Return the job that ``document`` asks for, to be submitted.

        painted: SHA-256 of the mask's pixels as the actor sees them, a byte each, compared with what its
        strokes paint here. Raises ImageError when they differ, PromptError for its words, UserError for what
        can't become anything, NotAllowedError.
        """
        await self._rights.check(actor, Action.ASK)
        await self._queue.check_room()
        laid = await self._laid(actor, document)
        words = await self._words(actor, document, laid)
        references: dict[str, list[str]] = {}
        for one in document.references:
            found = await self._find(actor, one.source)
            references.setdefault(one.role, []).append(found.sha256)
        mask = await self._painted(actor, document, painted)
        new = job_of(document, laid, words, mask, references)
        return Asked(new, self._plan(document, laid, mask is not None))

    def _plan(self, document: Document, laid: Sequence[Laid], painted: bool) -> Plan:
        return plan_document(document, laid, painted, controlnet=self._controlnet)

    async def _laid(self, actor: Actor, document: Document) -> list[Laid]:
        """Return the layers that can be seen; each picture's right is checked, and that the actor has sent
        the masks that cut them."""
        laid = []
        for layer in document.shown:
            source = await self._find(actor, layer.source)
            if layer.clip is not None:
                _, mask = await self._mask(actor, layer.clip)
                if (mask.width, mask.height) != (source.width, source.height):
                    raise UserError(
                        f"`clip` has {mask.width}×{mask.height} px; its layer's picture has"
                        f" {source.width}×{source.height} px."
                    )
            laid.append(Laid(layer, source))
        return laid

    async def _find(self, actor: Actor, source: Source) -> Found:
        if isinstance(source.job, str) and isinstance(source.n, int):
            if not await self._sources.is_seen(actor, source.job):
                raise ImageError(NOT_THERE)
            job = await self._rights.job(actor, source.job, Action.USE)
            return await self._sources.of_job(actor, job, source.n - 1)
        sha256 = str(source.upload)
        if not await self._queue.people.has_sent(actor.user_id, sha256):
            raise ImageError(NOT_THERE)
        return Found(sha256, *await self._intake.size(sha256))

    async def _words(
        self, actor: Actor, document: Document, laid: Sequence[Laid]
    ) -> PromptWithPictures | None:
        """Return the document's words with the pictures that they name, None where they are the picture's."""
        if not document.words.strip():
            return None
        made = next((one.source.job for one in laid if one.source.job is not None), None)
        job = made if laid[0].source.request is not None else None
        return await (await self._requests.edit(actor, document.words, job=job)).words()

    async def _painted(self, actor: Actor, document: Document, painted: str | None) -> str | None:
        """Return the SHA-256 of what the document's strokes paint, None for nothing."""
        mask = document.mask
        if mask.is_empty:
            return None
        if mask.base is not None:
            await self.mask(actor, mask.base)
        size = document.width, document.height
        strokes = msgspec.to_builtins(mask.strokes)
        found = await self._intake.paint(size, strokes, mask.base, actor.user_id)
        if painted is not None and painted != found.pixels:
            raise ImageError(DIFFERS)
        return found.sha256 if found.count else None
