"""What only a store in a bucket does: its copies on this machine, and a server that is away or wrong."""

import hashlib
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from core.errors import FilesAway, StorageError
from host.process import redactor
from storage.blobs import local as cache_module
from storage.blobs import s3 as server_module
from storage.blobs.local import Cache
from storage.blobs.s3 import Bucket, try_bucket
from tests.support import buckets
from tests.support.buckets import BUCKET, KEY, SECRET, Server

DATA = b"\x89PNG not really"
SHA = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with buckets.moto() as moto:
        yield moto


@pytest.fixture
def bucket(server: Server, tmp_path: Path) -> Bucket:
    return buckets.opened(server, tmp_path, tmp_path.name)


def key(sha256: str, prefix: str, extension: str = "png") -> str:
    return f"{prefix}/pictures/{sha256[:2]}/{sha256[2:4]}/{sha256}.{extension}"


# The server


async def test_an_object_s_key_and_type_tell_what_it_is(bucket: Bucket, server: Server, tmp_path) -> None:
    await bucket.put(DATA, "image/png")
    assert server.keys(tmp_path.name) == [key(SHA, tmp_path.name)]
    found = server.client().get_object(Bucket=BUCKET, Key=key(SHA, tmp_path.name))
    assert found["ContentType"] == "image/png" and found["Body"].read() == DATA


async def test_an_object_that_somebody_changed_is_never_a_picture(
    bucket: Bucket, server: Server, tmp_path: Path
) -> None:
    server.client().put_object(Bucket=BUCKET, Key=key(SHA, tmp_path.name), Body=b"another")
    for ask in (bucket.get, bucket.local):
        with pytest.raises(StorageError, match="not what its name says"):
            await ask(SHA)
    assert not await bucket.is_sound(SHA) and not list(bucket.root.rglob("*.png"))


async def test_what_is_deleted_is_deleted_in_each_type_and_what_is_not_ours_stays(
    bucket: Bucket, server: Server, tmp_path: Path
) -> None:
    await bucket.put(DATA, "image/png")
    await bucket.put(DATA, "image/webp")
    strange = f"{tmp_path.name}/pictures/{SHA[:2]}/{SHA[2:4]}/readme.txt"
    server.client().put_object(Bucket=BUCKET, Key=strange, Body=b"a host's")
    assert await bucket.remove(SHA) and server.keys(tmp_path.name) == [strange]
    assert [entry async for entry in bucket.entries()] == []


async def test_a_server_that_is_away_is_not_a_file_that_is_gone(tmp_path: Path) -> None:
    nobody = Server("nobody", f"http://127.0.0.1:{buckets.free_port()}")
    with mock.patch.object(server_module, "RETRIES", 0):
        bucket = buckets.opened(nobody, tmp_path, "p")
    video = tmp_path / "video"
    video.write_bytes(DATA)
    asks = [bucket.get(SHA), bucket.has(SHA), bucket.put(DATA, "image/png"), bucket.take(video, "video/mp4")]
    for ask in (
        *asks,
        bucket.remove(SHA),
        bucket.mark("me"),
        bucket.owner(),
        bucket.entry(SHA),
        bucket.local(SHA),
    ):
        with pytest.raises(FilesAway, match="s3://studio/p doesn't answer"):
            await ask
    assert video.read_bytes() == DATA, "what couldn't be stored is where it was"
    assert not list(bucket.root.rglob("*.png"))


async def test_after_a_failure_nobody_waits_for_the_next_and_soon_it_is_tried_again(
    bucket: Bucket, server: Server
) -> None:
    bucket.server.away, bucket.server.away_until = FilesAway("it is away"), time.monotonic() + 60
    began = time.monotonic()
    for _ in range(1000):
        with pytest.raises(FilesAway, match="it is away"):
            await bucket.has(SHA)
    assert time.monotonic() - began < 5
    bucket.server.away_until = time.monotonic()
    assert not await bucket.has(SHA)


async def test_a_bucket_that_is_not_there_is_told(server: Server, tmp_path: Path) -> None:
    missing = buckets.opened(server, tmp_path, "p", FILES_URL=server.address("p", "nothere"))
    for ask in (missing.put(DATA, "image/png"), missing.get(SHA), missing.mark("me"), missing.owner()):
        missing.server.away_until = 0.0
        with pytest.raises(FilesAway, match="s3://nothere/p: there is no such bucket"):
            await ask


async def test_what_was_deleted_while_the_server_was_away_is_gone_from_this_machine(
    bucket: Bucket, server: Server, tmp_path: Path
) -> None:
    await bucket.put(DATA, "image/png")
    await bucket.put_derived(SHA, "256.webp", b"small")
    bucket.server.away_until = time.monotonic() + 60
    with pytest.raises(FilesAway):
        await bucket.remove(SHA)
    assert not list(bucket.root.rglob("*.png")) and await bucket.get_derived(SHA, "256.webp") is None
    bucket.server.away_until = 0.0
    assert await bucket.remove(SHA) and server.keys(tmp_path.name) == []


# Secrets


async def test_no_key_is_told_to_anybody(server: Server, tmp_path, caplog, capfd) -> None:
    settings = server.settings(tmp_path, "p", AWS_SESSION_TOKEN="session-canary")
    nobody = Server("nobody", f"http://127.0.0.1:{buckets.free_port()}")
    with mock.patch.object(server_module, "RETRIES", 0):
        bucket = buckets.opened(nobody, tmp_path, "p", AWS_SESSION_TOKEN="session-canary")
    try:
        await bucket.put(DATA, "image/png")
    except FilesAway:
        logging.getLogger("x").exception("it failed")
    told = "".join(
        (repr(settings), repr(bucket.server.store), repr(vars(bucket.server)), *capfd.readouterr())
    )
    for secret in (SECRET, "session-canary"):
        assert secret not in told
        assert secret not in redactor(settings)(f"{caplog.text} {secret} {bucket.server.store.config}")
        assert secret not in caplog.text
    assert KEY not in redactor(settings)(str(bucket.server.store.config))


def test_without_a_bucket_nothing_of_it_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys, host.doctor_services, host.cli\n"
        "from core.settings import load_settings\n"
        "from storage.blobs import open_files\n"
        "open_files(load_settings())\n"
        "assert not {'obstore', 'boto3', 'storage.blobs.s3'} & set(sys.modules)"
    )
    environment = {**os.environ, "DATA_DIR": str(tmp_path), "FILES_URL": ""}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)


# Copies on this machine


async def test_a_copy_that_was_damaged_is_fetched_anew(bucket: Bucket) -> None:
    await bucket.put(DATA, "image/png")
    for ask in (bucket.get, bucket.local, bucket.get):
        [copy] = bucket.root.rglob("*.png")
        copy.write_bytes(b"x" * len(DATA))
        found = await ask(SHA)
        assert (found if isinstance(found, bytes) else found.read_bytes()) == DATA


async def test_copies_are_found_again_by_the_next_process_and_half_written_ones_are_not(
    bucket: Bucket, server: Server, tmp_path: Path
) -> None:
    await bucket.put(DATA, "image/png")
    (bucket.root / ".tmp-half").write_bytes(b"half")
    again = buckets.opened(server, tmp_path, tmp_path.name)
    again.server.away_until = time.monotonic() + 60
    assert await again.get(SHA) == DATA and await again.has(SHA)
    assert not (bucket.root / ".tmp-half").exists()


def _filled(root: Path, most: int, count: int, **options: int) -> tuple[Cache, list[str]]:
    cache, names = Cache(root, most=most, **options), list[str]()
    for n in range(count):
        data = b"%d" % n * 1000
        names.append(hashlib.sha256(data).hexdigest())
        cache.write(names[-1], "png", data)
    return cache, names


def _there(cache: Cache, names: list[str]) -> list[int]:
    return [n for n, name in enumerate(names) if cache.has(name)]


def test_the_copies_that_were_used_longest_ago_go_first(tmp_path: Path) -> None:
    cache, names = _filled(tmp_path, 4500, 4)
    assert cache.read(names[0]) is not None
    more = hashlib.sha256(b"more" * 250).hexdigest()
    cache.write(more, "png", b"more" * 250)
    assert _there(cache, [*names, more]) == [0, 2, 3, 4] and cache.size == 4000
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.png")) == cache.size
    again = Cache(tmp_path, most=2500)
    again.scan()
    assert again.size == 2000


def test_what_is_lent_or_was_just_handed_out_stays_beyond_the_bound(tmp_path, monkeypatch) -> None:
    cache, names = _filled(tmp_path, 10**6, 3)
    cache.most = 0
    with cache.held([names[0]]):
        assert cache.find(names[1]) is not None
        cache.shrink()
        assert _there(cache, names) == [0, 1]
    monkeypatch.setattr(cache_module, "KEPT", -1.0)
    cache.shrink()
    assert _there(cache, names) == [] and cache.size == 0 and not list(tmp_path.rglob("*.png"))


def test_copies_give_way_when_the_disk_is_short_and_end_after_a_week(tmp_path, monkeypatch) -> None:
    cache, names = _filled(tmp_path, 10**6, 3)
    monkeypatch.setattr(Cache, "_is_short", lambda self: self.size > 1500)
    cache.shrink()
    assert _there(cache, names) == [2]
    monkeypatch.setattr(cache_module, "MAX_AGE", -1.0)
    cache.shrink()
    assert _there(cache, names) == []


async def test_a_disk_that_is_full_keeps_no_copy_and_loses_nothing(bucket: Bucket, monkeypatch) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    await bucket.put(DATA, "image/png")
    assert not list(bucket.root.rglob("*.png")) and await bucket.get(SHA) == DATA


# Trying it out


async def test_a_bucket_is_tried_out_and_old_versions_are_noticed(server: Server, tmp_path: Path) -> None:
    found = await try_bucket(buckets.opened(server, tmp_path, "p"))
    assert (found.problem, found.keeps) == ("", False) and abs(found.apart) < 30
    assert server.keys("p") == []
    client = server.client()
    client.create_bucket(Bucket="versioned")
    client.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    kept = await try_bucket(buckets.opened(server, tmp_path, "p", FILES_URL=server.address("p", "versioned")))
    assert (kept.problem, kept.keeps) == ("", True)
