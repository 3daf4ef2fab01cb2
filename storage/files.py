"""Files named by the SHA-256 of their bytes: written once, whole or not at all. Which job needs a file, rows
say."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from core.errors import StorageError

EXTENSIONS = {
    "image/png": "png",
    "image/webp": "webp",
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "video/mp4": "mp4",
    "application/x-latents": "safetensors",  # what is kept of a film's ends
    "application/x-safetensors": "safetensors",  # a model that was learned here
    "application/json": "json",
    "application/zip": "zip",
    "text/csv": "csv",
}
CHUNK = 2**20  # bytes that are in memory of a file that is taken
BALLAST_BYTES = 64 * 2**20
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Taken(NamedTuple):
    """A file that was taken into the store. size: bytes."""

    sha256: str
    size: int


class Files:
    """The store of pictures and films under ``root``: ``root/ab/cd/<sha256>.<extension>``, and a ballast file
    for a full disk. ``derived``: folder of what was made from files and can be made again; it goes with its
    file."""

    def __init__(
        self, root: Path, *, ballast_bytes: int = BALLAST_BYTES, derived: Path | None = None
    ) -> None:
        self.root = root
        self.ballast_bytes = ballast_bytes
        self._derived = derived or root.parent / "cache" / "derived"

    async def put(self, data: bytes, media_type: str) -> str:
        """Store ``data`` durably; its SHA-256 in hex. Storing the same bytes again changes nothing."""
        return await asyncio.to_thread(self._put, data, media_type)

    async def take(self, path: Path, media_type: str) -> Taken:
        """Take the file at ``path`` into the store durably, without holding it in memory; it isn't where it
        was any more, also when the store had the same bytes. Moves it on the same disk, copies it from
        another. Raises StorageError."""
        return await asyncio.to_thread(self._take, path, media_type)

    async def get(self, sha256: str) -> bytes:
        """Return a file's bytes. Raises StorageError when it is gone."""
        return await asyncio.to_thread(self._get, sha256)

    def path(self, sha256: str) -> Path:
        """Where the file is. StorageError when there is none."""
        found = self._find(sha256)
        if found is None:
            raise StorageError(f"there is no file {sha256[:12]}… in {self.root}")
        return found

    def exists(self, sha256: str) -> bool:
        """Return whether the file is there."""
        return self._find(sha256) is not None

    async def remove(self, sha256: str) -> bool:
        """Delete the file; False when there was none. The caller knows that no row needs it any more."""
        return await asyncio.to_thread(self._remove, sha256)

    async def get_derived(self, sha256: str, name: str) -> bytes | None:
        """Return what was made from a file and kept as ``name``, such as "256.webp"; None when it wasn't."""
        return await asyncio.to_thread(self._get_derived, self._derived_path(sha256, name))

    async def put_derived(self, sha256: str, name: str, data: bytes) -> None:
        """Keep what was made from a file, until the file is removed. It isn't kept if the file is gone."""
        await asyncio.to_thread(self._put_derived, sha256, self._derived_path(sha256, name), data)

    async def find_derived(self, sha256: str, name: str) -> Path | None:
        """Return where what was made from a file lies; None when it wasn't kept."""
        path = self._derived_path(sha256, name)
        return path if await asyncio.to_thread(path.is_file) else None

    @property
    def incoming(self) -> Path:
        """The folder for what is written elsewhere and then taken: on the same disk."""
        return self.root.parent / "incoming"

    def all(self) -> Iterator[str]:
        """The SHA-256 of every stored file, in no order. Reads the whole tree: run it in a thread."""
        for path in self.root.glob("??/??/*"):
            if _SHA256.fullmatch(path.stem) and path.suffix[1:] in EXTENSIONS.values():
                yield path.stem

    def drop_unfinished(self) -> None:
        """Delete what a crash has left half-written. Call it before anything is put or taken."""
        for path in self.root.glob(".tmp-*"):
            path.unlink(missing_ok=True)

    def free_bytes(self) -> int:
        """Free space on the disk that holds ``root``, for this user."""
        self.root.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self.root).free

    # SQLite can't even delete on a full disk (SQLITE_FULL): giving up this file makes room to end things
    # properly.

    @property
    def ballast(self) -> Path:
        """The file that is given up when the disk is full."""
        return self.root / ".ballast"

    def create_ballast(self) -> bool:
        """Take up ``ballast_bytes`` on the disk; False when there isn't the room. Blocks: run it in a
        thread."""
        if self.ballast.exists() and self.ballast.stat().st_size == self.ballast_bytes:
            return True
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            with self.ballast.open("wb") as file:
                for start in range(
                    0, self.ballast_bytes, 2**20
                ):  # real blocks: a sparse file would hold no room
                    file.write(bytes(min(2**20, self.ballast_bytes - start)))
                os.fsync(file.fileno())
        except OSError:
            self.release_ballast()
            return False
        return True

    def release_ballast(self) -> bool:
        """Give the ballast back to the disk; False when there was none."""
        try:
            self.ballast.unlink()
        except FileNotFoundError:
            return False
        return True

    def _put(self, data: bytes, media_type: str) -> str:
        sha256 = hashlib.sha256(data).hexdigest()
        target = self._place(sha256, media_type)
        if self._find(sha256) is not None:
            return sha256
        temporary = self.root / f".tmp-{secrets.token_hex(8)}"
        try:
            changed = self._make_folders(target)
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            _move(temporary, target, changed)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise StorageError(f"a file of {len(data):,} bytes can't be written: {error.strerror}") from error
        return sha256

    def _take(self, path: Path, media_type: str) -> Taken:
        try:
            sha256, size = _hashed(path)
            target = self._place(sha256, media_type)
            if self._find(sha256) is None:
                self._bring(path, target)
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"the file {path.name} can't be taken: {error.strerror}") from error
        return Taken(sha256, size)

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
                _sync(temporary)
                _move(temporary, target, changed)
            finally:
                temporary.unlink(missing_ok=True)

    def _make_folders(self, target: Path) -> set[Path]:
        """Make the folders of a file, and return those whose entries are not durable once it is there."""
        parents = (target.parent, target.parent.parent, self.root)
        new = [folder for folder in parents if not folder.exists()]
        target.parent.mkdir(parents=True, exist_ok=True)
        return {target.parent, *(folder.parent for folder in new)}

    def _place(self, sha256: str, media_type: str) -> Path:
        """Return where a file of this type belongs."""
        if media_type not in EXTENSIONS:
            raise StorageError(f"files of type {media_type!r} aren't stored")
        return self._folder(sha256) / f"{sha256}.{EXTENSIONS[media_type]}"

    def _get(self, sha256: str) -> bytes:
        path = self.path(sha256)
        try:
            return path.read_bytes()
        except OSError as error:
            raise StorageError(f"the file {path.name} can't be read: {error.strerror}") from error

    def _remove(self, sha256: str) -> bool:
        found = self._find(sha256)
        if found is not None:
            found.unlink(missing_ok=True)
        self._remove_derived(sha256)
        return found is not None

    def _derived_path(self, sha256: str, name: str) -> Path:
        return self._derived / self._folder(sha256).relative_to(self.root) / f"{sha256}.{name}"

    def _get_derived(self, path: Path) -> bytes | None:
        try:
            return path.read_bytes()
        except OSError:
            return None

    def _put_derived(self, sha256: str, path: Path, data: bytes) -> None:
        temporary = path.with_name(f".tmp-{secrets.token_hex(8)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(data)
            os.replace(temporary, path)
        except OSError:  # it can be made again
            temporary.unlink(missing_ok=True)
        if self._find(sha256) is None:  # removed while this was being made
            self._remove_derived(sha256)

    def _remove_derived(self, sha256: str) -> None:
        folder = self._derived_path(sha256, "").parent
        for path in folder.glob(f"{sha256}.*") if folder.is_dir() else ():
            path.unlink(missing_ok=True)

    def _folder(self, sha256: str) -> Path:
        if not _SHA256.fullmatch(sha256):
            raise StorageError(f"{sha256[:80]!r} is no SHA-256")
        return self.root / sha256[:2] / sha256[2:4]

    def _find(self, sha256: str) -> Path | None:
        folder = self._folder(sha256)
        candidates = (folder / f"{sha256}.{extension}" for extension in EXTENSIONS.values())
        return next((path for path in candidates if path.is_file()), None)


def _hashed(path: Path) -> tuple[str, int]:
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
    for folder in changed:
        _sync_folder(folder)


def _sync(path: Path) -> None:
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable; only POSIX opens folders."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
