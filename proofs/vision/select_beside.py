"""Objects selected by words beside a generation: how soon they are answered, and how much longer it takes:
``python -m proofs.vision.select_beside [--questions 100]``.

The demo models draw picture after picture on one core while drawn scenes are asked about, a question every
PAUSE seconds; every second generation has no questions beside it. Exit status 1 where the aims are missed.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.events import Output
from core.profiles import PROFILES
from core.redact import Redactor
from core.requests import ImagineRequest
from demo.evaluate import readers
from demo.evaluate.images import SINGLE
from vision.capabilities import capability
from vision.engine.engine import Engine, Fiber
from vision.protocol import Answered, Select, WorkerConfig
from vision.reporter import Reporter
from vision.store import Models
from vision.worker import queries

PAUSE = 2.0  # seconds from an answer to the next question
STEPS = 60  # of a generation of four pictures
WITHIN, LONGER = 0.3, 0.03  # seconds at p95; share of a generation's time
Ask = Callable[[], None]


class Open:
    """The inbox of a worker that goes on."""

    def check_open(self) -> None:
        """Nothing ends."""


class Job(Reporter):
    """Draws, and has the question asked whose time has come."""

    def __init__(self, models: Models, seed: int, between: Ask) -> None:
        self.models, self.between = models, between
        self.request = ImagineRequest(prompt="a red house", num_inference_steps=STEPS, seed=seed)

    def step(self, step: int, total: int, preview: Callable[[], bytes | None] | None = None) -> None:
        """Tell the engine how far it is."""
        if self.fiber is not None:
            self.fiber.set_progress(step, total)
        self.between()

    def __call__(self, fiber: Fiber) -> Output:
        self.fiber = fiber
        return capability("imagine")(self.request, {}, self.models, self)


@dataclass
class Asking:
    """Questions in turn. took: seconds from each question to its answer."""

    questions: list[Select]
    models: Models
    took: list[float] = field(default_factory=list)
    refused: int = 0
    due: float = 0.0
    begun: float | None = None

    def ask(self, engine: Engine) -> None:
        """Ask the next question, if it is time."""
        if self.begun is None and self.questions and time.monotonic() >= self.due:
            self.begun = time.monotonic()
            queries.begin_question(
                self.questions.pop(),
                self.models,
                engine,
                Open(),  # type: ignore[arg-type]
                self._heard,
                Redactor([]),
            )

    def _heard(self, answer: Any) -> None:
        assert isinstance(answer, Answered) and self.begun is not None, answer
        self.took.append(time.monotonic() - self.begun)
        self.refused += bool(answer.answer.refused)
        self.begun, self.due = None, time.monotonic() + PAUSE


def drawn(models: Models, seed: int, asking: Asking | None) -> float:
    """Draw once, and return how many seconds that took."""
    engine, ended = Engine(wake=threading.Event()), list[float]()

    def between() -> None:
        if asking is not None:
            asking.ask(engine)

    def done(result: Any, error: BaseException | None) -> None:
        if error is not None:
            raise error
        ended.append(time.monotonic())

    begun = time.monotonic()
    engine.begin("job", Job(models, seed, between), done=done)
    try:
        while engine.fibers:
            engine.wake.clear()
            if not engine.tick():
                engine.wake.wait()
    finally:
        engine.stop()
    return ended[0] - begun


def questions(folder: Path, count: int) -> list[Select]:
    """Drawn scenes with one thing, each a picture of its own."""
    found = []
    for number, (scene, rng) in enumerate(readers.styled(None, SINGLE, count)):
        path = folder / f"{number}.png"
        readers.drawn(scene, rng)[0].save(path, compress_level=1)
        found.append(Select(str(number), str(path), words=readers.words(scene, 0)))
    return found


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--questions", type=int, default=100)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        profile = PROFILES["demo"]
        roles = {"image": "IMAGE_MODEL", "clip": "CLIP_MODEL", "segment": "SEGMENT_MODEL"}
        names = {role: profile[name] for role, name in roles.items()}
        models = Models(WorkerConfig("cpu", names, folder, cpu_threads=1, allow_download=False))
        drawn(models, 0, Asking(questions(Path(folder), 3), models))  # everything is loaded
        asking = Asking(questions(Path(folder), given.questions), models)
        alone, beside = list[float](), list[float]()
        while asking.questions:
            for seconds, asks in ((alone, None), (beside, asking), (beside, asking), (alone, None)):
                seconds.append(drawn(models, len(alone) + len(beside), asks))
    usual = float(np.median(alone))
    longer = float(np.median(beside)) / usual - 1
    middle, late = np.percentile(asking.took, (50, 95))
    print(
        f"{len(asking.took)} answers ({asking.refused} refused), load {os.getloadavg()[0]:.1f}: median"
        f" {middle:.2f} s, p95 {late:.2f} s; {len(alone)} generations of {usual:.1f} s, {100 * longer:+.1f} %"
        f" longer with a question {PAUSE:g} s after each answer"
    )
    return int(late > WITHIN or longer > LONGER)


if __name__ == "__main__":
    raise SystemExit(main())
