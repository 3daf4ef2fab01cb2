"""Opens the store of files that a host has chosen. What a bucket needs is imported only for one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import StorageError
from core.settings import BucketAddress, Settings
from storage.files import Files
from storage.filing.disk import BALLAST_BYTES
from storage.filing.folder import Folder

if TYPE_CHECKING:
    from storage.filing.bucket import Bucket


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
        from storage.filing.bucket import Bucket
        from storage.filing.cache import Cache
        from storage.filing.server import Keys
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
