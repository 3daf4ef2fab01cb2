"""Pictures while a job of videos is being drawn: how long they wait, and how much longer the videos take,
against first come, first served."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.measure import Chart, Figure, Goal, Result, apart, check
from benchmarks.models import DEMO
from benchmarks.rows import Options
from benchmarks.serving import Clock
from core.events import Output
from core.requests import ImagineRequest, Request
from core.requests.video import VideoRequest
from vision.capabilities import capability
from vision.engine.batches import DurationModel
from vision.engine.engine import Engine, Fiber
from vision.protocol import WorkerConfig
from vision.reporter import Reporter
from vision.store import Models
from vision.worker.main import quiet_libraries

TITLE = "Pictures beside a video (demo models)"
AGAINST = "first come, first served: the video, then the pictures"
VIDEOS = 4  # of the job, as many as are made of 480 px unless somebody says so
VIDEO_SECONDS = 1.0  # of each: 16 frames
PICTURES, STEPS = 5, 4
COMING = 0.8  # of the video's time, in which the pictures come
NEAR = 3  # of 255


@dataclass
class VideoOrPicture(Reporter):
    """One job of a run. at, first, ended: when it comes, has its first step and is over, in seconds on the
    run's clock. longest: between two of its steps."""

    models: Models
    request: Request
    clock: Clock
    at: float = 0.0
    first: float = 0.0
    last: float = 0.0
    longest: float = 0.0
    ended: float = 0.0
    output: Output | None = None
    fiber: Fiber | None = field(default=None, repr=False)

    def step(self, step: int, total: int, preview: Callable[[], bytes | None] | None = None) -> None:
        if self.fiber is not None:
            self.fiber.set_progress(step, total)
        now = self.clock.now()
        self.first, self.last = self.first or now, now if not self.last else self.last
        self.longest, self.last = max(self.longest, now - self.last), now

    def __call__(self, fiber: Fiber) -> Output:
        self.fiber = fiber
        run = capability(self.request.kind)
        if not isinstance(self.request, VideoRequest):
            return run(self.request, {}, self.models, self)
        with tempfile.TemporaryDirectory() as folder:
            return run(self.request, {}, self.models, self, Path(folder))

    def done(self, result: Any, error: BaseException | None) -> None:
        if error is not None:
            raise error
        self.output, self.ended = result, self.clock.now()


@dataclass(frozen=True)
class _Run:
    """A video and the pictures that came meanwhile."""

    video: VideoOrPicture
    pictures: Sequence[VideoOrPicture]

    @property
    def waits(self) -> float:
        """Mean seconds until a picture is there."""
        return mean(one.ended - one.at for one in self.pictures)

    @property
    def first_steps(self) -> float:
        """Mean seconds until a picture's first step is done."""
        return mean(one.first - one.at for one in self.pictures)


def measure(options: Options) -> Result:
    """Each repeat: the video and the pictures in turn, then beside each other, come at the same moments."""
    quiet_libraries()
    roles = {"image": str(DEMO), "clip": str(DEMO.parent / "clip")}
    models = Models(WorkerConfig("cpu", roles, str(options.folder), cpu_threads=1, allow_download=False))
    count, durations = max(2, round(PICTURES * options.scale)), DurationModel()
    videos = max(1, round(VIDEOS * options.scale))
    _in_turn(models, 1, 1, 0)  # what is loaded once
    runs = []
    for repeat in range(options.repeats):
        turns = _in_turn(models, videos, count, repeat + 1)
        moments = [one.at for one in turns.pictures]
        runs.append((turns, _beside(models, videos, moments, repeat + 1, durations)))
    longer = [100 * (beside.video.ended / turns.video.ended - 1) for turns, beside in runs]
    own = [100 * (turns.pictures[-1].ended / turns.video.ended - 1) for turns, _ in runs]
    figures = (
        Figure(
            "pictures' mean wait", tuple(a.waits / b.waits for a, b in runs), "× less", goal=Goal(at_least=5)
        ),
        Figure("until their first step", tuple(a.first_steps / b.first_steps for a, b in runs), "× less"),
        Figure("the video", tuple(longer), "% longer", goal=Goal(at_most=15)),
        Figure("the pictures' work", tuple(own), "% of the video's"),
        Figure("a picture's mean wait beside the video", tuple(beside.waits for _, beside in runs), "CPU s"),
    )
    different = [
        apart(pixels(one), pixels(other))
        for turns, beside in runs
        for one, other in zip(turns.pictures, beside.pictures, strict=True)
    ]
    series = {
        "in turn": [turns.waits for turns, _ in runs],
        "beside": [beside.waits for _, beside in runs],
    }
    notes = (
        f"A job of {videos} videos of 16 frames each, and {count} pictures of {STEPS} steps that come in the"
        f" first {COMING:.0%} of its time.",
    )
    return Result(
        figures,
        (check("pictures beside the video and in turn, of 255", different, NEAR),),
        Chart("bars", TITLE, "CPU s until a picture is there, mean", series),
        notes,
    )


def video_job(models: Models, videos: int, seed: int, clock: Clock) -> VideoOrPicture:
    """Return a job of so many videos."""
    request = VideoRequest(
        prompt="a red ball goes to the left", seconds=VIDEO_SECONDS, num_images=videos, seed=seed
    )
    return VideoOrPicture(models, request, clock)


def picture_job(models: Models, seed: int, clock: Clock) -> VideoOrPicture:
    """Return a job of one picture."""
    request = ImagineRequest(prompt="a blue house", num_inference_steps=STEPS, num_images=1, seed=seed)
    return VideoOrPicture(models, request, clock)


def _in_turn(models: Models, videos: int, count: int, seed: int) -> _Run:
    """The videos to their end, then one picture after the other."""
    clock = Clock()
    video = video_job(models, videos, seed, clock)
    serve(clock, [video], DurationModel())
    pictures = [picture_job(models, 100 * seed + n, clock) for n in range(count)]
    for n, each in enumerate(pictures):
        each.at = (n + 0.5) / count * COMING * video.ended
        serve(clock, [each], DurationModel())
    return _Run(video, pictures)


def _beside(
    models: Models, videos: int, moments: Sequence[float], seed: int, durations: DurationModel
) -> _Run:
    clock = Clock()
    video = video_job(models, videos, seed, clock)
    pictures = [picture_job(models, 100 * seed + n, clock) for n in range(len(moments))]
    for each, at in zip(pictures, moments, strict=True):
        each.at = at
    serve(clock, [video, *pictures], durations)
    return _Run(video, pictures)


def serve(clock: Clock, jobs: Sequence[VideoOrPicture], durations: DurationModel) -> None:
    """Begin each job when it comes, and go on until all are over."""
    engine, coming = Engine(clock=clock.now, durations=durations, has_spare_core=lambda: False), [*jobs]
    try:
        while coming or engine.fibers:
            while coming and (coming[0].at <= clock.now() or not engine.fibers):
                clock.wait_until(coming[0].at)
                job = coming.pop(0)
                engine.begin(job.request.kind, job, done=job.done)
            engine.wake.clear()
            if not engine.tick():
                engine.wake.wait()
    finally:
        engine.stop()


def pixels(job: VideoOrPicture) -> np.ndarray:
    """Return the picture of a job, (H, W, 3)."""
    assert job.output is not None
    return np.asarray(Image.open(io.BytesIO(job.output.pictures[0].data)))
