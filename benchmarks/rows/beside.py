"""Captions and labels beside generations: how much longer those take, and what it saves to do the work of several users at once."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import pictures as samples
from benchmarks.measure import Chart, Figure, Goal, Result, apart, check, timed
from benchmarks.models import DEMO
from benchmarks.rows import Options
from benchmarks.serving import Clock
from core.events import Output
from core.requests import ClassifyRequest, DescribeRequest, ImagineRequest, Request, ShortenRequest
from vision.capabilities import capability
from vision.engine import Engine, Seat
from vision.engine.curve import Curves
from vision.protocol import WorkerConfig
from vision.provider import Models
from vision.reporter import Reporter
from vision.worker import quiet_libraries

TITLE = "Captions and labels beside generations (demo models)"
AGAINST = "the same generations with nobody else; and captions and labels of the same users, one after another"
STEPS = (12, 18, 24)  # of the generations, one after another
GUESTS = 9  # who describe, classify or shorten
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
    seat: Seat | None = field(default=None, repr=False)

    def step(self, step: int, total: int, preview: Callable[[], bytes | None] | None = None) -> None:
        if self.seat is not None:
            self.seat.step, self.seat.total = step, total

    def __call__(self, seat: Seat) -> Output:
        self.seat = seat
        return capability(self.request.kind)(self.request, dict.fromkeys(self.request.pictures, self.image), self.models, self)


def measure(options: Options) -> Result:
    """A trace for each repeat: generations without and with guests, in turns; then the guests alone, at once and one after another."""
    quiet_libraries()
    roles = {"image": DEMO, "clip": DEMO.parent / "clip", "caption": DEMO.parent / "captioner", "vit": DEMO.parent / "vit"}
    config = WorkerConfig("cpu", {role: str(path) for role, path in roles.items()}, str(options.folder), cpu_threads=1, allow_download=False)
    models, curves = Models(config), Curves()
    _serve(models, [_Member(models, ImagineRequest(prompt="warm", num_inference_steps=4, seed=0)), *_guests(models, 0)], [], curves)
    delays, totals, answers, savings, pictures, texts, scores = [], [], [], [], [], [], []
    for repeat in range(options.repeats):
        found = {}
        for way in random.Random(repeat).sample(("without", "with"), 2):
            guests = _guests(models, repeat + 1) if way == "with" else []
            found[way] = _serve(models, _generations(models, repeat, options.scale), guests, curves)
            answers += [guest.ended - guest.at for guest in guests]
        (plain, alone), (delayed, beside) = found["without"], found["with"]
        delays.append([100 * (b / a - 1) for a, b in zip(plain, delayed, strict=True)])
        totals.append(100 * (sum(delayed) / sum(plain) - 1))
        pictures += [apart(_pixels(a.output), _pixels(b.output)) for a, b in zip(alone, beside, strict=True)]
        savings.append(_saving(models, repeat + 1, texts, scores))
    figures = (
        Figure("generations longer, in all", tuple(totals), "%", goal=Goal(at_most=5)),
        *(Figure(f"one of {n} steps", tuple(each[i] for each in delays), "% longer", goal=Goal(at_most=5)) for i, n in enumerate(STEPS)),
        Figure("the one delayed most", tuple(max(each) for each in delays), "%"),
        Figure("a guest's answer, mean over all", (float(np.mean(answers)),), "CPU s"),
        Figure("guests at once, against one after another", tuple(savings), "× less"),
    )
    checks = (
        check("pictures with and without guests, of 255", pictures, 0), check("captions that differ from those alone", texts, 0),
        check("scores, at once and alone", scores, 1e-4),
    )  # fmt: skip
    series = {f"{steps} steps": [each[i] for each in delays] for i, steps in enumerate(STEPS)} | {"in all": totals}
    notes = (f"{len(STEPS)} generations of four pictures, {GUESTS} guests who come during the first two thirds of their time.",)
    return Result(figures, checks, Chart("bars", TITLE, "% longer with guests", series), notes)


def _generations(models: Models, repeat: int, scale: float) -> list[_Member]:
    return [_Member(models, ImagineRequest(prompt="a red house", num_inference_steps=max(4, round(n * scale)), seed=100 * repeat + n)) for n in STEPS]


def _guests(models: Models, seed: int) -> list[_Member]:
    """A third each describe, classify and shorten, parts of the demo models' contact sheet."""
    rng, sheet, members = random.Random(seed), Image.fromarray(samples.drawing(1024)), []
    for i in range(GUESTS):
        x, y = rng.randrange(768), rng.randrange(768)
        image = sheet.crop((x, y, x + 256, y + 256))
        request = (DescribeRequest(image=SHA, seed=i), ClassifyRequest(image=SHA, labels=("a house", "a cat", f"the {i}th boat")),
                   ShortenRequest(prompt=f"cinematic photo of a red house with {i} cats"))[i % 3]  # fmt: skip
        members.append(_Member(models, request, image))
    return members


def _serve(models: Models, generations: Sequence[_Member], guests: Sequence[_Member], curves: Curves) -> tuple[list[float], Sequence[_Member]]:
    """CPU seconds of each of ``generations``, one after another; a guest comes every few ticks."""
    clock, coming, times, ticks = Clock(), list(guests), [], 0
    engine, every = Engine(clock=clock.now, curves=curves), max(1, 2 * sum(STEPS) // 3 // max(1, len(guests)))
    try:
        for member in generations:
            member.at = clock.now()
            _begin(engine, member, clock)
            while not member.ended:
                if coming and ticks % every == 0:
                    coming[0].at = clock.now()
                    _begin(engine, coming.pop(0), clock)
                _tick(engine)
                ticks += 1
            times.append(member.ended - member.at)
        for member in coming:
            member.at = clock.now()
            _begin(engine, member, clock)
        while engine.seats:
            _tick(engine)
    finally:
        engine.stop()
    return times, generations


def _begin(engine: Engine, member: _Member, clock: Clock) -> None:
    def done(result: Any, error: BaseException | None) -> None:
        if error is not None:
            raise error
        member.output, member.ended = result, clock.now()

    engine.begin(member.request.kind, member, done=done)


def _tick(engine: Engine) -> None:
    engine.wake.clear()
    if not engine.tick():
        engine.wake.wait()


def _saving(models: Models, seed: int, texts: list[float], scores: list[float]) -> float:
    """How many times less CPU time the guests need at once than one after another; what they are told goes to ``texts`` and ``scores``."""
    ways: dict[str, list[_Member]] = {"at once": _guests(models, seed), "alone": _guests(models, seed)}
    costs = {}
    for way in random.Random(seed).sample(sorted(ways), 2):
        models.get("clip")._known.clear()
        groups = [ways[way]] if way == "at once" else [[member] for member in ways[way]]
        _, costs[way] = timed(lambda groups=groups: [_serve(models, [], group, Curves()) for group in groups])
    for one, other in zip(*ways.values(), strict=True):
        texts.append(float(one.output.captions != other.output.captions))
        scores += [abs(dict(one.output.scores)[label] - value) for label, value in other.output.scores]
    return costs["alone"].cpu / costs["at once"].cpu


def _pixels(output: Output) -> np.ndarray:
    return np.stack([np.asarray(Image.open(io.BytesIO(picture.data))) for picture in output.pictures])
