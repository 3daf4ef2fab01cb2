"""Trains an inspection: looks at good pictures in every way the host has, tries each on drawn defects, keeps
the best, and tells what it can't find. Where there are fewer than four good parts it learns from copies of
their pictures, as the same camera might have taken them a moment later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from core.errors import UserError
from vision.custom_models.anomaly import detector, selection
from vision.custom_models.anomaly.detector import ALIGNED, AUTO, FIXED, FORMAT, FREE, HALF, Inspector
from vision.custom_models.anomaly.features import Aligner, moved
from vision.custom_models.anomaly.selection import MOST_UNCLEAR, Candidate, align, both, trial
from vision.custom_models.dataset import Apart, overlapping, structure
from vision.custom_models.features import Extractor, pixels
from vision.custom_models.snapshot import GOOD, TRAIN, Box, Item, Snapshot
from vision.custom_models.steps import Step, Store, exhausted
from vision.custom_models.thresholds import GUESS, Limit, from_good, strongest

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
    "free" (nothing to lay them by). seed: of all lots. region: (h, w) of any size in 0..1, where defects
    count; None = everywhere."""

    alike: str = AUTO
    seed: int = 0
    region: Tensor | None = None

    def __post_init__(self) -> None:
        if self.alike not in (AUTO, FREE, *ALIGNED):
            raise ValueError(f"alike must be auto, fixture, turns or free, not {self.alike!r}")


class _Known:
    """Pictures with defects: opened one at a time, and only where their features aren't kept."""

    def __init__(self, items: list[Item], open_picture: Open, store: Store) -> None:
        self.items, self._open, self._store = items, open_picture, store

    def pixels(self, item: Item, best: Candidate) -> Tensor:
        """Return a picture as an extractor takes it, (3, S, S)."""
        return pixels(self._open(item.sha256), best.extractor.side)

    def maps(self, item: Item, best: Candidate) -> Tensor:
        """Return its map (1, D, h, w)."""
        return best.maps(item.sha256, lambda: self.pixels(item, best), self._store)

    def marks(self, item: Item) -> Tensor | None:
        """Return where its defects were marked, see ``marks``."""
        return marks(item, self._open)


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
    known = _Known(bad, open_picture, store)
    shown = min(len(bad), MOST_TAUGHT) if len(bad) >= detector.LEAST_TAUGHT else 0
    total = len(extractors) * (2 * len(shots) + selection.COUNT) + len(shots) + 2 * len(bad) + 2
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
            yield step(f"looked at {number + 1} of {len(shots)}")
        region = _region(settings.region, maps[0])
        total += candidate.stops(len(shots)) - len(shots)
        for number, _ in enumerate(candidate.fitting(maps, region, apart), 1):
            yield step(f"learned {number} of {candidate.stops(len(shots))}")
        for number in range(selection.COUNT):
            at, kind, drawn = trial(number, some, settings.seed)
            name = f"{shots[at].name} {shots[(at + 1) % len(shots)].name} trial {settings.seed} {number}"
            candidate.try_on(at, kind, candidate.maps(name, drawn, store))
            yield step(f"tried {number + 1} of {selection.COUNT} defects")
        tried.append(candidate)
    for candidate in tried:
        candidate.shared = None
    together = list(both(tried))
    best = best_of(tried, together)
    inspector = _inspector(best, [*tried, *together], snapshot, shots, apart)
    yield step("found the limit")
    # 3. Learn from defects that were shown.
    for number, item in enumerate(bad, 1):
        known.maps(item, best)
        yield step(f"looked at {number} of {len(bad)} with defects")
    good_maps = [
        best.maps(shot.name, one, store) for shot, one in zip(shots, opened[best.extractor.side], strict=True)
    ]
    left_out: dict[str, float] = {}
    if shown:
        for words in _teaching(inspector, best, shots, good_maps, known, settings.seed, left_out, apart):
            yield step(words)
    for words in _naming(inspector, best, good_maps, known, left_out):
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


def _region(region: Tensor | None, maps: Tensor) -> Tensor:
    if region is None:
        return torch.ones(maps.shape[-2:])
    size = (maps.shape[-2], maps.shape[-1])
    return torch.nn.functional.adaptive_avg_pool2d(region.float()[None], size)[0]


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
    separation = best.separation()
    unsure = [kind for kind in selection.KINDS if _separated(best, kind) < WEAK_KIND]
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


def _separated(candidate: Candidate, kind: str) -> float:
    good, found = torch.tensor(candidate.good_scores), torch.tensor(candidate.trial_scores.get(kind, []))
    return float((found[:, None] > good).float().mean()) if len(found) else 0.0


def _teaching(
    inspector: Inspector,
    best: Candidate,
    shots: Sequence[Shot],
    good_maps: Sequence[Tensor],
    known: _Known,
    seed: int,
    left_out: dict[str, float],
    apart: Apart,
) -> Iterator[str]:
    """Let an inspection find what is like the defects that were shown, where more are found that way, and say
    what was done. left_out: gets the scores of those pictures, told without them."""
    some = _some(known.items, MOST_TAUGHT, seed)
    names, good, bad = [item.group or item.sha256 for item in some], [], []
    for at, maps in enumerate(good_maps):
        seen = best.look(maps, at)[1]
        good.append(detector.Pictured(seen.ways, seen.apart, apart.groups[at]))
    for number, item in enumerate(some, 1):
        seen = best.look(known.maps(item, best))[1]
        marked = known.marks(item)
        if marked is not None:
            marked = best.laid(marked, known.pixels(item, best))
        group = names.index(item.group or item.sha256)
        bad.append(detector.Pictured(seen.ways, seen.apart, group, marked))
        yield f"compared {number} of {len(some)} defects"
    learning = detector.learn_defects(
        good, bad, best.region, lambda scores: float(_limit(scores, shots, apart)["limit"])
    )
    for number in range(1, detector.STOPS + 1):
        next(learning)
        yield f"taught {number} of {detector.STOPS}"
    lesson = exhausted(learning)
    inspector.card["taught"] = {
        "pictures": len(bad),
        "found before": lesson.before,
        "found": lesson.after,
        "kept": lesson.helps,
    }
    if lesson.helps:
        best.taught = lesson.module
        inspector.card |= _limit(lesson.good, shots, apart)
        inspector.tensors |= {f"taught.{name}": value for name, value in lesson.module.state_dict().items()}
        left_out |= dict(zip((item.sha256 for item in some), lesson.bad, strict=True))


def marks(item: Item, open_picture: Open) -> Tensor | None:
    """Return where a picture's defects were painted or boxed, (MARK_SIDE, MARK_SIDE) in 0..1; None where
    nobody has marked any."""
    if not item.mask:
        return _boxed(item.boxes) if item.boxes else None
    painted = open_picture(item.mask).convert("L").resize((MARK_SIDE, MARK_SIDE), Image.Resampling.BOX)
    return torch.from_numpy(np.asarray(painted, np.float32) / 255)


def _boxed(boxes: Sequence[Box]) -> Tensor:
    """Return boxes as marks (MARK_SIDE, MARK_SIDE)."""
    found = torch.zeros(MARK_SIDE, MARK_SIDE)
    for box in boxes:
        left, top, right, bottom = (round(each * MARK_SIDE) for each in box)
        found[top : max(bottom, top + 1), left : max(right, left + 1)] = 1
    return found


def _naming(
    inspector: Inspector,
    best: Candidate,
    good_maps: Sequence[Tensor],
    known: _Known,
    left_out: Mapping[str, float],
) -> Iterator[str]:
    """Add scores of pictures with defects, and names where there are enough of any, to an inspection, and say
    what was done."""
    counted = Counter(item.label for item in known.items)
    inspector.card["too_few"] = sorted(label for label, count in counted.items() if count < LEAST_NAMED)
    rows, labels, scores = [], [], []
    for number, item in enumerate(known.items, 1):
        value, seen = best.look(known.maps(item, best))
        scores.append(round(left_out.get(item.sha256, value), 6))
        if counted[item.label] >= LEAST_NAMED:
            rows.append(detector.seen(seen.heat, seen.apart, seen.maps))
            labels.append(item.label)
        yield f"scored {number} of {len(known.items)}"
    inspector.card["bad_scores"] = scores
    if not rows:
        return
    for at, maps in enumerate(good_maps):
        seen = best.look(maps, at)[1]
        rows.append(detector.seen(seen.heat, seen.apart, seen.maps))
    head, names = detector.fit_naming(torch.cat(rows), [*labels, *([GOOD] * len(good_maps))])
    inspector.card["names"] = names
    inspector.tensors |= {f"naming.{name}": value for name, value in head.state_dict().items()}
