"""How strange each cell of a picture is: beside the same cell of good parts laid onto a reference (PaDiM,
arXiv:2011.08785), or beside the nearest patch of any good picture (PatchCore, arXiv:2106.08265, with whitened
features).

PaDiM has one pooled covariance, of the differences from each cell's own mean, in place of one a cell, which
twenty pictures can't give. A good part is held out of all of it, of the covariance too: of twenty pictures
with 152 features each makes a good share of what it would be measured by. All turned references are kernels
of one convolution; the place is their mean, weighed by a sharp softmax, which has no jumps: another runtime's
rounding moves nothing."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vision.custom_models.features import DARK, blurred, gaussian

FLOOR = 1e-3  # of the largest variance of a direction, that none counts as less than
FOLDS = 10  # of good parts, that covariances are without
PRIOR = 8.0  # good parts that the pooled variance is worth beside a cell's own
SMOOTH = 1.0  # cells


class Cells(nn.Module):
    """whiten: (D, K). mean, variance: (K, h, w), of whitened features of good parts. usual: (h, w), the
    distance of good parts there."""

    def __init__(self, whiten: Tensor, mean: Tensor, variance: Tensor, usual: Tensor) -> None:
        super().__init__()
        self.whiten, self.mean = nn.Buffer(whiten), nn.Buffer(mean)
        self.variance, self.usual = nn.Buffer(variance), nn.Buffer(usual)

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
    """What whitens, (D, K), and of all good parts seen through it sum and sum of squares, (K, h, w),
    float64."""

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


def fitting_cells(maps: Tensor, groups: Sequence[int] = ()) -> Generator[None, None, FittedCells]:
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
    """Return the sum of products of features (…, D), (D, D) in float64."""
    wide = rows.flatten(0, -2).double()
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
    """Return how far good parts usually are from others, (h, w), of mean squares: half there, half
    anywhere."""
    there = blurred(squares.float()[None, None], gaussian(SMOOTH, 3))[0, 0]
    return (0.5 * there + 0.5 * there.mean()).sqrt()


MOST = 2000  # patches in a bank
CANDIDATES = 20_000  # patches that they are chosen among
DIRECTIONS = 96  # of whitened features
STOPS = 20  # while they are chosen
NEAR, AROUND, TAKEN = 0.5, 2.0, 0.5  # cells of the blurs of ``Banks``, and how much of the wider one is taken
BEFORE = (1.0, 1.0, 0.0)  # the same of inspections that were made without
SKETCH = 48  # numbers of a random projection, in which patches are chosen


class Bank(nn.Module):
    """mean: (D,), whiten: (D, K), patches: (M, K)."""

    def __init__(self, mean: Tensor, whiten: Tensor, patches: Tensor) -> None:
        super().__init__()
        self.mean, self.whiten, self.patches = nn.Buffer(mean), nn.Buffer(whiten), nn.Buffer(patches)

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

    def __init__(self, first: Bank, second: Bank, weights: Tensor, contrast: Tensor | None = None) -> None:
        super().__init__()
        self.first, self.second = first, second
        contrast = torch.tensor([NEAR, AROUND, TAKEN]) if contrast is None else contrast
        near, around, self._taken = contrast.tolist()
        self.weights, self.contrast = nn.Buffer(weights), nn.Buffer(contrast)
        self.near = nn.Buffer(gaussian(near, 3), persistent=False)
        self.around = nn.Buffer(gaussian(around, math.ceil(2 * around)), persistent=False)

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


def fitting_bank(
    maps: Tensor, seed: int, without: Sequence[frozenset[int]] = ()
) -> Generator[None, None, FittedBank]:
    """Learn from the maps of good pictures, (n, D, h, w), and stand still n + STOPS times. seed: of the lots
    drawn. without: of each picture, those that it can't be told by, itself among them; () = itself alone."""
    count, channels = maps.shape[:2]
    left = tuple(without) or tuple(frozenset([at]) for at in range(count))
    rows = maps.permute(0, 2, 3, 1).reshape(-1, channels)
    mean = rows.mean(0)
    powers = [_products(some - mean) for some in rows.unflatten(0, (count, -1))]
    power = torch.stack(powers).sum(0)
    whiten = whitening(power / len(rows), DIRECTIONS)
    lots = torch.Generator().manual_seed(seed)
    each = maps.shape[2] * maps.shape[3]
    some = torch.randperm(len(rows), generator=lots)[:CANDIDATES]
    patches = (rows[some] - mean) @ whiten
    sketch = torch.randn(patches.shape[1], SKETCH, generator=lots)
    chosen = yield from farthest(patches @ sketch, min(MOST, len(patches)))
    bank = Bank(mean, whiten, patches[chosen].half().float())  # as it is stored
    whitens = {}
    for gone in dict.fromkeys(_with_folds(left)):
        rest = power - torch.stack([powers[at] for at in sorted(gone)]).sum(0)
        own = whitening(rest / (each * (count - len(gone))), DIRECTIONS).double()
        # its directions, whose order and signs say nothing, turned as near to those of all as they can be
        left_, _, right = torch.linalg.svd(own.T @ power @ whiten.double())
        whitens[gone] = (own @ left_ @ right).float()
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


def squares(rows: Tensor, patches: Tensor) -> Tensor:
    """Return squared distances, (…, M), of rows (…, K) to patches (M, K)."""
    own = rows.square().sum(-1, keepdim=True)
    return own + patches.square().sum(-1) - 2 * rows @ patches.T


def farthest(rows: Tensor, count: int) -> Generator[None, None, Tensor]:
    """Return the places of ``count`` rows (N, K), each the farthest from those before: the first is the
    first row. Stands still STOPS times, evenly; after each where they are fewer."""
    chosen = torch.zeros(count, dtype=torch.long)
    lengths = rows.square().sum(1)
    nearest = torch.full((len(rows),), float("inf"))
    at = 0
    for number in range(count):
        chosen[number] = at
        away = lengths + lengths[at] - 2 * rows @ rows[at]
        nearest = torch.minimum(nearest, away)
        at = int(nearest.argmax())
        if (number + 1) * STOPS // count > number * STOPS // count:
            yield
    return chosen


CELL = 4  # pixels a cell of the coarse search; the fine one has half
HIGH_PASS = 4.0  # cells, the deviation of the blur that is taken away before


@dataclass(frozen=True)
class Stage:
    """One search. cell: pixels a cell. turns: degrees. reach: cells of shift either way. sharp: what
    correlations are divided by before their softmax. margin: the share of the reference's side that doesn't
    count on either side, beside the reach."""

    cell: int
    turns: tuple[float, ...]
    reach: int
    sharp: float
    margin: float = 1 / 64  # much of a part lies at its edges: six of 48 valves were turned wrongly by 1/8


FIXTURE = (
    Stage(4, tuple(float(turn) for turn in range(-8, 9, 1)), 6, 0.01),
    Stage(2, (-0.9, -0.6, -0.3, 0.0, 0.3, 0.6, 0.9), 3, 0.003),
    Stage(1, (-0.2, -0.1, 0.0, 0.1, 0.2), 2, 0.01),  # so soft that it tells places between pixels
)
TURNS = (  # corners of what was turned far aren't in the picture
    Stage(4, tuple(float(turn) for turn in range(-180, 180, 6)), 4, 0.003, 1 / 8),
    *FIXTURE,
)


class Aligner(nn.Module):
    """reference: (3, S, S) in 0..1."""

    def __init__(self, reference: Tensor, stages: tuple[Stage, ...] = FIXTURE) -> None:
        super().__init__()
        self.stages = stages
        self.reference = nn.Buffer(reference.clone())
        for number, stage in enumerate(stages):
            # the reference turned each way, (turns, 1, K, K), without a mean and of length 1
            found = []
            side = reference.shape[-1] // stage.cell
            margin = int(side * stage.margin) + stage.reach
            for turn in stage.turns:
                # a picture that has to be turned by `turn` shows the reference turned back
                motion = torch.tensor([[-turn * math.pi / 180, 0.0, 0.0]])
                whole = high_pass(moved(reference[None], motion), stage.cell)[0, 0]
                cut = whole[margin : side - margin, margin : side - margin]
                cut = cut - cut.mean()
                found.append(cut / cut.norm().clamp(min=1e-6))
            self.register_buffer(f"kernels{number}", torch.stack(found)[:, None])

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return pictures (B, 3, S, S) laid onto the reference, the turn and shift of each, (B, 3) in radians
        and shares of half a side, and how well it correlates there, (B,)."""
        motion = pixels.new_zeros(1, 3).expand(pixels.shape[0], 3)
        peak = pixels.new_zeros(pixels.shape[0])
        for number, stage in enumerate(self.stages):
            seen = high_pass(pixels if number == 0 else moved(pixels, motion), stage.cell)
            kernels = getattr(self, f"kernels{number}")
            side, window = seen.shape[-1], kernels.shape[-1]
            reach = stage.reach
            edge = (side - window) // 2
            cut = seen[:, :, edge - reach : side - edge + reach, edge - reach : side - edge + reach]
            shared = F.avg_pool2d(cut.square(), window, 1) * window**2
            mean = F.avg_pool2d(cut, window, 1) * window
            length = (shared - mean.square() + 1e-6).sqrt()
            fits = F.conv2d(cut, kernels) / length  # (B, turns, 2 reach + 1, 2 reach + 1)
            weights = (fits.flatten(1) / stage.sharp).softmax(1).reshape(fits.shape)
            turns = torch.tensor(stage.turns, dtype=fits.dtype) * (math.pi / 180)
            at = torch.arange(-reach, reach + 1, dtype=fits.dtype) * (2 / side)
            turn = (weights.sum((2, 3)) * turns).sum(1)
            x = (weights.sum((1, 2)) * at).sum(1)
            y = (weights.sum((1, 3)) * at).sum(1)
            step, peak = torch.stack([turn, x, y], 1), fits.flatten(1).amax(1)
            motion = joined(motion, step)
        return moved(pixels, motion), motion, peak


def high_pass(pixels: Tensor, cell: int) -> Tensor:
    """Return brightness beside its surroundings, (B, 1, S / cell, S / cell)."""
    bright = F.avg_pool2d((pixels.mean(1, keepdim=True) + DARK).log(), cell)
    return bright - blurred(bright, gaussian(HIGH_PASS, 10))


def moved(pixels: Tensor, motion: Tensor) -> Tensor:
    """Sample pictures (B, C, H, W) where ``motion`` (B, 3) says that the reference's places lie in them."""
    turn, x, y = motion.unbind(1)
    cos, sin = turn.cos(), turn.sin()
    matrix = torch.stack([torch.stack([cos, -sin, x], 1), torch.stack([sin, cos, y], 1)], 1)
    return F.grid_sample(
        pixels, _grid(matrix, pixels), mode="bilinear", padding_mode="border", align_corners=False
    )


def _grid(matrix: Tensor, pixels: Tensor) -> Tensor:
    height, width = pixels.shape[-2:]
    y = (torch.arange(height, dtype=pixels.dtype) * 2 + 1) / height - 1
    x = (torch.arange(width, dtype=pixels.dtype) * 2 + 1) / width - 1
    places = torch.stack([x[None, :].expand(height, width), y[:, None].expand(height, width)], -1)
    turned = places.flatten(0, 1) @ matrix[:, :, :2].transpose(1, 2)  # (B, H·W, 2)
    return (turned + matrix[:, None, :, 2]).unflatten(1, (height, width))


def joined(first: Tensor, second: Tensor) -> Tensor:
    """Return the motion of ``second``, found in what ``first`` has moved, in the original's own places."""
    turn, x, y = first.unbind(1)
    cos, sin = turn.cos(), turn.sin()
    step, dx, dy = second.unbind(1)
    return torch.stack([turn + step, x + cos * dx - sin * dy, y + sin * dx + cos * dy], 1)


def backwards(motion: Tensor) -> Tensor:
    """Return the motion that undoes ``motion``."""
    turn, x, y = motion.unbind(1)
    cos, sin = turn.cos(), turn.sin()
    return torch.stack([-turn, -(cos * x + sin * y), -(cos * y - sin * x)], 1)
