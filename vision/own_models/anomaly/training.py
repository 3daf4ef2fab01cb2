"""Trains an inspection: looks at good pictures in every way the host has, tries each on drawn defects, keeps
the best, and tells what it can't find."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from core.errors import UserError
from vision.own_models.anomaly import limit, naming, trials
from vision.own_models.anomaly.align import Aligner
from vision.own_models.anomaly.candidates import MOST_UNCLEAR, Candidate, align, trial
from vision.own_models.anomaly.inspector import ALIGNED, AUTO, FIXED, FORMAT, FREE, HALF, Inspector
from vision.own_models.features.extractor import Extractor, pixels
from vision.own_models.snapshot import GOOD, TRAIN, Snapshot
from vision.own_models.steps import Step, Store

LEAST_GOOD, LEAST_NAMED = 4, 3  # good pictures; pictures of a kind that is to be named
MOST_GOOD = 200  # that are learned from; more are chosen among by lot
SURE = 0.9  # separation of trial defects below which an inspection is told to be weak
BETTER = 0.01  # separation by which a later extractor has to be ahead of an earlier one
WEAK_KIND = 0.75

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


def train(
    snapshot: Snapshot, open_picture: Open, extractors: Sequence[Extractor], settings: Settings, store: Store
) -> Generator[Step, None, Inspector]:
    """Yield steps and return an inspection of the snapshot's training part.

    extractors: what the host has; the earlier are preferred. Raises UserError when there are too few good
    pictures. One thread and the same snapshot, extractors and settings give the same bytes.
    """
    items = snapshot.part(TRAIN)
    good = [item.sha256 for item in items if item.label == GOOD]
    if len(good) < LEAST_GOOD:
        raise UserError(
            f"{len(good)} good pictures; an inspection needs at least {LEAST_GOOD}, and 20 are better."
        )
    good = _some(good, settings.seed)
    bad = [(item.sha256, item.label) for item in items if item.label != GOOD]
    total = len(extractors) * (len(good) + trials.COUNT) + len(good) + len(bad) + 2
    done = 0

    def step(words: str) -> Step:
        nonlocal done
        done += 1
        return Step(min(done, total), total, words)

    opened: dict[int, list[Tensor]] = {}
    for number, sha in enumerate(good, 1):
        image = open_picture(sha)
        for side in {extractor.side for extractor in extractors}:
            opened.setdefault(side, []).append(pixels(image, side))
        yield step(f"opened {number} of {len(good)}")
    tried: list[Candidate] = []
    for extractor in extractors:
        seen = opened[extractor.side]
        alike, aligner = _laid(seen, settings.alike)
        candidate = Candidate(extractor, alike, aligner, settings.seed)
        maps = []
        for number, sha in enumerate(good):
            maps.append(candidate.maps(sha, seen[number], store))
            yield step(f"looked at {number + 1} of {len(good)}")
        candidate.fit(maps, _region(settings.region, maps[0]))
        for number in range(trials.COUNT):
            at, kind, drawn = trial(number, seen, settings.seed)
            name = f"{good[at]} {good[(at + 1) % len(good)]} trial {settings.seed} {number}"
            candidate.try_on(at, kind, candidate.maps(name, drawn, store))
            yield step(f"tried {number + 1} of {trials.COUNT} defects")
        tried.append(candidate)
    best = _best(tried)
    inspector = _inspector(best, tried, snapshot, good)
    yield step("found the limit")
    rows, labels, scores = [], [], []
    for number, (sha, label) in enumerate(bad, 1):
        picture = pixels(open_picture(sha), best.extractor.side)
        value, shown = best.look(best.maps(sha, picture, store))
        rows.append(naming.seen(shown.heat, shown.apart, shown.maps))
        labels.append(label)
        scores.append(value)
        yield step(f"looked at {number} of {len(bad)} with defects")
    _teach(inspector, best, good, opened, store, (rows, labels, scores))
    yield step("done")
    return inspector


def _some(good: list[str], seed: int) -> list[str]:
    if len(good) <= MOST_GOOD:
        return good
    lots = torch.Generator().manual_seed(seed)
    return [good[at] for at in sorted(torch.randperm(len(good), generator=lots)[:MOST_GOOD].tolist())]


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


def _best(tried: Sequence[Candidate]) -> Candidate:
    best = tried[0]
    for candidate in tried[1:]:
        if candidate.separation() > best.separation() + BETTER:
            best = candidate
    return best


def _inspector(best: Candidate, tried: Sequence[Candidate], snapshot: Snapshot, good: list[str]) -> Inspector:
    found = limit.from_good(best.good_scores)
    separation = best.separation()
    unsure = [kind for kind in trials.KINDS if _separated(best, kind) < WEAK_KIND]
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
        "limit": found.value,
        "promise": [found.promise.numerator, found.promise.denominator],
        "good": good,
        "good_scores": [round(score, 6) for score in best.good_scores],
        "separation": round(separation, 3),
        "tried": {f"{one.extractor.name} {one.method}": round(one.separation(), 3) for one in tried},
        "weak": separation < SURE,
        "unsure": unsure,
        "names": [],
        "bad_scores": [],
    }
    tensors = {
        name: value.half().float() if name in HALF else value for name, value in best.tensors().items()
    }
    return Inspector(card, tensors)


def _separated(candidate: Candidate, kind: str) -> float:
    good, found = torch.tensor(candidate.good_scores), torch.tensor(candidate.trial_scores.get(kind, []))
    return float((found[:, None] > good).float().mean()) if len(found) else 0.0


def _teach(
    inspector: Inspector,
    best: Candidate,
    good: Sequence[str],
    opened: dict[int, list[Tensor]],
    store: Store,
    known: tuple[list[Tensor], list[str], list[float]],
) -> None:
    """Add names of defects, where there are enough pictures of any, to an inspection."""
    rows, labels, scores = known
    inspector.card["bad_scores"] = [round(score, 6) for score in scores]
    counted = {label: labels.count(label) for label in labels}
    enough = [at for at, label in enumerate(labels) if counted[label] >= LEAST_NAMED]
    inspector.card["too_few"] = sorted(label for label, count in counted.items() if count < LEAST_NAMED)
    if not enough:
        return
    seen = opened[best.extractor.side]
    for number, sha in enumerate(good):
        _, shown = best.look(best.maps(sha, seen[number], store), number)
        rows.append(naming.seen(shown.heat, shown.apart, shown.maps))
        labels.append(GOOD)
        enough.append(len(rows) - 1)
    head, names = naming.fit(torch.cat([rows[at] for at in enough]), [labels[at] for at in enough])
    inspector.card["names"] = names
    inspector.tensors |= {f"naming.{name}": value for name, value in head.state_dict().items()}
