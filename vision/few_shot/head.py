"""A logistic head on features: fitted with examples left out in turn as well, so that how often it is right
on pictures that it hasn't seen is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

PENALTY = 0.02  # of squared weights, beside the sum of losses
ROUNDS = 80  # of descent
NUMBERS_AT_ONCE = 4_000_000  # in the largest tensor of a call
USUAL = 0.4  # what a view counts before anything is known
UNTAUGHT = -0.7  # and, as a logarithm beside it, one that learns nothing from examples
SURENESS, VIEW = 2.0, 0.2  # examples that this weighs: of all views together, of each beside others
ROUNDS_OF_WEIGHTS = 100


@dataclass(frozen=True)
class Fitted:
    """What heads say of pictures, as log-probabilities of labels. left_out: (t, L), of examples, by heads
    that were fitted without them. asked: (Q, L), of other pictures."""

    left_out: torch.Tensor
    asked: torch.Tensor


def folds(labels: Sequence[int], most: int) -> list[list[int]]:
    """Return which examples are left out together: one of each label that has more, so that no label is
    likelier for those left out; each example once, in at most ``most`` folds. labels: of the examples."""
    places: dict[int, list[int]] = {}
    for place, label in enumerate(labels):
        places.setdefault(label, []).append(place)
    several = [some for some in places.values() if len(some) > 1]
    turns = min(most, max(map(len, several), default=0))
    return [[some[turn] for some in several if turn < len(some)] for turn in range(turns)]


def fit(
    seen: torch.Tensor,
    asked: torch.Tensor,
    labels: torch.Tensor,
    count: int,
    without: Sequence[Sequence[int]],
    pause: Callable[[], None] = lambda: None,
) -> Fitted:
    """Return what heads on one view say.

    seen: (n, D), of the examples; asked: (Q, D), of other pictures; see ``features.views``. labels: (n,), 0
    to count - 1. without: see ``folds``; ``Fitted.left_out`` has their examples in that order.
    """
    # weights lie in the span of the examples, so that coordinates there say all
    powers, axes = torch.linalg.eigh((seen @ seen.T).double())
    some = powers > 1e-8 * powers[-1].clamp(min=1e-12)
    scales, axes = powers[some].sqrt().float(), axes[:, some].float()
    known = axes * scales  # (n, r): its columns are orthogonal
    other = asked @ (seen.T @ axes) / scales
    everything = torch.ones(1, len(seen), dtype=torch.bool)
    weights = _descend(known, scales, labels, count, everything, torch.zeros(len(scales) + 1, 1, count))
    found = [torch.zeros(0, count)]
    step = max(1, NUMBERS_AT_ONCE // (len(seen) * count))
    for start in range(0, len(without), step):
        pause()
        some_folds = without[start : start + step]
        kept = torch.ones(len(some_folds), len(seen), dtype=torch.bool)
        for row, fold in enumerate(some_folds):
            kept[row, list(fold)] = False
        own = _descend(known, scales, labels, count, kept, weights.repeat(1, len(some_folds), 1))
        found += [_logits(known[list(fold)], own[:, row])[:, 0] for row, fold in _rows(some_folds)]
    return Fitted(torch.cat(found).log_softmax(-1), _logits(other, weights)[:, 0].log_softmax(-1))


def _rows(some: Sequence[Sequence[int]]) -> list[tuple[slice, Sequence[int]]]:
    return [(slice(row, row + 1), fold) for row, fold in enumerate(some)]


def _descend(
    known: torch.Tensor,
    scales: torch.Tensor,
    labels: torch.Tensor,
    count: int,
    kept: torch.Tensor,
    weights: torch.Tensor,
) -> torch.Tensor:
    """Return the weights (r + 1, F, L) of F heads, each fitted to the examples that its row of ``kept``
    (F, n) names; every label counts the same, however many examples it has. weights: to begin with.

    Accelerated descent, each coordinate by a bound of its own curvature (Boehning, 1992): coordinates are
    orthogonal, so that no matrix has to be inverted.
    """
    right = functional.one_hot(labels, count).to(known.dtype)  # (n, L)
    each = kept.to(known.dtype) @ right  # (F, L)
    shares = kept * (1 / each.clamp(min=1) / (each > 0).sum(1, keepdim=True))[:, labels]  # (F, n), sum: 1
    largest, shares = shares.amax(1), shares.T[..., None].contiguous()  # (F,), (n, F, 1)
    penalty = PENALTY / len(known)
    steps = 1 / (0.5 * largest * scales.square()[:, None] + penalty)  # (r, F)
    steps = torch.cat([steps, torch.full((1, len(kept)), 2.0)])[..., None]
    penalties = torch.cat([torch.full_like(scales, penalty), scales.new_zeros(1)])[:, None, None]
    before, speed = weights, 1.0
    for _ in range(ROUNDS):
        faster = (1 + (1 + 4 * speed * speed) ** 0.5) / 2
        ahead = weights + (speed - 1) / faster * (weights - before)
        before, speed = weights, faster
        errors = (_logits(known, ahead).softmax(-1) - right[:, None]) * shares  # (n, F, L)
        slope = (known.T @ errors.flatten(1)).unflatten(1, errors.shape[1:])  # (r, F, L)
        slope = torch.cat([slope, errors.sum(0, keepdim=True)])
        weights = ahead - steps * (slope + penalties * ahead)
    return weights


def _logits(known: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return (n, F, L)."""
    return (known @ weights[:-1].flatten(1)).unflatten(1, weights.shape[1:]) + weights[-1]


def blend(views: Sequence[torch.Tensor], labels: torch.Tensor, learns: Sequence[bool]) -> torch.Tensor:
    """Return how much each view counts, (V,), none below 0: what makes the right labels of left-out examples
    likeliest, not far from ``USUAL`` where there are few. How much all count together decides how sure they
    are, of which few examples say little.

    views: (t, L), log-probabilities. labels: (t,). learns: whether a view learns from the examples.
    """
    usual = torch.tensor([0.0 if one else UNTAUGHT for one in learns])
    if not len(labels):
        return USUAL * usual.exp()
    together, each = torch.tensor(0.0, requires_grad=True), usual.clone().requires_grad_()
    optimiser, stacked = torch.optim.Adam([together, each], 0.1), torch.stack(list(views))
    with torch.enable_grad():
        for _ in range(ROUNDS_OF_WEIGHTS):
            optimiser.zero_grad()
            loss = functional.cross_entropy(mixed(stacked, _weights(together, each)), labels)
            prior = SURENESS * together.square() + VIEW * (each - usual).square().sum()
            (loss + prior / len(labels)).backward()
            optimiser.step()
    return _weights(together, each).detach()


def _weights(together: torch.Tensor, each: torch.Tensor) -> torch.Tensor:
    return USUAL * (together + each - each.mean()).exp()


def mixed(views: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the logits (n, L) of all views (V, n, L) together."""
    return (weights[:, None, None] * views).sum(0)
