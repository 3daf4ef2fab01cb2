"""Draws a part of a picture again: where it lies, what the model gets of it, and how it is pasted back. Every
pixel outside stays.

The mask is "L" at the picture's size, 255 = paint, nothing in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from core.errors import UserError
from vision.images import encode
from vision.images.seams import eroded
from vision.weights.card import Card

MARGIN = 0.5  # of the part's longer side that is cut out around it
WHOLE = 0.6  # of the picture's area: a larger crop becomes the whole picture
MAX_ASPECT = 2.0  # of a crop


@dataclass(frozen=True)
class RegionLayout:
    """What the model gets. box: of the picture (left, top, right, bottom), px. size: (w, h) it is resized
    to."""

    box: tuple[int, int, int, int]
    size: tuple[int, int]


def from_picture(mask: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return the mask that a picture shows, stretched to ``size``: white (over half) = paint. Raises
    UserError when nothing is."""
    return checked(
        mask.convert("L").resize(size, Image.Resampling.BILINEAR).point(lambda value: 255 * (value >= 128))
    )


def from_boxes(boxes: Sequence[tuple[int, int, int, int]], size: tuple[int, int]) -> Image.Image:
    """Return the union of ``boxes`` (left, top, right, bottom), as far as they lie in a picture of ``size``.
    Raises UserError when nothing does."""
    mask = Image.new("L", size)
    for left, top, right, bottom in boxes:
        mask.paste(255, (left, top, max(left, min(right, size[0])), max(top, min(bottom, size[1]))))
    return checked(mask)


def checked(mask: Image.Image) -> Image.Image:
    """Return ``mask``. Raises UserError when there is nothing in it."""
    if mask.getbbox() is None:
        raise UserError(
            "The part to redraw is empty: a mask is white where the picture is to change, and a box lies"
            " inside of the picture."
        )
    return mask


def plan_region(mask: Image.Image, card: Card) -> RegionLayout:
    """Lay out a crop of the mask and some of its surroundings, at about the model's native area, so that
    small parts get its full detail."""
    marked = mask.getbbox()
    if marked is None:
        raise ValueError("nothing is marked in the mask")
    left, top, right, bottom = marked
    side = max(right - left, bottom - top)
    wide, high = (length + 2 * MARGIN * side for length in (right - left, bottom - top))
    shortest = card.native_size * card.output_scale / 2  # below, a crop would be enlarged more than twice
    wide, high = max(wide, high / MAX_ASPECT, shortest), max(high, wide / MAX_ASPECT, shortest)
    box = (*_span(left, right, wide, mask.width), *_span(top, bottom, high, mask.height))
    box = (box[0], box[2], box[1], box[3])
    if (box[2] - box[0]) * (box[3] - box[1]) > WHOLE * mask.width * mask.height:
        box = (0, 0, *mask.size)
    return RegionLayout(
        box, encode.size_for_area((box[2] - box[0]) / (box[3] - box[1]), card.native_size, card.multiple)
    )


def _span(begin: int, end: int, wanted: float, length: int) -> tuple[int, int]:
    """``wanted`` px around begin..end, inside of 0..length."""
    wanted = min(length, max(end - begin, round(wanted)))
    start = min(max(0, round((begin + end - wanted) / 2)), length - wanted)
    return start, start + wanted


def crop_region(
    image: Image.Image, mask: Image.Image, layout: RegionLayout, card: Card
) -> tuple[Image.Image, Image.Image]:
    """Return (picture, mask) for the model, the mask a little wider, so that everything pasted at its edge is
    painted."""
    crop = encode.resize(image.crop(layout.box), layout.size)
    return crop, widened(mask.crop(layout.box), layout.size, card)


def widened(mask: Image.Image, size: tuple[int, int], card: Card) -> Image.Image:
    """Return ``mask`` at the model's ``size``, a little wider."""
    marked = mask.resize(size, Image.Resampling.BOX).point(lambda value: 255 * (value > 0))
    return marked.filter(ImageFilter.MaxFilter(2 * max(1, card.native_size // 64) + 1))


def pasted(
    painted: Image.Image, image: Image.Image, mask: Image.Image, layout: RegionLayout, card: Card
) -> Image.Image:
    """Return ``image`` with ``painted`` in its masked part. The edge is soft on the inside only."""
    size = layout.box[2] - layout.box[0], layout.box[3] - layout.box[1]
    crop, inside = image.crop(layout.box), mask.crop(layout.box)
    new = painted if painted.size == size else painted.resize(size, Image.Resampling.LANCZOS)
    width = max(1, min(size) // 64)
    core = Image.fromarray(eroded(np.asarray(inside) > 0, width).astype(np.uint8) * 255)
    soft = core.filter(ImageFilter.GaussianBlur(width))
    alpha = (
        np.asarray(ImageChops.multiply(soft, inside), np.float32)[..., None] / 255
    )  # (h, w, 1), 0 outside of the mask
    if not alpha.any():  # thinner than its edge
        alpha = np.asarray(inside, np.float32)[..., None] / 255
    merged = np.asarray(new, np.float32) * alpha + np.asarray(crop, np.float32) * (1 - alpha)
    result = image.copy()
    result.paste(Image.fromarray(merged.round().clip(0, 255).astype(np.uint8)), layout.box[:2])
    return result
