"""How far told probabilities are from how often they are right."""

from __future__ import annotations

import torch
from torch import Tensor

BINS = 10
DRAWS = 100  # of labels, as often as told, by which it is known what chance alone makes


def expected_error(chances: Tensor, right: Tensor) -> float:
    """Return the expected calibration error of chances (n, L) for right labels (n,), in BINS bins of the
    likeliest label's probability: arXiv:1706.04599, section 2."""
    sure, label = chances.max(1)
    hit = (label == right).float()
    bins = (sure * BINS).long().clamp(max=BINS - 1)
    error = torch.tensor(0.0)
    for number in range(BINS):
        inside = bins == number
        if inside.any():
            error += inside.float().mean() * (hit[inside].mean() - sure[inside].mean()).abs()
    return float(error)


def by_chance(chances: Tensor) -> float:
    """Return the error that chances (n, L) would have on average if they were told rightly: of few pictures
    each bin has few, whose share of hits is off by chance."""
    lots = torch.Generator().manual_seed(0)
    drawn = torch.multinomial(chances, DRAWS, replacement=True, generator=lots)
    return sum(expected_error(chances, drawn[:, at]) for at in range(DRAWS)) / DRAWS
