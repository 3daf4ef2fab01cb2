"""Files on this machine's disk: the store as a folder, also one that is mounted here; what any store has
here (a folder for what is coming, what can be made again, a ballast for a full disk); and copies of a
bucket's files, the newest within a bound, each known by its hash."""

import asyncio
import contextlib
import errno
import functools
import hashlib
import logging
import os
import secrets
import shutil
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import islice
from math import inf
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from core.errors import FilesAway, StorageError
from core.traces import Timings, timed
from storage.blobs import base

log = logging.getLogger(__name__)

BALLAST_BYTES = 64 * 2**20
CHUNK = 2**20  # bytes that are written at once
P = ParamSpec("P")
T = TypeVar("T")


def in_thread(
    method: Callable[Concatenate[Any, P], T],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """Run a method that blocks in a thread."""

    @functools.wraps(method)
    async def run(self: Any, *arguments: P.args, **named: P.kwargs) -> T:
        return await asyncio.to_thread(method, self, *arguments, **named)

    return run


class Disk(base.Files):
    """The part of a store below ``root``. incoming: the folder for what is written elsewhere and then taken.
    derived: folder of what was made from files and can be made again; it goes with its file."""

    def __init__(self, root: Path, *, ballast_bytes: int, incoming: Path, derived: Path) -> None:
        self.root = root
        self.ballast_bytes = ballast_bytes
        self.incoming = incoming
        self._derived = derived
        self.timings = Timings(base.OPERATIONS)

    def free_bytes(self) -> int:
        """Return the free space for this user on the disk of ``root`` or of ``incoming``, the smaller one."""
        both = ((path, *path.absolute().parents) for path in (self.root, self.incoming))
        there = [
            next(folder for folder in folders if folder.exists()) for folders in both
        ]  # asking makes none
        return min(shutil.disk_usage(folder).free for folder in there)

    def drop_unfinished(self) -> None:
        for path in self.root.glob(".tmp-*"):
            path.unlink(missing_ok=True)

    # SQLite can't even delete on a full disk (SQLITE_FULL): giving up this file makes room to end objects
    # properly.

    @property
    def ballast(self) -> Path:
        """The file that is given up when the disk is full."""
        return self.root / ".ballast"

    def create_ballast(self) -> bool:
        if self.ballast.exists() and self.ballast.stat().st_size == self.ballast_bytes:
            return True
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            with self.ballast.open("wb") as file:
                for start in range(0, self.ballast_bytes, CHUNK):  # real blocks: a sparse file holds no room
                    file.write(bytes(min(CHUNK, self.ballast_bytes - start)))
                os.fsync(file.fileno())
        except OSError:
            self.release_ballast()
            return False
        return True

    def release_ballast(self) -> bool:
        try:
            self.ballast.unlink()
        except FileNotFoundError:
            return False
        return True

    # What was made from files

    @in_thread
    def get_derived(self, sha256: str, name: str) -> bytes | None:
        try:
            return self._derived_path(sha256, name).read_bytes()
        except OSError:
            return None

    @in_thread
    def find_derived(self, sha256: str, name: str) -> Path | None:
        path = self._derived_path(sha256, name)
        return path if path.is_file() else None

    def _derived_path(self, sha256: str, name: str) -> Path:
        return self._derived / base.checked(sha256)[:2] / sha256[2:4] / f"{sha256}.{name}"

    def _write_derived(self, path: Path, data: bytes) -> None:
        temporary = path.with_name(f".tmp-{secrets.token_hex(8)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(data)
            os.replace(temporary, path)
        except OSError:  # it can be made again
            temporary.unlink(missing_ok=True)

    def _remove_derived(self, sha256: str) -> None:
        folder = self._derived_path(sha256, "").parent
        for path in folder.glob(f"{sha256}.*") if folder.is_dir() else ():
            path.unlink(missing_ok=True)


ENTRIES_AT_ONCE = 200  # files that are looked at in one go of a thread


class Folder(Disk):
    """The store under ``root``: ``root/ab/cd/<sha256>.<extension>``. incoming, derived: see Disk; beside the
    folder unless they are given."""

    def __init__(
        self,
        root: Path,
        *,
        ballast_bytes: int = BALLAST_BYTES,
        incoming: Path | None = None,
        derived: Path | None = None,
    ) -> None:
        super().__init__(
            root,
            ballast_bytes=ballast_bytes,
            incoming=incoming or root.parent / "incoming",
            derived=derived or root.parent / "cache" / "derived",
        )
        self._renewing = threading.Lock()
        self._is_marked = False  # then a folder without the mark isn't this one: its disk isn't mounted

    def __str__(self) -> str:
        return str(self.root)

    @timed("put")
    @in_thread
    def put(self, data: bytes, media_type: str) -> str:
        sha256 = hashlib.sha256(data).hexdigest()
        target = self.root / base.place_of(sha256, base.extension_of(media_type))
        if self._renewed(sha256):
            return sha256
        try:
            self._write(data, target, self._make_folders(target))
        except OSError as error:
            raise StorageError(f"a file of {len(data):,} bytes can't be written: {error.strerror}") from error
        return sha256

    @timed("take")
    @in_thread
    def take(self, path: Path, media_type: str) -> base.Taken:
        """Take the file at ``path`` into the store durably, without holding it in memory; it isn't where it
        was any more, also when the store had the same bytes. Moves it on the same disk, copies it from
        another. Raises StorageError."""
        try:
            sha256, size = hashed(path)
            target = self.root / base.place_of(sha256, base.extension_of(media_type))
            if not self._renewed(sha256):
                self._bring(path, target)
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"the file {path.name} can't be stored: {error.strerror}") from error
        return base.Taken(sha256, size)

    @timed("get")
    @in_thread
    def get(self, sha256: str) -> bytes:
        path = self.path(sha256)
        try:
            return path.read_bytes()
        except OSError as error:
            raise StorageError(f"the file {path.name} can't be read: {error.strerror}") from error

    @in_thread
    def is_sound(self, sha256: str) -> bool:
        try:
            return hashed(self.path(sha256))[0] == sha256
        except OSError as error:
            raise StorageError(f"file {sha256[:12]}… can't be read: {error.strerror}") from error

    @timed("local")
    async def local(self, sha256: str) -> Path:
        return await asyncio.to_thread(self.path, sha256)

    @asynccontextmanager
    async def lent(self, sha256s: Collection[str], *, some: bool = False) -> AsyncIterator[dict[str, Path]]:
        found = {sha256: await asyncio.to_thread(self._find, sha256) for sha256 in sha256s}
        lost = [sha256 for sha256, path in found.items() if path is None]
        if lost and not some:
            raise self._missing(lost[0])
        yield {sha256: path for sha256, path in found.items() if path is not None}

    @in_thread
    def has(self, sha256: str) -> bool:
        return self.exists(sha256)

    @in_thread
    def entry(self, sha256: str) -> base.Entry:
        if (found := self._entry(self.path(sha256))) is None:
            raise self._missing(sha256)
        return found

    async def entries(self) -> AsyncIterator[base.Entry]:
        paths = self._paths()
        while some := await asyncio.to_thread(lambda: list(map(self._entry, islice(paths, ENTRIES_AT_ONCE)))):
            for entry in some:
                if entry is not None:
                    yield entry

    @timed("remove")
    @in_thread
    def remove(self, sha256: str, *, unless_after: float = inf) -> bool:
        found = self._find(sha256)
        try:
            if found is None:
                self._check_there()
            else:
                with self._renewing:  # until it has gone nobody is told that it is there
                    if base.is_renewed(found.stat().st_mtime, unless_after):
                        return False
                    found.unlink()
        except FileNotFoundError:
            found = None
        except OSError as error:
            raise StorageError(f"the file {sha256[:12]}… can't be deleted: {error.strerror}") from error
        self._remove_derived(sha256)
        return found is not None

    @in_thread
    def owner(self) -> str | None:
        try:
            owner = (self.root / base.OWNER).read_text().strip()
        except FileNotFoundError:
            self._check_there()
            return None
        except OSError as error:
            raise FilesAway(f"{self.root} can't be read: {error.strerror}") from error
        self._is_marked = True
        return owner

    @in_thread
    def mark(self, owner: str) -> None:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self._write(owner.encode(), self.root / base.OWNER, {self.root})
        except OSError as error:
            raise StorageError(f"can't write to {self.root}: {error.strerror}") from error
        self._is_marked = True

    @in_thread
    def put_derived(self, sha256: str, name: str, data: bytes) -> None:
        self._write_derived(self._derived_path(sha256, name), data)
        if self._find(sha256) is None:  # removed while this was being made
            self._remove_derived(sha256)

    # Without waiting for a thread

    def path(self, sha256: str) -> Path:
        """Return where the file is. Raises StorageError when there is none."""
        found = self._find(sha256)
        if found is None:
            raise self._missing(sha256)
        return found

    def exists(self, sha256: str) -> bool:
        """Return whether the file is there. Raises FilesAway."""
        if self._find(sha256) is None:
            self._check_there()
            return False
        return True

    def create_ballast(self) -> bool:
        """Take up ``ballast_bytes``; False when there isn't the room, or another disk is there. Blocks."""
        return self._is_there() and super().create_ballast()

    def all(self) -> Iterator[str]:
        """Yield the SHA-256 of every file, in no order. Reads the whole tree: run it in a thread."""
        return (path.stem for path in self._paths())

    def _paths(self) -> Iterator[Path]:
        return (path for path in self.root.glob("??/??/*") if base.is_name(path.stem, path.suffix[1:]))

    def _entry(self, path: Path) -> base.Entry | None:
        """Return what is known of the file at ``path``; None when it has just gone."""
        try:
            status = path.stat()
        except FileNotFoundError:
            return None
        return base.Entry(path.stem, path.suffix[1:], status.st_size, status.st_mtime)

    def _is_there(self) -> bool:
        return not self._is_marked or (self.root / base.OWNER).is_file()

    def _check_there(self) -> None:
        if not self._is_there():
            raise FilesAway(f"the pictures of {self.root} aren't there: is its disk mounted?")

    def _missing(self, sha256: str) -> StorageError:
        self._check_there()
        return StorageError(f"there is no file {sha256[:12]}… in {self.root}")

    def _write(self, data: bytes, target: Path, changed: set[Path]) -> None:
        """Write a file durably, whole or not at all."""
        temporary = self.root / f".tmp-{secrets.token_hex(8)}"
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            _move(temporary, target, changed)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise

    def _renewed(self, sha256: str) -> bool:
        """Whether the file is there; then it is as new as one written now, for the sweep of orphans."""
        found = self._find(sha256)
        if found is not None:
            with contextlib.suppress(FileNotFoundError), self._renewing:
                os.utime(found)
                return True
        return False

    def _bring(self, path: Path, target: Path) -> None:
        """Move a file to its place; on another disk, copy it."""
        os.utime(path)  # its row comes now, however long ago it was written
        changed = self._make_folders(target)
        try:
            _move(path, target, changed)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            temporary = self.root / f".tmp-{secrets.token_hex(8)}"
            try:
                shutil.copyfile(path, temporary)
                with temporary.open("r+b") as file:
                    os.fsync(file.fileno())
                _move(temporary, target, changed)
            finally:
                temporary.unlink(missing_ok=True)

    def _make_folders(self, target: Path) -> set[Path]:
        """Make the folders of a file, and return those whose entries are not durable once it is there."""
        self._check_there()
        parents = (target.parent, target.parent.parent, self.root)
        new = [folder for folder in parents if not folder.exists()]
        target.parent.mkdir(parents=True, exist_ok=True)
        return {target.parent, *(folder.parent for folder in new)}

    def _find(self, sha256: str) -> Path | None:
        folder = self.root / base.checked(sha256)[:2] / sha256[2:4]
        try:
            there = set(os.listdir(folder))  # a few; asking for each extension took five times as long
        except (FileNotFoundError, NotADirectoryError):
            return None
        names = (f"{sha256}.{extension}" for extension in base.MEDIA_TYPES)
        found = next((folder / name for name in names if name in there), None)
        return found if found is not None and found.is_file() else None


def hashed(path: Path) -> tuple[str, int]:
    """Return a file's SHA-256 and size, with its bytes on the disk. Raises OSError; a link is no file."""
    digest, size = hashlib.sha256(), 0
    handle = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
        os.fsync(file.fileno())
    return digest.hexdigest(), size


def _move(path: Path, target: Path, changed: set[Path]) -> None:
    """Move a file that is durable to its place, durably."""
    os.replace(path, target)
    for folder in changed if os.name == "posix" else ():  # only POSIX opens folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


KEPT = 600.0  # seconds that a file stays at least after somebody was told where it is, however full the cache
MAX_AGE = 7 * 86_400.0  # seconds after which a copy is fetched anew: another host may have deleted its file


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
            if base.is_name(path.stem, path.suffix[1:]):
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
        """Adopt the file at ``path``, whose hash is known to be right; return where it is. Raises OSError."""
        target = self._root / base.place_of(sha256, extension)
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
