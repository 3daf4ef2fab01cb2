"""What any store of files has on this machine's disk: a folder for what is coming, copies that can be made
again, and a ballast for a full disk."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
from pathlib import Path

from core.tracing import Timings
from storage.files import OPERATIONS, checked

BALLAST_BYTES = 64 * 2**20
CHUNK = 2**20  # bytes that are written at once


class Disk:
    """The part of a store below ``root``. incoming: the folder for what is written elsewhere and then taken.
    derived: folder of what was made from files and can be made again; it goes with its file."""

    def __init__(self, root: Path, *, ballast_bytes: int, incoming: Path, derived: Path) -> None:
        self.root = root
        self.ballast_bytes = ballast_bytes
        self.incoming = incoming
        self._derived = derived
        self.timings = Timings(OPERATIONS)

    def free_bytes(self) -> int:
        """Return the free space for this user on the disk of ``root`` or of ``incoming``, the smaller one."""
        return min(shutil.disk_usage(_there(path)).free for path in (self.root, self.incoming))

    def drop_unfinished(self) -> None:
        """Delete what a crash has left half-written. Call it before anything is put or taken."""
        for path in self.root.glob(".tmp-*"):
            path.unlink(missing_ok=True)

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
                for start in range(0, self.ballast_bytes, CHUNK):  # real blocks: a sparse file holds no room
                    file.write(bytes(min(CHUNK, self.ballast_bytes - start)))
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

    # What was made from files

    async def get_derived(self, sha256: str, name: str) -> bytes | None:
        """Return what was made from a file and kept as ``name``, such as "256.webp"; None when it wasn't."""
        return await asyncio.to_thread(self._read_derived, self._derived_path(sha256, name))

    async def find_derived(self, sha256: str, name: str) -> Path | None:
        """Return where what was made from a file lies; None when it wasn't kept."""
        path = self._derived_path(sha256, name)
        return path if await asyncio.to_thread(path.is_file) else None

    def _derived_path(self, sha256: str, name: str) -> Path:
        return self._derived / checked(sha256)[:2] / sha256[2:4] / f"{sha256}.{name}"

    def _read_derived(self, path: Path) -> bytes | None:
        try:
            return path.read_bytes()
        except OSError:
            return None

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


def _there(path: Path) -> Path:
    """Return the folder itself, or the nearest above it that exists: asking makes none."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.exists())
