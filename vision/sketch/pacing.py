"""How far each frame goes along the way: what is drawn beside a film takes a first step, and a last one, as
large as the film's own, so that nobody sees the seam."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from PIL import Image

from vision.films.clips import OpenClip
from vision.sketch.shots import Shot

STEPS = 8  # of a film, beside its end, of which the middle one counts
TAKEN = 0.85  # of that: what is drawn over the sketch changes frames a little, too
SIDE = 128  # px at which frames are compared
HALVINGS = 7  # until the share of a step is known
LEAST, MOST = 0.2, 2.0  # of an even step: a seam's step is no smaller and no larger


def before_end(clip: OpenClip) -> float:
    """Return by how much a step from the end of a film is to change the picture, 0..255."""
    return _usual([*clip.part(max(0, clip.count - STEPS - 1), clip.count)])


def after_start(clip: OpenClip, fps: float | None = None) -> float:
    """Return by how much a step to the start of a film is to change the picture, 0..255; shown at ``fps``, if
    that is another rate."""
    return _usual([*clip.part(0, min(clip.count, STEPS + 1))]) * clip.fps / (fps or clip.fps)


def paced(shot: Shot, count: int, begin: float, end: float | None = None) -> list[float]:
    """Return how much of the way is done in each of ``count`` frames, from 0 to 1: the first step changes
    the picture by about ``begin``, the last one by ``end`` (None = as is needed), and those between lead
    over."""
    steps = count - 1
    if steps < 2:
        return [number / max(1, steps) for number in range(count)]
    even = 1 / steps
    first = _step(shot, 0.0, MOST * even, begin)
    last = None if end is None else _step(shot, 1.0, -MOST * even, end)
    sizes = [max(LEAST * even, size) for size in _sizes(steps, first, last)]
    done = np.cumsum([0.0, *sizes]) / sum(sizes)
    return [*done[:-1].tolist(), 1.0]


def _sizes(steps: int, first: float, last: float | None) -> list[float]:
    """Return steps that sum up to 1 where both ends leave room for it: from the first one to the last one,
    larger or smaller in between as is needed."""
    along = [number / (steps - 1) for number in range(steps)]
    if last is None:  # it ends at the speed that it then needs
        bent = [1 - (1 - at) ** 2 for at in along]
        more = (1 - first * steps) / sum(bent)
        return [first + more * at for at in bent]
    line = [first + (last - first) * at for at in along]
    bump = [math.sin(math.pi * at) for at in along]
    more = (1 - sum(line)) / sum(bump)
    return [one + more * at for one, at in zip(line, bump, strict=True)]


def _step(shot: Shot, here: float, most: float, wanted: float) -> float:
    """Return how much of the way from ``here``, at most ``most`` (below 0: backwards), changes the picture by
    ``wanted``."""
    start = _small(shot.at(here))
    low, high = 0.0, abs(most)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        change = _change(start, _small(shot.at(here + math.copysign(middle, most))))
        low, high = (middle, high) if change < wanted else (low, middle)
    return low


def _usual(frames: Sequence[Image.Image]) -> float:
    small = [_small(frame) for frame in frames]
    return float(np.median([_change(a, b) for a, b in pairwise(small)] or [0.0])) * TAKEN


def _small(frame: Image.Image) -> np.ndarray[tuple[int, int, int], np.dtype[np.float32]]:
    return np.asarray(frame.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX), np.float32)


def _change(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).mean())
