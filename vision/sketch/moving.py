"""Lays a thing over its ground in each frame: moved, grown, turned, and in the light of the hour."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from vision.sketch.cutting import Layers, Real
from vision.sketch.motion import Motion

LEAST = 0.35  # of the way that was asked for: so far a thing goes also where it then leaves the picture
OUTSIDE = 0.25  # of a thing, that may have left a picture that was given by then
MARGIN = 0.02  # of a side, that is kept free at the picture's edges
WHOLE = 180.0  # degrees: what turns less begins as far before upright as it ends behind it
LARGEST = 0.85  # of a side, to which a thing may grow: what fills its picture is hard to know
SMALLEST = 0.24  # of the shorter side, to which a thing may shrink: image models lose what is smaller
SEEN = 0.28  # log2 of its size, by which a thing grows or shrinks all the same, if so much is asked
NIGHT = np.array([0.34, 0.38, 0.62], np.float32)  # what the light of day is multiplied with


@dataclass(frozen=True)
class Pose:
    """Where a thing is: its middle, px, its scale, its turn in degrees clockwise, and how
    far the light has gone, see ``lit``."""

    x: float
    y: float
    scale: float = 1.0
    turn: float = 0.0
    dusk: float = 0.0


def path(layers: Layers, motion: Motion, *, fixed: bool, outside: float = OUTSIDE) -> tuple[Pose, Pose]:
    """Return where the thing is first and last. fixed: the first frame is the picture itself; else the thing
    may begin elsewhere, so that it has room, and leaning, so that it is never far from upright, as image
    models know it. outside: share of it that may have left the picture then."""
    (width, height), (left, top, right, bottom) = layers.size, layers.box
    x, y = (left + right) / 2, (top + bottom) / 2
    low, high = _scales(layers, motion.growth, fixed=fixed)
    begin = 0.0 if fixed or abs(motion.turn) >= WHOLE else -motion.turn / 2
    reach = max(low, high)  # its largest size must fit
    wide, tall = _turned(reach * (right - left), reach * (bottom - top), abs(begin))
    if not fixed:
        x, y = _inside(x, left, right, wide, width), _inside(y, top, bottom, tall, height)
    out = outside if fixed else None
    x0, x1 = _ends(x, motion.across * width, wide / 2 + MARGIN * width, width, out)
    y0, y1 = _ends(y, motion.down * height, tall / 2 + MARGIN * height, height, out)
    return Pose(x0, y0, low, begin), Pose(x1, y1, high, begin + motion.turn, motion.dusk)


def _turned(wide: float, tall: float, degrees: float) -> tuple[float, float]:
    """Return the sides of the upright box around a turned one."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return wide * cos + tall * sin, tall * cos + wide * sin


def _inside(place: float, begin: float, end: float, extent: float, length: int) -> float:
    """Return the place along a side at which a thing of ``extent`` is wholly in the picture; its own for one
    that the picture cuts off, for it would show where."""
    if begin <= 1 or end >= length - 1:
        return place
    low = min(extent / 2, length / 2)
    return min(max(place, low), length - low)


def _ends(place: float, way: float, half: float, length: int, outside: float | None) -> tuple[float, float]:
    """Return where along a side the thing begins and ends. outside: it begins at ``place``, and so much of it
    may leave the picture; None = it may begin elsewhere."""
    if not way:
        return place, place
    low, high = min(half, length / 2), max(length - half, length / 2)
    if outside is not None:
        room = high - place if way > 0 else place - low
        beyond = room + outside * 2 * half  # a little of it may leave the picture
        return place, place + math.copysign(min(abs(way), max(0.0, room, min(LEAST * abs(way), beyond))), way)
    way = math.copysign(min(abs(way), max(high - low, LEAST * abs(way))), way)
    first = min(max(place, low), high)
    last = min(max(first + way, low), high)
    if high - low < abs(way):  # it is too large for its way: the middle of that is the picture's
        return length / 2 - way / 2, length / 2 + way / 2
    return last - way, last


def _scales(layers: Layers, growth: float, *, fixed: bool) -> tuple[float, float]:
    """Return how large the thing is first and last, against the picture: between SMALLEST and LARGEST, as far
    as that leaves enough to be seen."""
    left, top, right, bottom = layers.box
    width, height = layers.size
    most = max(1.0, LARGEST / max((right - left) / width, (bottom - top) / height))
    least = min(1.0, SMALLEST * min(width, height) / max(right - left, bottom - top))
    seen = 2 ** min(SEEN, abs(growth))
    if fixed or not growth:
        return 1.0, min(2**growth, max(most, seen)) if growth > 0 else max(2**growth, min(least, 1 / seen))
    large = min(most, max(2 ** (abs(growth) / 2), least * 2 ** abs(growth)))
    small = max(large / 2 ** abs(growth), min(least, large / seen))
    return (small, large) if growth > 0 else (large, small)


def between(first: Pose, last: Pose, share: float) -> Pose:
    """Return the pose at ``share`` of the way, 0..1; sizes grow by equal factors."""
    return Pose(
        first.x + (last.x - first.x) * share,
        first.y + (last.y - first.y) * share,
        first.scale * (last.scale / first.scale) ** share,
        first.turn + (last.turn - first.turn) * share,
        first.dusk + (last.dusk - first.dusk) * share,
    )


def frame(layers: Layers, pose: Pose) -> Image.Image:
    """Return the picture with its thing in ``pose``."""
    laid = _transformed(layers, pose)
    colours = laid[..., :3] + layers.ground * (1 - laid[..., 3:] / 255)
    return lit(Image.fromarray(colours.round().clip(0, 255).astype(np.uint8)), pose.dusk)


def shadow(layers: Layers, pose: Pose) -> Image.Image:
    """Return how much of each pixel is the thing's in ``pose`` ("L")."""
    return Image.fromarray(_transformed(layers, pose)[..., 3].round().astype(np.uint8))


def own(layers: Layers) -> Pose:
    """Return where the thing is in its picture."""
    left, top, right, bottom = layers.box
    return Pose((left + right) / 2, (top + bottom) / 2)


def lit(picture: Image.Image, dusk: float) -> Image.Image:
    """Return the picture as it is when the light has gone by ``dusk``, 0..1; below 0, as much brighter."""
    if not dusk:
        return picture
    light = 1 + (NIGHT - 1) * abs(dusk)
    colours = np.asarray(picture, np.float32)
    changed = colours * light if dusk > 0 else 255 - (255 - colours) * light
    return Image.fromarray(changed.round().clip(0, 255).astype(np.uint8))


def _transformed(layers: Layers, pose: Pose) -> Real:
    """(h, w, 4): the thing, its colours times its alpha, where ``pose`` has it."""
    left, top, right, bottom = layers.box
    x, y = (left + right) / 2, (top + bottom) / 2
    angle = math.radians(pose.turn)
    cos, sin = math.cos(angle) / pose.scale, math.sin(angle) / pose.scale
    # output px → input px
    matrix = (cos, sin, x - cos * pose.x - sin * pose.y, -sin, cos, y + sin * pose.x - cos * pose.y)
    if matrix == (1.0, 0.0, 0.0, 0.0, 1.0, 0.0):
        return layers.thing
    image = Image.fromarray(layers.thing.round().clip(0, 255).astype(np.uint8), "RGBA")
    # a thing that shrinks below a half would skip px
    moved = image.transform(layers.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
    return np.asarray(moved, np.float32)
