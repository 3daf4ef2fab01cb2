"""Videos among what a person can export and delete, and what expires by itself."""

import io
import json
import os
import time
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from core.events import Output, Video
from core.job import Surface
from core.requests.video import VideoRequest
from jobs.queue import Queue
from jobs.results import Saving
from storage import collections, jobs, people
from storage.blobs.local import Folder
from storage.blobs.removal import ORPHANS_KEPT
from storage.database import open_database
from studio.authority import CurrentDirectory
from studio.janitor import SEEN, Janitor
from studio.moderation.moderator import Moderator
from studio.moderation.rules import ModerationSettings
from studio.privacy import Export, Privacy
from tests.jobs import video_worker
from tests.jobs.fake_worker import picture_of
from tests.jobs.hand_executor import HandExecutor
from tests.storage.conftest import a_job, running
from tests.studio.conftest import AllFit, privacy_of, swept

video_worker.register()
ANN = 1


class Opened:
    """A person's data, with jobs that made videos long ago or lately."""

    def __init__(self, queue: Queue, own: Privacy, folder: Path) -> None:
        self.janitor = Janitor(queue.database, own, folder, idle=timedelta(days=30))
        self.database, self.files, self.queue, self.own = queue.database, queue.files, queue, own

    async def made(self, *seeds: int, at: datetime | None = None, videos: bool = True) -> str:
        asked = a_job(user=ANN, interaction_id=None, surface=Surface.WEB)
        if videos:
            asked = replace(asked, request=VideoRequest(prompt="a red boat"))
        job = await running(self.database, job=asked)
        folder = self.files.incoming / job.id
        folder.mkdir(parents=True)
        made = []
        for seed in seeds:
            (folder / f"{seed}.mp4").write_bytes(f"video {seed}".encode() * 1000)
            (folder / f"{seed}.ends").write_bytes(f"ends {seed}".encode())
            names = str(folder / f"{seed}.mp4"), str(folder / f"{seed}.ends")
            made.append(Video(names[0], 64, 32, 8, 16.0, picture_of(seed), seed, names[1]))
        output = Output(videos=tuple(made)) if videos else Output(pictures=tuple(map(picture_of, seeds)))
        stored = await Saving(self.database, self.files).save(output)
        now = at or datetime.now(UTC)
        await self.database.write(
            lambda c: jobs.finish(c, job.id, stored, token="t", now=now, run_seconds=1.0)
        )
        return job.id

    def left(self) -> list[str]:
        return sorted(self.files.path(sha256).suffix for sha256 in self.files.all())


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opened]:
    async with open_database(tmp_path / "atelier.db", None) as database:
        queue = Queue(database, Folder(tmp_path / "pictures", ballast_bytes=4096), HandExecutor())
        await database.write(partial(people.set_setting, key=SEEN, value=time.time()))  # jobs are older
        yield Opened(queue, privacy_of(queue, tmp_path), tmp_path)


async def _exported(opened: Opened, limit: int) -> dict[str, bytes]:
    found = {}
    given = opened.database, opened.files
    moderator = Moderator(*given, AllFit(), ModerationSettings(), CurrentDirectory())
    async for part in Export(*given, moderator).parts(ANN, limit):
        archive = zipfile.ZipFile(io.BytesIO(part))
        found |= {name: archive.read(name) for name in archive.namelist()}
    return found


async def test_an_export_has_videos_and_names_those_that_are_too_large(opened: Opened) -> None:
    job_id = await opened.made(1, 2)
    files = await _exported(opened, 10**6)
    data = json.loads(files["data.json"])
    assert [row["job_id"] for row in data["films"]] == [job_id] * 2 and len(data["films_used"]) == 1
    assert sorted(v[:7] for name, v in files.items() if name.startswith("videos/")) == [
        b"video 1",
        b"video 2",
    ]
    assert len([name for name in files if name.startswith("pictures/")]) == 2, "their posters"
    assert "too-large.txt" not in files
    small = await _exported(opened, 5000)
    assert not [name for name in small if name.startswith("videos/")]
    assert set(small["too-large.txt"].decode().split()[-2:]) == {
        f"{row['sha256']}.mp4" for row in data["films"]
    }


async def test_a_deletion_leaves_no_video_poster_or_ends(opened: Opened) -> None:
    first = await opened.made(1, 2)
    await opened.made(3)
    assert opened.left() == [".mp4"] * 3 + [".png"] * 3 + [".safetensors"] * 3
    await opened.own.delete_job(ANN, first)
    assert opened.left() == [".mp4", ".png", ".safetensors"]
    await opened.own.delete(ANN)
    assert opened.left() == []


async def test_videos_have_days_of_their_own(opened: Opened) -> None:
    old = datetime.now(UTC) - timedelta(days=5)
    await opened.made(1, at=old)
    await opened.made(2)
    await opened.made(3, at=old, videos=False)
    opened.own.retention = replace(opened.own.retention, videos=10)
    await swept(opened.janitor)
    assert opened.left() == [".mp4"] * 2 + [".png"] * 3 + [".safetensors"] * 2
    opened.own.retention = replace(opened.own.retention, videos=4)
    await swept(opened.janitor)
    assert opened.left() == [".mp4", ".png", ".png", ".safetensors"]
    opened.own.retention = replace(opened.own.retention, jobs=4)
    await swept(opened.janitor)
    assert opened.left() == [".mp4", ".png", ".safetensors"]


async def test_the_sweep_keeps_videos_and_ends_that_rows_name_and_takes_the_rest(opened: Opened) -> None:
    await opened.made(1)
    orphans = opened.files.incoming / "orphans"
    orphans.mkdir()
    for name, kind in (("video", "video/mp4"), ("ends", "application/x-latents")):
        (orphans / name).write_bytes(name.encode())
        await opened.files.take(orphans / name, kind)
    for sha256 in opened.files.all():
        os.utime(opened.files.path(sha256), (0, datetime.now().timestamp() - ORPHANS_KEPT - 60))
    await swept(opened.janitor)
    assert opened.left() == [".mp4", ".png", ".safetensors"]


async def test_one_video_of_a_set_is_put_away_and_deleted_alone(opened: Opened) -> None:
    job_id = await opened.made(1, 2, 3, 4)
    await opened.database.write(
        lambda c: collections.put_in_trash(c, ANN, [(job_id, 2)], now=datetime.now(UTC))
    )
    await opened.own.delete_pictures(ANN, [(job_id, 2)])
    assert opened.left() == [".mp4"] * 3 + [".png"] * 3 + [".safetensors"] * 3
    result = await opened.queue.result(job_id)
    assert [video.index for video in result.videos] == [0, 1, 3]
