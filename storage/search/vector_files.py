"""Copies of the vectors as a worker reads them: float32, one file a model, in which place and offset are the
same thing. The rows are the truth: a file that is lost is written anew."""

from __future__ import annotations

import asyncio
import hashlib
import os
import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

from core.errors import StorageError
from storage.search.vectors import Slot

WIDER = 2  # times as many bytes as in a row: numpy takes longer to widen float16 than to compare float32


class VectorFiles:
    """The files of vectors in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, model: str) -> Path:
        """Return where the vectors of ``model`` lie."""
        return self._folder / f"{hashlib.sha256(model.encode()).hexdigest()[:16]}.f32"

    async def put(self, model: str, vectors: Mapping[int, bytes]) -> None:
        """Write vectors of rows durably, by place. Raises StorageError when the disk is full."""
        await asyncio.to_thread(self._put, self.path(model), vectors, _wide)

    async def erase(self, slots: Iterable[Slot]) -> None:
        """Overwrite vectors that no row has any more. Raises StorageError when the disk doesn't take it."""
        await asyncio.to_thread(self._erase, list(slots))

    async def count(self, model: str, size: int) -> int:
        """Return how many vectors the file of ``model`` has room for. size: of one in a row, in bytes."""
        return await asyncio.to_thread(_length, self.path(model)) // (WIDER * size)

    async def keep(self, models: Iterable[str]) -> None:
        """Remove the files of all models but these."""
        await asyncio.to_thread(self._keep, {self.path(model) for model in models})

    def _put(
        self, path: Path, vectors: Mapping[int, bytes], packed: Callable[[bytes], bytes] = bytes
    ) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            with path.open("r+b") as file:
                for place, vector in vectors.items():
                    data = packed(vector)
                    file.seek(place * len(data))
                    file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(f"vectors of pictures can't be written: {error.strerror}") from error

    def _erase(self, slots: list[Slot]) -> None:
        by_path: dict[Path, dict[int, bytes]] = {}
        for slot in slots:
            by_path.setdefault(self.path(slot.model), {})[slot.place] = bytes(WIDER * slot.size)
        for path, zeros in by_path.items():
            used = _not_empty(path, zeros)
            if used:
                self._put(path, used)

    def _keep(self, paths: set[Path]) -> None:
        for path in self._folder.glob("*.f32") if self._folder.is_dir() else ():
            if path not in paths:
                path.unlink(missing_ok=True)


def _wide(vector: bytes) -> bytes:
    """Return float16 numbers as float32."""
    count = len(vector) // 2
    return struct.pack(f"<{count}f", *struct.unpack(f"<{count}e", vector))


def _not_empty(path: Path, zeros: Mapping[int, bytes]) -> dict[int, bytes]:
    """Return those of ``zeros`` (by place) that would change the file."""
    try:
        with path.open("rb") as file:
            return {place: zero for place, zero in zeros.items() if _at(file, place, len(zero)).strip(b"\0")}
    except FileNotFoundError:
        return {}


def _at(file: BinaryIO, place: int, size: int) -> bytes:
    file.seek(place * size)
    return file.read(size)


def _length(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
