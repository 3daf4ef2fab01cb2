"""The editor as every door sees it: what a document asks for, with every source's right checked, and the
masks that it names."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from core.errors import FilesAway, ImageError, StorageError, UserError
from jobs.queue import Queue
from storage.files import Files
from studio.actor import Actor
from studio.asking.new_job import NewJob, PromptWithPictures
from studio.asking.new_job import Source as Found
from studio.asking.prompts import Prompts, pictures_of
from studio.asking.sources import Sources
from studio.authority import Action
from studio.editor import edits
from studio.editor.document import Document, Source
from studio.editor.documents import Documents
from studio.editor.edits import Laid, Plan
from studio.editor.selecting import Selecting, Selection, Wanted
from studio.pictures import bits
from studio.pictures.bits import Bits
from studio.pictures.intake import Intake
from studio.rights import Rights
from studio.services import Services

NOT_YOURS = "That mask is gone; paint it again."
NOT_THERE = "A picture of the document is gone, or it isn't yours to see. Take its layer away."
DIFFERS = (
    "What arrived isn't what you painted, so nothing was queued. Reload the page and try again; if it comes"
    " back, tell the host."
)


@dataclass(frozen=True)
class Asked:
    """What a document has become."""

    new: NewJob
    plan: Plan


class Editor:
    """Turns documents into jobs. ``documents`` keeps them."""

    def __init__(self, rights: Rights, services: Services, sources: Sources, prompts: Prompts) -> None:
        self._rights, self._sources, self._prompts = rights, sources, prompts
        self._queue: Queue = services.queue
        self._intake: Intake = services.intake
        self._files: Files = services.files
        self.documents = Documents(rights, services.database)
        self._selecting = Selecting(services.eyes, services.files)
        self._controlnet = bool(services.settings.controlnet_model)

    async def keep_mask(self, actor: Actor, data: bytes) -> Bits:
        """Keep a mask that the actor sends. Raises ImageError for anything else, NotAllowedError for a barred
        person, LimitError after too many or on a full disk."""
        await self._rights.check(actor, Action.ASK)
        await self._queue.check_room()
        return await self._intake.keep_mask(data, actor.user_id)

    async def mask(self, actor: Actor, sha256: str) -> bytes:
        """Return a mask that the actor has sent. Raises ImageError for any other."""
        await self._rights.check(actor, Action.MINE)
        if not await self._queue.people.has_sent(actor.user_id, sha256):
            raise ImageError(NOT_YOURS)
        try:
            data = await self._files.get(sha256)
            await asyncio.to_thread(bits.read, data)
        except FilesAway:
            raise
        except StorageError as error:
            raise ImageError(NOT_YOURS) from error
        return data

    async def select(self, actor: Actor, source: Source, wanted: Wanted) -> Selection:
        """Return which pixels of a picture belong to the thing that is pointed at or named. Nothing is
        queued, and the answer is nobody's gallery's.

        Raises ImageError for no such picture or thing, NotAllowedError for a barred person, LimitError while
        the last question isn't answered or the studio can't answer now.
        """
        await self._rights.check(actor, Action.ASK)
        found = await self._find(actor, source)
        return await self._selecting.select(actor.user_id, found.sha256, wanted)

    async def look(self, actor: Actor, document: Document) -> Plan:
        """Return what ``document`` would become, as far as that can be told without painting it.

        Raises UserError, which says why it can't become anything, ImageError for a picture that isn't there,
        NotAllowedError for somebody else's.
        """
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
        new = edits.job_of(document, laid, words, mask, references)
        return Asked(new, self._plan(document, laid, mask is not None))

    def _plan(self, document: Document, laid: Sequence[Laid], painted: bool) -> Plan:
        return edits.plan(document, laid, painted, controlnet=self._controlnet)

    async def _laid(self, actor: Actor, document: Document) -> list[Laid]:
        """Return the layers that can be seen; each picture's right is checked, and that the actor has sent
        the masks that cut them."""
        laid = []
        for layer in document.shown:
            source = await self._find(actor, layer.source)
            if layer.clip is not None:
                await self._check_clip(actor, layer.clip, source)
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

    async def _check_clip(self, actor: Actor, sha256: str, source: Found) -> None:
        mask = await asyncio.to_thread(bits.read, await self.mask(actor, sha256))
        if (mask.width, mask.height) != (source.width, source.height):
            raise UserError(
                f"`clip` has {mask.width}×{mask.height} px; its layer's picture has"
                f" {source.width}×{source.height} px."
            )

    async def _words(
        self, actor: Actor, document: Document, laid: Sequence[Laid]
    ) -> PromptWithPictures | None:
        """Return the document's words with the pictures that they name, None where they are the picture's."""
        if not document.words.strip():
            return None
        made = next((one.source.job for one in laid if one.source.job is not None), None)
        known = pictures_of(made) if made is not None and laid[0].source.request is not None else {}
        prompt = await self._prompts.single(actor.user_id, document.words)
        [ready], found = await self._prompts.with_pictures(actor, [prompt], None, known)
        return PromptWithPictures(ready, found)

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
