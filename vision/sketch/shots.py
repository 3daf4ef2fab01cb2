"""What is shown between the first and the last frame of a film: a thing that moves, a camera that moves, or
the way from one picture to another. Frames are made one by one, when they are asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from vision.sketch import moving
from vision.sketch.cutting import Layers
from vision.sketch.motion import Motion
from vision.sketch.moving import Pose

FADING = 0.3  # of the way: until then a frame shows some of what its picture has and its layers haven't
CAMERA = 0.3  # of a thing's motion: how far the camera goes where nothing can be moved


class Shot(Protocol):
    """Frames by how much of the way is done, 0..1."""

    def at(self, share: float) -> Image.Image:
        """Return the frame at ``share``."""

    def touched(self, share: float) -> Image.Image | None:
        """Return what of that frame isn't as the pictures have it ("L", 255 = not at all); None: any of it
        may be."""


@dataclass(frozen=True, eq=False)
class Moved:
    """A thing on its way over its ground. Where it is as in the picture, the frame is the picture. shown: how
    the picture shows it, as the end of a film does, from which the frames lead on; None = as it was cut
    out."""

    layers: Layers
    first: Pose
    last: Pose
    shown: Pose | None = None

    def at(self, share: float) -> Image.Image:
        """Return the frame at ``share``."""
        pose = moving.between(self.first, self.last, share)
        if pose == self._own:
            return self.layers.picture
        frame = moving.frame(self.layers, pose)
        if self.shown is None or share >= FADING:
            return frame
        along = _moved(self._otherwise, round(pose.x - self.shown.x), round(pose.y - self.shown.y))
        colours = np.asarray(frame, np.float32) + along * np.float32(1 - share / FADING)
        return Image.fromarray(colours.round().clip(0, 255).astype(np.uint8))

    def touched(self, share: float) -> Image.Image | None:
        """Return where the thing is, and where it was."""
        pose = moving.between(self.first, self.last, share)
        if pose.dusk:
            return None
        return ImageChops.lighter(moving.shadow(self.layers, pose), moving.shadow(self.layers, self._own))

    @property
    def _own(self) -> Pose:
        return self.shown or moving.own(self.layers)

    @cached_property
    def _otherwise(self) -> NDArray[np.float32]:
        """(h, w, 3), 255 = from black to white: what the picture has more than its layers as it shows them.
        Much of it is there where the thing comes from another frame, whole; without it the film would
        jump."""
        laid = np.asarray(moving.frame(self.layers, self._own), np.float32)
        apart: NDArray[np.float32] = np.asarray(self.layers.picture, np.float32) - laid
        return apart


@dataclass(frozen=True, eq=False)
class Camera:
    """A picture before a camera that goes nearer, aside or away: nothing in it can be moved by itself."""

    picture: Image.Image
    motion: Motion

    def at(self, share: float) -> Image.Image:
        """Return the frame at ``share``."""
        motion = self.motion.times(CAMERA)
        reach = abs(motion.growth) + 2 * max(abs(motion.across), abs(motion.down))  # log2 of the closest look
        begin, end = (0.0, reach) if motion.growth >= 0 else (reach, 0.0)
        scale = 2 ** (begin + (end - begin) * share)
        width, height = self.picture.size
        x = width * (0.5 - motion.across * share)
        y = height * (0.5 - motion.down * share)
        wide, high = width / scale, height / scale
        left, top = min(max(0.0, x - wide / 2), width - wide), min(max(0.0, y - high / 2), height - high)
        box = (left, top, left + wide, top + high)
        shown = self.picture
        if scale != 1:
            shown = shown.resize(shown.size, Image.Resampling.BICUBIC, box)
        return moving.lit(shown, self.motion.dusk * share)

    def touched(self, share: float) -> Image.Image | None:
        """Return None: all of the frame is new."""


@dataclass(frozen=True, eq=False)
class Between:
    """The way from one picture to another: the thing of the first goes to the place of the second's and
    becomes it. Without a thing on either side the one picture fades into the other."""

    before: Image.Image
    after: Image.Image
    first: Layers | None = None
    last: Layers | None = None

    def at(self, share: float) -> Image.Image:
        """Return the frame at ``share``."""
        if share in (0.0, 1.0):
            return self.after if share else self.before
        weight = (1 - math.cos(math.pi * share)) / 2
        if self.first is None or self.last is None:
            return Image.blend(self.before, self.after, weight)
        here, there = _size(self.first), _size(self.last)
        start, end = moving.own(self.first), moving.own(self.last)
        going = moving.between(start, Pose(end.x, end.y, there / here), share)
        coming = moving.between(Pose(start.x, start.y, here / there), end, share)
        return Image.blend(moving.frame(self.first, going), moving.frame(self.last, coming), weight)

    def touched(self, share: float) -> Image.Image | None:
        """Return None: all of the frame is of both pictures."""


@dataclass(frozen=True, eq=False)
class ThereAndBack:
    """Another shot forwards and, just so, backwards, without a stop: its end leads to its start."""

    shot: Shot

    def at(self, share: float) -> Image.Image:
        """Return the frame at ``share``."""
        return self.shot.at(self._there(share))

    def touched(self, share: float) -> Image.Image | None:
        """Return what the other shot touches then."""
        return self.shot.touched(self._there(share))

    def _there(self, share: float) -> float:
        return (1 - math.cos(2 * math.pi * share)) / 2


def _size(layers: Layers) -> float:
    left, top, right, bottom = layers.box
    return math.sqrt((right - left) * (bottom - top))


def _moved(values: NDArray[np.float32], right: int, down: int) -> NDArray[np.float32]:
    """Return (h, w, …) moved by so many pixels, 0 where nothing comes from."""
    height, width = values.shape[:2]
    moved = np.zeros_like(values)
    rows, columns = max(0, height - abs(down)), max(0, width - abs(right))
    to_row, to_column = max(0, down), max(0, right)
    row, column = max(0, -down), max(0, -right)
    moved[to_row : to_row + rows, to_column : to_column + columns] = values[
        row : row + rows, column : column + columns
    ]
    return moved
