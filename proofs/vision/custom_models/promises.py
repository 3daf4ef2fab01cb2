"""Rows of ``proofs.vision.custom_models.proof`` on what an inspection promises of good parts, over many
trainings: ``promises``, and ``taught``, after missed defects were shown. A promise is an average over
trainings: how many good parts one of them stops says little of it.

Pictures are laid onto one reference, made of others, and looked at once; each draw learns from some of them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from proofs.vision.custom_models.seen_with import towers
from tests.vision.custom_models import parts
from vision.custom_models.anomaly import detector, train
from vision.custom_models.anomaly.detector import FIXED
from vision.custom_models.anomaly.features import FIXTURE, moved
from vision.custom_models.anomaly.train import Candidate, align, best_of, trial
from vision.custom_models.dataset import Apart
from vision.custom_models.features import Extractor, pixels
from vision.custom_models.steps import exhausted
from vision.custom_models.thresholds import from_good

Row = dict[str, object]
Which = tuple[int, str, float]  # a picture with a defect: its seed, the defect, how clearly it is seen
REFERENCE, TESTED, FIRST_FAINT = (
    3000,
    20_000,
    30_000,
)  # first seeds: of the reference, of bad ones, faint ones
GOOD, NEW, BAD = 48, 24, 14  # good pictures; those of them that a draw is tested on; bad ones
COUNTS, DRAWS = (5, 10, 20), 40
ASKED, FOUND, TAUGHT_FOUND = 1.25, 0.85, 0.8  # times the promise; of defects from 20; of those that are shown
LESSONS, LEARNED, SHOWN, FAINTS = (
    8,
    20,
    10,
    48,
)  # draws; good pictures, shown defects of each; faint ones in all
FAINT = (("plate", "stain", 0.35), ("valve", "stain", 0.35), ("keypad", "crack", 0.25))
MARKED = ("masks", "boxes", "nothing")


@dataclass(frozen=True)
class Pool:
    """Maps of one extractor, (1, D, h, w) each. marks: (h, w), where the bad ones' defects are. tried:
    drawn defects on the first LEARNED good pictures, which and of what kind."""

    extractor: Extractor
    good: list[Tensor]
    bad: list[Tensor]
    marks: list[Tensor]
    tried: list[tuple[int, str, Tensor]]


@torch.no_grad()
def pools(
    part: str, bad: Sequence[Which], extractors: Sequence[Extractor], trying: bool = True
) -> list[Pool]:
    """Return a pool for each extractor."""
    reference = [pixels(parts.picture(part, REFERENCE + n)[0], 256) for n in range(16)]
    aligner = list(align(reference, FIXTURE))[-1][0]
    good = [pixels(parts.picture(part, n)[0], 256) for n in range(GOOD)]
    wounded = [parts.picture(part, *which) for which in bad]
    tried = [trial(n, good[:LEARNED], 0) for n in range(train.COUNT if trying else 0)]
    seen = [*good, *(drawn for _, _, drawn in tried), *(pixels(image, 256) for image, _ in wounded)]
    laid, motions, _ = zip(*(aligner(one[None]) for one in seen), strict=True)
    masks = [torch.from_numpy(mask).float()[None, None] for _, mask in wounded]
    found = []
    for extractor in extractors:
        maps = [extractor.module(one)[0] for one in laid]
        size = (maps[0].shape[-2], maps[0].shape[-1])
        small = [F.adaptive_avg_pool2d(mask, size) for mask in masks]
        placed = zip(small, motions[len(seen) - len(bad) :], strict=True)
        marks = [moved(mask, motion)[0, 0] for mask, motion in placed]
        drawn = [(at, kind, maps[GOOD + n]) for n, (at, kind, _) in enumerate(tried)]
        found.append(Pool(extractor, maps[:GOOD], maps[GOOD + len(tried) :], marks, drawn))
    return found


def learned(pool: Pool, some: Sequence[int]) -> Candidate:
    """Return what is learned from some of the good pictures."""
    candidate = Candidate(pool.extractor, FIXED, None, 0)
    shown = [pool.good[at] for at in some]
    exhausted(candidate.fitting(shown, Apart.of(range(len(shown)))))
    return candidate


def chosen(some: Sequence[Pool]) -> Pool:
    """Return that of the extractor that drawn defects choose in a training of LEARNED good pictures."""
    tried = [learned(pool, range(LEARNED)) for pool in some]
    for candidate, pool in zip(tried, some, strict=True):
        for at, kind, maps in pool.tried:
            candidate.try_on(at, kind, maps)
    return some[tried.index(best_of(tried))]


@dataclass(frozen=True)
class Told:
    """Of one draw: shares of good parts that are stopped and bad ones that are found."""

    stopped: float
    found: float


def of_promises(scale: float, some: Sequence[str] = parts.ALL) -> Iterator[Row]:
    """8.4: how many good parts are stopped, over 40 draws of those that are learned from, of each part, by
    the extractor that drawn defects choose for it."""
    draws, totals = max(2, round(DRAWS * scale)), dict[int, list[list[Told]]]()
    for part in some:
        bad = [(TESTED + n, parts.DEFECTS[n % 7], 1.0) for n in range(BAD)]
        pool = chosen(pools(part, bad, towers()))
        for count in COUNTS:
            told = [_draw(pool, count, draw) for draw in range(draws)]
            totals.setdefault(count, []).append(told)
            yield {"part": part, "backbone": pool.extractor.name, "draws": draws} | _kept(count, [told])
    for count, each in totals.items():
        yield {"part": "all", "draws": sum(map(len, each))} | _kept(count, each)


def _draw(pool: Pool, count: int, draw: int) -> Told:
    lots = random.Random(f"{count} {draw}").sample(range(GOOD), count + NEW)
    candidate = learned(pool, lots[:count])
    limit = from_good(candidate.good_scores).value
    stopped = _above(candidate, [pool.good[at] for at in lots[count:]], limit)
    return Told(stopped, _above(candidate, pool.bad, limit))


def _kept(count: int, told: Sequence[Sequence[Told]]) -> Row:
    """Return the figures of draws, of one part each."""
    stopped = [[one.stopped * (count + 1) for one in some] for some in told]
    everything = [one for some in told for one in some]
    found = float(np.mean([one.found for one in everything]))
    mean = float(np.mean(sum(stopped, [])))
    return {
        "good": count,
        "promise": 1 / (count + 1),
        "stopped, of the promise": mean,
        "interval": _rounded(interval(stopped)),
        "stopped, worst tenth": float(np.quantile([one.stopped for one in everything], 0.9)),
        "found": found,
        "passes": mean <= ASKED and (count < 20 or found >= FOUND),
    }


def interval(told: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Return where the mean lies with 95 %, by 2,000 bootstrap samples of the draws of each part."""
    lots = np.random.default_rng(0)
    means = [np.concatenate([lots.choice(some, len(some)) for some in told]).mean() for _ in range(2000)]
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


@dataclass(frozen=True)
class Lesson:
    """Of one draw: shares of good parts that are stopped before and after, and of missed defects that are
    found then."""

    before: float
    after: float
    found: float
    new: int
    kept: bool


def of_taught(scale: float, some: Sequence[str] = parts.ALL) -> Iterator[Row]:
    """8.6: ten missed defects are shown; how many new ones that were missed as well are found then, and how
    many good parts are stopped before and after, over 8 draws of good parts and of defects. Filters alone."""
    draws = max(2, round(LESSONS * scale))
    for part, kind, strength in (one for one in FAINT if one[0] in some):
        faint = [(FIRST_FAINT + n, kind, strength) for n in range(FAINTS)]
        pool = pools(part, faint, towers()[:1], trying=False)[0]
        told = [_lessons(pool, draw) for draw in range(draws)]
        for marked in MARKED:
            yield {"part": part, "defect": f"{kind} at {strength}", "marked": marked} | _learned(
                [one[marked] for one in told]
            )


def _lessons(pool: Pool, draw: int) -> dict[str, Lesson]:
    lots = random.Random(f"taught {draw}")
    order = lots.sample(range(GOOD), GOOD)
    some, new = order[:LEARNED], order[LEARNED:]
    candidate = learned(pool, some)
    limit = from_good(candidate.good_scores).value
    before = _above(candidate, [pool.good[at] for at in new], limit)
    missed = [at for at, one in enumerate(pool.bad) if candidate.look(one)[0] <= limit]
    missed = lots.sample(missed, len(missed))
    shown, rest = missed[:SHOWN], missed[SHOWN:]
    good = [
        detector.Pictured(seen.ways, seen.apart, at)
        for at, which in enumerate(some)
        for _, seen in [candidate.look(pool.good[which], at)]
    ]
    found = {}
    for marked in MARKED:
        candidate.taught = None
        bad = []
        for number, at in enumerate(shown):
            seen = candidate.look(pool.bad[at])[1]
            marks = {"masks": pool.marks[at], "boxes": _boxed(pool.marks[at])}.get(marked)
            bad.append(detector.Pictured(seen.ways, seen.apart, number, marks))
        lesson = exhausted(detector.learn_defects(good, bad, lambda scores: from_good(scores).value))
        after = limit
        if lesson.helps:
            candidate.taught, after = lesson.module, from_good(lesson.good).value
        found[marked] = Lesson(
            before,
            _above(candidate, [pool.good[at] for at in new], after),
            _above(candidate, [pool.bad[at] for at in rest], after),
            len(rest),
            lesson.helps,
        )
    return found


def _above(candidate: Candidate, some: Sequence[Tensor], limit: float) -> float:
    return float(np.mean([candidate.look(one)[0] > limit for one in some]))


def _boxed(marks: Tensor) -> Tensor:
    """Return the box around marks."""
    rows, columns = np.nonzero(marks.numpy() > 0.5)
    found = torch.zeros_like(marks)
    if len(rows):
        found[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = 1
    return found


def _learned(told: Sequence[Lesson]) -> Row:
    before, after = (
        [share * (LEARNED + 1) for share in each]
        for each in zip(*((o.before, o.after) for o in told), strict=True)
    )
    found = float(np.average([one.found for one in told], weights=[one.new for one in told]))
    return {
        "draws": len(told),
        "kept": sum(one.kept for one in told),
        "new ones": sum(one.new for one in told),
        "new ones found": found,
        "interval of it": _rounded(interval([[one.found for one in told]])),
        "stopped before, of the promise": float(np.mean(before)),
        "stopped after, of the promise": float(np.mean(after)),
        "interval": _rounded(interval([after])),
        "passes": bool(np.mean(after) <= ASKED and found >= TAUGHT_FOUND),
    }


def _rounded(ends: tuple[float, float]) -> list[float]:
    return [round(end, 2) for end in ends]
