import asyncio
import errno
import hashlib
import os
from pathlib import Path

import pytest

from core.errors import StorageError
from storage.files import Files

DATA = b"\x89PNG not really"
SHA = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "pictures", ballast_bytes=3 * 2**20 + 5)


async def test_what_was_put_is_got_by_its_hash(files: Files) -> None:
    assert await files.put(DATA, "image/png") == SHA
    assert await files.get(SHA) == DATA
    assert files.path(SHA) == files.root / SHA[:2] / SHA[2:4] / f"{SHA}.png"
    assert files.exists(SHA) and list(files.all()) == [SHA]


async def test_the_same_bytes_are_one_file(files: Files) -> None:
    assert len(set(await asyncio.gather(*(files.put(DATA, "image/png") for _ in range(10))))) == 1
    assert len(list(files.all())) == 1
    assert not list(files.root.glob(".tmp-*"))


async def test_a_write_that_fails_leaves_nothing(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="No space left"):
            await files.put(DATA, "image/png")
    assert not [path for path in files.root.rglob("*") if path.is_file()]
    await files.put(DATA, "image/png")


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "", SHA.upper(), SHA[:-1], f"{SHA}/..", "a" * 63 + "\n"]
)
async def test_a_name_that_is_no_hash_opens_nothing(files: Files, name: str) -> None:
    for ask in (files.path, files.exists):
        with pytest.raises(StorageError, match="no SHA-256"):
            ask(name)


async def test_a_missing_file_is_said(files: Files) -> None:
    with pytest.raises(StorageError, match="no file"):
        await files.get(SHA)
    assert not files.exists(SHA)
    assert not await files.remove(SHA)


async def test_a_removed_file_is_gone(files: Files) -> None:
    await files.put(DATA, "image/webp")
    assert await files.remove(SHA)
    assert not files.exists(SHA)


async def test_other_types_are_refused(files: Files) -> None:
    with pytest.raises(StorageError, match="text/html"):
        await files.put(DATA, "text/html")


def test_the_ballast_takes_real_blocks_and_gives_them_back(files: Files) -> None:
    assert files.create_ballast() and files.create_ballast()
    assert files.ballast.stat().st_size == files.ballast_bytes
    assert files.ballast.stat().st_blocks * 512 >= files.ballast_bytes
    assert files.release_ballast() and not files.release_ballast()
    assert list(files.all()) == []


def test_free_space_is_of_the_disk_that_holds_the_files(files: Files) -> None:
    assert 0 < files.free_bytes() < 2**60


async def test_a_file_is_taken_whole_and_is_no_more_where_it_was(files: Files, tmp_path: Path) -> None:
    film = tmp_path / "incoming" / "0.mp4"
    film.parent.mkdir()
    film.write_bytes(DATA)
    os.utime(film, (0, 0))
    assert await files.take(film, "video/mp4") == (SHA, len(DATA))
    assert files.path(SHA).suffix == ".mp4" and files.path(SHA).read_bytes() == DATA and not film.exists()
    assert files.path(SHA).stat().st_mtime > 10**9, "the sweep of what no row names counts from now"
    film.write_bytes(DATA)
    assert await files.take(film, "video/mp4") == (SHA, len(DATA)) and not film.exists()
    assert list(files.all()) == [SHA]


async def test_a_file_on_another_disk_is_copied(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film, real = tmp_path / "0.mp4", os.replace
    film.write_bytes(DATA)

    def replace(source: Path, target: Path) -> None:
        if source == film:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    assert await files.take(film, "video/mp4") == (SHA, len(DATA))
    assert files.path(SHA).read_bytes() == DATA and not film.exists() and not list(files.root.glob(".tmp-*"))


async def test_what_is_no_file_is_not_taken(files: Files, tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(DATA)
    (tmp_path / "link.mp4").symlink_to(tmp_path / "film.mp4")
    for name in ("link.mp4", "missing.mp4", "."):
        with pytest.raises(StorageError, match="can't be taken"):
            await files.take(tmp_path / name, "video/mp4")
    with pytest.raises(StorageError, match="aren't stored"):
        await files.take(tmp_path / "film.mp4", "video/x-flv")
    assert (tmp_path / "film.mp4").exists() and list(files.all()) == []
