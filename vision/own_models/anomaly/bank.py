"""How far each patch is from the nearest patch of any good picture, wherever that lies: PatchCore
(arXiv:2106.08265) with whitened features, for what lies anyhow and for surfaces without a place.

A good picture is held out of what whitens, too, as in ``cells``."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vision.own_models.anomaly.cells import FOLDS, whitened, whitening
from vision.own_models.features.filters import blurred, gaussian
from vision.own_models.steps import exhausted

MOST = 2000  # patches in a bank
CANDIDATES = 20_000  # patches that they are chosen among
DIRECTIONS = 96  # of whitened features
STOPS = 20  # while they are chosen
NEAR, AROUND, TAKEN = 0.5, 2.0, 0.5  # cells of the blurs of ``Banks``, and how much of the wider one is taken
BEFORE = (1.0, 1.0, 0.0)  # the same of inspections that were made without
SKETCH = 48  # numbers of a random projection, in which patches are chosen


class Bank(nn.Module):
    """mean: (D,), whiten: (D, K), patches: (M, K)."""

    mean: Tensor
    whiten: Tensor
    patches: Tensor

    def __init__(self, mean: Tensor, whiten: Tensor, patches: Tensor) -> None:
        super().__init__()
        for name, value in (("mean", mean), ("whiten", whiten), ("patches", patches)):
            self.register_buffer(name, value)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Return how strange each cell is, (B, 1, h, w), and its whitened features, (B, K, h, w)."""
        found = self.seen(maps)
        rows = found.flatten(2).transpose(1, 2)  # (B, h w, K)
        near = squares(rows, self.patches).amin(-1)
        return near.clamp(min=1e-6).sqrt().unflatten(1, maps.shape[2:])[:, None], found

    def seen(self, maps: Tensor) -> Tensor:
        """Return whitened features (B, K, h, w)."""
        return whitened(maps - self.mean[:, None, None], self.whiten)


class Banks(nn.Module):
    """Two banks on what a pair of extractors sees (``features.extractor.joined``). A cell is strange beside
    what lies around it: a surface is stranger here and there as a whole. weights: (2,), of what each says, so
    that good pictures vary by 1 to both. contrast: (3,), NEAR, AROUND and TAKEN."""

    weights: Tensor
    contrast: Tensor
    near: Tensor
    around: Tensor

    def __init__(self, first: Bank, second: Bank, weights: Tensor, contrast: Tensor | None = None) -> None:
        super().__init__()
        self.first, self.second = first, second
        contrast = torch.tensor([NEAR, AROUND, TAKEN]) if contrast is None else contrast
        near, around, self._taken = contrast.tolist()
        self.register_buffer("weights", weights)
        self.register_buffer("contrast", contrast)
        self.register_buffer("near", gaussian(near, 3), persistent=False)
        self.register_buffer("around", gaussian(around, math.ceil(2 * around)), persistent=False)

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Banks:
        """Return those with this state."""
        first, second = (
            Bank(*(tensors[f"{one}.{name}"] for name in ("mean", "whiten", "patches")))
            for one in ("first", "second")
        )
        return cls(first, second, tensors["weights"], tensors.get("contrast", torch.tensor(BEFORE)))

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Return how strange each cell is to either, smoothed already, (B, 2, h, w), and the whitened
        features of both, (B, K, h, w)."""
        coarse = len(self.second.mean)
        fine = maps[:, :-coarse]
        fine = F.pixel_shuffle(fine, round((fine.shape[1] / len(self.first.mean)) ** 0.5))
        return self.together(self.first(fine), self.second(maps[:, -coarse:]))

    def together(self, first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the same of what each says."""
        step = first[0].shape[-1] // second[0].shape[-1]
        near = [blurred(one, self.near) for one, _ in (first, second)]
        near[0] = F.max_pool2d(near[0], step)
        found = torch.cat(near, 1)
        if self._taken:
            whole = torch.cat([F.avg_pool2d(first[0], step), second[0]], 1)
            found = found - self._taken * blurred(whole, self.around)
        found = found * self.weights[:, None, None]
        return found, torch.cat([F.avg_pool2d(first[1], step), second[1]], 1)


def bank_of(tensors: Mapping[str, Tensor]) -> Bank | Banks:
    """Return the one or two with this state."""
    return Banks.of(tensors) if "weights" in tensors else Bank(**tensors)


@dataclass(frozen=True)
class FittedBanks:
    """See FittedBank. strange: (n, 2, h, w)."""

    module: Banks
    fitted: tuple[FittedBank, FittedBank]
    strange: Tensor
    apart: Tensor

    @classmethod
    def of(cls, first: FittedBank, second: FittedBank, weights: Tensor) -> FittedBanks:
        """Return what two say together."""
        module = Banks(first.module, second.module, weights)
        strange, apart = module.together((first.strange, first.apart), (second.strange, second.apart))
        return cls(module, (first, second), strange, apart)

    def others(self, number: int) -> Banks:
        """Return what the good pictures say that this one can be told by."""
        first, second = (one.others(number) for one in self.fitted)
        return Banks(first, second, self.module.weights)


@dataclass(frozen=True)
class FittedBank:
    """module: for new pictures. rows: (M, D), features of its patches without the mean. owners: (M,), the
    picture that each is of. without: of each picture, those that it can't be told by. whitens: (D, K), by the
    pictures that they are without. strange, apart: of each good picture, told by all others."""

    module: Bank
    rows: Tensor
    owners: Tensor
    without: tuple[frozenset[int], ...]
    whitens: Mapping[frozenset[int], Tensor]
    strange: Tensor
    apart: Tensor

    def others(self, number: int) -> Bank:
        """Return what the good pictures say that this one can be told by."""
        left = self.without[number]
        whiten = self.whitens[_with_folds(self.without)[number]]
        kept = self.rows[~torch.isin(self.owners, torch.tensor(sorted(left)))]
        return Bank(self.module.mean, whiten, (kept @ whiten).half().float())


def fit(maps: Tensor, seed: int, without: Sequence[frozenset[int]] = ()) -> FittedBank:
    """Return what ``fitting`` learns."""
    return exhausted(fitting(maps, seed, without))


def fitting(
    maps: Tensor, seed: int, without: Sequence[frozenset[int]] = ()
) -> Generator[None, None, FittedBank]:
    """Learn from the maps of good pictures, (n, D, h, w), and stand still n + STOPS times. seed: of the lots
    drawn. without: of each picture, those that it can't be told by, itself among them; () = itself alone."""
    count, channels = maps.shape[:2]
    left = tuple(without) or tuple(frozenset([at]) for at in range(count))
    rows = maps.permute(0, 2, 3, 1).reshape(-1, channels)
    mean = rows.mean(0)
    powers = [_power(some - mean) for some in rows.unflatten(0, (count, -1))]
    power = torch.stack(powers).sum(0)
    whiten = whitening(power / len(rows), DIRECTIONS)
    lots = torch.Generator().manual_seed(seed)
    each = maps.shape[2] * maps.shape[3]
    some = torch.randperm(len(rows), generator=lots)[:CANDIDATES]
    patches = (rows[some] - mean) @ whiten
    sketch = torch.randn(patches.shape[1], SKETCH, generator=lots)
    chosen = yield from _few_times(farthest(patches @ sketch, min(MOST, len(patches))), STOPS)
    bank = Bank(mean, whiten, patches[chosen].half().float())  # as it is stored
    whitens = {}
    for gone in dict.fromkeys(_with_folds(left)):
        rest = power - torch.stack([powers[at] for at in sorted(gone)]).sum(0)
        own = whitening(rest / (each * (count - len(gone))), DIRECTIONS)
        whitens[gone] = _turned(own, whiten, power)
    kept, owners = rows[some[chosen]] - mean, some[chosen] // each
    fitted = FittedBank(bank, kept, owners, left, whitens, maps[:0], maps[:0])
    told = []
    for number in range(count):
        told.append(fitted.others(number)(maps[number : number + 1]))
        yield
    strange, apart = (torch.cat(some) for some in zip(*told, strict=True))
    return replace(fitted, strange=strange, apart=apart)


def _with_folds(without: Sequence[frozenset[int]]) -> list[frozenset[int]]:
    """Return which pictures each one's whitening is without: beside those that it can't be told by a tenth
    of all, so that few are made where nothing overlaps."""
    count = len(without)
    return [left | frozenset(range(at % FOLDS, count, FOLDS)) for at, left in enumerate(without)]


def _power(away: Tensor) -> Tensor:
    """Return the sum of products of features (h w, D) without a mean, (D, D) in float64."""
    wide = away.double()
    return wide.T @ wide


def _turned(whiten: Tensor, onto: Tensor, power: Tensor) -> Tensor:
    """Return ``whiten`` with its directions, whose order and signs say nothing, turned as near to those of
    ``onto`` as they can be."""
    left, _, right = torch.linalg.svd(whiten.double().T @ power @ onto.double())
    return (whiten.double() @ left @ right).float()


def _few_times(work: Generator[None, None, Tensor], times: int) -> Generator[None, None, Tensor]:
    """Do a work of MOST parts at most, and stand still ``times`` times, evenly where it has as many."""
    stops, part = 0, 0
    while True:
        try:
            next(work)
        except StopIteration as end:
            for _ in range(times - stops):
                yield
            result: Tensor = end.value
            return result
        part += 1
        if stops < times and part * times // MOST > stops:
            stops += 1
            yield


def squares(rows: Tensor, patches: Tensor) -> Tensor:
    """Return squared distances, (…, M), of rows (…, K) to patches (M, K)."""
    own = rows.square().sum(-1, keepdim=True)
    return own + patches.square().sum(-1) - 2 * rows @ patches.T


def farthest(rows: Tensor, count: int) -> Generator[None, None, Tensor]:
    """Return the places of ``count`` rows (N, K), each the farthest from those before: the first is the
    first row. Stands still after each."""
    chosen = torch.zeros(count, dtype=torch.long)
    lengths = rows.square().sum(1)
    nearest = torch.full((len(rows),), float("inf"))
    at = 0
    for number in range(count):
        chosen[number] = at
        away = lengths + lengths[at] - 2 * rows @ rows[at]
        nearest = torch.minimum(nearest, away)
        at = int(nearest.argmax())
        yield
    return chosen
