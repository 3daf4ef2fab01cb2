"""Figures of a model on held-out pictures, each share with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from sklearn import metrics

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
        rest = (1 - CONFIDENCE) / 2
        low = stats.beta.ppf(rest, self.hits, self.n - self.hits + 1) if self.hits else 0.0
        high = stats.beta.ppf(1 - rest, self.hits + 1, self.n - self.hits) if self.hits < self.n else 1.0
        return float(low), float(high)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.hits} of {self.n} ({100 * low:.0f}-{100 * high:.0f} %)" if self.n else "none of none"


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


def roc(strange: Sequence[bool], scores: Sequence[float]) -> Curve | None:
    """Return false alarms against found defects; None without both kinds, of which no area can be told."""
    if len(set(map(bool, strange))) < 2:
        return None
    x, y, _ = metrics.roc_curve(strange, scores)
    return Curve(x, y, float(metrics.auc(x, y)))


def precision_recall(strange: Sequence[bool], scores: Sequence[float]) -> Curve | None:
    """Return recall against precision; None without both kinds."""
    if len(set(map(bool, strange))) < 2:
        return None
    precision, recall, _ = metrics.precision_recall_curve(strange, scores)
    return Curve(recall, precision, float(metrics.average_precision_score(strange, scores)))


def alarms(good_scores: Sequence[float], limit: float) -> Share:
    """Return how many good pictures are stopped."""
    return Share(sum(score > limit for score in good_scores), len(good_scores))


def found(bad_scores: Sequence[float], limit: float) -> Share:
    """Return how many defects are found."""
    return Share(sum(score > limit for score in bad_scores), len(bad_scores))


def compare(old: Sequence[bool], new: Sequence[bool]) -> str:
    """Say whether a new version is better on the same pictures, by McNemar's exact test. old, new: whether
    each was right."""
    won = sum(b and not a for a, b in zip(old, new, strict=True))
    lost = sum(a and not b for a, b in zip(old, new, strict=True))
    if won + lost and stats.binomtest(won, won + lost).pvalue < 1 - CONFIDENCE:
        return f"better: {won} more right, {lost} fewer" if won > lost else f"worse: {lost} fewer right"
    return f"no difference that {len(old)} pictures can show: {won} more right, {lost} fewer"
