"""Pictures of a conversation: opened only when the model has to look at them, and no larger than it may
see."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from PIL import Image

from vision.pictures import encode

LONGEST_RATIO = 50  # of the sides; models refuse pictures that are next to a line


@dataclass(frozen=True)
class Picture:
    """A picture of a turn. sha: of its file. size: width and height at which the model gets it, px. frame: it
    is one of many of a film, so no model gets it in pieces."""

    sha: str
    size: tuple[int, int]
    _open: Callable[[], Image.Image] = field(repr=False, compare=False)
    frame: bool = False

    def open(self) -> Image.Image:
        """Return it in RGB, at ``size``."""
        return encode.resize(self._open(), self.size)


def stored(sha: str, path: str, max_pixels: int, *, frame: bool = False) -> Picture:
    """Return the picture in the file ``path``, of which only the size is read now. max_pixels: 0 = as it is.
    frame: see Picture.

    Raises ImageError when it can't be read.
    """
    size = fitted(encode.size_of(path), max_pixels)
    return Picture(sha, size, lambda: encode.open_picture(path), frame)


def fitted(size: tuple[int, int], max_pixels: int) -> tuple[int, int]:
    """Return the size of a picture of ``size`` that has at most ``max_pixels`` (0 = any number)."""
    width, height = size
    scale = min(1.0, math.sqrt(max_pixels / (width * height))) if max_pixels else 1.0
    width, height = max(1, int(width * scale)), max(1, int(height * scale))
    return max(width, -(-height // LONGEST_RATIO)), max(height, -(-width // LONGEST_RATIO))
