"""Work beside other work: captions and labels beside generations, pictures that are looked at beside one, and
pictures beside videos. How much longer each takes, and what it saves to do the work of several users at
once."""

from __future__ import annotations

import io
import itertools
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import models as samples
from benchmarks.measure import Chart, Figure, Goal, Result, apart, check, mean_apart, quantile, timed
from benchmarks.models import DEMO
from benchmarks.rows import Options, Row
from benchmarks.serving import Clock
from core.events import Output
from core.redact import Redactor
from core.requests import ClassifyRequest, DescribeRequest, ImagineRequest, Request, ShortenRequest
from core.requests.video import VideoRequest
from vision.capabilities import capability
from vision.engine.batches import DurationModel
from vision.engine.engine import Engine, Fiber
from vision.protocol import Answered, Embed, WorkerConfig
from vision.reporter import Reporter
from vision.store import Models
from vision.worker import queries
from vision.worker.main import quiet_libraries

STEPS = (12, 24)  # of the generations
KINDS = 3  # of guests: who describe, classify or shorten
SHA = "0" * 64


@dataclass
class BesideJob(Reporter):
    """One job of a run. at, first, ended: when it comes, has its first step and is over, in seconds on the
    run's clock. longest: between two of its steps."""

    models: Models
    request: Request
    image: Image.Image | None = None
    clock: Clock = field(default_factory=Clock)
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
        run, inputs = capability(self.request.kind), dict.fromkeys(self.request.pictures, self.image)
        if not isinstance(self.request, VideoRequest):
            return run(self.request, inputs, self.models, self)
        with tempfile.TemporaryDirectory() as folder:
            return run(self.request, inputs, self.models, self, Path(folder))

    def done(self, result: Any, error: BaseException | None) -> None:
        if error is not None:
            raise error
        self.output, self.ended = result, self.clock.now()


def measure_beside(options: Options) -> Result:
    """Each repeat: each generation without, with, with and without guests; then the guests alone, at once and
    one after another."""
    quiet_libraries()
    roles = {
        "image": DEMO,
        "clip": DEMO.parent / "clip",
        "caption": DEMO.parent / "captioner",
        "vit": DEMO.parent / "vit",
    }
    config = WorkerConfig(
        "cpu",
        {role: str(path) for role, path in roles.items()},
        str(options.folder),
        cpu_threads=1,
        allow_download=False,
    )
    models, durations = Models(config), DurationModel()
    _serve_guests(
        models,
        BesideJob(models, ImagineRequest(prompt="warm", num_inference_steps=4, seed=0)),
        _guests(models, 0),
        durations,
    )
    delays, totals, answers, savings, pictures, texts, scores = [], [], [], [], [], [], []
    for repeat in range(options.repeats):
        plain, delayed = [0.0] * len(STEPS), [0.0] * len(STEPS)
        for i in range(len(STEPS)):
            drawn = []
            for way, times in ((False, plain), (True, delayed), (True, delayed), (False, plain)):
                guests = _guests(models, repeat + 1)[KINDS * i : KINDS * (i + 1)] if way else []
                member = _generations(models, repeat, options.scale)[i]
                times[i] += _serve_guests(models, member, guests, durations)
                drawn.append(_pixels(member.output))
                answers += [guest.ended - guest.at for guest in guests]
            pictures += [apart(other, drawn[0]) for other in drawn[1:]]
        delays.append([100 * (b / a - 1) for a, b in zip(plain, delayed, strict=True)])
        totals.append(100 * (sum(delayed) / sum(plain) - 1))
        savings.append(_saving(models, repeat + 1, texts, scores))
    figures = (
        Figure("generations longer, in all", tuple(totals), "%", goal=Goal(at_most=5)),
        *(
            Figure(f"one of {n} steps", tuple(each[i] for each in delays), "% longer", goal=Goal(at_most=5))
            for i, n in enumerate(STEPS)
        ),
        Figure("the one delayed most", tuple(max(each) for each in delays), "%"),
        Figure("a guest's answer, mean over all", (float(np.mean(answers)),), "CPU s"),
        Figure("guests at once, against one after another", tuple(savings), "× less"),
    )
    checks = (
        check("pictures with and without guests, of 255", pictures, 0),
        check("captions that differ from those alone", texts, 0),
        check("scores, at once and alone", scores, 1e-4),
    )
    series = {f"{steps} steps": [each[i] for each in delays] for i, steps in enumerate(STEPS)} | {
        "in all": totals
    }
    notes = (
        (
            f"Four pictures each; {KINDS} guests, one of each kind, come during the first two thirds of each"
            " generation."
        ),
    )
    return Result(figures, checks, Chart("% longer with guests", series), notes)


def _generations(models: Models, repeat: int, scale: float) -> list[BesideJob]:
    return [
        BesideJob(
            models,
            ImagineRequest(
                prompt="a red house", num_inference_steps=max(4, round(n * scale)), seed=100 * repeat + n
            ),
        )
        for n in STEPS
    ]


def _guests(models: Models, seed: int) -> list[BesideJob]:
    """A third each describe, classify and shorten, parts of the demo models' contact sheet."""
    rng, sheet, members = random.Random(seed), Image.fromarray(samples.drawing(1024)), []
    for i in range(KINDS * len(STEPS)):
        x, y = rng.randrange(768), rng.randrange(768)
        image = sheet.crop((x, y, x + 256, y + 256))
        request = (
            DescribeRequest(image=SHA, seed=i),
            ClassifyRequest(image=SHA, labels=("a house", "a cat", f"the {i}th boat")),
            ShortenRequest(prompt=f"cinematic photo of a red house with {i} cats"),
        )[i % KINDS]
        members.append(BesideJob(models, request, image))
    return members


def _serve_guests(
    models: Models, generation: BesideJob | None, guests: Sequence[BesideJob], durations: DurationModel
) -> float:
    """CPU seconds of ``generation``, while a guest comes every few steps; without one, all guests are there
    from the begin."""
    clock, coming = Clock(), list(guests)
    engine = Engine(clock=clock.now, durations=durations)
    try:
        if generation is not None:
            every, ticks = max(1, 2 * generation.request.num_inference_steps // 3 // max(1, len(guests))), 0
            _begin(engine, generation, clock)
            while not generation.ended:
                if coming and ticks % every == 0:
                    _begin(engine, coming.pop(0), clock)
                _tick(engine)
                ticks += 1
        for member in coming:
            _begin(engine, member, clock)
        while engine.fibers:
            _tick(engine)
    finally:
        engine.stop()
    return generation.ended - generation.at if generation is not None else clock.now()


def _begin(engine: Engine, member: BesideJob, clock: Clock) -> None:
    member.clock, member.at = clock, clock.now()
    engine.begin(member.request.kind, member, done=member.done)


def _tick(engine: Engine) -> None:
    engine.wake.clear()
    if not engine.tick():
        engine.wake.wait()


def _saving(models: Models, seed: int, texts: list[float], scores: list[float]) -> float:
    """How many times less CPU time the guests need at once than one after another; what they are told goes to
    ``texts`` and ``scores``."""
    ways: dict[str, list[BesideJob]] = {"at once": _guests(models, seed), "alone": _guests(models, seed)}
    costs = {}
    for way in random.Random(seed).sample(sorted(ways), 2):
        models.get("clip")._label_cache.clear()
        groups = [ways[way]] if way == "at once" else [[member] for member in ways[way]]
        _, costs[way] = timed(
            lambda groups=groups: [_serve_guests(models, None, group, DurationModel()) for group in groups]
        )
    for one, other in zip(*ways.values(), strict=True):
        texts.append(float(one.output.captions != other.output.captions))
        scores += [abs(dict(one.output.scores)[label] - value) for label, value in other.output.scores]
    return costs["alone"].cpu / costs["at once"].cpu


def _pixels(output: Output) -> np.ndarray:
    return np.stack([np.asarray(Image.open(io.BytesIO(picture.data))) for picture in output.pictures])


LOOKED_STEPS, SIDE = 24, 512  # of the generation; px of the pictures that are looked at
AFTER_A_JOB, BATCH = 4, 8  # pictures of one job; of a batch of old ones
WAYS = {"four of the job before": 1, "old ones without end": 10_000}  # batches that are waiting


def measure_search_beside(options: Options) -> Result:
    """Each repeat: the generation without, with, with and without, for both ways."""
    clip = str(DEMO.parent / "clip")
    config = WorkerConfig("cpu", {"image": str(DEMO), "clip": clip}, str(options.folder), cpu_threads=1)
    models, durations, paths = Models(config), DurationModel(), _pictures(options.folder)
    steps = max(4, round(LOOKED_STEPS * options.scale))
    for waiting in (1, 0, 1):
        _draw(models, durations, 4, _questions(clip, paths, waiting), 0)
    longer: dict[str, list[float]] = {name: [] for name in WAYS}
    seen: list[float] = []
    differences: list[float] = []
    for repeat in range(options.repeats):
        for name, batches in WAYS.items():
            seconds, drawn = {False: 0.0, True: 0.0}, []
            for way in (False, True, True, False):
                questions = _questions(clip, paths, batches if way else 0)
                took, output, answered = _draw(models, durations, steps, questions, repeat)
                seconds[way] += took
                drawn.append(_pixels(output))
                if way and batches > 1:
                    seen.append(answered * BATCH / took)
            longer[name].append(100 * (seconds[True] / seconds[False] - 1))
            differences += [apart(other, drawn[0]) for other in drawn[1:]]
    figures = (
        *(
            Figure(f"longer by {name}", tuple(found), "%", goal=Goal(at_most=5))
            for name, found in longer.items()
        ),
        Figure("old ones looked at meanwhile", tuple(seen), "a CPU s"),
    )
    checks = (check("pictures with and without guests, of 255", differences, 0),)
    notes = (
        f"{steps} steps of four pictures. The product lets old ones wait while a job does; here they don't,"
        " to show the most that they cost.",
    )
    return Result(figures, checks, Chart("% longer", longer), notes)


def _pictures(folder: Path) -> tuple[str, ...]:
    whole, found = Image.fromarray(samples.drawing(2 * SIDE)), []
    for number, (x, y) in enumerate(itertools.product(range(0, SIDE, 128), repeat=2)):
        path = folder / f"{number}.png"
        whole.crop((x, y, x + SIDE, y + SIDE)).save(path, compress_level=1)
        found.append(str(path))
    return tuple(found)


def _questions(model: str, paths: tuple[str, ...], batches: int) -> Iterator[Embed]:
    count = AFTER_A_JOB if batches == 1 else BATCH
    for number in range(batches):
        some = tuple(paths[(number * count + place) % len(paths)] for place in range(count))
        yield Embed(str(number), model, paths=some)


class _Open:
    """The inbox of a worker that goes on."""

    def check_open(self) -> None:
        """Nothing ends."""


def _draw(
    models: Models, durations: DurationModel, steps: int, questions: Iterator[Embed], seed: int
) -> tuple[float, Output, int]:
    """CPU seconds of a generation, what it drew, and how many questions were answered meanwhile."""
    request = ImagineRequest(prompt="a red house", num_inference_steps=steps, seed=seed)
    clock, answered = Clock(), 0
    job = BesideJob(models, request, clock=clock)
    engine = Engine(clock=clock.now, durations=durations)

    def ask() -> None:
        if (question := next(questions, None)) is not None:
            queries.begin_question(question, models, engine, _Open(), heard, Redactor([]))  # type: ignore[arg-type]

    def heard(answer: Any) -> None:
        nonlocal answered
        assert isinstance(answer, Answered), answer
        if job.output is None:
            answered += 1
            ask()

    engine.begin("job", job, done=job.done)
    ask()
    try:
        while engine.fibers:
            _tick(engine)
    finally:
        engine.stop()
    return job.ended, job.output, answered


VIDEOS = 4  # of the job, as many as are made of 480 px unless somebody says so
VIDEO_SECONDS = 1.0  # of each: 16 frames
PICTURES, PICTURE_STEPS = 5, 4
COMING = 0.8  # of the video's time, in which the pictures come
NEAR = 3  # of 255


@dataclass(frozen=True)
class _Run:
    """A video and the pictures that came meanwhile."""

    video: BesideJob
    pictures: Sequence[BesideJob]

    @property
    def waits(self) -> float:
        """Mean seconds until a picture is there."""
        return mean(one.ended - one.at for one in self.pictures)

    @property
    def first_steps(self) -> float:
        """Mean seconds until a picture's first step is done."""
        return mean(one.first - one.at for one in self.pictures)


def measure_videos_beside(options: Options) -> Result:
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
        apart(_pixels(one.output), _pixels(other.output))
        for turns, beside in runs
        for one, other in zip(turns.pictures, beside.pictures, strict=True)
    ]
    series = {
        "in turn": [turns.waits for turns, _ in runs],
        "beside": [beside.waits for _, beside in runs],
    }
    notes = (
        f"A job of {videos} videos of 16 frames each, and {count} pictures of {PICTURE_STEPS} steps that come"
        f" in the first {COMING:.0%} of its time.",
    )
    return Result(
        figures,
        (check("pictures beside the video and in turn, of 255", different, NEAR),),
        Chart("CPU s until a picture is there, mean", series),
        notes,
    )


def video_job(models: Models, videos: int, seed: int, clock: Clock) -> BesideJob:
    """Return a job of so many videos."""
    request = VideoRequest(
        prompt="a red ball goes to the left", seconds=VIDEO_SECONDS, num_images=videos, seed=seed
    )
    return BesideJob(models, request, clock=clock)


def picture_job(models: Models, seed: int, clock: Clock) -> BesideJob:
    """Return a job of one picture."""
    request = ImagineRequest(
        prompt="a blue house", num_inference_steps=PICTURE_STEPS, num_images=1, seed=seed
    )
    return BesideJob(models, request, clock=clock)


def _in_turn(models: Models, videos: int, count: int, seed: int) -> _Run:
    """The videos to their end, then one picture after the other."""
    clock = Clock()
    video = video_job(models, videos, seed, clock)
    serve_jobs(clock, [video], DurationModel())
    pictures = [picture_job(models, 100 * seed + n, clock) for n in range(count)]
    for n, each in enumerate(pictures):
        each.at = (n + 0.5) / count * COMING * video.ended
        serve_jobs(clock, [each], DurationModel())
    return _Run(video, pictures)


def _beside(
    models: Models, videos: int, moments: Sequence[float], seed: int, durations: DurationModel
) -> _Run:
    clock = Clock()
    video = video_job(models, videos, seed, clock)
    pictures = [picture_job(models, 100 * seed + n, clock) for n in range(len(moments))]
    for each, at in zip(pictures, moments, strict=True):
        each.at = at
    serve_jobs(clock, [video, *pictures], durations)
    return _Run(video, pictures)


def serve_jobs(clock: Clock, jobs: Sequence[BesideJob], durations: DurationModel) -> None:
    """Begin each job when it comes, and go on until all are over."""
    engine, coming = Engine(clock=clock.now, durations=durations, has_spare_core=lambda: False), [*jobs]
    try:
        while coming or engine.fibers:
            while coming and (coming[0].at <= clock.now() or not engine.fibers):
                clock.wait_until(coming[0].at)
                job = coming.pop(0)
                engine.begin(job.request.kind, job, done=job.done)
            _tick(engine)
    finally:
        engine.stop()


P95 = 0.95
NEAR_MEAN = 0.1  # of 255, mean: another picture's is 10 and more


def measure_videos_half_load(options: Options) -> Result:
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
        alone, _ = _serve_together(models, moments, [], repeat, durations)
        videos = [2 * video.ended * number for number in range(count)]
        pictures, made = _serve_together(models, moments, videos, repeat, durations)
        different += [
            mean_apart(_pixels(one.output), _pixels(other.output))
            for one, other in zip(alone, pictures, strict=True)
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
        f"{count} videos, one each two videos' time; pictures of {PICTURE_STEPS} steps come by chance, each"
        " two pictures' time on average.",
    )
    chart = Chart("CPU s until a picture is there, 95 of 100", waits)
    return Result(
        figures,
        (check("pictures beside videos and alone, mean of 255", different, NEAR_MEAN),),
        chart,
        notes,
    )


def _alone(models: Models, seed: int, durations: DurationModel) -> tuple[BesideJob, float]:
    """A video, and the seconds of a picture, each on its own."""
    clock = Clock()
    video = video_job(models, 1, seed, clock)
    serve_jobs(clock, [video], durations)
    clock = Clock()
    picture = picture_job(models, seed, clock)
    serve_jobs(clock, [picture], durations)
    return video, picture.ended


def _moments(until: float, gap: float, seed: int) -> list[float]:
    """When pictures come: by chance, one in ``gap`` seconds on average."""
    rng, at, moments = random.Random(seed), 0.0, []
    while (at := at + rng.expovariate(1 / gap)) < until:
        moments.append(at)
    return moments or [0.0]


def _serve_together(
    models: Models, moments: list[float], videos: list[float], seed: int, durations: DurationModel
) -> tuple[list[BesideJob], list[BesideJob]]:
    """Pictures that come at ``moments`` and videos that come at ``videos``, served as they come."""
    clock = Clock()
    pictures = [picture_job(models, 1000 * seed + number, clock) for number in range(len(moments))]
    made = [video_job(models, 1, 1000 * seed + number, clock) for number in range(len(videos))]
    for job, at in zip([*pictures, *made], [*moments, *videos], strict=True):
        job.at = at
    serve_jobs(clock, sorted([*pictures, *made], key=lambda job: job.at), durations)
    return pictures, made


ROWS = {
    "beside": Row(
        "Captions and labels beside generations (demo models)",
        "the same generations with nobody else; and captions and labels of the same users, one after another",
        measure_beside,
    ),
    "search_beside": Row(
        "Pictures looked at beside a generation (demo models)",
        "the same generation with nothing else to do",
        measure_search_beside,
    ),
    "videos_beside": Row(
        "Pictures beside a video (demo models)",
        "first come, first served: the video, then the pictures",
        measure_videos_beside,
    ),
    "videos_half_load": Row(
        "Videos at half load beside pictures at half load (demo models)",
        "the same pictures alone, and a video alone",
        measure_videos_half_load,
    ),
}
