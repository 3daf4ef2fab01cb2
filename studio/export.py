"""A person's copy of their data: rows as JSON, and files, packed into ZIP files that fit, or into one that is
sent while it is made."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from core.errors import FilesAway, LimitError, StorageError
from storage import privacy as rows
from storage.blobs.base import Files
from storage.database import Database
from studio.media.zip_stream import Archive
from studio.moderation.moderator import Moderator

WITH_FILES = {  # table → the column that names a file
    "pictures": "sha256",
    "films": "sha256",
    "inputs": "sha256",
    "uploads": "sha256",
    "example_pictures": "sha256",
    "project_items": "sha256",
    "job_files": "sha256",
    "project_marks": "mask",
}
JSON_BYTES = 2 * 2**20  # of the rows in one file, so that one always fits and little is in memory
AROUND = 300  # bytes of a ZIP file around each file in it
TOO_LARGE = "These videos are larger than what can be sent here. Get them from the web, or ask the host:"
HELD_BACK = "These pictures are shown nowhere by the rule about minors, and aren't in this copy:"
AT_ONCE = 200  # pictures that the rules are asked about
ANOTHER = "One copy of your data at a time: wait until the other one is there."


@dataclass(frozen=True)
class _Entry:
    """A file of the copy: rows as ``data``, or what lies at ``path``."""

    name: str
    size: int
    data: bytes = b""
    path: Path | None = None


class Export:
    """Packs what is kept of people. Raises LimitError while a copy of the same person's is being made,
    FilesAway while pictures that are there can't be read: without them it would be no copy."""

    def __init__(self, database: Database, files: Files, moderator: Moderator) -> None:
        self._database, self._files, self._moderator = database, files, moderator
        self._busy: set[int] = set()

    async def parts(self, user_id: int, limit: int, *, pictures: bool = True) -> AsyncGenerator[bytes, None]:
        """Yield ZIP files of at most ``limit`` bytes: the rows, then (``pictures``) every picture and video
        that fits into one; the last names those that don't."""
        archive, packed, size = Archive(), bytearray(), 0
        too_large = list[str]()
        async with aclosing(self._entries(user_id, pictures)) as entries:
            async for entry in entries:
                needed = AROUND + (
                    entry.size if entry.path else len(await asyncio.to_thread(zlib.compress, entry.data))
                )
                if needed > limit:
                    too_large.append(entry.name.rpartition("/")[2])
                    continue
                if size + needed > limit:
                    yield bytes(packed + archive.end())
                    archive, packed, size = Archive(), bytearray(), 0
                size += needed
                async with aclosing(_added(archive, entry)) as pieces:
                    async for piece in pieces:
                        packed += piece
        if too_large:
            names = "\n".join((TOO_LARGE, *too_large, ""))
            packed += archive.add("too-large.txt", names.encode(), datetime.now(UTC))
        yield bytes(packed + archive.end())

    async def whole(self, user_id: int, *, pictures: bool = True) -> AsyncGenerator[bytes, None]:
        """Yield one ZIP file with everything, in pieces; little of it is in memory at a time."""
        archive = Archive()
        async with aclosing(self._entries(user_id, pictures)) as entries:
            async for entry in entries:
                async with aclosing(_added(archive, entry)) as pieces:
                    async for piece in pieces:
                        yield piece
        yield archive.end()

    async def _entries(self, user_id: int, pictures: bool) -> AsyncGenerator[_Entry, None]:
        if user_id in self._busy:
            raise LimitError(ANOTHER)
        self._busy.add(user_id)
        try:
            names: dict[str, None] = {}
            async with aclosing(self._rows(user_id, names)) as tables:
                async for entry in tables:
                    yield entry
            found, left_out = list(names) if pictures else [], list[str]()
            for some in (found[i : i + AT_ONCE] for i in range(0, len(found), AT_ONCE)):
                hidden = await self._moderator.shown_nowhere(some)
                left_out += [sha256 for sha256 in some if sha256 in hidden]
                for sha256 in some:
                    if sha256 not in hidden and (file := await self._file(sha256)) is not None:
                        yield file
            if left_out:
                text = "\n".join((HELD_BACK, *left_out, "")).encode()
                yield _Entry("held-back.txt", len(text), text)
        finally:
            self._busy.discard(user_id)

    async def _file(self, sha256: str) -> _Entry | None:
        """Return a picture or video; None for one that was deleted meanwhile."""
        try:
            known = await self._files.entry(sha256)
            folder = "videos" if known.extension == "mp4" else "pictures"
            return _Entry(f"{folder}/{known.name}", known.size, path=await self._files.local(sha256))
        except FilesAway:
            raise
        except StorageError:
            return None

    async def _rows(self, user_id: int, names: dict[str, None]) -> AsyncGenerator[_Entry, None]:
        """Yield files of rows by table, and put the files that they name into ``names``."""
        told: dict[str, list[dict[str, Any]]] = {}
        number, size = 1, 0
        for table in rows.personal_rows(user_id):
            after: tuple[Any, ...] | None = ()
            told[table] = []
            while after is not None:
                work = partial(rows.export, user_id=user_id, table=table, after=after)
                found, after = await self._database.read(work, once=True)
                told.setdefault(table, []).extend(found)
                size += await asyncio.to_thread(lambda page: len(json.dumps(page)), found)
                if column := WITH_FILES.get(table):
                    names.update((row[column], None) for row in found if row[column])
                if size >= JSON_BYTES:
                    yield await asyncio.to_thread(_json, number, told)
                    told, number, size = {}, number + 1, 0
        if told or number == 1:
            yield await asyncio.to_thread(_json, number, told)


def _json(number: int, told: dict[str, list[dict[str, Any]]]) -> _Entry:
    data = json.dumps(told, ensure_ascii=False, indent=1).encode()
    return _Entry("data.json" if number == 1 else f"data-{number}.json", len(data), data)


async def _added(archive: Archive, entry: _Entry) -> AsyncGenerator[bytes, None]:
    """Yield the pieces that an entry adds; none of a file that has gone meanwhile."""
    now = datetime.now(UTC)
    if entry.path is None:
        yield await asyncio.to_thread(archive.add, entry.name, entry.data, now, squeeze=True)
        return
    pieces = archive.add_file(entry.name, entry.path, now)
    try:  # it is read whole before its first piece
        piece = await asyncio.to_thread(next, pieces, None)
    except OSError:
        return
    while piece is not None:
        yield piece
        piece = await asyncio.to_thread(next, pieces, None)
