"""Videos that take half of the device's time beside pictures that take the other half: what each waits for
the other."""

from __future__ import annotations

import random
from statistics import mean

from benchmarks.measure import Chart, Figure, Goal, Result, check, mean_apart, quantile
from benchmarks.models import DEMO
from benchmarks.rows import Options
from benchmarks.rows.videos_beside import STEPS, VideoOrPicture, picture_job, pixels, serve, video_job
from benchmarks.serving import Clock
from vision.engine.batches import DurationModel
from vision.protocol import WorkerConfig
from vision.store import Models
from vision.worker.main import quiet_libraries

TITLE = "Videos at half load beside pictures at half load (demo models)"
AGAINST = "the same pictures alone, and a video alone"
VIDEOS = 4  # jobs of one video of 16 frames each
P95 = 0.95
NEAR = 0.1  # of 255, mean: another picture's is 10 and more


def measure(options: Options) -> Result:
    """Each repeat: a video alone, the pictures alone, then both together."""
    quiet_libraries()
    roles = {"image": str(DEMO), "clip": str(DEMO.parent / "clip")}
    models = Models(WorkerConfig("cpu", roles, str(options.folder), cpu_threads=1, allow_download=False))
    count, durations = max(2, round(VIDEOS * options.scale)), DurationModel()
    _alone(models, 0, durations)  # what is loaded once
    later, longer, p95, different = [], [], [], list[float]()
    waits = {"alone": list[float](), "beside videos": list[float]()}
    for repeat in range(1, options.repeats + 1):
        video, picture = _alone(models, repeat, durations)
        moments = _moments(2 * count * video.ended, 2 * picture, repeat)
        alone, _ = _serve(models, moments, [], repeat, durations)
        videos = [2 * video.ended * number for number in range(count)]
        pictures, made = _serve(models, moments, videos, repeat, durations)
        different += [
            mean_apart(pixels(one), pixels(other)) for one, other in zip(alone, pictures, strict=True)
        ]
        before, beside = (quantile([one.ended - one.at for one in jobs], P95) for jobs in (alone, pictures))
        later.append((beside - before) / video.longest)
        p95.append(before)
        longer.append(mean(one.ended - one.at for one in made) / video.ended)
        waits["alone"].append(before)
        waits["beside videos"].append(beside)
    figures = (
        Figure("pictures' p95, later than alone", tuple(later), "video steps", goal=Goal(at_most=1)),
        Figure("videos, mean", tuple(longer), "× alone", goal=Goal(at_most=2.2)),
        Figure("pictures' p95 alone", tuple(p95), "CPU s"),
    )
    notes = (
        f"{count} videos, one each two videos' time; pictures of {STEPS} steps come by chance, each two"
        " pictures' time on average.",
    )
    chart = Chart("bars", TITLE, "CPU s until a picture is there, 95 of 100", waits)
    return Result(
        figures, (check("pictures beside videos and alone, mean of 255", different, NEAR),), chart, notes
    )


def _alone(models: Models, seed: int, durations: DurationModel) -> tuple[VideoOrPicture, float]:
    """A video, and the seconds of a picture, each on its own."""
    clock = Clock()
    video = video_job(models, 1, seed, clock)
    serve(clock, [video], durations)
    clock = Clock()
    picture = picture_job(models, seed, clock)
    serve(clock, [picture], durations)
    return video, picture.ended


def _moments(until: float, gap: float, seed: int) -> list[float]:
    """When pictures come: by chance, one in ``gap`` seconds on average."""
    rng, at, moments = random.Random(seed), 0.0, []
    while (at := at + rng.expovariate(1 / gap)) < until:
        moments.append(at)
    return moments or [0.0]


def _serve(
    models: Models, moments: list[float], videos: list[float], seed: int, durations: DurationModel
) -> tuple[list[VideoOrPicture], list[VideoOrPicture]]:
    """Pictures that come at ``moments`` and videos that come at ``videos``, served as they come."""
    clock = Clock()
    pictures = [picture_job(models, 1000 * seed + number, clock) for number in range(len(moments))]
    made = [video_job(models, 1, 1000 * seed + number, clock) for number in range(len(videos))]
    for job, at in zip([*pictures, *made], [*moments, *videos], strict=True):
        job.at = at
    serve(clock, sorted([*pictures, *made], key=lambda job: job.at), durations)
    return pictures, made
