"""Lets the image model draw over sketched frames a little, so that what was moved belongs where it lies.

It draws over some frames only, all at once: they begin with the same noise and look at the first one. What it
changes is laid over the sketch, in between by shares: where it changes nothing a frame stays as sharp as it
was, however small the model draws, and a film of any length costs the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from vision.drawing.generate import generate
from vision.drawing.generation import Generation
from vision.families import Mode
from vision.image_model import frames as vae_frames
from vision.image_model.decode import decode
from vision.image_model.model import ImageModel
from vision.pictures import encode, pixels
from vision.pictures.seam import dilated
from vision.reporter import Reporter

AT_ONCE = 16  # frames that are drawn over, all in one batch
RAMP = 4  # frames from one that stays as it is to one that shows all of its change
AROUND = 0.06  # of a side, around what the sketch has touched: the model may change that, too


@dataclass(frozen=True, eq=False)
class Changes:
    """What the model changes in a film. places: numbers of the frames that it has drawn over, rising. values:
    (h, w, 3) for each, at the model's scale, new less old, 255 = from black to white."""

    places: Sequence[int]
    values: Sequence[NDArray[np.int16]]

    def laid_over(self, frame: Image.Image, number: int) -> Image.Image:
        """Return frame ``number`` with its changes; itself where there are none."""
        change = self._at(number)
        if change is None or not change.any():
            return frame
        planes = [
            np.asarray(Image.fromarray(change[..., i]).resize(frame.size, Image.Resampling.BICUBIC))
            for i in range(3)
        ]
        colours = np.asarray(frame, np.float32) + np.stack(planes, -1)
        return Image.fromarray(colours.round().clip(0, 255).astype(np.uint8))

    def _at(self, number: int) -> NDArray[np.float32] | None:
        if not self.places:
            return None
        after = int(np.searchsorted(self.places, number))
        if after == len(self.places) or self.places[after] == number:
            return self.values[min(after, len(self.places) - 1)].astype(np.float32)
        if after == 0:
            return self.values[0].astype(np.float32)
        begin, end = self.places[after - 1], self.places[after]
        share = np.float32((number - begin) / (end - begin))
        before, behind = self.values[after - 1], self.values[after]
        mixed: NDArray[np.float32] = before * (1 - share) + behind * share
        return mixed


def places(count: int) -> list[int]:
    """Return which of ``count`` frames are drawn over: at most AT_ONCE, evenly spread, both ends among
    them."""
    keys = min(count, AT_ONCE)
    return sorted({round(i * (count - 1) / max(1, keys - 1)) for i in range(keys)})


def changes(
    model: ImageModel,
    generation: Generation,
    sketch: Sequence[Image.Image],
    numbers: Sequence[int],
    shown: Sequence[float],
    touched: Sequence[Image.Image | None],
    strength: float,
    reporter: Reporter,
) -> Changes:
    """Return what drawing over ``sketch`` changes: frames ``numbers`` of a film, at most AT_ONCE.

    generation: its words, size, steps and guidance are used, and the first of its seeds. shown: how much of
    its change each frame shows, 0 = it stays exactly as it is. touched: what of each may change ("L"); None =
    all of it.
    """
    new = drawn_over(model, generation, sketch, strength, reporter)
    values = []
    for number, frame in enumerate(sketch):
        size = new[number].size
        if not shown[number]:
            values.append(np.zeros((*size[::-1], 3), np.int16))
            continue
        reporter.give_way()
        old = reporter.in_thread(partial(_through, model, frame, generation), lock=model.decoder_lock)
        change = np.asarray(new[number], np.float32) - np.asarray(old, np.float32)
        mask = touched[number]
        if mask is not None:
            change = reporter.in_thread(partial(_kept_around, change, mask))
        values.append((change * shown[number]).round().astype(np.int16))
    return Changes(tuple(numbers), tuple(values))


def shares_shown(count: int, *, first: bool, last: bool, loops: bool) -> list[float]:
    """Return how much of its change each of ``count`` frames shows: none at an end that is known, and all of
    it RAMP frames on. loops: the last frame leads to the first."""
    away = [count * RAMP] * count
    for number in range(count):
        if first:
            away[number] = min(number, count - number if loops else number)
        if last:
            away[number] = min(away[number], count - 1 - number)
    return [min(1.0, frames / RAMP) ** 2 for frames in away]  # the first step is the smallest


def _kept_around(change: NDArray[np.float32], mask: Image.Image) -> NDArray[np.float32]:
    """Return what is kept of a change (h, w, 3), 255 = from black to white: that in the mask ("L", of any
    size) and around it, less the tone that the model gives to the ground there, which nobody has touched.
    Films that go on from films would take it up each time."""
    height, width, _ = change.shape
    small = np.asarray(mask.resize((width, height), Image.Resampling.BOX)) > 25
    reach = max(1, round(AROUND * max(width, height)))
    wide = dilated(small, reach)
    ground = wide & ~small
    if ground.any():
        change = change - np.median(change[ground], axis=0).astype(np.float32)
    soft = Image.fromarray(wide.astype(np.uint8) * 255).filter(ImageFilter.BoxBlur(reach / 2))
    kept: NDArray[np.float32] = change * (np.asarray(soft, np.float32) / np.float32(255))[..., None]
    return kept


def drawn_over(
    model: ImageModel,
    generation: Generation,
    frames: Sequence[Image.Image],
    strength: float,
    reporter: Reporter,
) -> tuple[Image.Image, ...]:
    """Return at most AT_ONCE frames as the model draws them from these, at its own scale."""
    small = tuple(_small(frame, generation) for frame in frames)
    alone = model.family.whole_mask  # it takes one picture a call
    given = replace(
        generation,
        mode=Mode.IMAGE,
        image=None,
        images=small,
        seeds=(generation.seeds[0],) * len(small),
        strength=min(1.0, max(strength, 1.0001 / generation.num_inference_steps)),
        sampler=generation.sampler or model.calm_sampler(),
        at_once=1 if alone else len(small),
        frames=not alone,
        mask_image=None,
        seamless=False,
    )
    drawn = generate(model, given, reporter).images
    return tuple(encode.cut(image, generation.shape) for image in drawn)


def _small(frame: Image.Image, generation: Generation) -> Image.Image:
    """Return a frame as the model gets it: at its size, with its mirror image where the shapes differ."""
    return encode.placed(frame, (generation.width, generation.height), generation.shape)


@torch.no_grad()
def _through(model: ImageModel, frame: Image.Image, generation: Generation) -> Image.Image:
    """Return the frame as the model's autoencoder alone gives it back."""
    small = _small(frame, generation)
    if model.family.unpack is not None:
        pipe = model.pipeline(Mode.IMAGE)
        values = pixels.from_uint8(np.asarray(small)).to(model.device, pipe.vae.dtype)
        small = decode(model, pipe, vae_frames.encode(pipe.vae, values))[0]
    return encode.cut(small, generation.shape)
