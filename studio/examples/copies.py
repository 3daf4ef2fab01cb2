"""Sets as people look at them and take them away: a sheet of their pictures, a ZIP file of all there is."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator, Sequence
from typing import Any

from core.errors import ImageError, StorageError
from storage.files import Files
from studio.actor import Actor
from studio.examples.sets import Contents, Sets
from studio.pictures.intake import Intake
from studio.services import Services

PAGE = 12  # pictures of a sheet
ROOM = 400  # bytes of a ZIP file around one picture
LEFT_OUT = "left out"  # instead of a picture that may not be shown where it is asked for, or is gone


class Copies:
    """Shows what may be shown where somebody asks; the rest is left out."""

    def __init__(self, sets: Sets, services: Services) -> None:
        self._sets, self._moderator, self._showing = sets, services.moderator, services.showing
        self._files: Files = services.files
        self._intake: Intake = services.intake

    async def sheet(self, actor: Actor, contents: Contents, page: int) -> bytes | None:
        """Return a page (from 0) of a set's examples as a WebP, each by its first picture and its number;
        None where there are none."""
        first = page * PAGE
        shown = contents.examples[first : first + PAGE]
        if not shown:
            return None
        cells = [await self._cell(actor, next(iter(one.pictures), None)) for one in shown]
        return await self._intake.sheet(cells, first + 1)

    async def _cell(self, actor: Actor, picture: tuple[str, str | None] | None) -> bytes:
        if picture is None or await self._moderator.unfit((picture[0],), actor.place) is not None:
            return b""
        try:
            return await self._showing.small(picture[0])
        except (ImageError, StorageError):
            return b""

    async def pack(self, actor: Actor, name: str, limit: int) -> AsyncIterator[bytes]:
        """Yield ZIP files of at most about ``limit`` bytes: labels and questions as JSON, then the pictures.

        Raises UserError for a set that isn't there, NotAllowedError.
        """
        contents = await self._sets.contents(actor, name)
        names = _names(contents)
        unfit = {
            sha256 for sha256 in names if await self._moderator.unfit((sha256,), actor.place) is not None
        }
        part = _Part()
        part.add(
            "examples.json", json.dumps(_told(contents, names, unfit), ensure_ascii=False, indent=1).encode()
        )
        for sha256, called in names.items():
            try:
                data = b"" if sha256 in unfit else await self._files.get(sha256)
            except StorageError:
                continue
            if not data or len(data) + ROOM > limit:
                continue
            if part.size + len(data) + ROOM > limit:
                yield part.close()
                part = _Part()
            await asyncio.to_thread(part.add, called, data)
        yield part.close()


def _names(contents: Contents) -> dict[str, str]:
    """Return what each picture's file is called, by its SHA-256."""
    folders = {label: number for number, label in enumerate(contents.labels, 1)}
    found = dict[str, str]()
    for example in contents.examples:
        plain = "".join(c if c.isalnum() else " " for c in example.label)[:40]
        folder = " ".join(f"{folders[example.label]:02} {plain}".split())
        for sha256, _ in example.pictures:
            found.setdefault(sha256, f"pictures/{folder}/{len(found) + 1:04}.png")
    return found


def _told(contents: Contents, names: dict[str, str], unfit: set[str]) -> dict[str, Any]:
    def one(pictures: Sequence[tuple[str, str | None]]) -> list[str]:
        return [LEFT_OUT if sha256 in unfit else names[sha256] for sha256, _ in pictures]

    return {
        "name": contents.set.name,
        "examples": [
            {
                "label": example.label,
                **({"question": example.question} if example.question else {}),
                "pictures": one(example.pictures),
            }
            for example in contents.examples
        ],
    }


class _Part:
    """A ZIP file in memory."""

    def __init__(self) -> None:
        self._buffer = io.BytesIO()
        self._zip = zipfile.ZipFile(self._buffer, "w")

    @property
    def size(self) -> int:
        return self._buffer.tell()

    def add(self, name: str, data: bytes) -> None:
        self._zip.writestr(name, data)

    def close(self) -> bytes:
        self._zip.close()
        return self._buffer.getvalue()
