"""One call of a video pipeline: a pipeline of the job's own over the model's weights, and what happens after
each of its steps."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from vision.diffusion import checkpoint, vae
from vision.diffusion.model import arguments
from vision.diffusion.pipeline import JobPipeline, StepCallback, Watched
from vision.engine.denoiser import Denoiser, denoiser_attributes
from vision.images import encode
from vision.reporter import Reporter
from vision.video.families.family import Take, VideoCard, VideoFamily
from vision.video.model import VideoModel


@dataclass(frozen=True)
class Place:
    """Where in a video a call stands. window: its number, of ``windows``. drawn: the latents of those before
    it, as the decoder takes them."""

    window: int
    windows: int
    drawn: Sequence[torch.Tensor]


@torch.no_grad()
def call(
    model: VideoModel,
    take: Take,
    reporter: Reporter,
    place: Place,
    saved: checkpoint.State | None,
    *,
    sound: bool,
) -> tuple[torch.Tensor, Any]:
    """Draw ``take``, from ``saved`` on if that is a step of it; return latents as the decoder takes them, (1,
    C, f, h, w), and VideoFamily.sounds. sound: whether the model's is wanted, else None."""
    own = VideoPipeline(model, take, reporter, place.windows)
    generator = torch.Generator("cpu").manual_seed(take.seed)  # the same noise on every device
    try:
        with own:
            take = model.family.prepare(own.pipe, take, model.card)
            resume = checkpoint.Resume(own.pipe, saved, [generator]) if saved else None
            with VideoSteps(model, own.pipe, take, reporter, place, generator, resume) as on_step:
                if not model.family.calls_back:
                    # not setattr: that would note its class in the configuration
                    vars(own.pipe)["scheduler"] = Watched(own.pipe.scheduler, partial(on_step, own.pipe))
                given = call_arguments(model.family, own.pipe, take, model.card)
                run = {"generator": generator, "output_type": "latent", "callback_on_step_end": on_step}
                with resume or nullcontext():
                    result = own.pipe(**given, **arguments(own.pipe, run))
        reporter.check()
        latents = model.family.latents(own.pipe, result, take)
        return latents, model.family.sounds(own.pipe, result) if sound else None
    finally:
        model.free_hooks()


def call_arguments(family: VideoFamily, pipe: Any, take: Take, card: VideoCard) -> dict[str, Any]:
    """Return what a pipeline is called with to draw ``take``: those arguments that it has."""
    given = {
        "prompt": take.prompt,
        "negative_prompt": take.negative_prompt or family.usual_negative,
        "width": take.width,
        "height": take.height,
        "num_frames": take.frames,
        "num_inference_steps": take.num_inference_steps,
        "guidance_scale": take.guidance_scale,
        **family.arguments(pipe, take, card),
    }
    return arguments(pipe, given)


class VideoPipeline(JobPipeline):
    """A job's own pipeline of videos: its own noise scheduler and, in an engine, denoisers that wait for
    shared passes. Known frames are encoded before the first step."""

    def __init__(self, model: VideoModel, take: Take, reporter: Reporter, windows: int) -> None:
        name = model.family.pipeline(take, model.base)
        fiber = reporter.fiber if model.shares_steps else None
        super().__init__(model.pipeline(name), fiber, model.decoder_lock, windows, encodes=True)
        self._replace(scheduler=model.scheduler())
        if hasattr(self.pipe, "encode_prompt"):
            self._replace(encode_prompt=model.text_cache.cached(self.pipe.encode_prompt, name))
        for attribute in denoiser_attributes(self.pipe):
            module = getattr(self.pipe, attribute)
            self._denoisers.append(Denoiser(module, self._evaluate, f"{model.label} {attribute}"))
            self._replace(**{attribute: self._denoisers[-1]})


class VideoSteps(StepCallback):
    """The steps of a window: puts known frames back, checks for a stop, reports, previews and saves."""

    def __init__(
        self,
        model: VideoModel,
        pipe: Any,
        take: Take,
        reporter: Reporter,
        place: Place,
        generator: torch.Generator,
        resume: checkpoint.Resume | None,
    ) -> None:
        super().__init__(pipe, reporter, resume, keeps=model.family.keeps_steps)
        self.model, self.take, self.place, self.generator = model, take, place, generator

    def __call__(self, pipe: Any, i: int, t: Any, values: dict[str, Any]) -> dict[str, Any]:
        """Handle the end of step ``i`` (from 0) and return ``values``, as diffusers wants it. An exception
        from here ends the call at once."""
        if self.resume is not None and not self.resume.over:
            return self._skip(self.resume, i + 1, values)
        total = getattr(pipe, "num_timesteps", None) or self.take.num_inference_steps
        latents = self.model.family.after_step(pipe, self.take, i + 1, values["latents"], self.model.card)
        before, self.before, self.done = self.before, latents, (i + 1, total)
        self.reporter.check()
        step, steps = self._set_progress(i + 1, total)
        if self.checkpoint is not None and self.checkpoint.due(step, steps, ends=i + 1 == total):
            self.checkpoint.write(lambda: self._state(i + 1, total, latents))
        self.reporter.step(i + 1, total, lambda: self._preview(before, latents))
        return {**values, "latents": latents}

    def _set_progress(self, step: int, total: int) -> tuple[int, int]:
        step, steps = self.place.window * total + step, self.place.windows * total
        if self.reporter.fiber is not None:
            self.reporter.fiber.set_progress(step, steps)
        return step, steps

    def _state(self, step: int, total: int, latents: torch.Tensor) -> checkpoint.State:
        return checkpoint.State(
            batch=1,
            chunk=self.place.window,
            step=step,
            total=total,
            latents=latents,
            scheduler=checkpoint.scheduler_state(self.pipe.scheduler),
            generators=[self.generator.get_state()],
            images=list(self.place.drawn),
            veiled=[],
        )

    def _preview(self, before: torch.Tensor | None, latents: torch.Tensor) -> bytes | None:
        """A strip of what the video would be by now."""
        found = self.model.latent_map
        if found is None:
            return None
        predicted = vae.predicted(self.pipe.scheduler, before, latents)
        shown = predicted if predicted.shape == latents.shape else latents
        unpacked = self.model.family.running_latents(self.pipe, shown, self.take)[0]  # (C, f, h, w)
        count = min(encode.STRIP_FRAMES, unpacked.shape[1])
        places = [round(i * (unpacked.shape[1] - 1) / max(1, count - 1)) for i in range(count)]
        return encode.strip(found.pictures(unpacked[:, places].transpose(0, 1)))
