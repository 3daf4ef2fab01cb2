"""One job's pipeline: a diffusers pipeline of its own over the model's weights, and its call.

What happens after each denoising step: cancel, progress, preview, checkpoint."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np
import torch
from PIL import Image

from vision.diffusion import checkpoint, prompt_embeddings, vae
from vision.diffusion.adapters import looking_at_first
from vision.diffusion.edit_mask import Keeping, keeping_of
from vision.diffusion.model import BlankPicture, ImageModel, arguments, decode
from vision.diffusion.parameters import Generation, TextSpec
from vision.diffusion.seamless import Rolling
from vision.engine.denoiser import Call, Denoiser, denoiser_attribute, evaluate_now
from vision.engine.fiber import Fiber, PriorityLock
from vision.families import Family, Mode, stable_diffusion
from vision.images import encode
from vision.reporter import Leaving, Reporter
from vision.weights.card import Card


@dataclass(frozen=True)
class Position:
    """Where in a drawing a pipeline call stands. batch: pictures in one call at most. chunk: the number of
    this call, of ``chunks``. generators: one for each picture of it. images, veiled: finished by the calls
    before it, see checkpoint.State."""

    batch: int
    chunk: int
    chunks: int
    generators: list[torch.Generator]
    images: list[Image.Image]
    veiled: list[int]


class StepCallback:
    """A pipeline's ``callback_on_step_end``. As a context manager around the call it writes a checkpoint when
    the worker is to exit. keeps: whether its steps can be saved. resume: of a call that continues."""

    def __init__(
        self, pipe: Any, reporter: Reporter, resume: checkpoint.Resume | None, *, keeps: bool
    ) -> None:
        self.pipe, self.reporter, self.resume = pipe, reporter, resume
        self.checkpoint = reporter.checkpoint if keeps else None
        self.before: torch.Tensor | None = None
        self.done: tuple[int, int] | None = None  # (step, of)
        reporter.check()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        leaving = kind is not None and issubclass(kind, Leaving)
        if leaving and self.done is not None and self.checkpoint is not None:
            (step, total), latents = self.done, self.before
            self.checkpoint.write(lambda: self._state(step, total, latents))

    def _skip(self, resume: checkpoint.Resume, step: int, values: dict[str, Any]) -> dict[str, Any]:
        """Handle a step that was done before the checkpoint."""
        self.reporter.check()
        if (latents := resume.after_step(step)) is not None:
            values = {**values, "latents": latents}
            self.before, self.done = latents, (step, resume.state.total)
            self._set_progress(step, resume.state.total)
        return values

    def _set_progress(self, step: int, total: int) -> tuple[int, int]:
        """Convert ``step`` of ``total`` of this call to those of all calls, and tell the fiber."""
        raise NotImplementedError

    def _state(self, step: int, total: int, latents: Any) -> checkpoint.State:
        """Return what a checkpoint after ``step`` of ``total`` keeps. latents: as the call has them."""
        raise NotImplementedError


class NoneStays(Exception):
    """Raised from a pipeline call in which every picture has left halfway."""


class PictureSteps(StepCallback):
    """The steps of pictures. left: by number, those that have left halfway, see Reporter.stays."""

    def __init__(
        self,
        model: ImageModel,
        job: PicturePipeline,
        generation: Generation,
        reporter: Reporter,
        position: Position,
        resume: checkpoint.Resume | None,
    ) -> None:
        keeps = model.family.unpack is not None and not model.has_step_memory
        super().__init__(job.pipe, reporter, resume, keeps=keeps)
        self.model, self.generation, self.position, self.job = model, generation, position, job
        self.left: dict[int, Image.Image] = {}
        self._looks = reporter.stays is not None and model.family.unpack is not None

    def __call__(self, pipe: Any, i: int, t: Any, values: dict[str, Any]) -> dict[str, Any]:
        """Handle the end of step ``i`` (from 0) and return ``values``, as diffusers wants it. An exception
        from here ends the call at once and leaves the pipeline usable."""
        if self.resume is not None and not self.resume.over:
            return self._skip(self.resume, i + 1, values)
        latents: Any = values.get("latents")
        before = self.before
        total = getattr(pipe, "num_timesteps", None) or len(pipe.scheduler.timesteps)
        self.before, self.done = latents, (i + 1, total)
        self.reporter.check()
        step, steps = self._set_progress(i + 1, total)
        position = self.position
        if self.checkpoint is not None and self.checkpoint.due(step, steps):
            self.checkpoint.write(lambda: self._state(i + 1, total, latents))

        def preview() -> bytes | None:
            if self.model.latent_map is None:
                return None
            small = self.model.latent_map.pictures(self._unpacked(before, latents))
            if self.generation.frames:
                return encode.strip(small, self.generation.shape)
            done = [image.resize(small[0].size) for image in position.images]
            count = position.chunks * position.batch if position.chunks > 1 else len(small)
            return encode.preview([*done, *small], self.generation.shape, count)

        can_show = self.model.family.unpack is not None and not self.generation.is_tiles
        self.reporter.step(step, steps, preview if latents is not None and can_show else None)
        if self._looks and total / 2 <= i + 1 < total:
            self._looks = False
            self._look(before, latents)
        return values

    def _look(self, before: torch.Tensor | None, latents: torch.Tensor) -> None:
        """Let those pictures leave that need not be drawn to their end."""
        assert self.reporter.stays is not None
        g, first = self.generation, self.position.chunk * self.position.batch
        run = self.reporter.in_thread if self.model.shares_steps else self.reporter.inline
        for number, one in enumerate(self._unpacked(before, latents)):
            work = partial(decode, self.model, self.pipe, one[None], g.seamless)
            try:
                image, _ = run(work, lock=self.model.decoder_lock)
            except BlankPicture:
                continue
            image = encode.resize(image, (g.width, g.height))
            if not self.reporter.stays(first + number, image):
                self.left[number] = image
        if len(self.left) == len(g.seeds):
            raise NoneStays
        self.job.leave(self.left)

    def _skip(self, resume: checkpoint.Resume, step: int, values: dict[str, Any]) -> dict[str, Any]:
        values = super()._skip(resume, step, values)
        if resume.over and (keeping := keeping_of(self.pipe)) is not None:
            keeping.relevance = resume.state.relevance
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

    def _unpacked(self, before: torch.Tensor | None, latents: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w): what the pictures are about to become."""
        assert self.model.family.unpack is not None
        predicted = vae.predicted(checkpoint.unwrapped(self.pipe.scheduler), before, latents)
        if predicted.shape != latents.shape:
            predicted = latents
        return self.model.family.unpack(self.pipe, predicted, self.generation.height, self.generation.width)


class JobPipeline:
    """A job's own pipeline, ``pipe``, over a model's weights. fiber: of the job; None = its steps aren't
    shared. lock: of the decoder. calls: like this one, in the whole job. As a context manager it holds the
    decoder, which otherwise works in a thread beside the steps, until the first step, if it ``encodes``
    before: pictures to start from, or frames that are known."""

    def __init__(
        self, pipe: Any, fiber: Fiber | None, lock: PriorityLock, calls: float, *, encodes: bool
    ) -> None:
        self.pipe, self.fiber = copy.copy(pipe), fiber
        self._lock, self._calls, self._encodes = lock, calls, encodes
        self._has_decoder, self._denoisers = False, list[Denoiser]()

    def _replace(self, **parts: Any) -> None:
        vars(self.pipe).update(parts)  # not setattr: that would note their classes in the configuration

    def __enter__(self) -> Self:
        if self.fiber is not None and self._encodes:
            with self._lock.reserve():
                self.fiber.wait_until(self._lock.try_acquire)
            self._has_decoder = True
        return self

    def __exit__(self, *_: object) -> None:
        self._release_decoder()
        for denoiser in self._denoisers:
            denoiser.forget()

    def leave(self, pictures: Collection[int]) -> None:
        """Evaluate no rows of these ``pictures`` from now on."""
        for denoiser in self._denoisers:
            denoiser.left = frozenset(pictures)

    def _release_decoder(self) -> None:
        if self._has_decoder:
            self._lock.release()
        self._has_decoder = False

    def _evaluate(self, call: Call) -> Any:
        if self.fiber is None:
            return evaluate_now(call)
        self._release_decoder()
        steps = getattr(self.pipe, "num_timesteps", None) or 0
        self.fiber.total = self.fiber.total or round(steps * self._calls)
        return self.fiber.evaluate(call)


class Watched(checkpoint.EarlyStop):
    """Stands for the noise scheduler of a pipeline that calls nothing back after a step: calls
    ``after(number, t, values)`` then, as a pipeline calls its ``callback_on_step_end``."""

    def __init__(self, wrapped: Any, after: Callable[[int, Any, dict[str, Any]], dict[str, Any]]) -> None:
        super().__init__(wrapped, 1, None)
        self._after, self._steps = after, 0

    def _set_timesteps(self, *args: Any, **kwargs: Any) -> None:
        self.wrapped.set_timesteps(*args, **kwargs)

    def _step(self, *args: Any, **kwargs: Any) -> Any:
        made = self.wrapped.step(*args, **kwargs)
        values = self._after(self._steps, args[1], {"latents": made[0]})
        self._steps += 1
        return (values["latents"], *made[1:])


class PicturePipeline(JobPipeline):
    """A job's own pipeline of pictures: its own scheduler and, in an engine, a denoiser for shared passes."""

    def __init__(self, model: ImageModel, generation: Generation, reporter: Reporter, chunks: int) -> None:
        fiber, (begin, end) = reporter.fiber if model.shares_steps else None, reporter.share
        pipe, encodes = model.pipeline(generation.mode), generation.mode is not Mode.TEXT
        super().__init__(pipe, fiber, model.decoder_lock, chunks / (end - begin), encodes=encodes)
        scheduler, strength = model.scheduler(generation.sampler), generation.strength
        if strength is not None and strength < 1 and model.starts_by_noise(generation.mode):
            scheduler = checkpoint.FlowMatchFromShare.from_config(scheduler.config)
            scheduler.share, strength = checkpoint.noise_share(strength), None
        self._replace(scheduler=checkpoint.stopped_at(scheduler, generation.stop, strength))
        if hasattr(self.pipe, "encode_prompt"):
            encode, multiple = self.pipe.encode_prompt, model.family.text_multiple
            if multiple is not None:
                encode = prompt_embeddings.filled_up(encode, multiple)
            self._replace(encode_prompt=cached_encoder(model, generation, encode, "pipeline"))
        self._replace_denoiser(model, generation, leaves=reporter.stays is not None)

    def _replace_denoiser(self, model: ImageModel, generation: Generation, *, leaves: bool) -> None:
        name = denoiser_attribute(self.pipe)
        # hooks of offloading sit on the module itself, so that no copy of it can be used
        copies = name == "unet" and model.offload == "none"
        if generation.seamless and copies:
            self._replace(unet=model.circular_unet())
        if generation.reference_scale is not None and model.adapter is not None:
            self._replace(**model.adapter.parts(generation.reference_scale, circular=generation.seamless))
        control = None
        if generation.edges is not None and model.controlnet is not None:
            self._replace(unet=model.controlnet.over(self.pipe.unet))
            control = model.controlnet.control(generation.edges)
        if generation.frames and copies:
            self._replace(unet=looking_at_first(self.pipe.unet, len(generation.seeds)))
        wanted, pictures = generation.loras, len(generation.seeds)
        loras = partial(model.loras.rows, wanted, pictures, generation.guidance_scale)
        shares, by_rows = self.fiber is not None, model.loras.is_guided(wanted)
        if name and (shares or by_rows or leaves or control is not None):
            module, label = model.denoiser(self.pipe, wanted) if shares else (getattr(self.pipe, name), "")
            applied = model.loras.applied if shares or by_rows else None
            given = control, model.loras.apart(wanted), pictures
            denoiser = Denoiser(module, self._evaluate, label, applied, loras, *given)
            self._denoisers.append(denoiser)
            self._replace(**{name: denoiser})
        if generation.mode is Mode.EDIT and model.family is stable_diffusion.INSTRUCT_PIX2PIX_FAMILY:
            self._keep_to_picture(model, generation)
        if generation.seamless and name and not copies:
            aspect = generation.width / generation.height
            self._replace(**{name: Rolling(getattr(self.pipe, name), aspect)})

    def _keep_to_picture(self, model: ImageModel, generation: Generation) -> None:
        if model.card.relevance_threshold:
            unet = Keeping(
                self.pipe.unet,
                self.pipe.scheduler,
                scale=self.pipe.vae.config.scaling_factor,
                threshold=model.card.relevance_threshold,
                steps=generation.num_inference_steps,
                count=len(generation.seeds),
            )
            self._replace(unet=unet)


def cached_encoder(
    model: ImageModel, generation: Generation, encode: Callable[..., Any], name: str
) -> Callable[..., Any]:
    """Return ``encode``, cached, with the generation's LoRAs in the text encoders. name: of the encoder."""

    def with_loras(*args: Any, **kwargs: Any) -> Any:
        if "prompt" in kwargs and kwargs.get("prompt_embeds") is not None:
            kwargs["prompt"] = [""] * len(kwargs["prompt_embeds"])  # LongCat's counts prompts all the same
        with model.loras.applied([generation.loras]):
            return encode(*args, **kwargs)

    key = f"{name} {generation.loras} {model.loras.identity(generation.loras)}"
    return model.text_cache.cached(with_loras, key)


@dataclass(frozen=True)
class Beginning:
    """Latents at which a pipeline that draws from words begins instead of noise alone. picture, noise: one
    for each seed, as the denoiser takes them. painted: where the mask is white, None = everywhere."""

    picture: torch.Tensor
    noise: torch.Tensor
    painted: torch.Tensor | None

    @classmethod
    def of(
        cls, model: ImageModel, pipe: Any, generation: Generation, generators: list[torch.Generator]
    ) -> Self:
        """Encode the generation's pictures, one by one, and take the noise from ``generators``."""
        pack: Any = model.family.pack
        device, dtype, encoded = pipe._execution_device, pipe.transformer.dtype, []
        pictures: Any = generation.images or (generation.image,)
        for picture in pictures:
            values = vae.tensor_of(np.asarray(picture.convert("RGB"))).to(device, pipe.vae.dtype)
            encoded.append(pack(pipe, vae.encode_pixels(pipe.vae, values).float()))
        latents = torch.cat(encoded).expand(len(generators), *encoded[0].shape[1:])
        drawn = [torch.randn(latents.shape[1:], generator=generator) for generator in generators]
        painted = None
        if generation.mask_image is not None:
            mask = torch.from_numpy(np.array(generation.mask_image, np.float32) / 255)[None]  # (1, H, W)
            places = latents[0].numel() // latents.shape[1 if latents.ndim == 4 else 2]
            side = round((mask.numel() / places) ** 0.5)
            painted = torch.nn.functional.max_pool2d(mask, side) >= 0.5  # in any pixel of a place
            painted = (painted if latents.ndim == 4 else painted.reshape(1, -1, 1)).to(device)
        return cls(latents.to(dtype), torch.stack(drawn).to(device, dtype), painted)

    def noised(self, share: Any) -> torch.Tensor:
        """Return the picture with ``share`` of noise, 0..1."""
        return (self.picture + share * (self.noise - self.picture)).to(self.picture.dtype)

    def keeping(self, on_step: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        """Return a callback like ``on_step`` that puts the picture back after each step, with as much noise
        as is left, where the mask is black."""

        if (painted := self.painted) is None:
            return on_step

        def after(pipe: Any, i: int, t: Any, values: dict[str, Any]) -> dict[str, Any]:
            kept = self.noised(checkpoint.unwrapped(pipe.scheduler).sigmas[i + 1])
            latents = torch.where(painted, values["latents"], kept.to(values["latents"].dtype))
            return on_step(pipe, i, t, {**values, "latents": latents})

        return after


def denoise(
    model: ImageModel,
    pipe: Any,
    generation: Generation,
    generators: list[torch.Generator],
    on_step: PictureSteps,
) -> Any:
    """Call ``pipe``, and return latents as it returns them, one for each of ``generators``; pictures where
    the family's pipeline decodes itself."""
    scheduler, shares = checkpoint.unwrapped(pipe.scheduler), dict[str, Any]()
    after: Callable[..., dict[str, Any]] = on_step
    if model.begins_at_latents(generation.mode):
        begin = Beginning.of(model, pipe, generation, generators)
        after, shares = begin.keeping(on_step), {"latents": begin.noised(getattr(scheduler, "share", 1.0))}
    if not model.family.calls_back:
        # not setattr: that would note its class in the configuration
        vars(pipe)["scheduler"] = Watched(pipe.scheduler, partial(after, pipe))
    if generation.strength is not None and isinstance(scheduler, checkpoint.FlowMatchFromShare):
        sigmas = checkpoint.FlowMatchFromShare.shares(generation.strength, generation.num_inference_steps)
        # all of them; with 1 SD 3 paints into noise alone
        shares |= {"sigmas": sigmas, "num_inference_steps": len(sigmas), "strength": 0.9999}
    given = {
        **call_arguments(model.family, model.card, generation, generators),
        **shares,
        "callback_on_step_end": after,
        **_text_arguments(model, pipe, generation, after),
    }
    return pipe(**arguments(pipe, given)).images


def call_arguments(
    family: Family, card: Card, generation: Generation, generators: list[torch.Generator]
) -> dict[str, Any]:
    """Return what a pipeline of ``family`` is called with for one picture for each of ``generators``; what
    its class doesn't take, or is None, isn't passed."""
    g = generation
    negative = g.negative_prompt or family.usual_negative or None
    return {
        "prompt": g.prompt,
        "width": g.width,
        "height": g.height,
        "num_inference_steps": g.num_inference_steps,
        "num_images_per_prompt": len(generators),
        "strength": g.strength,
        "ip_adapter_image": [list(g.references)] if g.reference_scale is not None else None,
        "negative_prompt": negative if card.guided(g.guidance_scale, family.neutral) else None,
        "guidance_rescale": g.guidance_rescale,
        "max_area": g.width * g.height if g.mode is Mode.EDIT else None,  # Kontext's, else a megapixel
        "image_guidance_scale": card.image_guidance_scale,
        "true_cfg_scale": card.true_cfg_scale if negative and card.negative == "true_cfg" else None,
        "generator": generators,
        family.guidance_argument: g.guidance_scale,
        "output_type": "latent" if family.unpack else "pil",
        **_picture_arguments(family, g, len(generators)),
        **(family.extra or {}),
    }


def _picture_arguments(family: Family, generation: Generation, count: int) -> dict[str, Any]:
    g, mask = generation, generation.mask_image
    if family.pack is not None and g.mode in (Mode.IMAGE, Mode.INPAINT):
        return {}  # they are in the latents; a picture would be one to look at
    # SD3 wants a picture for each seed; the others take a list, too
    image: Any = list(g.images) or (g.image and [g.image] * count)
    if g.mode is Mode.EDIT and family is not stable_diffusion.INSTRUCT_PIX2PIX_FAMILY:
        # the others take a list for several pictures to look at
        image = [g.image, *g.references] if g.references else g.image
    elif family.whole_mask and image:  # FLUX.2: a list would be several references
        mask, image = (Image.new("L", image[0].size, 255) if g.mode is Mode.IMAGE else mask), image[0]
    if g.references and g.reference_scale is None and g.mode is not Mode.EDIT:
        image = list(g.references)
    return {"image": image, "mask_image": mask}


def _text_arguments(
    model: ImageModel, pipe: Any, generation: Generation, on_step: Callable[..., dict[str, Any]]
) -> dict[str, Any]:
    """Arguments that replace the prompt with embeddings, where it can't do what the texts ask for."""
    g, family = generation, model.family
    guided = model.card.guided(g.guidance_scale, family.neutral)
    if family.encode is None:
        return {}
    # CLIP reads a long one in pieces; FLUX.2 klein takes a negative one as embeddings alone
    is_long = any(model.prompt_limit(text) is not None for text in (g.prompt, g.negative_prompt))
    by_pipeline = "negative_prompt" in inspect.signature(type(pipe).__call__).parameters
    needs = (is_long and family.text_tokens is None) or (guided and g.negative_prompt and not by_pipeline)
    if g.text_spec == TextSpec() and not g.texts and not needs:
        return {}
    begin = 1 - g.strength if g.strength is not None else 0.0
    end = begin + (1 - begin) * g.stop
    encoder = cached_encoder(model, g, partial(family.encode, pipe), "family")
    encoded = prompt_embeddings.encode_prompt(
        lambda text: prompt_embeddings.Encoded(*encoder(text)),
        g.prompt,
        g.negative_prompt or family.usual_negative,
        g.text_spec,
        g.seeds,
        texts=g.texts,
        guided=guided,
        zeros=bool(pipe.config.get("force_zeros_for_empty_prompt")),
        rows=family.text_rows,
    )
    given: dict[str, Any] = {
        **encoded.arguments(begin),
        "prompt": None,
        "negative_prompt": None,
        "num_images_per_prompt": 1,
    }
    if encoded.noise is not None:
        given |= {
            "callback_on_step_end": encoded.following(on_step, begin, end),
            "callback_on_step_end_tensor_inputs": ["latents", "prompt_embeds"],
        }
    return given
