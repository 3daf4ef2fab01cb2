"""Files at an agent's end of the bus: what runs start from is fetched by its hash and kept for a while, what
they have made is put before their answers."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from bus.connection import Bus
from core.errors import BusAway, BusError, FilesAway, StorageError
from jobs.agents.outputs import Made
from jobs.agents.wire import CHUNK, Fetch, Piece, Put, Stored
from storage.blobs.base import MEDIA_TYPES, Files
from storage.blobs.cache import Cache

AHEAD = 4  # parts that are asked for at once
PATIENCE = 10.0  # seconds for a part
PAUSE = 1.0  # seconds before another try
log = logging.getLogger(__name__)


class Gone(BusError):
    """The bot doesn't lend a file, or takes none: the run isn't wanted any more."""


class Fetching:
    """Gets files from the store of FILES_URL, where the host has set one, else from the bot. cache: where
    they lie then."""

    def __init__(self, bus: Bus, host: str, cache: Cache, store: Files | None) -> None:
        self._bus, self._host, self._cache, self._store = bus, host, cache, store
        self._coming: dict[str, asyncio.Lock] = {}

    @asynccontextmanager
    async def lent(self, token: str, wanted: Mapping[str, str]) -> AsyncIterator[dict[str, Path]]:
        """Have the files of a run here until the block ends. wanted: SHA-256 → what its name ends in. Raises
        Gone, StorageError."""
        async with AsyncExitStack() as stack:
            found = await self._from_store(wanted, stack)
            rest = wanted.keys() - found.keys()
            stack.enter_context(self._cache.held(rest))
            for sha256 in sorted(rest):
                found[sha256] = await self._one(token, sha256, wanted[sha256])
            yield found

    async def _from_store(self, wanted: Collection[str], stack: AsyncExitStack) -> dict[str, Path]:
        if self._store is None or not wanted:
            return {}
        try:
            return await stack.enter_async_context(self._store.lent(list(wanted), some=True))
        except FilesAway as error:
            log.warning("the store of files is away, so the bot is asked: %s", error)
            return {}

    async def _one(self, token: str, sha256: str, extension: str) -> Path:
        lock = self._coming.setdefault(sha256, asyncio.Lock())
        try:
            async with lock:
                found = await asyncio.to_thread(self._cache.find, sha256)
                return found or await self._fetch(token, sha256, extension)
        finally:
            if not lock.locked():
                self._coming.pop(sha256, None)

    async def _fetch(self, token: str, sha256: str, extension: str) -> Path:
        temporary = await asyncio.to_thread(self._cache.new_file)
        try:
            digest, offset, size = hashlib.sha256(), 0, None
            with temporary.open("wb") as file:
                while size is None or offset < size:
                    most = 1 if size is None else AHEAD
                    starts = [offset + n * CHUNK for n in range(most)]
                    asked = [at for at in starts if size is None or at < size]
                    for piece in await asyncio.gather(*(self._piece(token, sha256, at) for at in asked)):
                        if size not in (None, piece.size) or (piece.size > offset and not piece.data):
                            raise StorageError(f"file {sha256[:12]}… has changed while it was fetched")
                        size = piece.size
                        digest.update(piece.data)
                        await asyncio.to_thread(file.write, piece.data)
                        offset += len(piece.data)
            if digest.hexdigest() != sha256:
                raise StorageError(f"file {sha256[:12]}… came with another hash")
            kind = extension if extension in MEDIA_TYPES else "png"
            return await asyncio.to_thread(self._cache.adopt, sha256, kind, temporary)
        except OSError as error:
            raise StorageError(f"a file can't be written: {error.strerror}") from error
        finally:
            temporary.unlink(missing_ok=True)

    async def _piece(self, token: str, sha256: str, offset: int) -> Piece:
        asked = Fetch(token, sha256, offset)
        while True:
            try:
                piece = await self._bus.request(f"file.{self._host}", asked, Piece, patience=PATIENCE)
                break
            except BusAway:  # the run's lease ends this
                await asyncio.sleep(PAUSE)
        if piece.size < 0:
            raise Gone(f"file {sha256[:12]}… isn't lent")
        return piece

    async def put(self, token: str, made: Iterable[Made]) -> None:
        """Hand over what a run has made. Raises Gone, BusAway, OSError."""
        for one in made:
            offset = -1
            while offset < one.size:
                at = max(0, offset)
                data = one.data[at : at + CHUNK] if one.data else await asyncio.to_thread(_read, one, at)
                put = Put(token, one.sha256, one.size, at, data)
                stored = await self._bus.request(f"put.{self._host}", put, Stored, patience=PATIENCE)
                if stored.next < 0:
                    raise Gone("what a run has made isn't taken")
                offset = stored.next

    def forget(self, names: Collection[str]) -> None:
        """Delete the copies of files. Blocks."""
        for name in names:
            if self._cache.has(name):
                self._cache.drop(name)


def _read(made: Made, at: int) -> bytes:
    with Path(made.path).open("rb") as file:
        file.seek(at)
        return file.read(CHUNK)
