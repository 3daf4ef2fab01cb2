"""The outline of a thing whose place is known roughly: what differs from the ground that lies around it.

For things before a plain or slowly changing ground, as in drawings. Where no outline stands out, the rough
place stays. SAM (SEGMENT_MODEL) is for everything else.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vision.pictures.pieces import connected, pieces
from vision.pictures.seam import dilated

SIDE = 256  # px of the longer side, at which pictures are looked at
NEAR = (
    28.0  # distance in RGB within which a pixel shows the ground; about what drawings' paper and noise have
)
BAND, SAMPLES = 12, 32  # a row's ground is sampled in a band of a twelfth of the height: that of a horizon
LEAST, MOST = 0.1, 4.0  # of the rough place's area: an outline of less or more is of something else
Flags = NDArray[np.bool_]


def outlined(image: Image.Image, rough: Image.Image) -> Image.Image:
    """Return the mask ("L", 255 = the thing) of what stands out at about ``rough``, a mask of the same size;
    ``rough`` itself where nothing does."""
    scale = min(1.0, SIDE / max(image.size))
    size = max(8, round(image.width * scale)), max(8, round(image.height * scale))
    colours = np.asarray(image.resize(size, Image.Resampling.BOX), np.float32)
    near = np.asarray(rough.resize(size, Image.Resampling.BOX)) > 127
    if not near.any():
        return rough
    thing = _thing(_solid(_apart(colours, near)), near)
    if thing is None or not LEAST <= thing.sum() / near.sum() <= MOST:
        return rough
    large = Image.fromarray(thing.astype(np.uint8) * 255).resize(image.size, Image.Resampling.BILINEAR)
    return large.point(lambda value: 255 * (value > 127))


def _apart(colours: NDArray[np.float32], near: Flags) -> Flags:
    """Return which pixels show none of the colours that lie around the thing at about their height."""
    ys, xs = np.nonzero(near)
    reach = max(3, round(0.3 * max(np.ptp(ys), np.ptp(xs))))
    around = ~dilated(near, reach)
    if not around.any():
        return np.zeros_like(near)
    chance, height = np.random.default_rng(0), len(colours)
    band, found = max(1, height // BAND), np.zeros(near.shape, np.float32)
    every = np.argwhere(around)
    for y in range(height):
        some = every[(every[:, 0] >= y - band) & (every[:, 0] <= y + band)]
        some = some if len(some) >= SAMPLES else every
        chosen = some[chance.integers(0, len(some), SAMPLES)]
        ground = colours[chosen[:, 0], chosen[:, 1]]  # (S, 3)
        found[y] = np.sqrt(np.square(colours[y][:, None] - ground).sum(-1).min(-1))
    return found > NEAR


def _solid(apart: Flags) -> Flags:
    """Return the flags with their holes filled: all that the ground can't reach from the picture's border."""
    border = np.zeros_like(apart)
    border[0] = border[-1] = border[:, 0] = border[:, -1] = True
    return ~connected(border & ~apart, ~apart)


def _thing(solid: Flags, near: Flags) -> Flags | None:
    """Return the pieces that lie mostly in the rough place, or else the one that has most of it; None for
    none."""
    found = list(pieces(solid & near, solid))
    if not found:
        return None
    best = max(found, key=lambda piece: int((piece & near).sum()))
    inside = [piece for piece in found if (piece & near).sum() > 0.5 * piece.sum()]
    least = 0.02 * best.sum()
    return np.logical_or.reduce([best, *(piece for piece in inside if piece.sum() > least)])
