"""Where in a picture something lies that words name, by a model that only knows how well words fit a picture:
cover a part, and see what is lost.

Occlusion (arXiv:1311.2901, 4.2) with CLIP or SigLIP. Coarse, but it needs no model of its own; CLIPSeg
(SEGMENT_MODEL) is finer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from PIL import Image, ImageFilter

from core.errors import UserError

FIELDS = 8  # a side
REACH = 0.5  # of a field, that is covered around it
LEAST = 0.3  # of the largest loss: what lies above belongs to the thing
SIDE = 512  # px of the longer side that is looked at


def covered(image: Image.Image) -> Iterator[Image.Image]:
    """``image``, then with each field under a blur of the whole, row by row."""
    yield image
    blurred = image.filter(ImageFilter.GaussianBlur(max(image.size) / 6))
    across, down = image.width / FIELDS, image.height / FIELDS
    for y in range(FIELDS):
        for x in range(FIELDS):
            box = [(x - REACH) * across, (y - REACH) * down, (x + 1 + REACH) * across, (y + 1 + REACH) * down]
            left, top, right, bottom = (
                int(min(max(0, value), limit))
                for value, limit in zip(box, (*image.size, *image.size), strict=True)
            )
            part = image.copy()
            part.paste(blurred.crop((left, top, right, bottom)), (left, top))
            yield part


def find(
    image: Image.Image, look: Callable[[list[Image.Image]], list[float]], batch: int = 16
) -> Image.Image:
    """A mask ("L", 255 = the thing) of the picture's size. look: pictures → how well the words fit each.
    Called for ``batch`` at a time.

    UserError when covering nothing makes the words fit worse.
    """
    small = image.copy()
    small.thumbnail((SIDE, SIDE))
    fits: list[float] = []
    waiting: list[Image.Image] = []
    for part in covered(small):
        waiting.append(part)
        if len(waiting) == batch:
            fits += look(waiting)
            waiting = []
    fits += look(waiting) if waiting else []
    return mask(np.array(fits[0]) - np.array(fits[1:]).reshape(FIELDS, FIELDS), image.size)


def mask(lost: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """From what is lost where a field (rows, columns) is covered: the place of the greatest loss and all that
    hangs together with it."""
    if not lost.max() > 0:
        raise UserError(
            "Nothing in the picture fits these words; name it otherwise, or use a mask or fields of the grid."
        )
    fine = torch.nn.functional.interpolate(
        torch.from_numpy(lost)[None, None].float(), size=(64, 64), mode="bicubic"
    )[0, 0].numpy()
    inside = fine >= LEAST * fine.max()
    row, column = np.unravel_index(fine.argmax(), fine.shape)
    part = _around((int(row), int(column)), inside)
    return Image.fromarray((part * 255).astype(np.uint8)).resize(size, Image.Resampling.NEAREST)


def _around(start: tuple[int, int], inside: np.ndarray) -> np.ndarray:
    """The part of ``inside`` that is connected with ``start``."""
    part = np.zeros_like(inside)
    part[start] = True
    while True:
        grown = part.copy()
        grown[1:] |= part[:-1]
        grown[:-1] |= part[1:]
        grown[:, 1:] |= part[:, :-1]
        grown[:, :-1] |= part[:, 1:]
        grown &= inside
        if (grown == part).all():
            return part
        part = grown
