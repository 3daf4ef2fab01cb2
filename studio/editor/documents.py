"""Documents that people work on, saved as they go: by one person, from any number of tabs and devices."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec

from core.errors import UserError
from core.names import name_of
from storage.database import Database
from storage.web import documents as rows
from storage.web.documents import Content, Kept
from studio.actor import Actor
from studio.authority import Action
from studio.editor.document import Document, read_document
from studio.rights import Rights

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
        return await self._database.read(partial(rows.of_person, user_id=actor.user_id))

    async def one(self, actor: Actor, document_id: str) -> Kept | None:
        """Return a document of the actor's."""
        await self._rights.check(actor, Action.MINE)
        return await self._database.read(partial(rows.one, user_id=actor.user_id, document_id=document_id))

    async def create(self, actor: Actor, data: Any, name: str = "") -> Kept:
        """Keep a new document. Raises UserError for one that isn't a document, and after too many."""
        await self._rights.check(actor, Action.MINE)
        content, now = await _content(lambda: data), datetime.now(UTC)
        work = partial(
            rows.add,
            user_id=actor.user_id,
            name=_name(name),
            content=content,
            now=now,
            most=MOST_DOCUMENTS,
        )
        if (document_id := await self._database.write(work)) is None:
            raise UserError(
                f"You have {MOST_DOCUMENTS} documents, which is the limit, so this one isn't kept. Delete"
                " some on the page Documents."
            )
        return Kept(document_id, _name(name), 1, now, now, content.summary)

    async def save(
        self, actor: Actor, document_id: str, version: int, data: Any, name: str | None = None
    ) -> int | None:
        """Save a document over ``version`` and return the new version. name: None = the one it has.

        Raises EditedElsewhere when another version is there, UserError for what isn't a document.
        """
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
        new version.

        Raises EditedElsewhere when another version is there, UserError for what isn't a document.
        """
        found = await self.one(actor, document_id)
        if found is None:
            return None
        if found.version != version:
            raise EditedElsewhere(found.version)
        longer = partial(_extended, found.content or "{}", keep, strokes, words)
        return await self._save(actor, document_id, version, await _content(longer), None)

    async def _save(
        self, actor: Actor, document_id: str, version: int, content: Content, name: str | None
    ) -> int | None:
        work = partial(
            rows.save,
            user_id=actor.user_id,
            document_id=document_id,
            version=version,
            content=content,
            now=datetime.now(UTC),
            name=None if name is None else _name(name),
        )
        if (saved := await self._database.write(work)) is not None:
            return saved
        there = await self.one(actor, document_id)
        if there is None:
            return None
        raise EditedElsewhere(there.version)

    async def rename(self, actor: Actor, document_id: str, name: str) -> bool:
        """Give a document another name, which tabs that have it open needn't know. Raises UserError for one
        that isn't taken."""
        await self._rights.check(actor, Action.MINE)
        work = partial(rows.rename, user_id=actor.user_id, document_id=document_id, name=_name(name))
        return await self._database.write(work)

    async def delete(self, actor: Actor, document_id: str) -> bool:
        """Delete a document; pictures made from it stay."""
        await self._rights.check(actor, Action.MINE)
        return await self._database.write(
            partial(rows.delete, user_id=actor.user_id, document_id=document_id)
        )


async def _content(data: Callable[[], Any]) -> Content:
    """Return a document as it is kept, read in a thread: hundreds of strokes take a while."""
    return await asyncio.to_thread(lambda: _read(data()))


def _read(data: Any) -> Content:
    found = read_document(data)
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    if (size := len(text.encode())) > MOST_BYTES:
        raise UserError(
            f"The document has {size:,} bytes; up to {MOST_BYTES:,} fit. Bake its strokes into the mask below"
            " them."
        )
    return Content(text, _summary(found), found.files)


def _summary(found: Document) -> dict[str, Any]:
    source = found.layers[0].source
    return {"width": found.width, "height": found.height, "source": msgspec.to_builtins(source)}


def _extended(text: str, keep: int, strokes: Sequence[Any], words: str | None) -> Any:
    data = json.loads(text)
    mask = data.setdefault("mask", {})
    mask["strokes"] = [*mask.get("strokes", [])[: max(0, keep)], *strokes]
    return data if words is None else {**data, "words": words}


def _name(text: str) -> str:
    """Return a document's name as it is kept, "" for none. Raises UserError."""
    return name_of(text, "A document")
