"""Where a part is strange, as a person sees it: a heat map over the picture and regions with outlines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageOps

MOST = 5  # regions that are told
COLD, HOT = np.array((255, 210, 60)), np.array((225, 30, 30))  # at the limit, at twice the limit
COVER = 0.6  # of the picture, by the hottest


@dataclass(frozen=True)
class Region:
    """A strange place. box: left, top, right, bottom in pixels of the picture. area: share of the picture.
    ratio: its strangest cell, in limits."""

    box: tuple[int, int, int, int]
    area: float
    ratio: float


def regions(heat: np.ndarray, size: tuple[int, int]) -> list[Region]:
    """Return where heat (h, w), in limits, is above 1 in a picture of ``size``, the strangest first, at most
    MOST."""
    from scipy import ndimage

    marked, _ = ndimage.label(heat > 1, np.ones((3, 3)))
    wide, high = size[0] / heat.shape[1], size[1] / heat.shape[0]
    found = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(marked), 1):
        inside = marked == number
        box = (columns.start * wide, rows.start * high, columns.stop * wide, rows.stop * high)
        left, top, right, bottom = (round(each) for each in box)
        found.append(Region((left, top, right, bottom), float(inside.mean()), float(heat[inside].max())))
    return sorted(found, key=lambda region: -region.ratio)[:MOST]


def overlay(image: Image.Image, heat: np.ndarray, outlined: Sequence[Region] = ()) -> Image.Image:
    """Return a picture with heat (h, w), in limits, laid over it: nothing below the limit, full from twice
    the limit on; and outlines of regions."""
    upright = ImageOps.exif_transpose(image).convert("RGB")
    large = Image.fromarray(heat.astype(np.float32)).resize(upright.size, Image.Resampling.BILINEAR)
    strength = (np.asarray(large) - 1).clip(0, 1)[..., None]
    tone = COLD + (HOT - COLD) * strength
    cover = COVER * np.minimum(1, 3 * strength)
    pixels = np.asarray(upright, np.float32) * (1 - cover) + tone * cover
    found = Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))
    pen, line = ImageDraw.Draw(found), max(2, min(upright.size) // 200)
    for region in outlined:
        pen.rectangle(region.box, outline=tuple(int(v) for v in HOT), width=line)
    return found


def beside(image: Image.Image, heat: np.ndarray, outlined: Sequence[Region] = ()) -> Image.Image:
    """Return a picture and its heat map side by side."""
    upright = ImageOps.exif_transpose(image).convert("RGB")
    both = Image.new("RGB", (2 * upright.width + 8, upright.height), "white")
    both.paste(upright, (0, 0))
    both.paste(overlay(image, heat, outlined), (upright.width + 8, 0))
    return both
