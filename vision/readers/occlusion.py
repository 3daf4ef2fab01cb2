"""Locates what a text names by occlusion: covers parts of the picture and measures how much the CLIP score
drops.

Occlusion sensitivity is from arXiv:1311.2901, 4.2. It is coarse, but needs no model of its own beside CLIP or
SigLIP; CLIPSeg (SEGMENT_MODEL) is finer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from PIL import Image, ImageFilter

from core.errors import UserError
from vision.pictures.pieces import connected
from vision.pictures.places import place

CELLS = 8  # along each side
MARGIN = 0.5  # of a cell: what is covered around it, too
MIN_DROP = 0.3  # of the largest drop: cells above it belong to the thing
# of the largest drop: where a second place reaches it, the words don't say which is meant. Of 32 phrases for
# things in 16 scenes of the demo world, 3 of 3 wrong finds and 1 of 29 right ones were above it.
RIVAL = 0.55
MAX_SIDE = 512  # px of the longer side that the model is shown


def covered(image: Image.Image) -> Iterator[Image.Image]:
    """Yield ``image``, then a copy for each cell of the grid, row by row, with that cell under a blur of the
    whole."""
    yield image
    blurred = image.filter(ImageFilter.GaussianBlur(max(image.size) / 6))
    across, down = image.width / CELLS, image.height / CELLS
    for y in range(CELLS):
        for x in range(CELLS):
            box = [
                (x - MARGIN) * across,
                (y - MARGIN) * down,
                (x + 1 + MARGIN) * across,
                (y + 1 + MARGIN) * down,
            ]
            left, top, right, bottom = (
                int(min(max(0, value), limit))
                for value, limit in zip(box, (*image.size, *image.size), strict=True)
            )
            part = image.copy()
            part.paste(blurred.crop((left, top, right, bottom)), (left, top))
            yield part


def find(
    image: Image.Image, score: Callable[[list[Image.Image]], list[float]], batch: int = 16
) -> Image.Image:
    """Return a mask ("L", 255 = the thing) at the picture's size.

    score: pictures → how well the words fit each; called for ``batch`` pictures at a time. Raises UserError
    when covering nothing makes the words fit worse.
    """
    return mask(drops(image, score, batch), image.size)


def drops(
    image: Image.Image, score: Callable[[list[Image.Image]], list[float]], batch: int = 16
) -> np.ndarray:
    """Return (CELLS, CELLS), how much the score drops when a cell is covered. See ``find``."""
    small = image.copy()
    small.thumbnail((MAX_SIDE, MAX_SIDE))
    scores: list[float] = []
    waiting: list[Image.Image] = []
    for part in covered(small):
        waiting.append(part)
        if len(waiting) == batch:
            scores += score(waiting)
            waiting = []
    scores += score(waiting) if waiting else []
    return np.array(scores[0]) - np.array(scores[1:]).reshape(CELLS, CELLS)


def mask(drops: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """Return the mask of the cell with the largest drop and all that is connected with it.

    drops: (rows, columns), how much the score drops when a cell is covered. size: (w, h) of the mask, px.
    Raises UserError when no drop is over 0, or another place comes close to the best.
    """
    if not drops.max() > 0:
        raise UserError(
            "Nothing in the picture fits these words. Try other words, or choose the part by `mask` or"
            " `fields`."
        )
    fine = torch.nn.functional.interpolate(
        torch.from_numpy(drops)[None, None].float(), size=(64, 64), mode="bicubic"
    )[0, 0].numpy()
    inside = fine >= MIN_DROP * fine.max()
    part = connected(fine == fine.max(), inside)
    _refuse_rivals(fine, part)
    return Image.fromarray((part * 255).astype(np.uint8)).resize(size, Image.Resampling.NEAREST)


def _refuse_rivals(fine: np.ndarray, part: np.ndarray) -> None:
    """Raise UserError when a place outside ``part`` fits about as well as the best one in it."""
    rest = np.where(part, -np.inf, fine)
    if rest.max() < RIVAL * fine.max():
        return
    best, second = (
        place(*_middle(np.unravel_index(found.argmax(), fine.shape), fine)) for found in (fine, rest)
    )
    where = f"the {best} and the {second}" if best != second else f"two places in the {best}"
    raise UserError(
        f"These words may mean {where} of the picture. Say more about the part you mean, or choose it by"
        " `mask` or `fields`."
    )


def _middle(cell: tuple[np.intp, ...], grid: np.ndarray) -> tuple[float, float]:
    """The middle of a cell (row, column), 0..1 from the left and from the top."""
    return (int(cell[1]) + 0.5) / grid.shape[1], (int(cell[0]) + 0.5) / grid.shape[0]
