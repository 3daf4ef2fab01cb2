"""Drawing: one generation from noise (or a picture) to finished pictures, with progress, previews, cancel,
and a smaller second try.

``Generation`` says everything a run depends on. A run is a whole call of a diffusers pipeline, whose denoiser
is asked step by step: at once, or, for a job with a seat in the engine, together with the other jobs' steps.
"""

from __future__ import annotations

import contextlib
import copy
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image

from core.errors import AtelierError, OutOfMemory
from vision import devices
from vision.drawing import checkpoint, conditioning, early_stop
from vision.drawing.conditioning import Encoded
from vision.drawing.parameters import Wording
from vision.engine import denoiser
from vision.engine.denoiser import Call, Denoiser
from vision.families import Mode
from vision.image_model import latent_preview, seamless
from vision.image_model.model import ImageModel, arguments
from vision.image_model.seamless import Rolling
from vision.pictures import encode as pictures
from vision.pictures import pixels
from vision.reporter import Leaving, Reporter

log = logging.getLogger(__name__)


class BlankPicture(AtelierError):
    """The decoder gave nothing but NaN or black, also in float32."""


@dataclass(frozen=True)
class Generation:
    """What to draw. width, height: px at the model's scale, whole multiples of the card's. seeds: one for
    each picture.

    image (IMAGE, INPAINT): of exactly that size. mask_image (INPAINT): "L", white = paint. strength: 0..1,
    how far to move from ``image``.
    wording: what the words mean beyond one prompt and one negative prompt. guidance_rescale: 0..1. stop:
    share of the schedule that is run.
    loras: (name the host has set up, weight), each name once.
    images: one for each seed in ``image``'s place. at_once: pictures in one batch at most, None = all.
    tile: opposite edges meet. references (TEXT): pictures that a model of such a family, or its IP-Adapter,
    is shown. reference_scale (IP-Adapter): how much they count, 0..1. draft: decoded by the model's tiny
    decoder, if it has one.
    """

    mode: Mode
    prompt: str
    seeds: tuple[int, ...]
    width: int
    height: int
    num_inference_steps: int
    guidance_scale: float
    negative_prompt: str = ""
    strength: float | None = None
    sampler: str | None = None
    image: Image.Image | None = field(default=None, repr=False)
    mask_image: Image.Image | None = field(default=None, repr=False)
    wording: Wording = Wording()
    guidance_rescale: float = 0.0
    stop: float = 1.0
    loras: tuple[tuple[str, float], ...] = ()
    images: tuple[Image.Image, ...] = field(default=(), repr=False)
    at_once: int | None = None
    tile: bool = False
    references: tuple[Image.Image, ...] = field(default=(), repr=False)
    reference_scale: float | None = None
    draft: bool = False


@dataclass(frozen=True)
class Drawn:
    """images: one for each seed, at the model's scale. notes: sentences for the person who asked."""

    images: tuple[Image.Image, ...]
    notes: tuple[str, ...] = ()


def generate(model: ImageModel, generation: Generation, reporter: Reporter) -> Drawn:
    """All pictures in one batch; after an out-of-memory once more, one by one. Goes on where another process
    left the same job.

    OutOfMemory when that isn't enough either; JobCancelled from ``reporter.check`` between two steps.
    """
    with model.loras.used(generation.loras):  # also while the second of several is still being read
        model.loras.need(generation.loras, reporter)
        return _generate(model, generation, reporter)


def _generate(model: ImageModel, generation: Generation, reporter: Reporter) -> Drawn:
    whole, problem, saved = (
        min(len(generation.seeds), generation.at_once or len(generation.seeds)),
        None,
        None,
    )
    if (
        reporter.checkpoint is not None and model.family.unpack is not None and not model.remembers
    ):  # of others, nobody knows how they end
        saved = reporter.checkpoint.open(_fingerprint(model, generation))
    if saved is None or saved.batch == whole:
        try:
            return _draw(model, generation, reporter, whole, saved)
        except Exception as error:
            if not devices.is_out_of_memory(error):
                raise
            problem = str(error)[:200]
        log.warning("out of memory, trying smaller: %s", problem)
        saved = None
        if reporter.checkpoint is not None:
            reporter.checkpoint.remove()
    with reporter.fiber.exclusive() if reporter.fiber else contextlib.nullcontext():
        return _draw_small(model, generation, reporter, saved)


def _draw_small(
    model: ImageModel, generation: Generation, reporter: Reporter, saved: checkpoint.State | None
) -> Drawn:
    devices.release()  # here, not in the except block: the traceback held the tensors
    model.shrink()
    try:
        return _draw(model, generation, reporter, 1, saved)
    except Exception as error:
        if devices.is_out_of_memory(error):
            raise OutOfMemory(
                f"{generation.width}x{generation.height} px is too large for the memory of this device."
            ) from error
        raise
    finally:
        devices.release()


def _fingerprint(model: ImageModel, generation: Generation) -> str:
    scheduler, pipe = model.scheduler(generation.sampler), model.pipeline(generation.mode)
    config = sorted(
        (name, str(value)) for name, value in scheduler.config.items() if not name.startswith("_")
    )  # those come in any order
    return checkpoint.fingerprint(
        generation,
        model.identity,
        model.card,
        model.device,
        pipe.dtype,
        type(pipe).__name__,
        type(scheduler).__name__,
        config,
        model.loras.identity(generation.loras),
        model.tiny.identity if generation.draft and model.tiny else None,
        model.compiled is not None,
    )


@torch.no_grad()
def _draw(
    model: ImageModel, generation: Generation, reporter: Reporter, batch: int, saved: checkpoint.State | None
) -> Drawn:
    images = [Image.fromarray(image.numpy()) for image in saved.images] if saved else []
    veiled = list(saved.veiled) if saved else []
    chunks = [generation.seeds[i : i + batch] for i in range(0, len(generation.seeds), batch)]
    try:
        for number, seeds in enumerate(chunks):
            if saved and number < saved.chunk:
                continue
            run = _Run(model, generation, reporter, len(chunks))
            generators = [
                torch.Generator("cpu").manual_seed(seed) for seed in seeds
            ]  # on the CPU: the same noise on every device
            resume = (
                checkpoint.Resume(run.pipe, saved, generators) if saved and number == saved.chunk else None
            )
            place = _Place(batch, number, len(chunks), generators, list(images), list(veiled))
            on_step = _Steps(model, run.pipe, generation, reporter, place, resume)
            with on_step, contextlib.closing(run):
                alone = model.loras.on([generation.loras]) if run.fiber is None else contextlib.nullcontext()
                with run, resume or contextlib.nullcontext(), alone:
                    result = _denoise(
                        model, run.pipe, _part(generation, number * batch, seeds), generators, on_step
                    )
                reporter.check()
                for image, flagged in _finish(model, run.pipe, generation, reporter, result):
                    images.append(_veil(image) if flagged else image)
                    veiled += [len(images)] if flagged else []
    finally:
        model.free_hooks()
    notes = (
        [f"The model's own safety check has veiled picture {', '.join(map(str, veiled))}."] if veiled else []
    )
    return Drawn(tuple(images), tuple(notes))


def _finish(
    model: ImageModel, pipe: Any, generation: Generation, reporter: Reporter, result: Any
) -> Iterator[tuple[Image.Image, bool]]:
    """What ``_denoise`` gave → pictures of the generation's size, and whether the safety checker objects."""
    size = (generation.width, generation.height)  # FLUX.2 klein shrinks inputs over 1 megapixel
    if model.family.unpack is None:
        yield from ((pictures.resize(image, size), False) for image in result)
        return
    if generation.draft and model.tiny is not None:
        pipe = model.tiny.instead_of_own(pipe)
    for latents in model.family.unpack(pipe, result, generation.height, generation.width):
        decode = partial(_decode, model, pipe, latents[None], generation.tile)
        run = reporter.in_thread if model.shares_steps else reporter.inline
        image, flagged = run(decode, lock=model.decoder)
        yield pictures.resize(image, size), flagged


class _Run:
    """A pipeline of one job's own over the model's weights: its own noise scheduler, and, with a seat in the
    engine, a denoiser that waits.

    The decoder, which works in a thread beside the steps, is the run's own from its begin to its first step:
    pictures to start from are encoded in between.
    """

    def __init__(self, model: ImageModel, generation: Generation, reporter: Reporter, chunks: int) -> None:
        self.model, self.fiber = model, reporter.fiber if model.shares_steps else None
        self.calls = chunks / (reporter.share[1] - reporter.share[0])  # like this one make the whole job
        self.pipe = copy.copy(model.pipeline(generation.mode))
        self.pipe.scheduler = early_stop.ending(
            model.scheduler(generation.sampler), generation.stop, generation.strength
        )
        if hasattr(self.pipe, "encode_prompt"):
            vars(self.pipe)["encode_prompt"] = _reading(
                model, generation, self.pipe.encode_prompt, "pipeline"
            )
        self._wants_decoder, self._has_decoder = (
            self.fiber is not None and generation.mode is not Mode.TEXT,
            False,
        )
        rolls, self._waits = None, None
        if generation.tile:
            rolls = denoiser.denoiser_attribute(self.pipe)
            if (
                rolls == "unet" and model.offload == "none"
            ):  # the hooks of offloading sit on the module itself
                vars(self.pipe)["unet"], rolls = model.ring(), None
        if generation.reference_scale is not None:
            vars(self.pipe).update(model.adapter.parts(generation.reference_scale, generation.tile))
        if self.fiber is not None:
            name = denoiser.denoiser_attribute(self.pipe)
            module, label = model.denoiser(self.pipe, generation.loras)
            self._waits = Denoiser(module, self._evaluate, label, model.loras.on, generation.loras)
            vars(self.pipe)[name] = self._waits  # not setattr: that would note its class in the configuration
        if rolls:
            vars(self.pipe)[rolls] = Rolling(getattr(self.pipe, rolls), generation.width / generation.height)

    def __enter__(self) -> _Run:
        if self._wants_decoder:
            with self.model.decoder.reserve():
                self.fiber.wait_until(self.model.decoder.try_acquire)
            self._has_decoder = True
        return self

    def __exit__(self, *_: object) -> None:
        if self._has_decoder:
            self.model.decoder.release()
        self._has_decoder = False

    def close(self) -> None:
        """The pictures are done, or never will be."""
        if self._waits is not None:
            self._waits.forget()

    def _evaluate(self, call: Call) -> Any:
        self.__exit__()
        self.fiber.total = self.fiber.total or round(
            (getattr(self.pipe, "num_timesteps", None) or 0) * self.calls
        )
        return self.fiber.evaluate(call)


def _reading(
    model: ImageModel, generation: Generation, encode: Callable[..., Any], name: str
) -> Callable[..., Any]:
    """``encode``, with the generation's LoRAs in the text encoders, and not twice for the same words."""

    def read(*args: Any, **kwargs: Any) -> Any:
        with model.loras.on([generation.loras]):
            return encode(*args, **kwargs)

    return model.texts.remembering(
        read, f"{name} {generation.loras} {model.loras.identity(generation.loras)}"
    )


def _part(generation: Generation, begin: int, seeds: Sequence[int]) -> Generation:
    """Of ``generation``, the pictures from ``begin`` on that have ``seeds``."""
    return replace(generation, seeds=tuple(seeds), images=generation.images[begin : begin + len(seeds)])


def _denoise(
    model: ImageModel, pipe: Any, generation: Generation, generators: list[torch.Generator], on_step: _Steps
) -> Any:
    """Latents, one for each of ``generators``, as the pipeline returns them; pictures when the family doesn't
    decode here."""
    g, negative = generation, generation.negative_prompt or None
    mask, image = (
        g.mask_image,
        list(g.images) or (g.image and [g.image] * len(generators)),
    )  # SD3 wants one for each seed; the others take it
    if model.family.whole_mask and image:  # FLUX.2: a list would be several references
        mask, image = (Image.new("L", image[0].size, 255) if g.mode is Mode.IMAGE else mask), image[0]
    if g.references and g.reference_scale is None:
        image = list(g.references)
    given = {
        "prompt": g.prompt,
        "width": g.width,
        "height": g.height,
        "num_inference_steps": g.num_inference_steps,
        "guidance_scale": g.guidance_scale,
        "num_images_per_prompt": len(generators),
        "image": image,
        "mask_image": mask,
        "strength": g.strength,
        "ip_adapter_image": [list(g.references)] if g.reference_scale is not None else None,
        "negative_prompt": negative if model.card.negative != "none" else None,
        "guidance_rescale": g.guidance_rescale,
        "true_cfg_scale": model.card.true_cfg_scale
        if negative and model.card.negative == "true_cfg"
        else None,
        "generator": generators,
        "output_type": "latent" if model.family.unpack else "pil",
        "callback_on_step_end": on_step,
        **(model.family.extra or {}),
        **_spoken(model, pipe, g, on_step),
    }
    return pipe(**arguments(pipe, given)).images


def _spoken(model: ImageModel, pipe: Any, generation: Generation, on_step: _Steps) -> dict[str, Any]:
    """Arguments of the call in place of its prompt, where the words mean more than a pipeline reads in them;
    else none."""
    g, family = generation, model.family
    long = any(model.prompt_limit(text) is not None for text in (g.prompt, g.negative_prompt))
    if family.encode is None or (g.wording == Wording() and not long):
        return {}
    begin = 1 - g.strength if g.strength is not None else 0.0
    end = begin + (1 - begin) * g.stop
    read = _reading(model, g, partial(family.encode, pipe), "family")
    said = conditioning.encode(
        lambda words: Encoded(*read(words)),
        g.prompt,
        g.negative_prompt,
        g.wording,
        g.seeds,
        guided=model.guided(g.guidance_scale),
        zeros=bool(pipe.config.get("force_zeros_for_empty_prompt")),
    )
    given = {**said.arguments(begin), "prompt": None, "negative_prompt": None, "num_images_per_prompt": 1}
    if said.noise is not None:
        given |= {
            "callback_on_step_end": said.following(on_step, begin, end),
            "callback_on_step_end_tensor_inputs": ["latents", "prompt_embeds"],
        }
    return given


@dataclass(frozen=True)
class _Place:
    """Where in a drawing a pipeline call stands. images, veiled: of the chunks before it."""

    batch: int
    chunk: int
    chunks: int
    generators: list[torch.Generator]
    images: list[Image.Image]
    veiled: list[int]


class _Steps:
    """The pipeline's step callback: cancel, progress, preview, checkpoint."""

    def __init__(
        self,
        model: ImageModel,
        pipe: Any,
        generation: Generation,
        reporter: Reporter,
        place: _Place,
        resume: checkpoint.Resume | None,
    ) -> None:
        self.model, self.pipe, self.generation, self.reporter, self.place, self.resume = (
            model,
            pipe,
            generation,
            reporter,
            place,
            resume,
        )
        self.before: torch.Tensor | None = None
        self.checkpoint = reporter.checkpoint if model.family.unpack and not model.remembers else None
        self.done: tuple[int, int] | None = None  # (step, of)
        reporter.check()

    def __enter__(self) -> _Steps:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """A worker that is to exit keeps what it has."""
        if (
            kind is not None
            and issubclass(kind, Leaving)
            and self.done is not None
            and self.checkpoint is not None
        ):
            self.checkpoint.write(lambda: self._state(*self.done, self.before))

    def __call__(self, pipe: Any, i: int, t: Any, values: dict[str, Any]) -> dict[str, Any]:
        """Diffusers wants the dict back. An exception from here ends the call at once and leaves the pipeline
        usable."""
        if self.resume is not None and not self.resume.over:
            self.reporter.check()
            if (latents := self.resume.after_step(i + 1)) is not None:
                values["latents"] = self.before = latents
                self._set_progress(i + 1, self.resume.state.total)
            return values
        latents, before, total = (
            values.get("latents"),
            self.before,
            getattr(pipe, "num_timesteps", None) or self.generation.num_inference_steps,
        )
        self.before, self.done = latents, (i + 1, total)
        self.reporter.check()
        step, steps = self._set_progress(i + 1, total)
        if self.checkpoint is not None and self.checkpoint.due(step, steps):
            self.checkpoint.write(lambda: self._state(i + 1, total, latents))
        see = (
            (lambda: self._preview(before, latents))
            if latents is not None and self.model.family.unpack
            else None
        )
        self.reporter.step(step, steps, see)
        return values

    def _set_progress(self, step: int, total: int) -> tuple[int, int]:
        """``step`` of ``total`` of a pipeline call → of the drawing. The seat counts those of the whole job,
        as if all were like these."""
        step, steps = self.place.chunk * total + step, self.place.chunks * total
        if self.reporter.fiber is not None:
            begin, end = self.reporter.share
            self.reporter.fiber.step, self.reporter.fiber.total = (
                round(begin * steps / (end - begin)) + step,
                round(steps / (end - begin)),
            )
        return step, steps

    def _state(self, step: int, total: int, latents: torch.Tensor) -> checkpoint.State:
        place = self.place
        return checkpoint.State(
            batch=place.batch,
            chunk=place.chunk,
            step=step,
            total=total,
            latents=latents,
            scheduler=checkpoint.scheduler_state(self.pipe.scheduler),
            generators=[generator.get_state() for generator in place.generators],
            images=[torch.from_numpy(np.array(image)) for image in place.images],
            veiled=list(place.veiled),
        )

    def _preview(self, before: torch.Tensor | None, latents: torch.Tensor) -> bytes | None:
        if (latent_map := self.model.latent_map) is None:
            return None
        aim = latent_preview.believed(self.pipe.scheduler, before, latents)
        if aim.shape != latents.shape:
            aim = latents
        unpacked = self.model.family.unpack(self.pipe, aim, self.generation.height, self.generation.width)
        return pictures.preview(latent_map.pictures(unpacked))


@torch.no_grad()
def _decode(
    model: ImageModel, pipe: Any, latents: torch.Tensor, tile: bool = False
) -> tuple[Image.Image, bool]:
    """(1, C, h, w) → the picture, and whether the model's safety checker objects. One at a time: less memory,
    and the same bits in any batch."""
    vae, given = pipe.vae, seamless.wrapped(latents) if tile else latents
    if not latents.isfinite().all():
        raise BlankPicture(
            "The model lost itself in numbers that are none; another seed, sampler or fewer steps may help."
        )
    upcast = vae.dtype == torch.float16 and getattr(
        vae.config, "force_upcast", False
    )  # SDXL's decoder overflows in float16
    decoded = _decode_as(vae, given, torch.float32 if upcast else vae.dtype)
    if _is_blank(decoded) and not upcast and vae.dtype != torch.float32:
        log.warning("%s: a blank picture, decoding again in float32", model.name)
        decoded = _decode_as(vae, given, torch.float32)
    if _is_blank(decoded):
        raise BlankPicture("The picture came out black; another seed or sampler may help.")
    if tile:
        decoded = seamless.unwrapped(decoded, latents)
    flagged = False
    if getattr(pipe, "safety_checker", None) is not None:
        flagged = bool(pipe.run_safety_checker(decoded.clone(), pipe._execution_device, latents.dtype)[1][0])
    return Image.fromarray(pixels.to_uint8(decoded)[0]), flagged


def _decode_as(vae: Any, latents: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """(1, C, h, w) → (1, 3, H, W), -1..1. Out of memory: once more in tiles, whose seams are blended; the
    steps aren't lost."""
    before = vae.dtype
    if dtype != before:
        vae.to(dtype)
    try:
        try:
            return vae.decode(latents.to(dtype), return_dict=False)[0]
        except Exception as error:
            if not devices.is_out_of_memory(error) or not hasattr(vae, "enable_tiling"):
                raise
        log.warning("out of memory in the decoder, decoding in tiles from now on")
        devices.release()
        vae.enable_tiling()
        return vae.decode(latents.to(dtype), return_dict=False)[0]
    finally:
        if dtype != before:
            vae.to(before)


def _is_blank(decoded: torch.Tensor) -> bool:
    return not bool(decoded.isfinite().all()) or bool((decoded <= -1 + 1 / 255).all())


def _veil(image: Image.Image) -> Image.Image:
    small = image.resize((8, 8), Image.Resampling.BOX)
    return small.resize(image.size, Image.Resampling.BICUBIC)
