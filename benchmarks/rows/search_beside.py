"""Pictures looked at beside a generation: how much longer that takes, for those of the job before it, and for
old ones without end."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import models as samples
from benchmarks.measure import Chart, Figure, Goal, Result, apart, check
from benchmarks.models import DEMO
from benchmarks.rows import Options
from benchmarks.serving import Clock
from core.events import Output
from core.redact import Redactor
from core.requests import ImagineRequest
from vision.capabilities import capability
from vision.engine.batches import DurationModel
from vision.engine.engine import Engine, Fiber
from vision.protocol import Answered, Embed, WorkerConfig
from vision.reporter import Reporter
from vision.store import Models
from vision.worker import queries

TITLE = "Pictures looked at beside a generation (demo models)"
AGAINST = "the same generation with nothing else to do"
STEPS, SIDE = 24, 512  # of the generation; px of the pictures that are looked at
AFTER_A_JOB, BATCH = 4, 8  # pictures of one job; of a batch of old ones
WAYS = {"four of the job before": 1, "old ones without end": 10_000}  # batches that are waiting


def measure(options: Options) -> Result:
    """Each repeat: the generation without, with, with and without, for both ways."""
    clip = str(DEMO.parent / "clip")
    config = WorkerConfig("cpu", {"image": str(DEMO), "clip": clip}, str(options.folder), cpu_threads=1)
    models, durations, paths = Models(config), DurationModel(), _pictures(options.folder)
    steps = max(4, round(STEPS * options.scale))
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
    return Result(figures, checks, Chart("bars", TITLE, "% longer", longer), notes)


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


class _Job(Reporter):
    def __init__(self, models: Models, request: ImagineRequest) -> None:
        self.models, self.request = models, request

    def step(self, step: int, total: int, preview: Callable[[], bytes | None] | None = None) -> None:
        if self.fiber is not None:
            self.fiber.set_progress(step, total)

    def __call__(self, fiber: Fiber) -> Output:
        self.fiber = fiber
        return capability(self.request.kind)(self.request, {}, self.models, self)


def _draw(
    models: Models, durations: DurationModel, steps: int, questions: Iterator[Embed], seed: int
) -> tuple[float, Output, int]:
    """CPU seconds of a generation, what it drew, and how many questions were answered meanwhile."""
    clock, ended, answered = Clock(), [], 0
    engine = Engine(clock=clock.now, durations=durations)

    def ask() -> None:
        if (question := next(questions, None)) is not None:
            queries.begin_question(question, models, engine, _Open(), heard, Redactor([]))  # type: ignore[arg-type]

    def heard(answer: Any) -> None:
        nonlocal answered
        assert isinstance(answer, Answered), answer
        if not ended:
            answered += 1
            ask()

    def done(result: Any, error: BaseException | None) -> None:
        if error is not None:
            raise error
        ended.append((clock.now(), result))

    request = ImagineRequest(prompt="a red house", num_inference_steps=steps, seed=seed)
    engine.begin("job", _Job(models, request), done=done)
    ask()
    try:
        while engine.fibers:
            engine.wake.clear()
            if not engine.tick():
                engine.wake.wait()
    finally:
        engine.stop()
    return ended[0][0], ended[0][1], answered


def _pixels(output: Output) -> np.ndarray:
    return np.stack([np.asarray(Image.open(io.BytesIO(picture.data))) for picture in output.pictures])
