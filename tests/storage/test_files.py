import asyncio
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
