"""Lays pictures on a canvas. One at whole px and its own size is copied, not resampled."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.requests.images import Layer

Colour = NDArray[np.uint8]  # (height, width, 3)
Flags = NDArray[np.bool_]  # (height, width)
Box = tuple[int, int, int, int]  # left, top, right, bottom


@dataclass(frozen=True)
class Composed:
    """Pictures on a canvas. covered: where some layer lies; black elsewhere."""

    colour: Colour
    covered: Flags

    @property
    def size(self) -> tuple[int, int]:
        """(w, h), px."""
        return self.colour.shape[1], self.colour.shape[0]


def compose(
    canvas: tuple[int, int], layers: tuple[Layer, ...], images: Mapping[str, Image.Image]
) -> Composed:
    """Return ``layers``, the lowest first, on a canvas of (w, h) px. images: SHA-256 → picture.

    What is not opaque is mixed with what lies below it; over nothing it is as if it were opaque.
    """
    width, height = canvas
    colour, covered = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), bool)
    for sha256, x, y, scale, opacity, clip in layers:
        picture = images[sha256]
        box = _place(picture.size, x, y, scale, canvas)
        if box is None or opacity <= 0:
            continue
        left, top, right, bottom = box
        inside = slice(top, bottom), slice(left, right)
        above = np.asarray(_part(picture, box, x, y, scale))
        shown = np.ones(above.shape[:2], bool) if clip is None else _shown(images[clip], box, x, y, scale)
        below = covered[inside] & shown
        if opacity < 1:
            mixed = above * opacity + colour[inside] * (1 - opacity)
            above = np.where(below[..., None], mixed.round().astype(np.uint8), above)
        np.copyto(colour[inside], above, where=shown[..., None])
        covered[inside] |= shown
    return Composed(colour, covered)


def _place(size: tuple[int, int], x: float, y: float, scale: float, canvas: tuple[int, int]) -> Box | None:
    """Return the pixels of the canvas whose centres a layer covers, None for none."""
    left, top = max(0, math.ceil(x - 0.5)), max(0, math.ceil(y - 0.5))
    right = min(canvas[0], math.ceil(x + size[0] * scale - 0.5))
    bottom = min(canvas[1], math.ceil(y + size[1] * scale - 0.5))
    return (left, top, right, bottom) if left < right and top < bottom else None


def _source(size: tuple[int, int], box: Box, x: float, y: float, scale: float) -> tuple[float, ...]:
    """Return what of a layer's own px lies under ``box`` of the canvas."""
    edges = ((edge - at) / scale for edge, at in zip(box, (x, y, x, y), strict=True))
    limits = (*size, *size)
    return tuple(min(max(edge, 0.0), limit) for edge, limit in zip(edges, limits, strict=True))


def _part(picture: Image.Image, box: Box, x: float, y: float, scale: float) -> Image.Image:
    """Return what a layer shows in ``box``: copied where it can be, else by Lanczos where it shrinks and by
    bicubic interpolation where it grows."""
    part = _source(picture.size, box, x, y, scale)
    if scale == 1 and x == int(x) and y == int(y):
        return picture.crop((int(part[0]), int(part[1]), int(part[2]), int(part[3])))
    method = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC
    left, top, right, bottom = _some(part, picture.size)
    return picture.resize((box[2] - box[0], box[3] - box[1]), method, (left, top, right, bottom))


def _some(part: tuple[float, ...], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return ``part`` with at least a little of the picture in it: a layer may be smaller than a pixel."""
    left, top = min(part[0], size[0] - 1e-3), min(part[1], size[1] - 1e-3)
    return left, top, max(part[2], left + 1e-3), max(part[3], top + 1e-3)


def _shown(clip: Image.Image, box: Box, x: float, y: float, scale: float) -> Flags:
    """Return which pixels of ``box`` a layer's own mask lets through."""
    part = _part(clip.convert("L"), box, x, y, scale)
    return np.asarray(part) >= 128
