"""How strange each cell is beside the same cell of good parts: a Gaussian a cell, whose correlations between
features are those of all cells together.

PaDiM (arXiv:2011.08785) with one pooled covariance in place of one a cell, which twenty pictures can't give;
what is pooled are the differences from each cell's own mean, so that a faint change of an even place counts.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from vision.own_models.features.filters import blurred, gaussian
from vision.own_models.steps import exhausted

FLOOR = 1e-3  # of the largest variance of a direction, that none counts as less than
PRIOR = 8.0  # good parts that the pooled variance is worth beside a cell's own
SMOOTH = 1.0  # cells


class Cells(nn.Module):
    """whiten: (D, K). mean, variance: (K, h, w), of whitened features of good parts. usual: (h, w), the
    distance of good parts there."""

    whiten: Tensor
    mean: Tensor
    variance: Tensor
    usual: Tensor

    def __init__(self, whiten: Tensor, mean: Tensor, variance: Tensor, usual: Tensor) -> None:
        super().__init__()
        for name, value in (("whiten", whiten), ("mean", mean), ("variance", variance), ("usual", usual)):
            self.register_buffer(name, value)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Return how strange each cell is, (B, 1, h, w), and how its whitened features differ from the usual
        ones there, (B, K, h, w)."""
        apart = whitened(maps, self.whiten) - self.mean
        return _distance(apart, self.variance)[:, None] / self.usual, apart


@dataclass(frozen=True)
class FittedCells:
    """module: for new pictures. strange, apart: of each good picture, told by all others, (n, 1, h, w) and
    (n, K, h, w): others are those of other groups."""

    module: Cells
    strange: Tensor
    apart: Tensor
    whitened: Tensor  # (n, K, h, w)
    distances: Tensor  # (n, h, w), of each good picture from all others
    groups: tuple[int, ...]

    @cached_property
    def _sums(self) -> _Sums:
        return _Sums.of(self.whitened)

    def others(self, number: int) -> Cells:
        """Return what the good pictures of other groups than this one's say."""
        left = _of_group(self.groups, number)
        mean, variance = self._sums.without(self.whitened[left])
        usual = _usual(_without(self.distances.double().square(), left))
        return Cells(self.module.whiten, mean, variance, usual)


@dataclass(frozen=True)
class _Sums:
    """Of whitened features (K, h, w) and of their squares, of ``count`` good parts, in float64."""

    total: Tensor
    square: Tensor
    count: int

    @classmethod
    def of(cls, found: Tensor) -> _Sums:
        return cls(found.double().sum(0), found.double().square().sum(0), len(found))

    def without(self, some: Tensor) -> tuple[Tensor, Tensor]:
        wide = some.double()
        left = _Sums(self.total - wide.sum(0), self.square - wide.square().sum(0), self.count - len(some))
        return left.moments()

    def moments(self) -> tuple[Tensor, Tensor]:
        """Return the mean, and the variance drawn towards 1, which is the pooled one."""
        mean = self.total / self.count
        own = self.count - 1
        spread = (self.square - self.count * mean.square()).clamp(min=0)
        return mean.float(), ((PRIOR + spread) / (PRIOR + own)).float()


def fit(maps: Tensor, groups: Sequence[int] = ()) -> FittedCells:
    """Return what ``fitting`` learns."""
    return exhausted(fitting(maps, groups))


def fitting(maps: Tensor, groups: Sequence[int] = ()) -> Generator[None, None, FittedCells]:
    """Learn from the maps of good parts, (n, D, h, w), and stand still n times. groups: of each, equal for
    shots of one part, which are left out together; () = each is one of its own. Without a group two pictures
    must be left at least."""
    count, channels = maps.shape[:2]
    owners = tuple(groups) or tuple(range(count))
    rows = (maps - maps.mean(0)).permute(0, 2, 3, 1).reshape(-1, channels).double()
    whiten = whitening(rows.T @ rows / len(rows) * (count / (count - 1)))
    found = whitened(maps, whiten)
    sums = _Sums.of(found)
    apart, distances = torch.empty_like(found), torch.empty(count, *maps.shape[2:])
    for number in range(count):
        mean, variance = sums.without(found[_of_group(owners, number)])
        apart[number] = found[number] - mean
        distances[number] = _distance(apart[number], variance)
        yield
    squares = distances.double().square()
    strange = torch.stack(
        [distances[at] / _usual(_without(squares, _of_group(owners, at))) for at in range(count)]
    )
    module = Cells(whiten, *sums.moments(), _usual(squares.mean(0)))
    return FittedCells(module, strange[:, None], apart, found, distances, owners)


def whitened(maps: Tensor, whiten: Tensor) -> Tensor:
    """Return maps (B, D, h, w) in the directions of ``whiten`` (D, K)."""
    return torch.einsum("bdhw,dk->bkhw", maps, whiten)


def whitening(covariance: Tensor, most: int | None = None) -> Tensor:
    """Return what makes features (…, D) with this covariance (D, D) even, (D, K): the ``most`` strongest
    directions first, or all."""
    powers, axes = torch.linalg.eigh(covariance)
    strongest = axes.abs().argmax(0)  # a direction's sign is free: fixed, so that bits are the same
    axes = (axes * axes.gather(0, strongest[None]).sign()).flip(1)[:, :most]
    powers = powers.flip(0)[:most]
    return (axes / powers.clamp(min=FLOOR * float(powers.max())).sqrt()).float()


def _of_group(groups: Sequence[int], number: int) -> list[int]:
    """Return the places of the pictures of the same group as ``number``."""
    return [at for at, group in enumerate(groups) if group == groups[number]]


def _without(squares: Tensor, left: Sequence[int]) -> Tensor:
    """Return the mean of (n, h, w) but of those that are ``left`` out, (h, w)."""
    return (squares.sum(0) - squares[left].sum(0)) / (len(squares) - len(left))


def _distance(apart: Tensor, variance: Tensor) -> Tensor:
    """Return (…, h, w) for (…, K, h, w)."""
    return (apart.square() / variance).mean(-3).add(1e-6).sqrt()


def _usual(squares: Tensor) -> Tensor:
    """Return how far good parts usually are from others, (h, w), of mean squares: there and anywhere, half
    and half."""
    there = blurred(squares.float()[None, None], gaussian(SMOOTH, 3))[0, 0]
    return (0.5 * there + 0.5 * there.mean()).sqrt()
