"""Files at the bot's end of the bus: lent to agents in parts, and taken from them in parts. A token says
whose run a part belongs to, and the subject which host asks: neither gets at the files of another."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import WireError
from jobs.cluster.protocol import CHUNK, Fetch, Piece, Put, Stored

MOST_MADE = 8 * 2**30  # bytes that one run may put
log = logging.getLogger(__name__)


@dataclass
class _Lent:
    host: str
    paths: Mapping[str, Path]


class FileLender:
    """Files that runs and questions were handed out with."""

    def __init__(self) -> None:
        self._lent: dict[str, _Lent] = {}

    @contextmanager
    def lent(self, token: str, host: str, paths: Mapping[str, Path]) -> Iterator[None]:
        """Let a host fetch these files, by SHA-256, until the block ends."""
        self._lent[token] = _Lent(host, paths)
        try:
            yield
        finally:
            self._lent.pop(token, None)

    async def answer(self, asked: Fetch, subject: str) -> Piece:
        """Return a part of a file. subject: names the host that asks."""
        host = subject.partition(".")[2]
        lent = self._lent.get(asked.token)
        if lent is None or lent.host != host or (path := lent.paths.get(asked.sha256)) is None:
            return Piece(-1)
        try:
            return await asyncio.to_thread(_piece, path, asked.offset)
        except OSError as error:
            log.warning("%s can't be lent: %s", path.name, error.strerror)
            return Piece(-1)


def _piece(path: Path, offset: int) -> Piece:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(offset)
        return Piece(size, file.read(CHUNK))


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
