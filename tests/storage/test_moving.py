"""All files from one store to another and back, by the functions and by the command."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import FilesAway, StorageError
from host.doctor_services import move_files
from storage import blobs
from storage.blobs import Moved, move
from storage.blobs.base import Files
from storage.blobs.local import Folder
from tests.support import buckets
from tests.support.buckets import Server

KINDS = ("image/png", "video/mp4", "application/x-safetensors", "text/csv")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with buckets.moto() as moto:
        yield moto


@pytest.fixture
async def folder(tmp_path: Path) -> Folder:
    """A store with twelve files."""
    files = Folder(tmp_path / "data" / "pictures", ballast_bytes=4096)
    for n in range(12):
        await files.put(b"%d" % n * 100, KINDS[n % 4])
    return files


async def listed(files: Files) -> dict[str, int]:
    return {entry.name: entry.size async for entry in files.entries()}


def counts(moved: Moved) -> tuple[int, int, int, int]:
    return moved.found, moved.there, moved.copied, len(moved.problems)


async def test_files_go_there_and_back_with_their_kinds(folder: Folder, server: Server, tmp_path) -> None:
    bucket = buckets.opened(server, tmp_path / "machine", tmp_path.name)
    assert counts(await move(folder, bucket, dry_run=True)) == (12, 0, 12, 0)
    assert await listed(bucket) == {}, "a dry run copies nothing"
    assert counts(await move(folder, bucket)) == (12, 0, 12, 0)
    assert await listed(bucket) == await listed(folder)
    assert counts(await move(folder, bucket)) == (12, 12, 0, 0), "and once more copies nothing"
    back = Folder(tmp_path / "back" / "pictures", ballast_bytes=4096)
    moved = await move(buckets.opened(server, tmp_path / "another", tmp_path.name), back)
    assert counts(moved) == (12, 0, 12, 0) and moved.size == sum((await listed(folder)).values())
    assert await listed(back) == await listed(folder) and not list(back.incoming.rglob("*.*"))
    for name in await listed(folder):
        assert await back.get(name[:64]) == await folder.get(name[:64])


async def test_the_new_store_is_the_same_studios_and_never_anothers(folder: Folder, tmp_path: Path) -> None:
    new, others = Folder(tmp_path / "new"), Folder(tmp_path / "others")
    await folder.mark("one")
    await others.mark("two")
    await move(folder, new)
    assert await new.owner() == "one"
    with pytest.raises(StorageError, match="another studio"):
        await move(folder, others)
    assert await listed(others) == {}


async def test_a_move_that_is_cut_off_goes_on_where_it_was(
    folder: Folder, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = buckets.opened(server, tmp_path / "machine", tmp_path.name)
    take, taken = bucket.take, []

    async def takes_five(path: Path, media_type: str):
        if len(taken) >= 5:
            raise FilesAway("it is away")
        found = await take(path, media_type)
        taken.append(path)
        return found

    monkeypatch.setattr(blobs, "PAUSES", (0.0,))
    monkeypatch.setattr(bucket, "take", takes_five)
    with pytest.raises(FilesAway):
        await move(folder, bucket)
    monkeypatch.setattr(bucket, "take", take)
    there = len(await listed(bucket))  # one that was on its way may still come
    total, known, copied, failed = counts(await move(folder, bucket))
    assert 5 <= there <= known < 12 and (total, known + copied, failed) == (12, 12, 0)
    assert await listed(bucket) == await listed(folder)


async def test_a_store_that_is_away_for_a_moment_is_waited_for(
    folder: Folder, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = buckets.opened(server, tmp_path / "machine", tmp_path.name)
    take, failures = bucket.take, iter(range(4))

    async def fails_at_first(path: Path, media_type: str):
        if next(failures, None) is not None:
            raise FilesAway("it is away")
        return await take(path, media_type)

    monkeypatch.setattr(blobs, "PAUSES", (0.0,) * 5)
    monkeypatch.setattr(bucket, "take", fails_at_first)
    assert counts(await move(folder, bucket)) == (12, 0, 12, 0)


async def test_a_file_that_is_not_what_its_name_says_is_told_and_not_copied(
    folder: Folder, server: Server, tmp_path: Path
) -> None:
    bucket = buckets.opened(server, tmp_path / "machine", tmp_path.name)
    wrong = folder.path(hashlib.sha256(b"3" * 100).hexdigest())
    wrong.write_bytes(b"x" * 100)
    moved = await move(folder, bucket)
    assert counts(moved) == (12, 0, 11, 1) and wrong.name in moved.problems[0]
    assert len(await listed(bucket)) == 11 and wrong.name not in await listed(bucket)


def test_the_command_counts_copies_and_says_what_is_next(server: Server, tmp_path, capsys) -> None:
    settings = server.settings(tmp_path / "data", tmp_path.name, FILES_URL="")
    data = os.urandom(1000)
    sha256 = hashlib.sha256(data).hexdigest()
    target = tmp_path / "data" / "pictures" / sha256[:2] / sha256[2:4] / f"{sha256}.png"
    target.parent.mkdir(parents=True)
    target.write_bytes(data)
    to = server.address(tmp_path.name)
    assert move_files(settings, to, None, dry_run=True) == 0
    assert "1 files: 0 were there, 1 would be copied" in capsys.readouterr().out
    assert move_files(settings, to, None, dry_run=False) == 0
    told = capsys.readouterr().out
    assert "1 copied, and read back" in told and f"FILES_URL={to}" in told
    target.unlink()
    there = server.settings(tmp_path / "data", tmp_path.name)
    assert move_files(there, "files:", None, dry_run=False) == 0 and target.read_bytes() == data
    with pytest.raises(StorageError, match="there already"):
        move_files(there, to, None, dry_run=False)
