"""Labels that are probably wrong: what was left out in turn says otherwise.

Confident learning (Northcutt et al., 2021, arXiv:1911.00068): a picture is doubted when another label is as
likely as that label usually is for pictures that have it. It is asked about, never changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

MOST = 50  # that are told


@dataclass(frozen=True)
class Doubt:
    """A picture by its place among those that were learned from. label: that it has. rather: what it is taken
    for. chance, other: how likely both are, told without it."""

    place: int
    label: int
    rather: int
    chance: float
    other: float


def doubts(chances: Tensor, labels: Sequence[int]) -> list[Doubt]:
    """Return what is doubted, the likeliest to be wrong first, at most MOST. chances: (n, L), each told by a
    head that never saw the picture. labels: that the pictures have."""
    usual = _usual(chances, labels)
    found = [one for one in suspicion(chances, labels) if one.other >= max(usual[one.rather], one.chance)]
    return found[:MOST]


def suspicion(chances: Tensor, labels: Sequence[int]) -> list[Doubt]:
    """Return all pictures, those first whose label is the least likely beside another one."""
    own = torch.tensor(list(labels))
    given = chances.gather(1, own[:, None])[:, 0]
    others, rather = chances.scatter(1, own[:, None], -1.0).max(1)
    order = (given - others).argsort(stable=True).tolist()
    return [Doubt(at, labels[at], int(rather[at]), float(given[at]), float(others[at])) for at in order]


def _usual(chances: Tensor, labels: Sequence[int]) -> list[float]:
    """Return how likely each label is for pictures that have it, on average; 2 where none has."""
    own = torch.tensor(list(labels))
    found = []
    for label in range(chances.shape[1]):
        mine = chances[own == label, label]
        found.append(float(mine.mean()) if len(mine) else 2.0)
    return found
