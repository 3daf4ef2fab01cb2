"""A part of a picture drawn anew: where it lies, what the model is shown of it, and how it comes back. Every
pixel outside stays.

The mask is "L" at the picture's size, 255 = paint, nothing in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from core.errors import UserError
from vision.pictures import encode
from vision.weights.card import Card

MARGIN = 0.5  # of the part's longer side that is shown around it
WHOLE = 0.6  # of the picture: a crop over this is the whole picture
LONGEST = 2.0  # aspect of a crop


@dataclass(frozen=True)
class Layout:
    """box: of the picture that the model is shown (left, top, right, bottom), px; size: (w, h) it is shown
    at."""

    box: tuple[int, int, int, int]
    size: tuple[int, int]


def from_picture(mask: Image.Image, size: tuple[int, int]) -> Image.Image:
    """White (over half) = paint, stretched to ``size``."""
    return checked(
        mask.convert("L").resize(size, Image.Resampling.BILINEAR).point(lambda value: 255 * (value >= 128))
    )


def from_boxes(boxes: Sequence[tuple[int, int, int, int]], size: tuple[int, int]) -> Image.Image:
    """The union of ``boxes``, as far as they lie in the picture."""
    mask = Image.new("L", size)
    for left, top, right, bottom in boxes:
        mask.paste(255, (left, top, max(left, min(right, size[0])), max(top, min(bottom, size[1]))))
    return checked(mask)


def checked(mask: Image.Image) -> Image.Image:
    """UserError for a mask with nothing in it."""
    if mask.getbbox() is None:
        raise UserError(
            "The part to draw anew is empty: a mask is white where the picture is to change, and a box lies"
            " inside of the picture."
        )
    return mask


def plan(mask: Image.Image, card: Card) -> Layout:
    """The mask and some of its surroundings at about the model's native area, so that small parts get all of
    its detail."""
    marked = mask.getbbox()
    if marked is None:
        raise ValueError("nothing is marked in the mask")
    left, top, right, bottom = marked
    side = max(right - left, bottom - top)
    wide, high = (length + 2 * MARGIN * side for length in (right - left, bottom - top))
    least = card.native_size * card.output_scale / 2  # below, a crop would be blown up more than twice
    wide, high = max(wide, high / LONGEST, least), max(high, wide / LONGEST, least)
    box = (*_span(left, right, wide, mask.width), *_span(top, bottom, high, mask.height))
    box = (box[0], box[2], box[1], box[3])
    if (box[2] - box[0]) * (box[3] - box[1]) > WHOLE * mask.width * mask.height:
        box = (0, 0, *mask.size)
    return Layout(
        box, encode.size_for_area((box[2] - box[0]) / (box[3] - box[1]), card.native_size, card.multiple)
    )


def _span(begin: int, end: int, wanted: float, length: int) -> tuple[int, int]:
    """``wanted`` px around begin..end, inside of 0..length."""
    wanted = min(length, max(end - begin, round(wanted)))
    start = min(max(0, round((begin + end - wanted) / 2)), length - wanted)
    return start, start + wanted


def shown(
    image: Image.Image, mask: Image.Image, layout: Layout, card: Card
) -> tuple[Image.Image, Image.Image]:
    """(picture, mask) for the model: the mask a little wider, so that what is laid over the edge is all
    painted."""
    crop = encode.resize(image.crop(layout.box), layout.size)
    soft = (
        mask.crop(layout.box).resize(layout.size, Image.Resampling.BOX).point(lambda value: 255 * (value > 0))
    )
    return crop, soft.filter(ImageFilter.MaxFilter(2 * max(1, card.native_size // 64) + 1))


def pasted(
    painted: Image.Image, image: Image.Image, mask: Image.Image, layout: Layout, card: Card
) -> Image.Image:
    """``image`` with ``painted`` in its masked part. The edge is soft on the inside only."""
    size = layout.box[2] - layout.box[0], layout.box[3] - layout.box[1]
    crop, inside = image.crop(layout.box), mask.crop(layout.box)
    new = painted if painted.size == size else painted.resize(size, Image.Resampling.LANCZOS)
    width = max(1, min(size) // 64)
    soft = inside.filter(ImageFilter.MinFilter(2 * width + 1)).filter(ImageFilter.GaussianBlur(width))
    alpha = (
        np.asarray(ImageChops.multiply(soft, inside), np.float32)[..., None] / 255
    )  # (h, w, 1), 0 outside of the mask
    if not alpha.any():  # thinner than its edge
        alpha = np.asarray(inside, np.float32)[..., None] / 255
    merged = np.asarray(new, np.float32) * alpha + np.asarray(crop, np.float32) * (1 - alpha)
    result = image.copy()
    result.paste(Image.fromarray(merged.round().clip(0, 255).astype(np.uint8)), layout.box[:2])
    return result
