"""A folder on this machine to which pictures come by themselves: which of them are new and whole.

New is what the folder's own clock has changed after a place in its time; whole is what has kept its size and
its time for a while. Files are only looked at here, never through a link. Blocking: it is for a thread.
"""

import asyncio
import hashlib
import os
import stat
import time
from _thread import start_new_thread
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from core.errors import UserError
from core.language import N_, _

T = TypeVar("T")
SLOW = N_("The folder doesn't answer.")
GONE = N_("The folder can't be read: {why}.")
PATIENCE = 20.0  # seconds for a look

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
SETTLED = 2.0  # seconds without a change after which a file counts as whole
AGAIN = 30.0  # seconds after which a file that couldn't be read is tried once more
BLOCK = 2**18  # bytes that are read at a time
MOST_PARTS, LONGEST = 8, 400  # folders below the one that the operator has named; characters of all


def folder_of(roots: Mapping[str, str], source: str) -> Path:
    """Return the folder that "name/below/it" means. roots: folders that the operator has named. Raises
    UserError for any other, for one that leads out of its root, and for one that isn't there."""
    name, _, below = source.strip().strip("/").partition("/")
    parts = [part for part in below.split("/") if part]
    if name not in roots or len(parts) > MOST_PARTS or len(source) > LONGEST:
        known = ", ".join(sorted(roots)) or "none"
        raise UserError(f"There is no folder {source[:60]!r} to watch. The operator allows: {known}.")
    root = Path(roots[name])
    try:
        real = root.resolve(strict=True)
        found = real.joinpath(*parts).resolve(strict=True)
        is_folder = found.is_dir()
    except (OSError, ValueError, RuntimeError):
        raise UserError(f"The folder {source[:60]!r} isn't there.") from None
    if not is_folder or not found.is_relative_to(real):
        raise UserError(f"{source[:60]!r} isn't a folder that may be watched.")
    return found


@dataclass(frozen=True)
class Found:
    """A picture's file. stamp: when it was last changed, ns by the folder's clock. inode: which one it is."""

    name: str
    path: Path
    size: int
    stamp: int
    inode: int

    @classmethod
    def of(cls, name: str, path: Path) -> "Found":
        """Return a file as it is now. Raises FileNotFoundError where it is
        something else, OSError."""
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            raise FileNotFoundError(name)
        return cls(name, path, found.st_size, found.st_ctime_ns, found.st_ino)

    def is_same(self) -> bool:
        """Return whether it is the same file still, unchanged."""
        try:
            return Found.of(self.name, self.path) == self
        except OSError:
            return False

    def digest(self) -> str:
        """Return the SHA-256 of the bytes, read a little at a time. Raises OSError."""
        hashed = hashlib.sha256()
        descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        with open(descriptor, "rb", buffering=0) as file:
            while block := file.read(BLOCK):
                hashed.update(block)
        return hashed.hexdigest()


class PictureFolder:
    """Remembers what it has seen since ``place``; what was done before that is never looked at again."""

    def __init__(self, path: Path, place: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.path, self.place, self._clock = path, place, clock
        self._since: dict[Found, float] = {}  # since when it is as it is
        self._done: set[Found] = set()
        self._failed: dict[Found, float] = {}  # when it may be tried again

    def look(self) -> list[Found]:
        """Return the new pictures that are whole, in the order of their time. Raises OSError."""
        now, seen = self._clock(), set[Found]()
        self.place = min(self.place, time.time_ns())  # a clock that was put back must not hide what comes
        with os.scandir(self.path) as entries:
            for entry in entries:
                if entry.name.startswith(".") or not entry.name.lower().endswith(SUFFIXES):
                    continue
                try:
                    found = Found.of(entry.name, Path(entry.path))
                except OSError:  # it has gone meanwhile, or is no file
                    continue
                if found.stamp > self.place and found.size:
                    seen.add(found)
        self._done &= seen
        self._since = {one: self._since.get(one, now) for one in seen - self._done}
        self._failed = {one: at for one, at in self._failed.items() if one in self._since}
        whole = [
            one
            for one, since in self._since.items()
            if now - since >= SETTLED and now >= self._failed.get(one, now)
        ]
        return sorted(whole, key=lambda one: (one.stamp, one.name))

    def failed(self, found: Found) -> bool:
        """Note that a file couldn't be read; return whether that was so before, and it is to be left."""
        if found in self._failed:
            self.done(found)
            return True
        self._failed[found] = self._clock() + AGAIN
        return False

    def done(self, found: Found) -> None:
        """Note that a file needs no further look, and move the place up to the first that does."""
        self._since.pop(found, None)
        self._done.add(found)
        open_ = min((one.stamp for one in self._since), default=None)
        newest = max(one.stamp for one in self._done)
        self.place = max(self.place, newest if open_ is None else min(newest, open_ - 1))

    def begin(self) -> None:
        """Count all that is there now as done. Raises OSError."""
        with os.scandir(self.path) as entries:
            for entry in entries:
                try:
                    self.place = max(self.place, entry.stat(follow_symlinks=False).st_ctime_ns)
                except OSError:
                    continue


def in_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    """Begin ``work`` in a thread that the end of the process doesn't wait for."""
    future = Future[T]()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    start_new_thread(run, ())  # Thread.start would wait until it runs
    found = asyncio.wrap_future(future)
    found.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may wait any more
    return found


async def answered(look: asyncio.Future[T]) -> T:
    """Return what was found in a folder. Raises UserError where that takes too long, or can't be."""
    done, _late = await asyncio.wait({look}, timeout=PATIENCE)
    if not done:
        raise UserError(_(SLOW))
    try:
        return look.result()
    except OSError as error:
        raise UserError(_(GONE, why=error.strerror or type(error).__name__)) from error
