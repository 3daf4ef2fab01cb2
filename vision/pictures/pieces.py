"""The connected parts of what is set in a picture: by their sides, not by their corners."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vision.pictures.layers import Flags


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
