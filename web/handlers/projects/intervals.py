"""Shares with the interval in which they may lie."""

from __future__ import annotations

import math
from functools import cache

CONFIDENCE = 0.95
STEPS = 40  # halvings of 0..1


@cache
def interval(hits: int, n: int) -> tuple[float, float]:
    """Return the lowest and the highest share that agree with ``hits`` of ``n`` at CONFIDENCE.

    Clopper and Pearson, Biometrika 26 (1934): found by halving, so that no library of statistics is needed.
    """
    rest = (1 - CONFIDENCE) / 2
    low = _share(hits, n, rest) if hits else 0.0
    high = 1 - _share(n - hits, n, rest) if hits < n else 1.0
    return low, high


def _share(hits: int, n: int, chance: float) -> float:
    """Return the share at which ``hits`` or more of ``n`` have this chance."""
    below, above = 0.0, 1.0
    for _ in range(STEPS):
        middle = (below + above) / 2
        if _chance(hits, n, middle) < chance:
            below = middle
        else:
            above = middle
    return (below + above) / 2


def _chance(hits: int, n: int, share: float) -> float:
    """Return the chance of ``hits`` or more of ``n``, each with the chance ``share``."""
    if not 0 < share < 1:
        return float(share >= 1)
    whole, one, other = math.lgamma(n + 1), math.log(share), math.log1p(-share)
    terms = (
        math.exp(whole - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * one + (n - k) * other)
        for k in range(hits, n + 1)
    )
    return math.fsum(terms)
