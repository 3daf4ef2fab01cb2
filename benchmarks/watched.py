"""A job in an engine whose latents are kept, and that may be stopped after some steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from core.errors import JobCancelled
from vision.drawing.generate import generate
from vision.drawing.generation import Generation
from vision.engine import Engine
from vision.image_model.model import ImageModel
from vision.reporter import Reporter


class Life(Reporter):
    """Stopped after ``last`` steps, if that is set. latents: as they come to the decoder, (1, C, h, w);
    picture: (H, W, 3)."""

    def __init__(self, generation: Generation, last: int | None = None) -> None:
        self.generation, self.last, self.steps = generation, last, 0
        self.latents: torch.Tensor | None = None
        self.picture: np.ndarray | None = None
        self.error: BaseException | None = None

    def step(self, step: int, total: int, preview: Callable[[], bytes | None] | None = None) -> None:
        """Count the step and tell the engine how many are left."""
        self.steps += 1
        self.fiber.set_progress(step, total)

    def check(self) -> None:
        """Raise JobCancelled once ``last`` steps are done."""
        if self.last is not None and self.steps >= self.last:
            raise JobCancelled("trace")


def begin(engine: Engine, model: ImageModel, life: Life) -> None:
    """Run ``life`` in an engine."""

    def unpack(pipe: Any, latents: Any, height: int, width: int) -> Any:
        life.latents = model.family.unpack(pipe, latents, height, width)
        return life.latents

    watched = _with_family(model, replace(model.family, unpack=unpack))

    def work(fiber: Any) -> Any:
        life.fiber = fiber
        return generate(watched, life.generation, life)

    def done(result: Any, error: BaseException | None) -> None:
        life.error = error
        life.picture = None if result is None else np.asarray(result.images[0])

    engine.begin("trace", work, check=life.check, done=done)


def _with_family(model: ImageModel, family: Any) -> ImageModel:
    """The same weights, locks and pipelines, with the family's hook that this job is watched through."""
    twin = object.__new__(type(model))
    vars(twin).update(vars(model), family=family)
    return twin
