"""Chooses between ways to inspect by held-out scores of good pictures and of trial defects drawn onto them,
as in CutPaste (arXiv:2104.04015), with lines, spots and faded places.

Trial defects say which way is better and what is certainly too fine to be found; never how many real defects
will be found: they aren't real ones."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from vision.custom_models.anomaly import features
from vision.custom_models.anomaly.detector import (
    BANK,
    CELLS,
    FORMAT,
    FREE,
    SMOOTH,
    Taught,
    joint,
    score,
    smoothed,
)
from vision.custom_models.anomaly.features import Aligner, moved
from vision.custom_models.dataset import Apart
from vision.custom_models.features import Extractor, gaussian, joined, pair
from vision.custom_models.steps import Store, kept

COUNT = 30  # in a training
Drawn = Callable[[Tensor, Tensor, torch.Generator], Tensor]


def drawn(pixels: Tensor, other: Tensor, kind: str, seed: int) -> Tensor:
    """Return a picture (3, S, S) in 0..1 with a defect of a ``kind`` of KINDS. other: a picture that a patch
    may be taken of."""
    lots = torch.Generator().manual_seed(seed)
    return KINDS[kind](pixels, other, lots).clamp(0, 1)


def _line(pixels: Tensor, other: Tensor, lots: torch.Generator) -> Tensor:
    """A fine straight line, a pixel and a half wide, a tenth to a quarter of the side long."""
    side = pixels.shape[-1]
    middle, angle = _middle(side, lots), _between(lots, 0, math.pi)
    x, y = _from(side, middle)
    along = x * math.cos(angle) + y * math.sin(angle)
    across = -x * math.sin(angle) + y * math.cos(angle)
    half = side * _between(lots, 0.05, 0.125)
    cover = (1.25 - across.abs()).clamp(0, 1) * (half - along.abs()).clamp(0, 1)
    return pixels + cover * _way(lots) * _between(lots, 0.2, 0.4)


def _spot(pixels: Tensor, other: Tensor, lots: torch.Generator) -> Tensor:
    """A soft spot, darker or brighter by an eighth to a quarter, and a little coloured."""
    side = pixels.shape[-1]
    x, y = _from(side, _middle(side, lots))
    wide, high = (side * _between(lots, 0.02, 0.05) for _ in range(2))
    cover = torch.exp(-0.5 * ((x / wide) ** 2 + (y / high) ** 2))
    tone = torch.tensor([_between(lots, 0.8, 1.2) for _ in range(3)])[:, None, None]
    return pixels + cover * tone * _way(lots) * _between(lots, 0.125, 0.25)


def _patch(pixels: Tensor, other: Tensor, lots: torch.Generator) -> Tensor:
    """A piece of another good picture, turned by a quarter."""
    side = pixels.shape[-1]
    size = round(side * _between(lots, 0.05, 0.1))
    (x, y), (left, top) = (_corner(side, size, lots) for _ in range(2))
    found = pixels.clone()
    found[:, y : y + size, x : x + size] = other[:, top : top + size, left : left + size].rot90(1, (1, 2))
    return found


def _faded(pixels: Tensor, other: Tensor, lots: torch.Generator) -> Tensor:
    """A place whose pattern is gone."""
    side = pixels.shape[-1]
    size = round(side * _between(lots, 0.05, 0.1))
    x, y = _corner(side, size, lots)
    coarse = F.avg_pool2d(F.pad(pixels[None], (6,) * 4, "replicate"), 13, 1)[0]
    found = pixels.clone()
    found[:, y : y + size, x : x + size] = coarse[:, y : y + size, x : x + size]
    return found


def _tint(pixels: Tensor, other: Tensor, lots: torch.Generator) -> Tensor:
    """A place of another colour, equally bright."""
    side = pixels.shape[-1]
    size = round(side * _between(lots, 0.05, 0.1))
    x, y = _corner(side, size, lots)
    gain = torch.tensor([1.0, 1.0, 1.0])
    first = int(torch.randint(3, (1,), generator=lots))
    gain[first], gain[(first + 1) % 3] = 1.4, 0.7
    found = pixels.clone()
    found[:, y : y + size, x : x + size] *= gain[:, None, None]
    return found


KINDS: dict[str, Drawn] = {"line": _line, "spot": _spot, "patch": _patch, "faded": _faded, "tint": _tint}


def _between(lots: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand(1, generator=lots))


def _way(lots: torch.Generator) -> float:
    return 1.0 if _between(lots, 0, 1) < 0.5 else -1.0


def _middle(side: int, lots: torch.Generator) -> tuple[float, float]:
    return _between(lots, 0.2, 0.8) * side, _between(lots, 0.2, 0.8) * side


def _from(side: int, middle: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Return how far each pixel is from the middle along x, (1, side), and y, (side, 1)."""
    at = torch.arange(side, dtype=torch.float32)
    return (at - middle[0])[None, :], (at - middle[1])[:, None]


def _corner(side: int, size: int, lots: torch.Generator) -> tuple[int, int]:
    x, y = (int(_between(lots, 0.15, 0.85) * (side - size)) for _ in range(2))
    return x, y


CLEAR, MOST_UNCLEAR = 0.6, 0.2  # correlation of parts that lie alike; the share of them that may have less
MOST_LAID = 100  # pictures that are kept as they were laid, of 0.8 MB each
REFERENCE = 16  # good pictures that the reference is the mean of


@dataclass(frozen=True)
class Shown:
    """What the strangest cells of a picture were taken from, see ``naming.seen``. ways: (1, C, h, w), heat of
    each way of looking."""

    heat: Tensor
    apart: Tensor
    maps: Tensor
    ways: Tensor


class Candidate:
    """An extractor with a method. alike: FREE, or how parts are laid onto ``aligner``'s reference. shared:
    pictures by their names that another extractor has had laid onto the same one, and gets those of this."""

    def __init__(
        self,
        extractor: Extractor,
        alike: str,
        aligner: Aligner | None,
        seed: int,
        shared: dict[str, Tensor] | None = None,
    ) -> None:
        self.extractor, self.alike, self.aligner, self.seed = extractor, alike, aligner, seed
        self.shared = shared
        self.method = BANK if alike == FREE else CELLS
        self.fitted: features.FittedCells | features.FittedBank | features.FittedBanks | None = None
        self.taught: Taught | None = None
        self.good_scores: list[float] = []
        self.trial_scores: dict[str, list[float]] = {}
        self.trials: dict[str, list[Tensor]] = {}  # how strange their cells are
        self._kernel = gaussian(SMOOTH, 3)
        self.region = torch.ones(1, 1)
        laid = hashlib.sha256(aligner.reference.numpy().tobytes()).hexdigest() if aligner else ""
        self._key = (f"{FORMAT}", extractor.name, alike, laid)

    @torch.no_grad()
    def maps(self, name: str, pixels: Tensor | Callable[[], Tensor], store: Store) -> Tensor:
        """Return the map (1, D, h, w) of a picture (3, S, S), kept by its name. pixels: of it, or what reads
        them where they are needed."""

        def make() -> dict[str, Tensor]:
            seen = None if self.shared is None else self.shared.get(name)
            if seen is None:
                whole = (pixels if isinstance(pixels, Tensor) else pixels())[None]
                seen = whole if self.aligner is None else self.aligner(whole)[0]
                if self.shared is not None and len(self.shared) < MOST_LAID:
                    self.shared[name] = seen
            return {"maps": self.extractor.module(seen)[0]}

        return kept(store, (*self._key, name), make)["maps"]

    @torch.no_grad()
    def laid(self, marks: Tensor, pixels: Tensor) -> Tensor:
        """Return marks (H, W) of a picture (3, S, S) where they lie on its map, (h, w) as the region."""
        size = (self.region.shape[0], self.region.shape[1])
        small = torch.nn.functional.adaptive_avg_pool2d(marks.float()[None, None], size)
        if self.aligner is not None:
            small = moved(small, self.aligner(pixels[None])[1])
        return small[0, 0]

    def fitting(self, maps: Sequence[Tensor], region: Tensor, apart: Apart) -> Generator[None, None, None]:
        """Learn from the maps (1, D, h, w) of good pictures, and stand still ``stops`` times. region: (h, w),
        how much each cell counts. apart: which can't be told by which."""
        together = torch.cat(list(maps))
        self.region = region
        if self.method == BANK:
            self.fitted = yield from features.fitting_bank(together, self.seed, apart.without)
        else:
            self.fitted = yield from features.fitting_cells(together, apart.groups)
        self.good_scores = [float(score(self._heat(one[None]))) for one in self.fitted.strange]

    def stops(self, count: int) -> int:
        """Return how often the learning from so many pictures stands still."""
        return count + (features.STOPS if self.method == BANK else 0)

    @torch.no_grad()
    def try_on(self, number: int, kind: str, maps: Tensor) -> None:
        """Score a trial defect on the good picture ``number``, told by all others."""
        assert self.fitted is not None
        strange, _ = self.fitted.others(number)(maps)
        self.trials.setdefault(kind, []).append(strange)
        self.trial_scores.setdefault(kind, []).append(float(score(self._heat(strange))))

    @torch.no_grad()
    def look(self, maps: Tensor, number: int | None = None) -> tuple[float, Shown]:
        """Return the score of a picture, and what is shown to the naming head. number: of a good picture that
        was learned from, which then is told by all others."""
        assert self.fitted is not None
        if number is None:
            strange, apart = self.fitted.module(maps)
        else:
            strange, apart = self.fitted.strange[number][None], self.fitted.apart[number][None]
        ways = self._heat(strange)
        told = None if self.taught is None else self.taught(apart) * self.region
        found, heat = joint(ways, told)
        return float(found), Shown(heat, apart, maps, ways)

    def _heat(self, strange: Tensor) -> Tensor:
        return smoothed(strange, self._kernel, self.region)

    def separation(self) -> float:
        """Return how surely a trial defect scores above a good picture: the area under the ROC, the mean over
        kinds."""
        good = torch.tensor(self.good_scores)
        areas = []
        for found in self.trial_scores.values():
            away = torch.tensor(found)[:, None] - good
            areas.append(float(((away > 0).float() + 0.5 * (away == 0).float()).mean()))
        return sum(areas) / len(areas) if areas else 0.0

    def tensors(self) -> dict[str, Tensor]:
        """Return what the network needs, by name."""
        assert self.fitted is not None
        found = {f"{self.method}.{name}": value for name, value in self.fitted.module.state_dict().items()}
        if self.aligner is not None:
            found["aligner.reference"] = self.aligner.reference
        if self.taught is not None:
            found |= {f"taught.{name}": value for name, value in self.taught.state_dict().items()}
        return found | {"region": self.region}


class Both(Candidate):
    """Two that were tried already, where parts lie anyhow, together: each says how far a picture's strangest
    cells are beside how much good pictures vary, and the sum counts."""

    def __init__(self, first: Candidate, second: Candidate) -> None:
        super().__init__(pair(first.extractor, second.extractor), FREE, None, first.seed)
        assert isinstance(first.fitted, features.FittedBank) and isinstance(
            second.fitted, features.FittedBank
        )
        self.first, self.second, self.region = first, second, second.region
        plain = features.FittedBanks.of(first.fitted, second.fitted, torch.ones(2))
        says = torch.stack([score(each * self.region) for each in plain.strange.split(1, 1)])
        spread = says.std(1).clamp(min=1e-6)
        self.fitted = fitted = features.FittedBanks.of(first.fitted, second.fitted, 1 / spread)
        self.good_scores = [float(score(self._heat(one[None]))) for one in fitted.strange]
        for kind, some in first.trials.items():
            for one, other in zip(some, second.trials[kind], strict=True):
                strange, _ = fitted.module.together((one, one), (other, other))
                self.trial_scores.setdefault(kind, []).append(float(score(self._heat(strange))))

    def maps(self, name: str, pixels: Tensor | Callable[[], Tensor], store: Store) -> Tensor:
        """See Candidate.maps; what is kept are the maps of either."""
        return joined(self.first.maps(name, pixels, store), self.second.maps(name, pixels, store))


def both(tried: Sequence[Candidate]) -> Iterator[Both]:
    """Where parts lie anyhow, yield the first together with each other whose cells are so many of its own."""
    first, *others = tried
    height, width = first.region.shape
    for other in others:
        coarse = other.region.shape
        fits = height * coarse[1] == width * coarse[0] and height % coarse[0] == 0
        if first.method == other.method == BANK and fits and first.extractor.side == other.extractor.side:
            yield Both(first, other)


def trial(number: int, good: Sequence[Tensor], seed: int) -> tuple[int, str, Tensor]:
    """Return the ``number``-th trial: which good picture it is drawn on, its kind, and it (3, S, S)."""
    at, kind = number % len(good), list(KINDS)[number % len(KINDS)]
    return at, kind, drawn(good[at], good[(at + 1) % len(good)], kind, seed * 1000 + number)


@torch.no_grad()
def align(good: Sequence[Tensor], stages: tuple, most: int = REFERENCE) -> Iterator[tuple[Aligner, float]]:
    """Yield an aligner and the share of good pictures (3, S, S) that don't lie clearly on it: first the first
    picture as its reference, then the mean of those laid onto that."""
    reference = good[0]
    for _ in range(2):
        made = Aligner(reference, stages)
        some = [made(one[None]) for one in good[:most]]
        unclear = sum(float(peak) < CLEAR for _, _, peak in some) / len(some)
        yield made, unclear
        reference = torch.cat([laid for laid, _, _ in some]).mean(0)
