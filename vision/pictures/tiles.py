"""Cuts a large picture into overlapping tiles of a model's own size, and joins them without seams. Pictures
and numbers only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from vision.pictures import encode

OVERLAP = 0.2  # the least, as a share of a tile's side


@dataclass(frozen=True)
class Tiles:
    """How a canvas is cut, in px. size: (w, h) of the canvas. tile: (w, h) of each tile. places: the tiles'
    upper left corners."""

    size: tuple[int, int]
    tile: tuple[int, int]
    places: tuple[tuple[int, int], ...]

    def cut(self, image: Image.Image) -> tuple[Image.Image, ...]:
        """Return the tiles of ``image``, which has the canvas's size."""
        return tuple(image.crop((x, y, x + self.tile[0], y + self.tile[1])) for x, y in self.places)

    def join(self, tiles: Sequence[Image.Image]) -> Image.Image:
        """Return the canvas made of ``tiles``. Where they overlap, one fades into the other."""
        total = np.zeros((self.size[1], self.size[0], 3), np.float32)
        weight = np.zeros((self.size[1], self.size[0], 1), np.float32)
        for (x, y), tile in zip(self.places, tiles, strict=True):
            share = np.outer(self._ramp(1, y), self._ramp(0, x))[..., None]  # (h, w, 1)
            box = slice(y, y + self.tile[1]), slice(x, x + self.tile[0])
            total[box] += np.asarray(tile, np.float32) * share
            weight[box] += share
        return Image.fromarray((total / weight).round().clip(0, 255).astype(np.uint8))

    def _ramp(self, axis: int, place: int) -> np.ndarray:
        """Return a tile's weight along an axis: 1 in its middle, falling towards edges inside of the canvas
        over the least overlap."""
        side, width = self.tile[axis], max(1, round(self.tile[axis] * OVERLAP))
        line = np.ones(side, np.float32)
        rise = (np.arange(width, dtype=np.float32) + 0.5) / width
        if place > 0:
            line[:width] = rise
        if place + side < self.size[axis]:
            line[-width:] = rise[::-1]
        return line


def plan(size: tuple[int, int], side: int, multiple: int) -> Tiles:
    """Return the tiles of about ``side`` px for a picture of ``size``, whose sides are whole multiples of
    ``multiple``."""
    most = max(multiple, side // multiple * multiple)
    tile = min(size[0], most), min(size[1], most)
    xs, ys = (_places(length, part) for length, part in zip(size, tile, strict=True))
    return Tiles(size, tile, tuple((x, y) for y in ys for x in xs))


def _places(length: int, tile: int) -> list[int]:
    if length == tile:
        return [0]
    count = 1 + -(-(length - tile) // max(1, int(tile * (1 - OVERLAP))))
    return [round(i * (length - tile) / (count - 1)) for i in range(count)]


def padded(image: Image.Image, multiple: int) -> Image.Image:
    """Return ``image`` with its last rows and columns repeated until both sides are whole multiples of
    ``multiple``."""
    right, below = (-image.width % multiple, -image.height % multiple)
    if not right and not below:
        return image
    return Image.fromarray(np.pad(np.asarray(image), ((0, below), (0, right), (0, 0)), mode="edge"))


def recoloured(image: Image.Image, like: Image.Image, radius: float) -> Image.Image:
    """Return ``image`` with the soft colours of ``like``: models and decoders shift flat colours by a few
    levels."""
    from PIL import ImageFilter

    soft = ImageFilter.GaussianBlur(radius)
    small = encode.resize(like, image.size)
    difference = np.asarray(small.filter(soft), np.float32) - np.asarray(image.filter(soft), np.float32)
    return Image.fromarray((np.asarray(image, np.float32) + difference).round().clip(0, 255).astype(np.uint8))
