"""What every store of files does, wherever it is: the same tests on a folder and on buckets of servers that
others wrote."""

import asyncio
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.errors import StorageError
from storage.blobs.base import Files
from storage.blobs.local import Folder
from tests.support import buckets
from tests.support.buckets import Server

DATA = b"\x89PNG not really"
SHA = hashlib.sha256(DATA).hexdigest()
Again = Callable[[], Files]


@pytest.fixture(scope="module")
def moto() -> Iterator[Server]:
    with buckets.moto() as server:
        yield server


@pytest.fixture(scope="module")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with buckets.rclone(tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest.fixture(params=["folder", "moto", pytest.param("rclone", marks=pytest.mark.buckets)])
def again(request: pytest.FixtureRequest, tmp_path: Path) -> Again:
    """Opens the store, each time as another process would on another machine, with nothing of its own yet."""
    if request.param == "folder":
        return lambda: Folder(tmp_path / "pictures", ballast_bytes=4096)
    server: Server = request.getfixturevalue(request.param)
    count = iter(range(10))
    return lambda: buckets.opened(server, tmp_path / f"machine {next(count)}", tmp_path.name)


@pytest.fixture
def files(again: Again) -> Files:
    return again()


async def names(files: Files) -> list[str]:
    return [entry.sha256 async for entry in files.entries()]


async def test_what_was_put_is_got_by_its_hash(files: Files, again: Again) -> None:
    assert await files.put(DATA, "image/png") == SHA
    for store in (files, again()):
        assert await store.get(SHA) == DATA and await store.get(SHA) == DATA
        assert (await store.local(SHA)).read_bytes() == DATA and (await store.local(SHA)).suffix == ".png"
        assert await store.has(SHA) and await store.is_sound(SHA)
        entry = await store.entry(SHA)
        assert entry[:3] == (SHA, "png", len(DATA)) and entry.name == f"{SHA}.png"
        assert [one async for one in store.entries()] == [entry]


async def test_the_same_bytes_are_one_file(files: Files) -> None:
    assert len(set(await asyncio.gather(*(files.put(DATA, "image/png") for _ in range(10))))) == 1
    assert await names(files) == [SHA]


async def test_files_of_one_folder_are_told_apart(files: Files, again: Again) -> None:
    near = [name for n in range(3000) if (name := hashlib.sha256(b"%d" % n).hexdigest()).startswith("ab")]
    data = [b"%d" % n for n in range(3000) if hashlib.sha256(b"%d" % n).hexdigest() in near][:4]
    for one in data:
        await files.put(one, "image/png")
    store = again()
    assert sorted(await names(store)) == sorted(hashlib.sha256(one).hexdigest() for one in data)
    assert await store.remove(hashlib.sha256(data[0]).hexdigest())
    assert [await store.get(hashlib.sha256(one).hexdigest()) for one in data[1:]] == data[1:]


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "", SHA.upper(), SHA[:-1], f"{SHA}/..", "a" * 63 + "\n"]
)
async def test_a_name_that_is_no_hash_opens_nothing(files: Files, name: str) -> None:
    for ask in (files.get, files.local, files.has, files.entry, files.remove, files.is_sound):
        with pytest.raises(StorageError, match="isn't a SHA-256"):
            await ask(name)


async def test_a_missing_file_is_said(files: Files) -> None:
    for ask in (files.get, files.local, files.entry, files.is_sound):
        with pytest.raises(StorageError, match="no file"):
            await ask(SHA)
    assert not await files.has(SHA)
    assert not await files.remove(SHA)
    with pytest.raises(StorageError, match="no file"):
        async with files.lent([SHA]):
            raise AssertionError("nothing can be lent")


async def test_what_is_lent_is_there_and_what_is_gone_may_be_left_out(files: Files, again: Again) -> None:
    await files.put(DATA, "image/png")
    for store in (files, again()):
        async with store.lent([SHA, "a" * 64, SHA], some=True) as lent:
            assert {name: path.read_bytes() for name, path in lent.items()} == {SHA: DATA}
        async with store.lent([]) as lent:
            assert lent == {}


async def test_a_removed_file_is_gone_with_what_was_made_from_it(files: Files, again: Again) -> None:
    await files.put(DATA, "image/webp")
    await files.put_derived(SHA, "256.webp", b"small")
    assert await files.get_derived(SHA, "256.webp") == b"small"
    made, copy = await files.find_derived(SHA, "256.webp"), await files.local(SHA)
    assert made is not None and made.read_bytes() == b"small"
    assert await files.remove(SHA)
    assert not made.exists() and not copy.exists() and await files.find_derived(SHA, "256.webp") is None
    for store in (files, again()):
        assert not await store.has(SHA) and await names(store) == []
        with pytest.raises(StorageError, match="no file"):
            await store.get(SHA)
    await files.put_derived(SHA, "512.webp", b"late")  # it was being made while its file went
    assert await files.get_derived(SHA, "512.webp") is None
    await files.put(DATA, "image/webp")
    await files.put_derived(SHA, "512.webp", b"again")
    assert await files.get_derived(SHA, "512.webp") == b"again"


async def test_other_types_are_refused(files: Files) -> None:
    with pytest.raises(StorageError, match="text/html"):
        await files.put(DATA, "text/html")


async def test_a_file_is_taken_whole_and_is_no_more_where_it_was(
    files: Files, again: Again, tmp_path: Path
) -> None:
    video = tmp_path / "incoming" / "0.mp4"
    video.parent.mkdir(exist_ok=True)
    for _ in range(2):
        video.write_bytes(DATA)
        os.utime(video, (0, 0))
        assert await files.take(video, "video/mp4") == (SHA, len(DATA))
        assert not video.exists()
    entry = await again().entry(SHA)
    assert entry.extension == "mp4" and entry.written_at > 10**9, "the sweep counts from now"
    assert (await again().local(SHA)).read_bytes() == DATA and await names(files) == [SHA]


async def test_a_large_video_goes_in_and_out_in_pieces(files: Files, again: Again, tmp_path: Path) -> None:
    data = os.urandom(11 * 2**20)
    (tmp_path / "video").write_bytes(data)
    taken = await files.take(tmp_path / "video", "video/mp4")
    store = again()
    assert taken.size == len(data) == (await store.entry(taken.sha256)).size
    assert (await store.local(taken.sha256)).read_bytes() == data and await store.is_sound(taken.sha256)
    assert await again().get(taken.sha256) == data


async def test_what_is_no_file_is_not_taken(files: Files, tmp_path: Path) -> None:
    (tmp_path / "video.mp4").write_bytes(DATA)
    (tmp_path / "link.mp4").symlink_to(tmp_path / "video.mp4")
    for name in ("link.mp4", "missing.mp4", "."):
        with pytest.raises(StorageError, match="can't be stored"):
            await files.take(tmp_path / name, "video/mp4")
    with pytest.raises(StorageError, match="aren't stored"):
        await files.take(tmp_path / "video.mp4", "video/x-flv")
    assert (tmp_path / "video.mp4").exists() and await names(files) == []


async def test_two_who_fetch_and_delete_the_same_leave_nothing(again: Again) -> None:
    await again().put(DATA, "image/png")
    other = again()
    await asyncio.gather(*(other.get(SHA) for _ in range(5)), other.remove(SHA), return_exceptions=True)
    assert not await other.has(SHA) and await names(other) == []


async def test_a_store_has_one_studio_and_its_name_is_no_file(files: Files, again: Again) -> None:
    assert await files.owner() is None
    await files.put(DATA, "image/png")
    await files.mark("one")
    assert await files.owner() == await again().owner() == "one" and await names(files) == [SHA]


async def test_a_file_that_was_written_again_after_it_was_to_go_stays(files: Files) -> None:
    await files.put(DATA, "image/png")
    written = (await files.entry(SHA)).written_at
    assert not await files.remove(SHA, unless_after=written - 60) and await files.get(SHA) == DATA
    assert await files.remove(SHA, unless_after=written + 60) and not await files.has(SHA)
    assert not await files.remove(SHA, unless_after=written + 60)
