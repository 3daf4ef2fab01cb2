"""Copies of a bucket's files on this machine's disk: the newest within a bound, each known by its hash."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import secrets
import shutil
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.errors import StorageError
from storage.blobs.base import is_name, place_of

KEPT = 600.0  # seconds that a file stays at least after somebody was told where it is, however full the cache
MAX_AGE = 7 * 86_400.0  # seconds after which a copy is fetched anew: another host may have deleted its file
log = logging.getLogger(__name__)


@dataclass
class _Copy:
    path: Path
    size: int
    written_at: float  # seconds since 1970, as of the file
    used_at: float  # the same
    handed_at: float = 0.0  # the same, when somebody was told where it is
    seen: tuple[int, int] | None = None  # the file's size and mtime in ns when its hash was right


class Cache:
    """Copies below ``root``, of at most ``most`` bytes together, which leave ``keep_free`` bytes of the disk
    to others. All methods block, and may be called from any thread."""

    def __init__(self, root: Path, *, most: int, keep_free: int = 0) -> None:
        self._root, self.most, self._keep_free = root, most, keep_free
        self._copies: OrderedDict[str, _Copy] = OrderedDict()  # the one that was used longest ago first
        self._lock = threading.RLock()
        self._held = Counter[str]()
        self.size = 0  # bytes

    def scan(self) -> None:
        """Take up what an earlier process has left, and delete what it left half-written."""
        for path in self._root.glob(".tmp-*"):
            path.unlink(missing_ok=True)
        found = []
        for path in self._root.glob("??/??/*"):
            if is_name(path.stem, path.suffix[1:]):
                status = path.stat()
                found.append(_Copy(path, status.st_size, status.st_mtime, status.st_atime))
        with self._lock:
            for copy in sorted(found, key=lambda copy: copy.used_at):
                self._add(copy)
        self.shrink()

    def read(self, sha256: str) -> bytes | None:
        """Return the bytes of a file, None where there is no copy that is right."""
        copy = self._use(sha256)
        try:
            data = copy.path.read_bytes() if copy is not None else None
        except OSError:
            data = b""
        if data is None or hashlib.sha256(data).hexdigest() == sha256:
            return data
        self._spoilt(sha256)
        return None

    def find(self, sha256: str) -> Path | None:
        """Return where a copy lies that is right, to be opened soon; None where there is none."""
        copy = self._use(sha256)
        if copy is None:
            return None
        try:
            status = copy.path.stat()
            seen = (status.st_size, status.st_mtime_ns)
            if copy.seen != seen:
                with copy.path.open("rb") as file:
                    if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                        raise OSError("its hash is another")
        except OSError:
            self._spoilt(sha256)
            return None
        copy.seen, copy.handed_at = seen, time.time()
        return copy.path

    def has(self, sha256: str) -> bool:
        """Return whether there is a copy."""
        return sha256 in self._copies

    def new_file(self) -> Path:
        """Return where a copy may be written that is then adopted. Raises StorageError."""
        try:
            self._root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{self._root} can't be written to: {error.strerror}") from error
        return self._root / f".tmp-{secrets.token_hex(8)}"

    def write(self, sha256: str, extension: str, data: bytes) -> None:
        """Keep a copy of ``data``, if there is room."""
        with contextlib.suppress(OSError, StorageError):
            temporary = self.new_file()
            try:
                temporary.write_bytes(data)
                self.adopt(sha256, extension, temporary)
            finally:
                temporary.unlink(missing_ok=True)

    def adopt(self, sha256: str, extension: str, path: Path) -> Path:
        """Make the file at ``path``, whose hash is known to be right, a copy; return where it is then. Raises
        OSError."""
        target = self._root / place_of(sha256, extension)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.utime(path)
        os.replace(path, target)
        status = target.stat()
        copy = _Copy(target, status.st_size, status.st_mtime, time.time())
        copy.seen = (status.st_size, status.st_mtime_ns)
        with self._lock:
            self._forget(sha256)
            self._add(copy)
        self.shrink()
        return target

    def drop(self, sha256: str) -> None:
        """Delete the copy of a file, if there is one, also from under whoever reads it."""
        with self._lock:
            copy = self._forget(sha256)
        if copy is not None:
            copy.path.unlink(missing_ok=True)

    @contextmanager
    def held(self, sha256s: Collection[str]) -> Iterator[None]:
        """Keep the copies of these files, and those that are still to come, until the block ends."""
        with self._lock:
            self._held.update(sha256s)
        try:
            yield
        finally:
            with self._lock:
                self._held -= Counter(sha256s)

    def shrink(self) -> None:
        """Delete copies that are too old, or the longest unused while they are too many or the disk is short
        of room; not what is held, and where somebody was just told it is only for the disk's sake."""
        now = time.time()
        with self._lock:
            short = self._is_short()
            for sha256, copy in list(self._copies.items()):
                is_old = copy.written_at < now - MAX_AGE
                full = self.size > self.most and copy.handed_at < now - KEPT
                if (is_old or full or short) and sha256 not in self._held:
                    self.drop(sha256)
                    short = short and self._is_short()

    def _is_short(self) -> bool:
        try:
            return shutil.disk_usage(self._root).free < self._keep_free
        except OSError:
            return False

    def _use(self, sha256: str) -> _Copy | None:
        with self._lock:
            copy = self._copies.get(sha256)
            if copy is not None:
                self._copies.move_to_end(sha256)
                copy.used_at = time.time()
        if copy is not None:
            with contextlib.suppress(OSError):  # for the next process
                os.utime(copy.path, (copy.used_at, copy.written_at))
        return copy

    def _spoilt(self, sha256: str) -> None:
        log.warning("the copy of file %s… is not what it was: it is fetched anew", sha256[:12])
        self.drop(sha256)

    def _add(self, copy: _Copy) -> None:
        self._copies[copy.path.stem] = copy
        self.size += copy.size

    def _forget(self, sha256: str) -> _Copy | None:
        copy = self._copies.pop(sha256, None)
        self.size -= copy.size if copy is not None else 0
        return copy
