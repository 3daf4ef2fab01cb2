"""Which frames of a film are looked at: some evenly, and the first after each cut. Pure."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from statistics import median

FEWEST = 4
FEW = 8  # frames of a film of which every one is looked at
CUT = 3.0  # times the usual change between two frames
CUT_BETWEEN_KEYS = 1.5  # … between two key frames, which are seconds apart and never alike
LEAST_CUT = 12.0  # mean change of a pixel, 0-255, below which nothing counts as a cut
APART = 0.4  # of the seconds between two even frames: cuts nearer to each other count as one


def even(seconds: float, most: int) -> list[float]:
    """Return the middles of equal parts of a film, as many as it has seconds, but at least four and at most
    ``most``."""
    count = min(most, max(FEWEST, math.ceil(seconds)))
    return [seconds * (i + 0.5) / count for i in range(count)]


def wanted(times: Sequence[float], seconds: float, most: int) -> list[float]:
    """Return the times of the frames that are seen at even times; of a film of a few frames, all.

    times: of all frames, ascending, at least one.
    """
    if len(times) <= min(FEW, most):
        return list(times)
    seen = (times[max(0, bisect_right(times, at) - 1)] for at in even(seconds, most))
    return list(dict.fromkeys(seen))


def cuts(
    changes: Sequence[tuple[float, float]], apart: float, most: int, times_usual: float = CUT
) -> list[float]:
    """Return when the film is cut, at most ``most`` times, the greatest changes first.

    changes: (seconds, mean change of a pixel to the frame before) of each frame. apart: seconds between two.
    times_usual: from how many times the usual change on one is a cut.
    """
    if not changes:
        return []
    least = max(LEAST_CUT, times_usual * median(change for _, change in changes))
    found: list[float] = []
    for seconds, change in sorted(changes, key=lambda one: (-one[1], one[0])):
        if change <= least or len(found) == most:
            break
        if all(abs(seconds - other) >= apart for other in found):
            found.append(seconds)
    return found


def chosen(evenly: Sequence[float], cut_at: Sequence[float], most: int) -> list[float]:
    """Return the times of at most ``most`` frames, ascending: cuts take the place of even frames where there
    are too many, but of no more than half of them.

    evenly: times of frames, ascending. cut_at: of the first frames after cuts, the greatest first.
    """
    after_cuts = set(cut_at[: max(most // 2, most - len(evenly))])
    kept = sorted({*evenly, *after_cuts})
    while len(kept) > most:  # the even frame that has the nearest other
        others = [seconds for seconds in kept if seconds not in after_cuts]
        kept.remove(min(others, key=lambda one: min(abs(one - t) for t in kept if t != one)))
    return kept
