"""How far each patch is from the nearest patch of any good picture, wherever that lies: PatchCore
(arXiv:2106.08265) with whitened features, for what lies anyhow and for surfaces without a place."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vision.own_models.anomaly.cells import whitened, whitening
from vision.own_models.steps import exhausted

MOST = 2000  # patches in a bank
CANDIDATES = 20_000  # patches that they are chosen among
DIRECTIONS = 96  # of whitened features
STOPS = 20  # while they are chosen
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


@dataclass(frozen=True)
class FittedBank:
    """module: for new pictures. owners: (M,), the group of pictures that each patch is of. strange, apart: of
    each good picture, told by the patches of all others: those of other groups."""

    module: Bank
    owners: Tensor
    strange: Tensor
    apart: Tensor
    groups: tuple[int, ...]

    def others(self, number: int) -> Bank:
        """Return what the good pictures of other groups than this one's say."""
        kept = self.module.patches[self.owners != self.groups[number]]
        return Bank(self.module.mean, self.module.whiten, kept)


def fit(maps: Tensor, seed: int, groups: Sequence[int] = ()) -> FittedBank:
    """Return what ``fitting`` learns."""
    return exhausted(fitting(maps, seed, groups))


def fitting(maps: Tensor, seed: int, groups: Sequence[int] = ()) -> Generator[None, None, FittedBank]:
    """Learn from the maps of good pictures, (n, D, h, w), and stand still n + STOPS times. seed: of the lots
    drawn. groups: as of ``cells.fitting``."""
    count, channels = maps.shape[:2]
    together = tuple(groups) or tuple(range(count))
    rows = maps.permute(0, 2, 3, 1).reshape(-1, channels)
    mean = rows.mean(0)
    away = (rows - mean).double()
    whiten = whitening(away.T @ away / len(away), DIRECTIONS)
    lots = torch.Generator().manual_seed(seed)
    each = maps.shape[2] * maps.shape[3]
    some = torch.randperm(len(rows), generator=lots)[:CANDIDATES]
    patches = (rows[some] - mean) @ whiten
    sketch = torch.randn(patches.shape[1], SKETCH, generator=lots)
    chosen = yield from _few_times(farthest(patches @ sketch, min(MOST, len(patches))), STOPS)
    bank = Bank(mean, whiten, patches[chosen].half().float())  # as it is stored
    owners = torch.tensor(together)[some[chosen] // each]
    fitted = FittedBank(bank, owners, maps[:0], maps[:0], together)
    told = []
    for number in range(count):
        told.append(fitted.others(number)(maps[number : number + 1]))
        yield
    return FittedBank(
        bank, owners, torch.cat([s for s, _ in told]), torch.cat([a for _, a in told]), together
    )


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
