"""A worker that makes videos without a model: ``tests.jobs.fake_worker`` that answers requests for them, too.

A video's bytes are its seed's, so a run again gives the same file. It is written as a real one is, a piece
after each step, then its ends; the prompt's JSON takes what ``fake_worker`` does, and kilobytes of each
video.
"""

import faulthandler
import hashlib
import os
import signal
import time
from collections.abc import Generator
from multiprocessing.connection import Connection
from pathlib import Path

from core import requests
from core.events import Output, Video
from core.requests import from_json
from core.requests.video import VideoRequest
from tests.jobs.fake_worker import _Worker, picture_of, read_wish, still_due
from vision.protocol import Broke, Done, Ready, Run, Step, Stopped, WorkerConfig

FRAMES, FPS = 8, 16.0
PIECES = 4  # in which a video is written


def register() -> None:
    """Let rows and workers know requests for videos."""
    requests._BY_KIND.setdefault(VideoRequest.kind, VideoRequest)


def main(connection: Connection, config: WorkerConfig) -> None:
    register()
    faulthandler.register(signal.SIGUSR1)
    connection.send(Ready(config.device, os.getpid(), "a fake card", 2**30, 1))
    _VideoWorker(connection).work()


class _VideoWorker(_Worker):
    def run(self, run: Run) -> Generator[None, None, Done | Stopped | Broke]:
        request = from_json(run.kind, run.request)
        if not isinstance(request, VideoRequest):
            return (yield from super().run(run))
        wish = read_wish(request.prompt)
        step, total = 0, PIECES * request.num_images
        for number in range(request.num_images):
            data = video_bytes(request.seed + number, wish.get("kilobytes", 64))
            with video_path(run.folder, number).open("wb") as file:
                for piece in range(PIECES):
                    step += 1
                    if wish.get("fault") and step == wish.get("at", 1) and still_due(wish):
                        broke = self.misbehave(run.job_id, wish["fault"])
                        if broke is not None:
                            return broke
                    time.sleep(wish.get("delay", 0.0))
                    yield
                    if run.job_id in self.stopped:
                        return Stopped(run.job_id)
                    file.write(data[len(data) * piece // PIECES : len(data) * (piece + 1) // PIECES])
                    self.connection.send(Step(run.job_id, step, total, b"preview"))
        return Done(run.job_id, written(request, run.folder))


def video_bytes(seed: int, kilobytes: int = 64) -> bytes:
    """The file of the video with this seed."""
    return hashlib.shake_128(f"video {seed}".encode()).digest(kilobytes * 1024)


def video_path(folder: str, number: int) -> Path:
    """Where video ``number`` (from 0) of a job is written."""
    return Path(folder) / f"{number}.mp4"


def written(request: VideoRequest, folder: str) -> Output:
    """Write the videos' ends, and return what a worker says of videos that it has written."""
    videos = []
    for number in range(request.num_images):
        seed = request.seed + number
        ends = Path(folder) / f"{number}.ends"
        ends.write_bytes(f"ends of {seed}".encode())
        path = str(video_path(folder, number))
        videos.append(Video(path, 64, 32, FRAMES, FPS, picture_of(seed), seed, str(ends)))
    return Output(videos=tuple(videos), parameters={"model": "fake", "seed": request.seed, "notes": []})


def made(request: VideoRequest, folder: str) -> Output:
    """Write the whole videos of a request and return what a worker says of them."""
    for number in range(request.num_images):
        video_path(folder, number).write_bytes(video_bytes(request.seed + number))
    return written(request, folder)
