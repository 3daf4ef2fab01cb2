"""A training as steps: a generator that says how far it is and keeps what was expensive in a store, so that
one that was killed goes on where it was, with the same bytes in the end."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from safetensors.torch import load, save
from torch import Tensor

Result = TypeVar("Result")
Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Step:
    """done of total, and in words what was done."""

    done: int
    total: int
    words: str


class Store(Protocol):
    """Keeps bytes by name, for as long as a training is not over or longer."""

    def get(self, name: str) -> bytes | None:
        """Return what was kept, None when nothing was."""

    def put(self, name: str, data: bytes) -> None:
        """Keep ``data``: all of it or, when the process dies, nothing."""


class MemoryStore:
    """Keeps all for as long as it lives."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def get(self, name: str) -> bytes | None:
        """See Store."""
        return self.kept.get(name)

    def put(self, name: str, data: bytes) -> None:
        """See Store."""
        self.kept[name] = data


class FolderStore:
    """Keeps a file a name in ``folder``, the latest ``most`` bytes of them."""

    def __init__(self, folder: Path, most: int = 2 * 2**30) -> None:
        self.folder, self.most = folder, most
        folder.mkdir(parents=True, exist_ok=True)
        self._bytes = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())

    def get(self, name: str) -> bytes | None:
        """See Store."""
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def put(self, name: str, data: bytes) -> None:
        """See Store."""
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".part-", delete=False) as file:
            file.write(data)
        os.replace(file.name, self.folder / name)
        self._bytes += len(data)
        if self._bytes > self.most:
            self._make_room()

    def _make_room(self) -> None:
        files = sorted((f for f in self.folder.iterdir() if f.is_file()), key=lambda f: f.stat().st_mtime_ns)
        self._bytes = sum(file.stat().st_size for file in files)
        for file in files[:-1]:
            if self._bytes <= self.most:
                break
            self._bytes -= file.stat().st_size
            file.unlink(missing_ok=True)


def kept(store: Store, parts: tuple[str, ...], make: Callable[[], Tensors]) -> Tensors:
    """Return the tensors that ``make`` makes, from the store if they are there: ``parts`` say all that they
    depend on."""
    name = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    if (data := store.get(name)) is not None:
        return load(data)
    made = {key: value.contiguous() for key, value in make().items()}
    store.put(name, save(made))
    return made


def exhausted(work: Generator[None, None, Result]) -> Result:
    """Do all of a work that stands still between its parts, and return what comes of it."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: Result = end.value
            return result


def run(
    training: Generator[Step, None, Result], report: Callable[[Step], None] = lambda step: None
) -> Result:
    """Take all steps of a training and return what comes of it."""
    while True:
        try:
            report(next(training))
        except StopIteration as end:
            result: Result = end.value
            return result
