"""Draws: one generation from noise (or a picture) to finished pictures, and a smaller try when memory is out.

A drawing is one or several whole calls of a diffusers pipeline (``pipeline``), whose denoiser is evaluated at
once or, for a job with a fiber in the engine, together with the other jobs' steps.
"""

import contextlib
import logging
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from PIL import Image

from core.errors import OutOfMemory
from vision import devices
from vision.diffusion import checkpoint
from vision.diffusion.edit_mask import keeping_of
from vision.diffusion.model import ImageModel, decode
from vision.diffusion.parameters import Drawn, Generation
from vision.diffusion.pipeline import NoneStays, PicturePipeline, PictureSteps, Position, denoise
from vision.images import encode
from vision.reporter import Reporter

log = logging.getLogger(__name__)


class _Made(NamedTuple):
    """A picture. is_veiled: the model's safety checker objects. has_left: it was drawn only halfway."""

    image: Image.Image
    is_veiled: bool = False
    has_left: bool = False


def generate(model: ImageModel, generation: Generation, reporter: Reporter) -> Drawn:
    """Draw all pictures in one batch; when memory runs out, one by one, and then with each part of the model
    on the device only while it works. Continues from the job's checkpoint, if another process left one.
    Raises OutOfMemory when that isn't enough, and JobCancelled from ``reporter.check`` between steps."""
    with model.loras.in_use(generation.loras):  # also while the second of several is still being read
        model.loras.ensure_loaded(generation.loras, reporter)
        return _draw_or_draw_small(model, generation, reporter)


def _draw_or_draw_small(model: ImageModel, generation: Generation, reporter: Reporter) -> Drawn:
    batch = min(len(generation.seeds), generation.at_once or len(generation.seeds))
    saved: checkpoint.State | None = None
    model.put_back()
    # other models' result can't be reproduced from a saved step
    if reporter.checkpoint is not None and model.family.unpack is not None and not model.has_step_memory:
        saved = reporter.checkpoint.open(_fingerprint(model, generation))
    for at_once in dict.fromkeys((batch, 1)):
        if saved is not None and saved.batch != at_once:
            continue
        try:
            return _draw(model, generation, reporter, at_once, saved)
        except Exception as error:
            if not devices.is_out_of_memory(error):
                raise
            problem = str(error)[:200]
        log.warning("out of memory, trying smaller: %s", problem)
        saved = None
        if reporter.checkpoint is not None:
            reporter.checkpoint.remove()
        devices.release()  # here, not in the except block: the traceback held the tensors
    with reporter.fiber.exclusive() if reporter.fiber else contextlib.nullcontext(), model.by_parts():
        return _draw_by_parts(model, generation, reporter)


def _draw_by_parts(model: ImageModel, generation: Generation, reporter: Reporter) -> Drawn:
    # copies of the UNet that these have don't move
    has_adapter = generation.reference_scale is not None and model.adapter is not None
    has_controlnet = generation.edges is not None and model.controlnet is not None
    try:
        if not has_adapter and not has_controlnet:
            return _draw(model, generation, reporter, 1, None)
    except Exception as error:
        if not devices.is_out_of_memory(error):
            raise
        log.warning("out of memory, by parts as well: %s", str(error)[:200])
    devices.release()
    raise OutOfMemory(
        f"{generation.width}x{generation.height} px is too large for the memory of this device."
    )


def _fingerprint(model: ImageModel, generation: Generation) -> str:
    scheduler, pipe = model.scheduler(generation.sampler), model.pipeline(generation.mode)
    told = {name: str(value) for name, value in scheduler.config.items() if not name.startswith("_")}
    config = sorted(told.items())  # which come in any order
    tiny_decoder = model.tiny_decoder if generation.draft else None
    by_noise = generation.strength is not None and model.starts_by_noise(generation.mode)
    return checkpoint.fingerprint(
        generation,
        model.identity,
        model.card,
        model.device,
        pipe.dtype,
        type(pipe).__name__,
        (checkpoint.FlowMatchFromShare if by_noise else type(scheduler)).__name__,
        config,
        model.loras.identity(generation.loras),
        tiny_decoder.identity if tiny_decoder else None,
        model.controlnet.identity if model.controlnet and generation.edges else None,
        model.compiled is not None,
    )


@torch.no_grad()
def _draw(
    model: ImageModel, generation: Generation, reporter: Reporter, batch: int, saved: checkpoint.State | None
) -> Drawn:
    """Draw at most ``batch`` pictures in a pipeline call, from ``saved`` on."""
    images = [Image.fromarray(image.numpy()) for image in saved.images] if saved else []
    veiled, left = list(saved.veiled) if saved else [], set[int]()
    chunks = [generation.seeds[i : i + batch] for i in range(0, len(generation.seeds), batch)]
    try:
        for number, seeds in enumerate(chunks):
            if saved and number < saved.chunk:
                continue
            # on the CPU: the same noise on every device
            generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
            position = Position(batch, number, len(chunks), generators, list(images), list(veiled))
            state = saved if saved and number == saved.chunk else None
            begin = number * batch
            own = generation.part(begin, begin + len(seeds))
            for image, is_veiled, has_left in _draw_chunk(model, own, reporter, position, state):
                if has_left:
                    left.add(len(images))
                if is_veiled:
                    small = image.convert("RGB").resize((8, 8), Image.Resampling.BOX)
                    image = small.resize(image.size, Image.Resampling.BICUBIC)
                    veiled.append(len(images) + 1)
                images.append(image)
    finally:
        model.free_hooks()
    numbers = ", ".join(map(str, veiled))
    notes = (f"The model's own safety check has hidden picture {numbers}.",) if veiled else ()
    return Drawn(tuple(images), notes, frozenset(left))


def _draw_chunk(
    model: ImageModel,
    generation: Generation,
    reporter: Reporter,
    position: Position,
    saved: checkpoint.State | None,
) -> list[_Made]:
    """Draw ``generation`` in one pipeline call."""
    nothing = contextlib.nullcontext()
    job = PicturePipeline(model, generation, reporter, position.chunks)
    resume = checkpoint.Resume(job.pipe, saved, position.generators) if saved else None
    # in an engine each pass applies the LoRAs of its rows
    loras = model.loras.applied([generation.loras]) if job.fiber is None else nothing
    with PictureSteps(model, job, generation, reporter, position, resume) as on_step:
        try:
            with job, resume or nothing, loras:
                result = denoise(model, job.pipe, generation, position.generators, on_step)
        except NoneStays:
            return [_Made(image, has_left=True) for image in on_step.left.values()]
        reporter.check()
        finished = list(_finish(model, job.pipe, generation, reporter, result, on_step.left))
    keeping = keeping_of(job.pipe)
    masks = [None] * len(finished) if keeping is None else keeping.masks()
    for (image, *_), changed in zip(finished, masks, strict=True):
        if changed is not None:  # it is transparent where it hasn't
            image.putalpha(changed.resize(image.size, Image.Resampling.NEAREST))
    return finished


def _finish(
    model: ImageModel,
    pipe: Any,
    generation: Generation,
    reporter: Reporter,
    result: Any,
    left: Mapping[int, Image.Image],
) -> Iterator[_Made]:
    """What ``denoise`` returned → pictures of its size. left: those that were drawn only halfway."""
    size = (generation.width, generation.height)  # FLUX.2 klein shrinks inputs over 1 megapixel
    if model.family.unpack is None:
        yield from (_Made(encode.resize(image, size)) for image in result)
        return
    if generation.draft and model.tiny_decoder is not None:
        pipe = model.tiny_decoder.replace_in(pipe)
    run = reporter.in_thread if model.shares_steps else reporter.inline
    unpacked = model.family.unpack(pipe, result, generation.height, generation.width)
    for number, latents in enumerate(unpacked):
        if number in left:
            yield _Made(left[number], has_left=True)
            continue
        work = partial(decode, model, pipe, latents[None], generation.seamless)
        if generation.frames:
            reporter.give_way()
        image, is_veiled = run(work, lock=model.decoder_lock)
        yield _Made(encode.resize(image, size), is_veiled)
