"""Edges of a picture as thin white lines, by Canny's method (IEEE TPAMI 8(6), 1986): what a ControlNet for
edges was trained on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from vision.pictures.layers import Flags
from vision.pictures.pieces import connected

WEAK, STRONG = 100, 200  # of the gradient; those of OpenCV in diffusers' guide to ControlNet
BLUR = 1.0  # px, against noise
DIRECTIONS = ((0, 1), (1, 1), (1, 0), (1, -1))  # (rows, columns) across an edge, in steps of 45 degrees
Real = NDArray[np.float32]


def edges(image: Image.Image) -> Image.Image:
    """Return the edges of ``image`` as an RGB picture of its size, white on black."""
    grey = np.asarray(image.convert("L").filter(ImageFilter.GaussianBlur(BLUR)), np.float32)
    across, down = _sobel(grey)
    size = np.abs(across) + np.abs(down)
    thin = _thinned(size, across, down)
    found = _following(thin & (size > STRONG), thin & (size > WEAK))
    return Image.fromarray(found.astype(np.uint8) * 255).convert("RGB")


def _sobel(grey: Real) -> tuple[Real, Real]:
    """Return the gradients to the right and downwards; the border is continued outwards."""
    wide = np.pad(grey, 1, mode="edge")
    rows = wide[:-2] + 2 * wide[1:-1] + wide[2:]
    columns = wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:]
    return rows[:, 2:] - rows[:, :-2], columns[2:] - columns[:-2]


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


def _following(strong: Flags, weak: Flags) -> Flags:
    """Return the weak edges that hang together with strong ones, by corners too."""
    joined = weak.copy()
    joined[:-1, 1:] |= weak[:-1, :-1] & weak[1:, 1:]  # a pixel that joins two that only touch by a corner
    joined[:-1, :-1] |= weak[:-1, 1:] & weak[1:, :-1]
    return connected(strong, joined) & weak
