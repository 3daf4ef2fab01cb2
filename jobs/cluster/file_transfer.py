"""Files that go over the bus in parts, by their SHA-256: those that a bot lends and takes, and at an agent's
end those that it fetches and puts. A token says whose run a part belongs to, and the subject which host
asks: neither gets at the files of another."""

import asyncio
import hashlib
import logging
import shutil
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import BusAway, BusError, FilesAway, StorageError, WireError
from jobs.cluster.nats import Bus
from jobs.cluster.protocol import CHUNK, Fetch, Made, Piece, Put, Stored
from storage.blobs.base import MEDIA_TYPES, Files
from storage.blobs.local import Cache

MOST_MADE = 8 * 2**30  # bytes that one run may put
log = logging.getLogger(__name__)
AHEAD = 4  # parts that are asked for at once
PART_PATIENCE = 10.0  # seconds for a part
PAUSE = 1.0  # seconds before another try


class FileLender:
    """Files that runs and questions were handed out with."""

    def __init__(self) -> None:
        self._lent: dict[str, tuple[str, Mapping[str, Path]]] = {}  # token → host, files

    @contextmanager
    def lent(self, token: str, host: str, paths: Mapping[str, Path]) -> Iterator[None]:
        """Let a host fetch these files, by SHA-256, until the block ends."""
        self._lent[token] = host, paths
        try:
            yield
        finally:
            self._lent.pop(token, None)

    async def answer(self, asked: Fetch, subject: str) -> Piece:
        """Return a part of a file. subject: names the host that asks."""
        host, paths = self._lent.get(asked.token, ("", {}))
        if host != subject.partition(".")[2] or (path := paths.get(asked.sha256)) is None:
            return Piece(-1)

        def read() -> Piece:
            with path.open("rb") as file:
                size = file.seek(0, 2)
                file.seek(asked.offset)
                return Piece(size, file.read(CHUNK))

        try:
            return await asyncio.to_thread(read)
        except OSError as error:
            log.warning("%s can't be lent: %s", path.name, error.strerror)
            return Piece(-1)


@dataclass
class _Coming:
    host: str
    folder: Path
    sizes: dict[str, int] = field(default_factory=dict)  # SHA-256 → bytes that it will have
    there: dict[str, int] = field(default_factory=dict)  # … that it has
    moved: dict[str, Path] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class FileReceiver:
    """What runs have made and put before their answer, in a folder below ``root`` for each."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._coming: dict[str, _Coming] = {}

    def clear(self) -> None:
        """Delete what an earlier process has left. Blocks."""
        shutil.rmtree(self._root, ignore_errors=True)

    def expect(self, token: str, host: str) -> None:
        """Take files for a run from its host."""
        self._coming[token] = _Coming(host, self._root / token)

    async def drop(self, token: str) -> None:
        """Take nothing more for a run, and delete what nobody has moved away."""
        coming = self._coming.pop(token, None)
        if coming is not None and coming.there:
            await asyncio.to_thread(shutil.rmtree, coming.folder, ignore_errors=True)

    async def answer(self, put: Put, subject: str) -> Stored:
        """Take a part of a file; parts come in order, and may come again. subject: names the host."""
        host = subject.partition(".")[2]
        coming = self._coming.get(put.token)
        if coming is None or coming.host != host:
            return Stored(-1)
        async with coming.lock:
            there = coming.there.get(put.sha256, 0)
            size = coming.sizes.setdefault(put.sha256, put.size)
            if put.offset + len(put.data) > size or sum(coming.sizes.values()) > MOST_MADE:
                log.warning("%s puts more than it may", host)
                return Stored(-1)
            if put.offset == there:
                await asyncio.to_thread(_append, coming.folder / put.sha256, there, put.data)
                there = coming.there[put.sha256] = there + len(put.data)
            return Stored(there)

    def read(self, token: str, sha256: str) -> bytes:
        """Return what was put for a run. Blocks. Raises WireError when that isn't whole, or is another."""
        data = self._path(token, sha256).read_bytes()
        if hashlib.sha256(data).hexdigest() != sha256:
            raise WireError("what was put has another SHA-256")
        return data

    def take(self, token: str, sha256: str, target: Path) -> None:
        """Move what was put for a run to where it belongs. Blocks. Raises WireError, OSError."""
        coming = self._coming.get(token)
        if coming is not None and (moved := coming.moved.get(sha256)) is not None:
            shutil.copyfile(moved, target)
            return
        path = self._path(token, sha256)
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise WireError("what was put has another SHA-256")
        shutil.move(path, target)
        if coming is not None:
            coming.moved[sha256] = target

    def _path(self, token: str, sha256: str) -> Path:
        coming = self._coming.get(token)
        if coming is None or coming.there.get(sha256, -1) != coming.sizes.get(sha256, 0):
            raise WireError("what was put isn't whole")
        return coming.folder / sha256


def _append(path: Path, at: int, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("r+b" if at else "wb") as file:
        file.seek(at)
        file.write(data)
        file.truncate()


class Gone(BusError):
    """The bot doesn't lend a file, or takes none: the run isn't wanted any more."""


class FileFetcher:
    """Gets files from the store of FILES_URL if the host has set one, else from the bot, into ``cache``."""

    def __init__(self, bus: Bus, host: str, cache: Cache, store: Files | None) -> None:
        self._bus, self._host, self._cache, self._store = bus, host, cache, store
        self._coming: dict[str, asyncio.Lock] = {}

    @asynccontextmanager
    async def lent(self, token: str, wanted: Mapping[str, str]) -> AsyncIterator[dict[str, Path]]:
        """Have a run's files until the block ends. wanted: SHA-256 → ending. Raises Gone, StorageError."""
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
                            raise StorageError(f"file {sha256[:12]}… has changed during the transfer")
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
                piece = await self._bus.request(f"file.{self._host}", asked, Piece, patience=PART_PATIENCE)
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
                stored = await self._bus.request(f"put.{self._host}", put, Stored, patience=PART_PATIENCE)
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
