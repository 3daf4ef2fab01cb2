"""Lays pictures on a canvas. One at whole px and its own size is copied, not resampled.

The connected parts of what is set in a picture: by their sides, not by their corners.

Says in words where in a picture something is.

Edges of a picture as thin white lines, by Canny's method (IEEE TPAMI 8(6), 1986): what a ControlNet for
edges was trained on."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

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
    """Return ``layers``, the lowest first, on a canvas of (w, h) px. images: SHA-256 → picture. What is not
    opaque is mixed with what lies below it; over nothing it is as if it were opaque."""
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
        shown = np.ones(above.shape[:2], bool)
        if clip is not None:  # the layer's own mask
            shown = np.asarray(_part(images[clip].convert("L"), box, x, y, scale)) >= 128
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


def _part(picture: Image.Image, box: Box, x: float, y: float, scale: float) -> Image.Image:
    """Return what a layer shows in ``box``: copied where it can be, else by Lanczos where it shrinks and by
    bicubic interpolation where it grows."""
    # what of the layer's own px lies under it
    own = ((edge - at) / scale for edge, at in zip(box, (x, y, x, y), strict=True))
    part = [min(max(edge, 0.0), most) for edge, most in zip(own, (*picture.size, *picture.size), strict=True)]
    if scale == 1 and x == int(x) and y == int(y):
        return picture.crop((int(part[0]), int(part[1]), int(part[2]), int(part[3])))
    method = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC
    # with at least a little of the picture in it: a layer may be smaller than a pixel
    left, top = min(part[0], picture.width - 1e-3), min(part[1], picture.height - 1e-3)
    inside = left, top, max(part[2], left + 1e-3), max(part[3], top + 1e-3)
    return picture.resize((box[2] - box[0], box[3] - box[1]), method, inside)


def pieces(some: Flags, inside: Flags) -> Iterator[Flags]:
    """Yield each connected part of ``inside`` that has a pixel of ``some``."""
    left = some & inside
    while left.any():
        start = np.zeros_like(left)
        start[np.unravel_index(left.argmax(), left.shape)] = True
        piece = connected(start, inside)
        left &= ~piece
        yield piece


def connected(start: Flags, inside: Flags) -> Flags:
    """Return the part of ``inside`` that is connected with ``start``, in runs of whole rows and columns."""
    part = start & inside
    while True:
        grown = part
        for axis in (1, 0):
            grown = _along(grown, inside, axis)
        if (grown == part).all():
            return part
        part = grown


def _along(part: Flags, inside: Flags, axis: int) -> Flags:
    """Return ``part`` with all that is next to it in its rows (axis 1) or columns (0), as far as ``inside``
    goes."""
    if axis == 0:
        return _along(part.T, inside.T, 1).T
    edges = np.diff(inside, axis=1, prepend=False)
    runs = np.cumsum(edges, axis=1)  # each run of a row has a number of its own
    numbers = runs + np.arange(len(part))[:, None] * (part.shape[1] + 2)
    touched = np.zeros(int(numbers.max()) + 1, bool)
    touched[numbers[part & inside]] = True
    return touched[numbers] & inside


def place(x: float, y: float) -> str:
    """Return "upper left", "middle", "right" … for a point, 0..1 from the left and from the top."""
    across, down = ("left", "", "right")[_third(x)], ("upper", "", "lower")[_third(y)]
    if down and not across:
        return "top" if down == "upper" else "bottom"
    return " ".join(word for word in (down, across) if word) or "middle"


def place_of(mask: Image.Image) -> str:
    """Return where the middle of a mask (255 = the thing) is, and how much of the picture it takes. The mask
    isn't empty."""
    inside = np.asarray(mask) > 127
    rows, columns = np.nonzero(inside)
    x, y = (columns.mean() + 0.5) / mask.width, (rows.mean() + 0.5) / mask.height
    return f"in the {place(x, y)}, {max(1, round(100 * inside.mean()))} % of the picture"


def _third(value: float) -> int:
    return min(2, max(0, int(value * 3)))


WEAK, STRONG = 100, 200  # of the gradient; those of OpenCV in diffusers' guide to ControlNet
BLUR = 1.0  # px, against noise
DIRECTIONS = ((0, 1), (1, 1), (1, 0), (1, -1))  # (rows, columns) across an edge, in steps of 45 degrees
Real = NDArray[np.float32]


def edges(image: Image.Image) -> Image.Image:
    """Return the edges of ``image`` as an RGB picture of its size, white on black."""
    grey = np.asarray(image.convert("L").filter(ImageFilter.GaussianBlur(BLUR)), np.float32)
    # Sobel's gradients to the right and downwards; the border is continued outwards
    wide = np.pad(grey, 1, mode="edge")
    rows = wide[:-2] + 2 * wide[1:-1] + wide[2:]
    columns = wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:]
    across, down = rows[:, 2:] - rows[:, :-2], columns[2:] - columns[:-2]
    size = np.abs(across) + np.abs(down)
    thin = _thinned(size, across, down)
    strong, weak = thin & (size > STRONG), thin & (size > WEAK)
    # weak edges stay that hang together with strong ones, by corners too
    joined = weak.copy()
    joined[:-1, 1:] |= weak[:-1, :-1] & weak[1:, 1:]  # a pixel that joins two that only touch by a corner
    joined[:-1, :-1] |= weak[:-1, 1:] & weak[1:, :-1]
    found = connected(strong, joined) & weak
    return Image.fromarray(found.astype(np.uint8) * 255).convert("RGB")


def _thinned(size: Real, across: Real, down: Real) -> Flags:
    """Return where the gradient is largest across its edge."""
    turn = np.round(np.arctan2(down, across) / (np.pi / 4)).astype(int) % 4
    wide, best = np.pad(size, 1), np.zeros(size.shape, bool)
    height, width = size.shape
    for number, (y, x) in enumerate(DIRECTIONS):
        ahead = wide[1 + y : 1 + y + height, 1 + x : 1 + x + width]
        behind = wide[1 - y : 1 - y + height, 1 - x : 1 - x + width]
        best |= (turn == number) & (size > behind) & (size >= ahead)
    return best
