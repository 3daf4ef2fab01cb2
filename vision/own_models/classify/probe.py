"""A linear head on features, how sure it may be, and how far from everything taught a picture is.

What is told of it is measured on examples that were left out, a group of shots at a time.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vision.own_models.classify.folds import folds
from vision.own_models.steps import exhausted

STRENGTHS = (0.001, 0.01, 0.1, 1.0)  # C of the logistic regression that are tried
FOLDS = 5
TEMPERATURES = tuple(2.0 ** (step / 8) for step in range(-32, 33))  # that are tried
SPREAD = 0.5  # of the logarithm of a temperature, before anything is known of it
FAMILIAR = 0.95  # share of left-out examples that are no farther than what is told as none of these


@dataclass(frozen=True)
class Probe:
    """What was learned on the features of one extractor. mean, scale: (P,). weight, bias: (P, L) and (L,),
    with the temperature in them. centres: (L, P), of standardised features. far: the distance to the nearest
    centre beyond which a picture is none of these."""

    mean: Tensor
    scale: Tensor
    weight: Tensor
    bias: Tensor
    centres: Tensor
    far: float


@dataclass(frozen=True)
class Tested:
    """How a probe does on examples left out. logits: (n, L), with the temperature in them. squares: (n, L),
    of the distances to the centres. strength: C. temperature: what logits are divided by. loss: mean of
    -log p of the right label, lower is better."""

    logits: Tensor
    squares: Tensor
    strength: float
    temperature: float
    loss: float

    @property
    def far(self) -> float:
        """The distance to the nearest centre beyond which a picture is none of these."""
        nearest = self.squares.amin(1).sqrt()
        return float(np.quantile(nearest.numpy(), FAMILIAR, method="higher"))

    def told_by(self, probe: Probe) -> Probe:
        """Return a head on all examples that is as sure as it may be, and knows how far is too far."""
        weight, bias = probe.weight / self.temperature, probe.bias / self.temperature
        return Probe(probe.mean, probe.scale, weight, bias, probe.centres, self.far)


def fit(rows: Tensor, labels: Sequence[int], groups: Sequence[str], count: int) -> tuple[Probe, Tested]:
    """Return what ``fitting`` learns."""
    return exhausted(fitting(rows, labels, groups, count))


def fitting(
    rows: Tensor, labels: Sequence[int], groups: Sequence[str], count: int
) -> Generator[None, None, tuple[Probe, Tested]]:
    """Learn ``count`` labels on features (n, P), each counting the same, test with groups left out, and stand
    still once for each of STRENGTHS and FOLDS."""
    right = torch.tensor(labels)
    parts = folds(labels, groups, FOLDS)
    tried = []
    for strength in STRENGTHS:
        logits, squares = torch.zeros(len(rows), count), torch.zeros(len(rows), count)
        for part in parts:
            kept = [at for at in range(len(rows)) if at not in set(part)]
            probe = plain(rows[kept], right[kept], count, strength)
            logits[part], squares[part] = compare(probe, rows[part])
            yield
        for _ in range(FOLDS - len(parts)):  # fewer groups than folds
            yield
        tried.append(tested(logits, squares, right, strength))
    best = min(tried, key=lambda one: one.loss)
    return best.told_by(plain(rows, right, count, best.strength)), best


def tested(logits: Tensor, squares: Tensor, right: Tensor, strength: float) -> Tested:
    """Return how a head does whose left-out logits (n, L) and squared distances (n, L) these are."""
    temperature = calibrate(logits, right)
    loss = float(torch.nn.functional.cross_entropy(logits / temperature, right))
    return Tested(logits / temperature, squares, strength, temperature, loss)


def look(probe: Probe, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits (n, L) and distances to the nearest centre, (n,), of features (n, P)."""
    logits, squares = compare(probe, rows)
    return logits, squares.amin(1).sqrt()


def compare(probe: Probe, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits (n, L) and squared distances to the centres, (n, L), of features (n, P)."""
    seen = (rows - probe.mean) / probe.scale
    squares = (seen[:, None] - probe.centres).square().mean(-1)
    return seen @ probe.weight + probe.bias, squares


def calibrate(logits: Tensor, right: Tensor) -> float:
    """Return the likeliest temperature, told by the right labels (n,) of left-out logits (n, L): Guo et al.,
    2017 (arXiv:1706.04599), not far from 1 (SPREAD) where there are few to tell it by."""
    losses = [
        len(right) * float(torch.nn.functional.cross_entropy(logits / one, right))
        + 0.5 * (math.log(one) / SPREAD) ** 2
        for one in TEMPERATURES
    ]
    return TEMPERATURES[int(np.argmin(losses))]


def plain(rows: Tensor, right: Tensor, count: int, strength: float) -> Probe:
    """Return a head of ``count`` labels on features (n, P) with right labels (n,), neither calibrated nor
    with a distance. strength: C."""
    from sklearn.linear_model import LogisticRegression

    mean = rows.mean(0)
    scale = rows.std(0, correction=0) + 1e-3 * rows.std() + 1e-6
    seen = (rows - mean) / scale
    known = sorted(set(right.tolist()))
    weight, bias = torch.zeros(rows.shape[1], count), torch.full((count,), -20.0)  # e^-20: not taught here
    centres = torch.full((count, rows.shape[1]), 1e3)
    for label in known:
        centres[label] = seen[right == label].mean(0)
    if len(known) == 1:
        bias[known[0]] = 0.0
        return Probe(mean, scale, weight, bias, centres, 0.0)
    head = LogisticRegression(C=strength, class_weight="balanced", max_iter=1000)
    head.fit(seen.double().numpy(), right.numpy())
    found, offset = torch.from_numpy(head.coef_).float(), torch.from_numpy(head.intercept_).float()
    if len(known) == 2:  # one row of coefficients, for the second label
        found, offset = torch.cat([-found / 2, found / 2]), torch.cat([-offset / 2, offset / 2])
    weight[:, known], bias[known] = found.T, offset
    return Probe(mean, scale, weight.contiguous(), bias, centres, 0.0)
