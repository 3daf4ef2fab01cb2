"""How strange each cell is beside the same cell of good parts: a Gaussian a cell, whose correlations between
features are those of all cells together.

PaDiM (arXiv:2011.08785) with one pooled covariance in place of one a cell, which twenty pictures can't give;
what is pooled are the differences from each cell's own mean, so that a faint change of an even place counts.
A good part is held out of all of it, of the covariance too: of twenty pictures with 152 features each makes a
good share of what it would be measured by.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vision.own_models.features.filters import blurred, gaussian
from vision.own_models.steps import exhausted

FLOOR = 1e-3  # of the largest variance of a direction, that none counts as less than
FOLDS = 10  # of good parts, that covariances are without
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
    maps: Tensor  # (n, D, h, w)
    distances: Tensor  # (n, h, w), of each good picture from all others
    groups: tuple[int, ...]
    views: tuple[_View, ...]  # by fold

    def others(self, number: int) -> Cells:
        """Return what the good pictures of other groups than this one's say."""
        left = _of_group(self.groups, number)
        view = self.views[folds_of(self.groups)[number]]
        usual = _usual(_without(self.distances.double().square(), left))
        return Cells(view.whiten, *view.without(self.maps[left]), usual)


@dataclass(frozen=True)
class _View:
    """What whitens, (D, K), and of all good parts seen through it the sum and the sum of squares, (K, h, w)
    in float64."""

    whiten: Tensor
    total: Tensor
    square: Tensor
    count: int

    @classmethod
    def of(cls, maps: Tensor, covariance: Tensor) -> _View:
        whiten = evening(covariance)
        found = whitened(maps, whiten).double()
        return cls(whiten, found.sum(0), found.square_().sum(0), len(maps))

    def without(self, some: Tensor) -> tuple[Tensor, Tensor]:
        """Return the ``moments`` of all but some maps."""
        wide = whitened(some, self.whiten).double()
        total, square = self.total - wide.sum(0), self.square - wide.square().sum(0)
        return _View(self.whiten, total, square, self.count - len(some)).moments()

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
    must be left at least.

    A part's covariance is without its whole fold, its mean and variances are without its group alone.
    """
    count = len(maps)
    owners = tuple(groups) or tuple(range(count))
    folds = folds_of(owners)
    scatter = _Scatter(maps)
    everything = _View.of(maps, scatter.covariance())
    apart, distances = torch.empty_like(maps), torch.empty(count, *maps.shape[2:])
    views = []
    for fold in range(max(folds) + 1):
        inside = [at for at in range(count) if folds[at] == fold]
        view = _View.of(maps, scatter.covariance(inside))
        views.append(view)
        for number in inside:
            mean, variance = view.without(maps[_of_group(owners, number)])
            apart[number] = whitened(maps[number : number + 1], view.whiten)[0] - mean
            distances[number] = _distance(apart[number], variance)
            yield
    squares = distances.double().square()
    strange = torch.stack(
        [distances[at] / _usual(_without(squares, _of_group(owners, at))) for at in range(count)]
    )
    module = Cells(everything.whiten, *everything.moments(), _usual(squares.mean(0)))
    return FittedCells(module, strange[:, None], apart, maps, distances, owners, tuple(views))


class _Scatter:
    """How maps (n, D, h, w) differ from each cell's mean."""

    def __init__(self, maps: Tensor) -> None:
        self._away = (maps - maps.mean(0)).permute(0, 2, 3, 1).flatten(1, 2)  # (n, h w, D)
        self._whole = _products(self._away)

    def covariance(self, left: Sequence[int] = ()) -> Tensor:
        """Return the covariance (D, D) of all maps but those that are ``left`` out, in float64."""
        rest = len(self._away) - len(left)
        found = self._whole
        if left:
            some = self._away[left]  # what is left out moves the mean of the rest the other way
            found = found - _products(some) - _products(some.sum(0, keepdim=True)) / rest
        return found / (self._away.shape[1] * (rest - 1))


def _products(rows: Tensor) -> Tensor:
    wide = rows.flatten(0, 1).double()
    return wide.T @ wide


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


def evening(covariance: Tensor) -> Tensor:
    """Return the symmetric matrix that makes features with this covariance (D, D) even. Another covariance
    near this one gives nearly the same: what is seen through either can be compared number by number."""
    powers, axes = torch.linalg.eigh(covariance)
    return ((axes / powers.clamp(min=FLOOR * float(powers.max())).sqrt()) @ axes.T).float()


def folds_of(groups: Sequence[int]) -> list[int]:
    """Return the fold of each picture; groups stay whole."""
    places = {group: at % FOLDS for at, group in enumerate(dict.fromkeys(groups))}
    return [places[group] for group in groups]


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
