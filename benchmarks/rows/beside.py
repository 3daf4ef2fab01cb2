"""Captions and labels beside generations: how much longer those take, and what it saves to do the work of
several users at once."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import models as samples
from benchmarks.measure import Chart, Figure, Goal, Result, apart, check, timed
from benchmarks.models import DEMO
from benchmarks.rows import Options
from benchmarks.serving import Clock
from core.events import Output
from core.requests import ClassifyRequest, DescribeRequest, ImagineRequest, Request, ShortenRequest
from vision.capabilities import capability
from vision.engine.batches import DurationModel
from vision.engine.engine import Engine, Fiber
from vision.protocol import WorkerConfig
from vision.reporter import Reporter
from vision.store import Models
from vision.worker.main import quiet_libraries

TITLE = "Captions and labels beside generations (demo models)"
AGAINST = (
    "the same generations with nobody else; and captions and labels of the same users, one after another"
)
STEPS = (12, 24)  # of the generations
KINDS = 3  # of guests: who describe, classify or shorten
SHA = "0" * 64


@dataclass
class _Member(Reporter):
    """A job: when it came and ended, on the trace's clock, and what came of it."""

    models: Models
    request: Request
    image: Image.Image | None = None
    at: float = 0.0
    ended: float = 0.0
    output: Output | None = None
    fiber: Fiber | None = field(default=None, repr=False)

    def step(self, step: int, total: int, preview: Callable[[], bytes | None] | None = None) -> None:
        if self.fiber is not None:
            self.fiber.set_progress(step, total)

    def __call__(self, fiber: Fiber) -> Output:
        self.fiber = fiber
        return capability(self.request.kind)(
            self.request, dict.fromkeys(self.request.pictures, self.image), self.models, self
        )


def measure(options: Options) -> Result:
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
    _serve(
        models,
        _Member(models, ImagineRequest(prompt="warm", num_inference_steps=4, seed=0)),
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
                times[i] += _serve(models, member, guests, durations)
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
    return Result(figures, checks, Chart("bars", TITLE, "% longer with guests", series), notes)


def _generations(models: Models, repeat: int, scale: float) -> list[_Member]:
    return [
        _Member(
            models,
            ImagineRequest(
                prompt="a red house", num_inference_steps=max(4, round(n * scale)), seed=100 * repeat + n
            ),
        )
        for n in STEPS
    ]


def _guests(models: Models, seed: int) -> list[_Member]:
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
        members.append(_Member(models, request, image))
    return members


def _serve(
    models: Models, generation: _Member | None, guests: Sequence[_Member], durations: DurationModel
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


def _begin(engine: Engine, member: _Member, clock: Clock) -> None:
    def done(result: Any, error: BaseException | None) -> None:
        if error is not None:
            raise error
        member.output, member.ended = result, clock.now()

    member.at = clock.now()
    engine.begin(member.request.kind, member, done=done)


def _tick(engine: Engine) -> None:
    engine.wake.clear()
    if not engine.tick():
        engine.wake.wait()


def _saving(models: Models, seed: int, texts: list[float], scores: list[float]) -> float:
    """How many times less CPU time the guests need at once than one after another; what they are told goes to
    ``texts`` and ``scores``."""
    ways: dict[str, list[_Member]] = {"at once": _guests(models, seed), "alone": _guests(models, seed)}
    costs = {}
    for way in random.Random(seed).sample(sorted(ways), 2):
        models.get("clip")._label_cache.clear()
        groups = [ways[way]] if way == "at once" else [[member] for member in ways[way]]
        _, costs[way] = timed(
            lambda groups=groups: [_serve(models, None, group, DurationModel()) for group in groups]
        )
    for one, other in zip(*ways.values(), strict=True):
        texts.append(float(one.output.captions != other.output.captions))
        scores += [abs(dict(one.output.scores)[label] - value) for label, value in other.output.scores]
    return costs["alone"].cpu / costs["at once"].cpu


def _pixels(output: Output) -> np.ndarray:
    return np.stack([np.asarray(Image.open(io.BytesIO(picture.data))) for picture in output.pictures])
