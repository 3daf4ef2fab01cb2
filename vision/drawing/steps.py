"""What happens after each denoising step: cancel, progress, preview, checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from vision.drawing import checkpoint, early_stop
from vision.drawing.generation import Generation
from vision.image_model import latent_preview
from vision.image_model.model import ImageModel
from vision.image_model.relevance import keeping_of
from vision.pictures import encode
from vision.reporter import Leaving, Reporter


@dataclass(frozen=True)
class Position:
    """Where in a drawing a pipeline call stands.

    batch: pictures in one call at most. chunk: the number of this call, of ``chunks``. generators: one for
    each picture of it. images, veiled: finished by the calls before it, see checkpoint.State.
    """

    batch: int
    chunk: int
    chunks: int
    generators: list[torch.Generator]
    images: list[Image.Image]
    veiled: list[int]


class StepCallback:
    """A pipeline's ``callback_on_step_end``. As a context manager around the call and the decoding it writes
    a checkpoint when the worker is to exit."""

    def __init__(
        self,
        model: ImageModel,
        pipe: Any,
        generation: Generation,
        reporter: Reporter,
        position: Position,
        resume: checkpoint.Resume | None,
    ) -> None:
        self.model, self.pipe, self.generation = model, pipe, generation
        self.reporter, self.position, self.resume = reporter, position, resume
        self.before: torch.Tensor | None = None
        keeps = model.family.unpack and not model.has_step_memory
        self.checkpoint = reporter.checkpoint if keeps else None
        self.done: tuple[int, int] | None = None  # (step, of)
        reporter.check()

    def __enter__(self) -> StepCallback:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        leaving = kind is not None and issubclass(kind, Leaving)
        if leaving and self.done is not None and self.checkpoint is not None:
            (step, total), latents = self.done, self.before
            self.checkpoint.write(lambda: self._state(step, total, latents))

    def __call__(self, pipe: Any, i: int, t: Any, values: dict[str, Any]) -> dict[str, Any]:
        """Handle the end of step ``i`` (from 0) and return ``values``, as diffusers wants it.

        An exception from here ends the call at once and leaves the pipeline usable.
        """
        if self.resume is not None and not self.resume.over:
            return self._skip(self.resume, i + 1, values)
        latents: Any = values.get("latents")
        before = self.before
        total = getattr(pipe, "num_timesteps", None) or self.generation.num_inference_steps
        self.before, self.done = latents, (i + 1, total)
        self.reporter.check()
        step, steps = self._set_progress(i + 1, total)
        if self.checkpoint is not None and self.checkpoint.due(step, steps):
            self.checkpoint.write(lambda: self._state(i + 1, total, latents))
        has_preview = latents is not None and self.model.family.unpack is not None
        self.reporter.step(step, steps, (lambda: self._preview(before, latents)) if has_preview else None)
        return values

    def _skip(self, resume: checkpoint.Resume, step: int, values: dict[str, Any]) -> dict[str, Any]:
        """Handle a step that was done before the checkpoint."""
        self.reporter.check()
        if (latents := resume.after_step(step)) is not None:
            values["latents"] = self.before = latents
            if (keeping := keeping_of(self.pipe)) is not None:
                keeping.relevance = resume.state.relevance
            self._set_progress(step, resume.state.total)
        return values

    def _set_progress(self, step: int, total: int) -> tuple[int, int]:
        """Convert ``step`` of ``total`` of a pipeline call to those of the drawing. The fiber gets those of
        the whole job, as if all its steps were like these."""
        step, steps = self.position.chunk * total + step, self.position.chunks * total
        if self.reporter.fiber is not None:
            begin, end = self.reporter.share
            before = round(begin * steps / (end - begin))
            self.reporter.fiber.set_progress(before + step, round(steps / (end - begin)))
        return step, steps

    def _state(self, step: int, total: int, latents: Any) -> checkpoint.State:
        position, keeping = self.position, keeping_of(self.pipe)
        return checkpoint.State(
            batch=position.batch,
            chunk=position.chunk,
            step=step,
            total=total,
            latents=latents,
            scheduler=checkpoint.scheduler_state(self.pipe.scheduler),
            generators=[generator.get_state() for generator in position.generators],
            images=[torch.from_numpy(np.array(image)) for image in position.images],
            veiled=list(position.veiled),
            relevance=None if keeping is None else keeping.relevance,
        )

    def _preview(self, before: torch.Tensor | None, latents: torch.Tensor) -> bytes | None:
        latent_map, unpack = self.model.latent_map, self.model.family.unpack
        if latent_map is None or unpack is None:
            return None
        predicted = latent_preview.predicted(early_stop.unwrapped(self.pipe.scheduler), before, latents)
        if predicted.shape != latents.shape:
            predicted = latents
        g = self.generation
        unpacked = unpack(self.pipe, predicted, g.height, g.width)
        show = encode.strip if g.frames else encode.preview
        return show(latent_map.pictures(unpacked), g.shape)
