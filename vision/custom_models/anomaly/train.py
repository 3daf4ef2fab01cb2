"""Trains an inspection: looks at good pictures in every way the host has, tries each on defects drawn onto
them, as in CutPaste (arXiv:2104.04015), with lines, spots and faded places, keeps the best, and tells what it
can't find. One thing because each way is tried while it learns.

Drawn defects say which way is better and what is certainly too fine to be found; never how many real defects
will be found: they aren't real ones. Where there are fewer than four good parts it learns from copies of
their pictures, as the same camera might have taken them a moment later."""

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from core.errors import UserError
from vision.custom_models.anomaly import detector, features
from vision.custom_models.anomaly.detector import (
    ALIGNED,
    AUTO,
    BANK,
    CELLS,
    FIXED,
    FORMAT,
    FREE,
    HALF,
    SMOOTH,
    Inspector,
    Taught,
    joint,
    score,
    smoothed,
)
from vision.custom_models.anomaly.features import Aligner, moved
from vision.custom_models.dataset import Apart, overlapping, structure
from vision.custom_models.features import Extractor, gaussian, joined, pair, pixels
from vision.custom_models.snapshot import GOOD, TRAIN, Item, Snapshot
from vision.custom_models.steps import Step, Store, exhausted, kept
from vision.custom_models.thresholds import GUESS, Limit, from_good, strongest

COUNT = 30  # in a training
Drawn = Callable[[Tensor, Tensor, torch.Generator], Tensor]


def drawn(pixels: Tensor, other: Tensor, kind: str, seed: int) -> Tensor:
    """Return a picture (3, S, S) in 0..1 with a defect of a ``kind`` of KINDS. other: one to take a patch
    of."""
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
    size, found = _size(pixels, lots), pixels.clone()
    here, there = (_square(pixels, size, lots) for _ in range(2))
    found[here] = other[there].rot90(1, (1, 2))
    return found


def _faded(pixels: Tensor, other: Tensor, lots: torch.Generator) -> Tensor:
    """A place whose pattern is gone."""
    place, found = _square(pixels, _size(pixels, lots), lots), pixels.clone()
    found[place] = F.avg_pool2d(F.pad(pixels[None], (6,) * 4, "replicate"), 13, 1)[0][place]
    return found


def _tint(pixels: Tensor, other: Tensor, lots: torch.Generator) -> Tensor:
    """A place of another colour, equally bright."""
    place, found = _square(pixels, _size(pixels, lots), lots), pixels.clone()
    first = int(torch.randint(3, (1,), generator=lots))
    found[place] *= torch.tensor([1.4, 0.7, 1.0]).roll(first)[:, None, None]
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


def _size(pixels: Tensor, lots: torch.Generator) -> int:
    return round(pixels.shape[-1] * _between(lots, 0.05, 0.1))


def _square(pixels: Tensor, size: int, lots: torch.Generator) -> tuple[slice, slice, slice]:
    x, y = (int(_between(lots, 0.15, 0.85) * (pixels.shape[-1] - size)) for _ in range(2))
    return slice(None), slice(y, y + size), slice(x, x + size)


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
        """Return marks (H, W) of a picture (3, S, S) where they lie on its map, (h, w)."""
        small = F.adaptive_avg_pool2d(marks.float()[None, None], self.cells)
        if self.aligner is not None:
            small = moved(small, self.aligner(pixels[None])[1])
        return small[0, 0]

    @property
    def cells(self) -> tuple[int, int]:
        """(h, w) of its maps."""
        assert self.fitted is not None
        return self.fitted.strange.shape[-2], self.fitted.strange.shape[-1]

    def fitting(self, maps: Sequence[Tensor], apart: Apart) -> Generator[None, None, None]:
        """Learn from the maps (1, D, h, w) of good pictures, and stand still ``stops`` times. apart: which
        can't be told by which."""
        together = torch.cat(list(maps))
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
        told = None if self.taught is None else self.taught(apart)
        found, heat = joint(ways, told)
        return float(found), Shown(heat, apart, maps, ways)

    def _heat(self, strange: Tensor) -> Tensor:
        return smoothed(strange, self._kernel)

    def separation(self) -> float:
        """Return how surely a trial defect scores above a good picture: the kinds' mean area under the
        ROC."""
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
        return found


class Both(Candidate):
    """Two that were tried already, where parts lie anyhow, together: each says how far a picture's strangest
    cells are beside how much good pictures vary, and the sum counts."""

    def __init__(self, first: Candidate, second: Candidate) -> None:
        super().__init__(pair(first.extractor, second.extractor), FREE, None, first.seed)
        assert isinstance(first.fitted, features.FittedBank) and isinstance(
            second.fitted, features.FittedBank
        )
        self.first, self.second = first, second
        plain = features.FittedBanks.of(first.fitted, second.fitted, torch.ones(2))
        says = torch.stack([score(each) for each in plain.strange.split(1, 1)])
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
    height, width = first.cells
    for other in others:
        coarse = other.cells
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


ENOUGH = 4  # parts from which on no copies are made
EACH, FEWEST_ALONE = 4, 8  # pictures of each part with copies, of the only part
TURN, SHIFT = 0.03, 0.02  # deviations: radians, shares of half a side
GAIN, SLOPE, NOISE = 0.05, 0.05, 0.01  # deviations: of brightness, of it across the picture, of each pixel


@dataclass(frozen=True)
class Shot:
    """A picture, or the ``copy``-th copy of it (0 = itself). group: of shots that are left out together."""

    sha256: str
    group: int
    copy: int = 0

    @property
    def name(self) -> str:
        """What its features are kept by."""
        return f"{self.sha256} copy {self.copy}" if self.copy else self.sha256


def few_tries(good: Sequence[Item]) -> list[Shot]:
    """Return what is learned from, pictures first: groups by the items' groups, a picture without one is a
    group of its own. Of one part alone each shot is a group of its own: nothing else can be left out."""
    names = [item.group or item.sha256 for item in good]
    places = {name: at for at, name in enumerate(dict.fromkeys(names))}
    found = [Shot(item.sha256, places[name]) for item, name in zip(good, names, strict=True)]
    if len(places) >= ENOUGH:
        return found
    own = list(found)
    for group in places.values():
        some = [shot for shot in own if shot.group == group]
        wanted = FEWEST_ALONE if len(places) == 1 else EACH
        made = max(wanted - len(some), len(places) == 1)  # of the only part at least one, however many shots
        found += [Shot(some[at % len(some)].sha256, group, at // len(some) + 1) for at in range(made)]
    if len(places) > 1:
        return found
    return [Shot(shot.sha256, at, shot.copy) for at, shot in enumerate(found)]


def alone(found: Sequence[Shot]) -> bool:
    """Return whether ``shots`` are of one part, whose copies were made groups of their own."""
    return any(shot.copy for shot in found) and len({shot.group for shot in found}) == len(found)


def varied(pixels: Tensor, copy: int, seed: int) -> Tensor:
    """Return the ``copy``-th copy of a picture (3, S, S) in 0..1: a little turned and shifted, in other
    light, with other noise. Copy 0 is the picture."""
    if not copy:
        return pixels
    lots = torch.Generator().manual_seed(seed * 1000 + copy)
    turn, x, y, gain, across, down = torch.randn(6, generator=lots).tolist()
    motion = torch.tensor([[turn * TURN, x * SHIFT, y * SHIFT]])
    at = torch.linspace(-1, 1, pixels.shape[-1])
    light = 1 + GAIN * gain + SLOPE * (across * at[None, :] + down * at[:, None])
    noise = torch.randn(pixels.shape, generator=lots) * NOISE
    return (moved(pixels[None], motion)[0] * light + noise).clamp(0, 1)


LEAST_NAMED = 3  # pictures of a kind that is to be named
MOST_GOOD, MOST_BAD = 200, 500  # pictures that are learned from; more are chosen among by lot
MOST_TAUGHT = 100  # of those with defects, that the head of ``taught`` learns from
SURE = 0.9  # separation of trial defects below which an inspection is told to be weak
BETTER = 0.01  # separation by which a later extractor has to be ahead of an earlier one
ALONE = 0.05  # separation by which an extractor has to be ahead of two together
WEAK_KIND = 0.75
MARK_SIDE = 256  # pixels that marks are drawn in

Open = Callable[[str], Image.Image]  # a picture by its SHA-256


@dataclass(frozen=True)
class Settings:
    """alike: how parts lie: "auto", "fixture" (a little turned and shifted), "turns" (any way round) or
    "free" (nothing to lay them by). seed: of all lots."""

    alike: str = AUTO
    seed: int = 0

    def __post_init__(self) -> None:
        if self.alike not in (AUTO, FREE, *ALIGNED):
            raise ValueError(f"alike must be auto, fixture, turns or free, not {self.alike!r}")


def train_inspection(
    snapshot: Snapshot, open_picture: Open, extractors: Sequence[Extractor], settings: Settings, store: Store
) -> Generator[Step, None, Inspector]:
    """Yield steps and return an inspection of the snapshot's training part.

    extractors: what the host has; the earlier are preferred. Raises UserError without a good picture. One
    thread and the same snapshot, extractors and settings give the same bytes.
    """
    items = snapshot.part(TRAIN)
    good = [item for item in items if item.label == GOOD]
    if not good:
        raise UserError("There is no good picture; an inspection needs at least one, and 20 are better.")
    shots = few_tries(_some(good, MOST_GOOD, settings.seed))
    bad = _some([item for item in items if item.label != GOOD], MOST_BAD, settings.seed)
    shown = min(len(bad), MOST_TAUGHT) if len(bad) >= detector.LEAST_TAUGHT else 0
    total = len(extractors) * (2 * len(shots) + COUNT) + len(shots) + 2 * len(bad) + 2
    total += shown + detector.STOPS if shown else 0
    done = 0

    def step(words: str) -> Step:
        nonlocal done, total
        done += 1
        return Step(min(done, total), total, words)

    # 1. Open the good pictures.
    opened: dict[int, list[Tensor]] = {}
    structures: list[Tensor] = []
    compared, apart = False, Apart.of([shot.group for shot in shots])
    for number, shot in enumerate(shots, 1):
        image = open_picture(shot.sha256)
        if not shot.copy:
            structures.append(structure(image).coarse)
        for side in {extractor.side for extractor in extractors}:
            seen = pixels(image, side)
            opened.setdefault(side, []).append(varied(seen, shot.copy, settings.seed))
        yield step(f"opened {number} of {len(shots)}")
    # 2. Look at them in every way, and try each way on drawn defects.
    tried: list[Candidate] = []
    onto: dict[int, tuple[str, Aligner | None]] = {}
    laid: dict[int, dict[str, Tensor]] = {}
    for extractor in extractors:
        some = opened[extractor.side]
        if extractor.side not in onto:
            onto[extractor.side] = _laid(some, settings.alike)
        shared = laid.setdefault(extractor.side, {}) if len(extractors) > 1 else None
        alike, aligner = onto[extractor.side]
        if alike == FREE and not compared:
            compared = True
            total += len(structures)
            comparing = overlapping(structures)
            for number in range(1, len(structures) + 1):
                next(comparing)
                yield step(f"laid {number} of {len(structures)} over the others")
            apart = Apart.of(apart.groups, exhausted(comparing))
        candidate = Candidate(extractor, alike, aligner, settings.seed, shared)
        maps = []
        for number, shot in enumerate(shots):
            maps.append(candidate.maps(shot.name, some[number], store))
            yield step(f"checked {number + 1} of {len(shots)}")
        total += candidate.stops(len(shots)) - len(shots)
        for number, _ in enumerate(candidate.fitting(maps, apart), 1):
            yield step(f"learned {number} of {candidate.stops(len(shots))}")
        for number in range(COUNT):
            at, kind, drawn = trial(number, some, settings.seed)
            name = f"{shots[at].name} {shots[(at + 1) % len(shots)].name} trial {settings.seed} {number}"
            candidate.try_on(at, kind, candidate.maps(name, drawn, store))
            yield step(f"tried {number + 1} of {COUNT} defects")
        tried.append(candidate)
    for candidate in tried:
        candidate.shared = None
    together = list(both(tried))
    best = best_of(tried, together)
    inspector = _inspector(best, [*tried, *together], snapshot, shots, apart)
    yield step("found the limit")
    # 3. Learn from defects that were shown.
    good_maps = [
        best.maps(shot.name, one, store) for shot, one in zip(shots, opened[best.extractor.side], strict=True)
    ]
    lesson = _Defects(inspector, best, bad, open_picture, store, shots, good_maps, apart)
    for number, item in enumerate(bad, 1):
        lesson.maps(item)
        yield step(f"checked {number} of {len(bad)} with defects")
    if shown:
        for words in lesson.taught(settings.seed):
            yield step(words)
    for words in lesson.named():
        yield step(words)
    yield step("done")
    return inspector


def _some(items: list[Item], most: int, seed: int) -> list[Item]:
    if len(items) <= most:
        return items
    lots = torch.Generator().manual_seed(seed)
    return [items[at] for at in sorted(torch.randperm(len(items), generator=lots)[:most].tolist())]


def _laid(seen: Sequence[Tensor], alike: str) -> tuple[str, Aligner | None]:
    """Return how parts lie, and what lays them onto each other: by what is set or, for "auto", whether they
    lie clearly on one another."""
    if alike == FREE:
        return FREE, None
    wanted = FIXED if alike == AUTO else alike
    found = None
    for aligner, unclear in align(seen, ALIGNED[wanted]):
        if alike == AUTO and unclear > MOST_UNCLEAR:
            return FREE, None
        found = aligner
    return wanted, found


def best_of(tried: Sequence[Candidate], together: Sequence[Candidate] = ()) -> Candidate:
    """Return the candidate that separates drawn defects best; a later one has to be clearly ahead, and one
    alone of the best two together: they are rarely wrong in the same place, as drawn defects don't show."""
    best = tried[0]
    for candidate in tried[1:]:
        if candidate.separation() > best.separation() + BETTER:
            best = candidate
    for candidate in sorted(together, key=lambda one: -one.separation())[:1]:
        if best.separation() <= candidate.separation() + ALONE:
            best = candidate
    return best


def _inspector(
    best: Candidate, tried: Sequence[Candidate], snapshot: Snapshot, shots: Sequence[Shot], apart: Apart
) -> Inspector:
    separation, unsure = best.separation(), []
    for kind in KINDS:
        found, good = torch.tensor(best.trial_scores.get(kind, [])), torch.tensor(best.good_scores)
        above = (found[:, None] > good).float()
        unsure += [] if above.numel() and above.mean() >= WEAK_KIND else [kind]
    card: dict[str, Any] = {
        "format": FORMAT,
        "task": "anomaly",
        "snapshot": snapshot.sha256,
        "extractor": best.extractor.name,
        "licence": best.extractor.licence,
        "side": best.extractor.side,
        "method": best.method,
        "alike": best.alike,
        "seed": best.seed,
        "good": [shot.sha256 for shot in shots if not shot.copy],
        "separation": round(separation, 3),
        "tried": {f"{one.extractor.name} {one.method}": round(one.separation(), 3) for one in tried},
        "weak": separation < SURE,
        "unsure": unsure,
        "names": [],
        "bad_scores": [],
        "taught": None,
        "overlapping": apart.shared,
    }
    card |= _limit(best.good_scores, shots, apart)
    tensors = {
        name: value.half().float() if name in HALF else value for name, value in best.tensors().items()
    }
    return Inspector(card, tensors)


def _limit(scores: Sequence[float], shots: Sequence[Shot], apart: Apart) -> dict[str, Any]:
    """Return what the card says of the limit. scores: held-out, of all shots; those of copies count only
    where there is no other part to be told by."""
    own = [at for at, shot in enumerate(shots) if not shot.copy]
    groups = [apart.places[at] for at in own]
    if alone(shots):
        found = Limit(max(scores) * GUESS, 0)
    elif len(set(groups)) == 1:  # of the same places, none of which can be held out
        found = Limit(max(scores), 0)
    else:
        found = from_good(strongest([scores[at] for at in own], groups))
    return {
        "limit": found.value,
        "promise": [found.promise.numerator, found.promise.denominator],
        "good_scores": [round(scores[at], 6) for at in own],
        "good_groups": groups,
    }


def marks(item: Item, open_picture: Open) -> Tensor | None:
    """Return where a picture's defects were painted or boxed, (MARK_SIDE, MARK_SIDE) in 0..1; None where
    nobody has marked any."""
    if item.mask:
        painted = open_picture(item.mask).convert("L").resize((MARK_SIDE, MARK_SIDE), Image.Resampling.BOX)
        return torch.from_numpy(np.asarray(painted, np.float32) / 255)
    found = torch.zeros(MARK_SIDE, MARK_SIDE)
    for box in item.boxes:
        left, top, right, bottom = (round(each * MARK_SIDE) for each in box)
        found[top : max(bottom, top + 1), left : max(right, left + 1)] = 1
    return found if item.boxes else None


@dataclass(frozen=True)
class _Defects:
    """Lets an inspection learn from pictures with defects, opened one at a time and only where their features
    aren't kept. left_out: scores of those that it has learned to find, told without them."""

    inspector: Inspector
    best: Candidate
    items: list[Item]
    open: Open
    store: Store
    shots: Sequence[Shot]
    good_maps: Sequence[Tensor]
    apart: Apart
    left_out: dict[str, float] = field(default_factory=dict)

    def _pixels(self, item: Item) -> Tensor:
        return pixels(self.open(item.sha256), self.best.extractor.side)

    def maps(self, item: Item) -> Tensor:
        """Return the map (1, D, h, w) of a picture."""
        return self.best.maps(item.sha256, lambda: self._pixels(item), self.store)

    def taught(self, seed: int) -> Iterator[str]:
        """Let the inspection find what is like the defects that were shown, where more are found that way,
        and say what was done."""
        best, card = self.best, self.inspector.card
        some = _some(self.items, MOST_TAUGHT, seed)
        names, good, bad = [item.group or item.sha256 for item in some], [], []
        for at, maps in enumerate(self.good_maps):
            seen = best.look(maps, at)[1]
            good.append(detector.Pictured(seen.ways, seen.apart, self.apart.groups[at]))
        for number, item in enumerate(some, 1):
            seen = best.look(self.maps(item))[1]
            marked = marks(item, self.open)
            if marked is not None:
                marked = best.laid(marked, self._pixels(item))
            group = names.index(item.group or item.sha256)
            bad.append(detector.Pictured(seen.ways, seen.apart, group, marked))
            yield f"compared {number} of {len(some)} defects"
        learning = detector.learn_defects(
            good, bad, lambda scores: float(_limit(scores, self.shots, self.apart)["limit"])
        )
        for number in range(1, detector.STOPS + 1):
            next(learning)
            yield f"trained {number} of {detector.STOPS}"
        lesson = exhausted(learning)
        told = {"pictures": len(bad), "found before": lesson.before, "found": lesson.after}
        card["taught"] = told | {"kept": lesson.helps}
        if lesson.helps:
            best.taught = lesson.module
            card |= _limit(lesson.good, self.shots, self.apart)
            state = lesson.module.state_dict()
            self.inspector.tensors |= {f"taught.{name}": value for name, value in state.items()}
            self.left_out.update(zip((item.sha256 for item in some), lesson.bad, strict=True))

    def named(self) -> Iterator[str]:
        """Add scores of pictures with defects, and names where there are enough of any, to the inspection,
        and say what was done."""
        best, card, rows, labels, scores = self.best, self.inspector.card, list[Tensor](), list[str](), []
        counted = Counter(item.label for item in self.items)
        card["too_few"] = sorted(label for label, count in counted.items() if count < LEAST_NAMED)
        for number, item in enumerate(self.items, 1):
            value, seen = best.look(self.maps(item))
            scores.append(round(self.left_out.get(item.sha256, value), 6))
            if counted[item.label] >= LEAST_NAMED:
                rows.append(detector.seen(seen.heat, seen.apart, seen.maps))
                labels.append(item.label)
            yield f"scored {number} of {len(self.items)}"
        card["bad_scores"] = scores
        if not rows:
            return
        for at, maps in enumerate(self.good_maps):
            seen = best.look(maps, at)[1]
            rows.append(detector.seen(seen.heat, seen.apart, seen.maps))
        labels += [GOOD] * len(self.good_maps)
        head, card["names"] = detector.fit_naming(torch.cat(rows), labels)
        self.inspector.tensors |= {f"naming.{name}": value for name, value in head.state_dict().items()}
