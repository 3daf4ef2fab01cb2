"""Opens the store of files that a host has chosen, and moves all files from one store to another: copies
them, checks each by its hash, and leaves the old ones, so that a host can go back."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import FilesAway, StorageError
from core.settings import BucketAddress, Settings
from storage.blobs.base import MEDIA_TYPES, Entry, Files, studio_of
from storage.blobs.local import BALLAST_BYTES, Folder

if TYPE_CHECKING:
    from storage.blobs.s3 import Bucket


def open_files(settings: Settings) -> Files:
    """Return the store of FILES_URL. Raises StorageError for a bucket without the extra that it needs."""
    return open_at(settings.files_url, settings)


def open_at(address: Path | BucketAddress | None, settings: Settings) -> Files:
    """Return the store at an address. Raises StorageError."""
    if isinstance(address, BucketAddress):
        return open_bucket(address, settings)
    return Folder(
        address or settings.data_dir / "pictures",
        incoming=settings.data_dir / "incoming",
        derived=settings.data_dir / "cache" / "derived",
    )


def open_bucket(address: BucketAddress, settings: Settings, *, ballast_bytes: int = BALLAST_BYTES) -> Bucket:
    """Return the store in a bucket. Raises StorageError without the extra that it needs."""
    try:
        from storage.blobs.local import Cache
        from storage.blobs.s3 import Bucket, Keys
    except ModuleNotFoundError as error:
        raise StorageError("FILES_URL names a bucket, which needs: make setup EXTRAS=s3") from error
    root = settings.data_dir / "cache" / "files"
    floor = settings.disk_floor_mb * 10**6
    return Bucket(
        address,
        Keys(settings.aws_access_key_id, settings.aws_secret_access_key, settings.aws_session_token),
        Cache(root, most=settings.files_cache_mb * 10**6, keep_free=2 * floor),
        root,
        ballast_bytes=ballast_bytes,
        incoming=settings.data_dir / "incoming",
        derived=settings.data_dir / "cache" / "derived",
    )


AT_ONCE = 8  # files on their way
PAUSES = (1.0, 2.0, 5.0, 10.0, 20.0)  # s until one of the stores is asked again that is away


@dataclass
class Moved:
    """What there is, what was done, and what couldn't be. size: bytes that were copied, or would be."""

    found: int = 0
    there: int = 0  # were in the new store already
    copied: int = 0
    size: int = 0
    problems: list[str] = field(default_factory=list)


async def move(
    old: Files, new: Files, *, dry_run: bool = False, told: Callable[[Moved], None] = lambda moved: None
) -> Moved:
    """Copy every file of ``old`` that isn't in ``new``; what an earlier try has copied isn't copied again.

    dry_run: only count. told: is told now and then how far it is. Raises StorageError when the new store is
    another studio's, FilesAway when a store stays away.
    """
    moved, owner = Moved(), await old.owner()
    if (other := studio_of(await new.owner())) not in (None, studio_of(owner)):
        raise StorageError(f"that store belongs to another studio ({other}). Name one of its own.")
    if owner is not None and not dry_run:
        await new.mark(owner)
    sizes = {entry.name: entry.size async for entry in new.entries()}
    waiting: set[asyncio.Task[None]] = set()
    done: set[asyncio.Task[None]] = set()
    try:
        async for entry in old.entries():
            moved.found += 1
            if sizes.get(entry.name) == entry.size:
                moved.there += 1
                continue
            if dry_run:
                moved.copied, moved.size = moved.copied + 1, moved.size + entry.size
                continue
            if len(waiting) == AT_ONCE:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
                told(moved)
            waiting.add(asyncio.create_task(_copy(entry, old, new, moved)))
        await asyncio.gather(*waiting)
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, *done, return_exceptions=True)
    return moved


async def _copy(entry: Entry, old: Files, new: Files, moved: Moved) -> None:
    for pause in (*PAUSES, None):
        try:
            await _once(entry, old, new)
            break
        except FilesAway:
            if pause is None:
                raise
            await asyncio.sleep(pause)
        except StorageError as error:
            moved.problems.append(f"{entry.name}: {error}")
            return
    moved.copied, moved.size = moved.copied + 1, moved.size + entry.size


async def _once(entry: Entry, old: Files, new: Files) -> None:
    """Copy one file. Raises StorageError for one whose bytes aren't what its name says, FilesAway."""
    media_type, folder = MEDIA_TYPES[entry.extension], new.incoming / "moving"
    async with old.lent([entry.sha256]) as lent:
        copy = folder / entry.name
        await asyncio.to_thread(copy.parent.mkdir, parents=True, exist_ok=True)
        await asyncio.to_thread(shutil.copyfile, lent[entry.sha256], copy)
    try:
        taken = await new.take(copy, media_type)
    finally:
        await asyncio.to_thread(copy.unlink, missing_ok=True)
    if taken.sha256 != entry.sha256 or not await new.is_sound(entry.sha256):
        await new.remove(taken.sha256)
        raise StorageError("its bytes aren't what its name says")
