"""What only a store in a folder does: the disk is its own."""

import asyncio
import errno
import hashlib
import os
import threading
from pathlib import Path

import pytest

from core.errors import FilesAway, StorageError
from core.settings import load_settings
from storage.blobs import open_files
from storage.blobs.local import Folder

DATA = b"\x89PNG not really"
SHA = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def files(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "pictures", ballast_bytes=3 * 2**20 + 5)


async def test_a_file_lies_where_its_hash_says(files: Folder) -> None:
    await files.put(DATA, "image/png")
    assert files.path(SHA) == files.root / SHA[:2] / SHA[2:4] / f"{SHA}.png"
    assert files.exists(SHA) and list(files.all()) == [SHA] and not list(files.root.glob(".tmp-*"))


async def test_a_file_that_is_put_again_is_as_new_as_one_that_is_put_now(files: Folder) -> None:
    await files.put(DATA, "image/png")
    os.utime(files.path(SHA), (0, 0))
    await asyncio.gather(*(files.put(DATA, "image/png") for _ in range(3)))
    assert (await files.entry(SHA)).written_at > 10**9, "else the sweep could take it before its row is there"


async def test_a_write_that_fails_leaves_nothing(files: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="No space left"):
            await files.put(DATA, "image/png")
    assert not [path for path in files.root.rglob("*") if path.is_file()]
    await files.put(DATA, "image/png")


def test_the_ballast_takes_real_blocks_and_gives_them_back(files: Folder) -> None:
    assert files.create_ballast() and files.create_ballast()
    assert files.ballast.stat().st_size == files.ballast_bytes
    assert files.ballast.stat().st_blocks * 512 >= files.ballast_bytes
    assert files.release_ballast() and not files.release_ballast()
    assert list(files.all()) == []


def test_free_space_is_of_the_disk_that_holds_the_files(files: Folder) -> None:
    assert 0 < files.free_bytes() < 2**60


def test_what_is_coming_lies_in_the_data_folder_wherever_pictures_are(tmp_path: Path) -> None:
    shared = tmp_path / "ftp"
    settings = load_settings(
        {"DATA_DIR": str(tmp_path / "data"), "FILES_URL": f"files:{shared / 'pictures'}"}, tmp_path / "none"
    )
    assert open_files(settings).incoming == tmp_path / "data" / "incoming"
    assert open_files(settings).free_bytes() > 0 and not shared.exists(), "asking makes no folder"


async def test_the_event_loop_looks_at_no_file(files: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    await files.put(DATA, "image/png")
    stat, threads = Path.stat, set[int]()

    def noted(path: Path, **options: bool) -> os.stat_result:
        if path.suffix == ".png":
            threads.add(threading.get_ident())
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", noted)
    assert [entry.sha256 async for entry in files.entries()] == [SHA]
    assert threads and threading.get_ident() not in threads


async def test_a_file_on_another_disk_is_copied(files: Folder, tmp_path, monkeypatch) -> None:
    video, real = tmp_path / "0.mp4", os.replace
    video.write_bytes(DATA)

    def replace(source: Path, target: Path) -> None:
        if source == video:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    assert await files.take(video, "video/mp4") == (SHA, len(DATA))
    assert files.path(SHA).read_bytes() == DATA and not video.exists() and not list(files.root.glob(".tmp-*"))


async def test_a_disk_that_is_not_mounted_is_away_and_nothing_is_written_in_its_place(
    files: Folder, tmp_path: Path
) -> None:
    await files.put(DATA, "image/png")
    await files.mark("one")
    video = tmp_path / "video"
    video.write_bytes(b"another")
    mounted = files.root.rename(tmp_path / "elsewhere")
    files.root.mkdir()
    asks = (files.put(b"new", "image/png"), files.take(video, "video/mp4"), files.get(SHA), files.has(SHA))
    for ask in (*asks, files.remove(SHA), files.entry(SHA), files.owner()):
        with pytest.raises(FilesAway, match="is its disk mounted"):
            await ask
    assert not files.create_ballast() and not list(files.root.iterdir()) and video.is_file()
    files.root.rmdir()
    mounted.rename(files.root)
    assert await files.get(SHA) == DATA and await files.owner() == "one"


async def test_a_file_that_cannot_be_deleted_is_told(files: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    await files.put(DATA, "image/png")

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        with pytest.raises(StorageError, match="can't be deleted: Permission denied"):
            await files.remove(SHA)
    assert await files.remove(SHA)
