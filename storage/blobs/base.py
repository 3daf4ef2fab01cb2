"""Files named by the SHA-256 of their bytes: written once, whole or not at all. Which job needs a file, rows
say; where files lie, ``storage.blobs``.
"""

import re
import time
from collections.abc import AsyncIterator, Collection
from contextlib import AbstractAsyncContextManager
from math import inf
from pathlib import Path
from typing import NamedTuple, Protocol

from core.errors import StorageError
from core.traces import Timings

EXTENSIONS = {
    "image/png": "png",
    "image/webp": "webp",
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "video/mp4": "mp4",
    "application/x-latents": "safetensors",  # what is kept of a video's ends
    "application/x-safetensors": "safetensors",  # a model that was learned here
    "application/json": "json",
    "application/zip": "zip",
    "text/csv": "csv",
}
OWNER = "owner"  # what a store has beside its files, with the name of its studio
OPERATIONS = ("put", "take", "get", "local", "remove")  # of a store, that are timed
MEDIA_TYPES = {extension: media_type for media_type, extension in reversed(EXTENSIONS.items())}
_SHA256 = re.compile(r"[0-9a-f]{64}")


def is_renewed(written_at: float, after: float) -> bool:
    """Return whether a file was written after then. One of tomorrow was written by a wrong clock."""
    return after < written_at < time.time() + 86_400


def studio_of(mark: str | None) -> str | None:
    """Return the studio's name in the mark of a store."""
    return mark.split()[0] if mark else None


class Taken(NamedTuple):
    """A file that was taken into the store. size: bytes."""

    sha256: str
    size: int


class Entry(NamedTuple):
    """A file of the store. size: bytes. written_at: seconds since 1970, by the clock of the store."""

    sha256: str
    extension: str
    size: int
    written_at: float

    @property
    def name(self) -> str:
        """What the file is called."""
        return f"{self.sha256}.{self.extension}"


class Files(Protocol):
    """The store of pictures, videos and whatever else is too large for a row, wherever it is.

    Beside it is a place on this machine's disk: for what workers write, for what was made from files and can
    be made again, and for a ballast that is given up when the disk is full. Every method that says so raises
    StorageError for a file that is gone, and its kind FilesAway while the store can't be reached: then
    nothing is known of the file.
    """

    timings: Timings  # how long ``OPERATIONS`` took
    incoming: Path  # the folder for what is written elsewhere and then taken

    async def put(self, data: bytes, media_type: str) -> str:
        """Store ``data`` durably, the same bytes once; return its SHA-256. Raises StorageError, FilesAway."""

    async def take(self, path: Path, media_type: str) -> Taken:
        """Take the file at ``path`` into the store durably, without holding it in memory; it isn't where it
        was any more, also when the store had the same bytes. Raises StorageError, FilesAway: then it is where
        it was."""

    async def get(self, sha256: str) -> bytes:
        """Return a file's bytes. Raises StorageError when it is gone, FilesAway."""

    async def is_sound(self, sha256: str) -> bool:
        """Read a file from the store itself; return whether its bytes are what its name says. Raises
        StorageError when it is gone, FilesAway."""

    async def local(self, sha256: str) -> Path:
        """Return a file of this machine with the same bytes, to be opened soon. Raises StorageError when it
        is gone, FilesAway."""

    def lent(
        self, sha256s: Collection[str], *, some: bool = False
    ) -> AbstractAsyncContextManager[dict[str, Path]]:
        """Have files of this machine with the bytes of each until the block ends, to be opened at any time.
        some: without those that are gone. Raises StorageError when one is gone, FilesAway."""

    async def has(self, sha256: str) -> bool:
        """Return whether the file is there. Raises FilesAway."""

    async def entry(self, sha256: str) -> Entry:
        """Return what is known of a file. Raises StorageError when it is gone, FilesAway."""

    def entries(self) -> AsyncIterator[Entry]:
        """Yield every file, in no order. Raises FilesAway."""

    async def remove(self, sha256: str, *, unless_after: float = inf) -> bool:
        """Delete the file, and what was made from it; False when there was none, or it was written again
        after ``unless_after``, in seconds since 1970. The caller knows that no row needs it any more. Raises
        StorageError when it can't be deleted, FilesAway: then a bucket has left nothing of it on this
        machine."""

    async def owner(self) -> str | None:
        """Return the mark of the studio that this store belongs to, None when it was never marked: its name,
        and what ``storage.identity`` puts behind that. Raises FilesAway."""

    async def mark(self, owner: str) -> None:
        """Write down whose this store is. Raises StorageError, FilesAway."""

    async def get_derived(self, sha256: str, name: str) -> bytes | None:
        """Return what was made from a file and kept as ``name``, such as "256.webp"; None when it wasn't."""

    async def put_derived(self, sha256: str, name: str, data: bytes) -> None:
        """Keep what was made from a file, until the file is removed. It isn't kept if the file is gone."""

    async def find_derived(self, sha256: str, name: str) -> Path | None:
        """Return where what was made from a file lies; None when it wasn't kept."""

    def drop_unfinished(self) -> None:
        """Delete what a crash has left half-written. Call it, in a thread, before anything else."""

    def free_bytes(self) -> int:
        """Return the free space on this machine's disk, for this user. Blocks."""

    def create_ballast(self) -> bool:
        """Take up the ballast's bytes on the disk; False when there isn't the room. Blocks."""

    def release_ballast(self) -> bool:
        """Give the ballast back to the disk; False when there was none."""


def checked(sha256: str) -> str:
    """Return ``sha256`` if it is one in hex. Raises StorageError."""
    if not _SHA256.fullmatch(sha256):
        raise StorageError(f"{sha256[:80]!r} isn't a SHA-256")
    return sha256


def extension_of(media_type: str) -> str:
    """Return what the names of files of a type end in. Raises StorageError for a type that isn't stored."""
    if media_type not in EXTENSIONS:
        raise StorageError(f"files of type {media_type!r} aren't stored")
    return EXTENSIONS[media_type]


def place_of(sha256: str, extension: str) -> str:
    """Return where a file belongs in a store, such as ``ab/cd/abcd….png``. Raises StorageError."""
    return f"{checked(sha256)[:2]}/{sha256[2:4]}/{sha256}.{extension}"


def is_name(stem: str, extension: str) -> bool:
    """Return whether something is called like a file of ours."""
    return _SHA256.fullmatch(stem) is not None and extension in MEDIA_TYPES
