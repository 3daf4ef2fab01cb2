"""Figures of a model on held-out pictures: shares with their intervals, curves, and average precision of
boxes as COCO counts it: the mean, over 101 recalls, of the best precision at that recall or a higher one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import stats
from sklearn import metrics
from torchvision.ops import box_iou

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Share:
    """hits of n, with a Clopper-Pearson interval, from which on a percentage says something."""

    hits: int
    n: int

    @property
    def value(self) -> float:
        """The share, NaN of nothing."""
        return self.hits / self.n if self.n else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Lowest and highest share that agree with what was counted, at CONFIDENCE."""
        found = stats.binomtest(self.hits, self.n).proportion_ci(CONFIDENCE)
        return float(found.low), float(found.high)

    def pair(self) -> list[int]:
        """Return hits and n, as JSON has them."""
        return [self.hits, self.n]

    def __str__(self) -> str:
        if not self.n:
            return "none of none"
        low, high = self.interval
        return f"{self.hits} of {self.n} ({100 * low:.0f}-{100 * high:.0f} %)"


@dataclass(frozen=True)
class LabelFigures:
    """Of one label: what was named so rightly, what of it was found, and their harmonic mean."""

    label: str
    precision: Share
    recall: Share

    @property
    def f1(self) -> float:
        """0 where nothing was right."""
        right, missed = self.recall.hits, self.recall.n - self.recall.hits
        wrong = self.precision.n - self.precision.hits
        return 2 * right / (2 * right + missed + wrong) if right else 0.0

    def told(self) -> dict[str, Any]:
        """Return its figures as JSON."""
        shares = {"precision": self.precision.pair(), "recall": self.recall.pair()}
        return shares | {"f1": round(self.f1, 4)}


@dataclass(frozen=True)
class NamesReport:
    """confusion: (L, L), rows are the right labels, columns what was said."""

    labels: tuple[str, ...]
    confusion: np.ndarray
    figures: tuple[LabelFigures, ...]

    @property
    def accuracy(self) -> Share:
        """What was named rightly."""
        return Share(int(np.trace(self.confusion)), int(self.confusion.sum()))

    @property
    def macro_f1(self) -> float:
        """The mean over labels, each counting the same."""
        return float(np.mean([one.f1 for one in self.figures]))


def names_report(right: Sequence[str], said: Sequence[str]) -> NamesReport:
    """Return how labels were named. Raises ValueError for lists of different lengths, or none."""
    labels = tuple(sorted({*right, *said}))
    if len(labels) == 1:  # which scikit-learn warns of
        confusion = np.array([[len(list(zip(right, said, strict=True)))]])
    else:
        confusion = metrics.confusion_matrix(right, said, labels=labels)
    figures = tuple(
        LabelFigures(
            label,
            Share(int(confusion[at, at]), int(confusion[:, at].sum())),
            Share(int(confusion[at, at]), int(confusion[at].sum())),
        )
        for at, label in enumerate(labels)
    )
    return NamesReport(labels, confusion, figures)


@dataclass(frozen=True)
class Curve:
    """x and y along thresholds, and the area: of a ROC, or the average precision."""

    x: np.ndarray
    y: np.ndarray
    area: float


def curves(strange: Sequence[bool], scores: Sequence[float]) -> tuple[Curve, Curve] | None:
    """Return false alarms against found defects, and recall against precision; None without both kinds, of
    which no area can be told."""
    if len(set(map(bool, strange))) < 2:
        return None
    x, y, _ = metrics.roc_curve(strange, scores)
    precision, recall, _ = metrics.precision_recall_curve(strange, scores)
    mean = float(metrics.average_precision_score(strange, scores))
    return Curve(x, y, float(metrics.auc(x, y))), Curve(recall, precision, mean)


def share_above(scores: Sequence[float], limit: float) -> Share:
    """Return how many scores are above a limit: of good pictures false alarms, of others found defects."""
    return Share(sum(score > limit for score in scores), len(scores))


def compare(old: Sequence[bool], new: Sequence[bool]) -> str:
    """Say by McNemar's exact test whether a new version is better. old, new: whether it was right on each
    picture."""
    won = sum(b and not a for a, b in zip(old, new, strict=True))
    lost = sum(a and not b for a, b in zip(old, new, strict=True))
    if won + lost and stats.binomtest(won, won + lost).pvalue < 1 - CONFIDENCE:
        return f"better: {won} more right, {lost} fewer" if won > lost else f"worse: {lost} fewer right"
    return f"no difference that {len(old)} pictures can show: {won} more right, {lost} fewer"


OVERLAPS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
RECALLS = np.linspace(0, 1, 101)
MOST = 100  # boxes of a picture that count


@dataclass(frozen=True)
class Boxes:
    """Of one picture and one label. right: (n, 4); said: (m, 4) with scores (m,)."""

    right: np.ndarray
    said: np.ndarray
    scores: np.ndarray


def matched(one: Boxes, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of a picture's boxes, the surest first, and the number of the right box that each is,
    -1 for none: the surest takes the one it overlaps most, and each is taken once."""
    order = np.argsort(-one.scores, kind="stable")[:MOST]
    said, right = torch.from_numpy(one.said[order]), torch.from_numpy(one.right)
    shared = box_iou(said, right).numpy()
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
