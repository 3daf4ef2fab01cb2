"""Videos come from a worker's folder into the store: whole, without their bytes in this process, and with
nothing left behind however the job ends."""

import hashlib
import itertools
import os
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.job import Origin, Status
from core.requests.video import VideoRequest
from jobs.executors.base import Lost
from jobs.executors.local import LocalExecutor
from jobs.queue import Queue
from tests.jobs import video_worker
from tests.jobs.conftest import LIMITS, open_queue, until
from tests.jobs.fake_worker import picture_of
from tests.jobs.hand_executor import HandExecutor
from tests.jobs.video_worker import video_bytes
from vision.protocol import Broke, Done, Fault, Run, Stopped, WorkerConfig

video_worker.register()
_keys = itertools.count()


async def ask(
    queue: Queue, prompt: str = "a red boat", *, user: int = 1, seed: int = 0, **fields: object
) -> str:
    request = VideoRequest(prompt=prompt, seed=seed, **fields)
    return (await queue.submit(request, Origin(user, 2, request_key=str(next(_keys))))).job.id


async def held(executor: HandExecutor, job_id: str) -> Run:
    await until(lambda: job_id in executor.held)
    return executor.held[job_id].run


async def over(queue: Queue, job_id: str) -> Status:
    """How the job has ended; its folder has gone by then."""
    await until(lambda: job_id not in queue.dispatcher.feeds and job_id not in queue.dispatcher.running)
    await queue.dispatcher.incoming.settle()
    job = await queue.job(job_id)
    assert job is not None
    return job.status


def incoming(queue: Queue) -> list[str]:
    folder = queue.files.incoming
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) if folder.is_dir() else []


def finish(executor: HandExecutor, run: Run, request: VideoRequest) -> None:
    executor.end(Done(run.job_id, video_worker.made(request, run.folder)))


async def test_videos_are_stored_with_posters_and_ends(queue: Queue, executor: HandExecutor) -> None:
    job_id = await ask(queue, seed=7, num_images=2)
    run = await held(executor, job_id)
    assert Path(run.folder) == queue.files.incoming / job_id
    finish(executor, run, VideoRequest(prompt="a red boat", seed=7, num_images=2))
    assert (await over(queue, job_id)).over
    result = await queue.result(job_id)
    assert [video.index for video in result.videos] == [0, 1] == [poster.index for poster in result.pictures]
    for video, poster, seed in zip(result.videos, result.pictures, (7, 8), strict=True):
        assert queue.files.path(video.sha256).read_bytes() == video_bytes(seed)
        assert queue.files.path(video.sha256).suffix == ".mp4" and video.size == len(video_bytes(seed))
        assert video.ends is not None
        assert queue.files.path(video.ends).read_bytes() == f"ends of {seed}".encode()
        assert await queue.files.get(poster.sha256) == picture_of(seed).data
        assert (video.seconds, video.width, video.height, video.seed) == (0.5, 64, 32, seed)
    assert incoming(queue) == []


async def test_a_job_without_videos_has_no_folder(queue: Queue, executor: HandExecutor) -> None:
    from tests.jobs.conftest import ask as ask_pictures

    job_id = (await ask_pictures(queue)).job.id
    assert (await held(executor, job_id)).folder == ""
    assert not queue.files.incoming.exists()


@pytest.mark.parametrize(
    "outcome", [lambda i: Broke(i, Fault.USER, "No."), lambda i: Broke(i, Fault.MEMORY, "Too large.")]
)
async def test_what_a_failed_run_wrote_is_removed(queue: Queue, executor: HandExecutor, outcome) -> None:
    job_id = await ask(queue)
    run = await held(executor, job_id)
    video_worker.video_path(run.folder, 0).write_bytes(b"half a video")
    executor.end(outcome(job_id))
    assert await over(queue, job_id) is Status.FAILED
    assert incoming(queue) == [] and list(queue.files.all()) == []


async def test_a_cancelled_run_s_folder_stays_until_its_worker_has_stopped(
    queue: Queue, executor: HandExecutor
) -> None:
    job_id = await ask(queue)
    run = await held(executor, job_id)
    video_worker.video_path(run.folder, 0).write_bytes(b"half a video")
    assert await queue.cancel(job_id)
    assert incoming(queue) == [job_id, f"{job_id}/0.mp4"], "the worker may be writing"
    executor.end(Stopped(job_id))
    assert await over(queue, job_id) is Status.CANCELLED
    assert incoming(queue) == [] and list(queue.files.all()) == []


async def test_a_video_that_is_ready_when_its_job_was_cancelled_is_not_kept(
    queue: Queue, executor: HandExecutor
) -> None:
    job_id = await ask(queue)
    run = await held(executor, job_id)
    assert await queue.cancel(job_id)
    finish(executor, run, VideoRequest(prompt="a red boat"))
    assert await over(queue, job_id) is Status.CANCELLED
    assert incoming(queue) == [] and list(queue.files.all()) == []


async def test_a_job_that_is_tried_again_finds_what_it_left_and_cancelled_while_it_waits_leaves_nothing(
    queue: Queue, executor: HandExecutor
) -> None:
    first = await ask(queue)
    run = await held(executor, first)
    video_worker.video_path(run.folder, 0).write_bytes(b"a window that is whole")
    executor.end(Lost(first, "it died", untouched=True))
    run = await held(executor, first)
    assert video_worker.video_path(run.folder, 0).read_bytes() == b"a window that is whole"
    await queue.pause(1)
    executor.end(Lost(first, "it died", untouched=True))
    await until(lambda: first in queue.dispatcher.waitlist)
    assert f"{first}/0.mp4" in incoming(queue)
    assert await queue.cancel(first)
    assert await over(queue, first) is Status.CANCELLED
    assert incoming(queue) == []


async def test_a_worker_that_names_a_video_it_has_not_written_is_tried_again_and_given_up(
    queue: Queue, executor: HandExecutor, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere.mp4"
    elsewhere.write_bytes(b"nobody's video")
    job_id = await ask(queue)
    for path in ("0.mp4", str(elsewhere), ".."):
        run = await held(executor, job_id)
        output = video_worker.made(VideoRequest(prompt="a red boat"), run.folder)
        (video,) = output.videos
        os.unlink(video.path)
        named = str(Path(run.folder) / path)
        executor.end(Done(job_id, type(output)(videos=(type(video)(named, 64, 32, 8, 16.0, video.poster),))))
    assert await over(queue, job_id) is Status.FAILED
    assert elsewhere.exists() and list(queue.files.all()) == [] and incoming(queue) == []


async def test_a_start_removes_the_folders_of_jobs_that_are_over_and_keeps_those_that_wait(tmp_path) -> None:
    executor = HandExecutor({"cpu": 1})
    async with open_queue(tmp_path, executor) as queue:
        waits = await ask(queue)
        run = await held(executor, waits)
        video_worker.video_path(run.folder, 0).write_bytes(b"a window that is whole")
    for name in ("goneandover2", "neverheardof"):
        (tmp_path / "incoming" / name).mkdir()
        (tmp_path / "incoming" / name / "0.mp4").write_bytes(b"half a video")
    (tmp_path / "incoming" / "customer 17").mkdir()
    (tmp_path / "pictures" / ".tmp-0123").write_bytes(b"half a picture")
    async with open_queue(tmp_path, HandExecutor(), start=False) as queue:
        await queue.pause(1)
        await queue.start()
        assert incoming(queue) == sorted(["customer 17", waits, f"{waits}/0.mp4"]), "others' folders stay"
        assert not list(queue.files.root.glob(".tmp-*"))


async def test_four_videos_of_thirty_megabytes_stall_nobody_and_are_never_in_memory(
    queue: Queue, executor: HandExecutor
) -> None:
    job_id = await ask(queue, num_images=4)
    run = await held(executor, job_id)
    output = video_worker.made(VideoRequest(prompt="a red boat", num_images=4), run.folder)
    for number in range(4):
        with video_worker.video_path(run.folder, number).open("r+b") as file:
            file.truncate(30 * 2**20 + number)
    tracemalloc.start()
    try:
        executor.end(Done(job_id, output))
        assert (await over(queue, job_id)).over
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20, "of 120 MB"
    finally:
        tracemalloc.stop()
    result = await queue.result(job_id)
    assert [video.size for video in result.videos] == [30 * 2**20 + number for number in range(4)]


@pytest.fixture
async def worked(tmp_path: Path) -> AsyncIterator[Queue]:
    """A queue with a worker process that makes videos."""
    executor = LocalExecutor([WorkerConfig("cpu", {}, "")], target="tests.jobs.video_worker:main")
    async with open_queue(tmp_path, executor, LIMITS) as queue:
        yield queue


async def test_a_worker_s_process_writes_videos_and_one_that_dies_half_way_begins_again(
    worked: Queue, tmp_path: Path
) -> None:
    wish = f'{{"fault": "kill", "at": 3, "marker": "{tmp_path / "marker"}"}}'
    dies, well = await ask(worked, wish, seed=4), await ask(worked, seed=5, user=2)
    for job_id, seed in ((dies, 4), (well, 5)):
        await until(lambda one=job_id: one not in worked.dispatcher.feeds, 60)
        (video,) = (await worked.result(job_id)).videos
        assert video.sha256 == hashlib.sha256(video_bytes(seed)).hexdigest()
    await until(lambda: incoming(worked) == [])
