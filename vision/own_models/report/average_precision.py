"""Average precision of boxes, as COCO counts it: the mean, over 101 recalls, of the best precision at that
recall or a higher one, of boxes that overlap a right one of their label by at least so much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

OVERLAPS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
RECALLS = np.linspace(0, 1, 101)
MOST = 100  # boxes of a picture that count


@dataclass(frozen=True)
class Boxes:
    """Of one picture and one label. right: (n, 4); said: (m, 4) with scores (m,)."""

    right: np.ndarray
    said: np.ndarray
    scores: np.ndarray


def overlaps(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the intersection over union of boxes (n, 4) with others (m, 4): (n, m)."""
    low = np.maximum(some[:, None, :2], others[None, :, :2])
    high = np.minimum(some[:, None, 2:], others[None, :, 2:])
    both = (high - low).clip(min=0).prod(-1)
    areas = [(each[:, 2:] - each[:, :2]).prod(-1) for each in (some, others)]
    return both / np.maximum(areas[0][:, None] + areas[1][None] - both, 1e-12)


def matched(one: Boxes, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of a picture's boxes, the surest first, and the number of the right box that each is,
    -1 for none: the surest takes the one it overlaps most, and each is taken once."""
    order = np.argsort(-one.scores, kind="stable")[:MOST]
    shared = overlaps(one.said[order], one.right)
    hits, free = np.full(len(order), -1), np.ones(len(one.right), bool)
    for at in range(len(order)):
        best = np.where(free, shared[at], -1.0)
        if len(best) and best.max() >= least:
            hits[at] = len(best) - 1 - int(best[::-1].argmax())  # of equals the last, as COCO's tool takes
            free[hits[at]] = False
    return one.scores[order], hits


def curve(some: Sequence[Boxes], least: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the recall and precision of one label down to each of its boxes, the surest first; None where
    nothing was right."""
    count = sum(len(one.right) for one in some)
    if not count:
        return None
    found = [matched(one, least) for one in some]
    order = np.argsort(-np.concatenate([scores for scores, _ in found]), kind="stable")
    hits = (np.concatenate([hit for _, hit in found])[order] >= 0).cumsum()
    return hits / count, hits / np.arange(1, len(hits) + 1)


def average_precision(some: Sequence[Boxes], least: float) -> float | None:
    """Return the average precision of one label; None where nothing was right."""
    if (found := curve(some, least)) is None:
        return None
    recall, precision = found
    best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(best[np.searchsorted(recall, RECALLS, side="left")].mean())


def by_label(some: Mapping[str, Sequence[Boxes]]) -> dict[str, tuple[float, float]]:
    """Return AP50 and the mean over OVERLAPS (AP50-95) of each label that was anywhere right."""
    found = {}
    for label, boxes in some.items():
        figures = [average_precision(boxes, least) for least in OVERLAPS]
        if figures[0] is not None:
            found[label] = (figures[0], float(np.mean([one or 0.0 for one in figures])))
    return found
