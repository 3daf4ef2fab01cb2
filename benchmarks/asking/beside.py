"""Drawings one after another, with and without people who are answered beside them: how much longer drawings
last, and how many tokens come of those that would come alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from benchmarks.asking import models
from benchmarks.measure import Figure, Goal
from benchmarks.models import DEMO
from benchmarks.serving import Clock
from core.requests import ImagineRequest
from tests.vision.chat import mixes
from vision.capabilities import capability
from vision.chat.talking import Talker
from vision.engine import Engine, Fiber
from vision.engine.durations import DurationModel
from vision.model_store import Models
from vision.protocol import Talk, WorkerConfig
from vision.reporter import Reporter

STREAMS, DRAWINGS, STEPS, REPEATS = (1, 4), 4, 12, 3
ALONE = 2.0  # CPU seconds in which tokens are counted without drawings


class _Asker(Reporter):
    """Somebody who asks again and again; tokens: that have come."""

    def __init__(self, talker: Talker, seed: int) -> None:
        self.talker, self.rng = talker, random.Random(seed)
        self.tokens, self.before, self.leaving = 0, 0, False

    def write(self, step: int, total: int, text: str) -> None:
        """Count the tokens of the answer that is being written."""
        self.tokens = self.before + step

    def __call__(self, fiber: Fiber) -> None:
        self.fiber = fiber
        while not self.leaving:
            talk = Talk((mixes.question(self.rng, "", 1),), max_tokens=64)
            self.talker.answer(talk, mixes.PICTURES, self)
            self.before += 64
            self.tokens = self.before


class _Drawing(Reporter):
    """A job that draws four pictures."""

    def __init__(self, pictures: Models, seed: int) -> None:
        self.pictures, self.seed = pictures, seed

    def step(self, step: int, total: int, preview: object = None) -> None:
        """Tell the engine how far it is."""
        if self.fiber is not None:
            self.fiber.set_progress(step, total)

    def __call__(self, fiber: Fiber) -> object:
        self.fiber = fiber
        request = ImagineRequest(prompt="a red house", num_inference_steps=STEPS, seed=self.seed)
        return capability("imagine")(request, {}, self.pictures, self)


def _tick(engine: Engine) -> None:
    engine.wake.clear()
    if not engine.tick():
        engine.wake.wait()


def _run(
    pictures: Models, askers: Sequence[_Asker], durations: DurationModel, drawings: int
) -> tuple[float, float]:
    """(CPU seconds of the drawings, tokens a CPU second meanwhile); without drawings, of ALONE seconds."""
    clock = Clock()
    engine = Engine(clock=clock.now, durations=durations, has_spare_core=lambda: False)
    for asker in askers:
        engine.begin("ask", asker)
    for _ in range(5 * len(askers)):
        _tick(engine)
    began, tokens, times = clock.now(), sum(asker.tokens for asker in askers), 0.0
    for seed in range(drawings):
        ends: list[float] = []
        at = clock.now()
        engine.begin("imagine", _Drawing(pictures, seed), done=lambda *_, ends=ends: ends.append(clock.now()))
        while not ends:
            _tick(engine)
        times += ends[0] - at
    while not drawings and clock.now() - began < ALONE:
        _tick(engine)
    elapsed, written = clock.now() - began, sum(asker.tokens for asker in askers) - tokens
    for asker in askers:
        asker.leaving = True
    while engine.fibers:
        _tick(engine)
    engine.stop()
    return times, written / elapsed


def measure(folder: Path, scale: float) -> list[Figure]:
    """Each repeat: drawings alone, with streams, with streams, alone; and the streams alone."""
    talker = models.small(folder / "small")
    config = WorkerConfig("cpu", {"image": str(DEMO)}, str(folder), cpu_threads=1, allow_download=False)
    pictures, durations, figures = Models(config), DurationModel(), []
    count = max(1, round(DRAWINGS * scale))
    _run(pictures, [], durations, 2)
    for streams in STREAMS:
        longer, kept, each, rest = [], [], [], []
        for repeat in range(REPEATS):
            times: dict[bool, float] = {True: 0.0, False: 0.0}
            rates = []
            for busy in (False, True, True, False):
                askers = [_Asker(talker, 10 * repeat + i) for i in range(streams if busy else 0)]
                seconds, rate = _run(pictures, askers, durations, count)
                times[busy] += seconds
                rates += [rate] if busy else []
            alone = _run(pictures, [_Asker(talker, 10 * repeat + i) for i in range(streams)], durations, 0)[1]
            longer.append(100 * (times[True] / times[False] - 1))
            rate = sum(rates) / len(rates)
            kept.append(100 * rate / alone), each.append(rate / streams), rest.append(alone / streams)
        figures += [
            Figure(f"{streams} beside: drawings longer by", tuple(longer), "%", goal=Goal(at_most=25)),
            Figure("… tokens kept, of alone", tuple(kept), "%", goal=Goal(20)),
            Figure("… tokens a second of each", tuple(each), "a CPU s", goal=Goal(5)),
            Figure("… alone", tuple(rest), "a CPU s"),
        ]
    return figures
