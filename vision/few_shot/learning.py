"""Learns a set's labels from the features of its examples, and says how well."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from vision.few_shot import features, head
from vision.few_shot.features import Blocks

MOST_FOLDS, LEAST_FOLDS = 32, 4  # times that one example of each label is left out
MOST_WORK = 60_000_000  # of all folds: squared examples times labels; some seconds of a processor


@dataclass(frozen=True)
class Learned:
    """chances: (Q, L), of the labels for each picture that was asked about. tested: examples that were left
    out, and how many of them were ``right`` then. expected: the share of new pictures that is likely
    to be right, None where nothing could be left out.

    ``expected`` is the mean of two: the share of the examples left out that was named rightly, which of few
    is a matter of luck, and how sure the heads were of what they said of them, which promises too much of
    labels that can't be told apart.
    """

    chances: torch.Tensor
    tested: int
    right: int
    expected: float | None


def learn(
    seen: Sequence[Blocks],
    labels: Sequence[int],
    count: int,
    asked: Sequence[Blocks],
    words: tuple[torch.Tensor, torch.Tensor] | None = None,
    pause: Callable[[], None] = lambda: None,
) -> Learned:
    """Return what heads say of the pictures that are ``asked`` about. labels: of the examples, 0 to count -
    1. words: log-probabilities by the labels' words alone, (n, L) and (Q, L)."""
    given, work = torch.tensor(labels), len(labels) ** 2 * count
    without = head.folds(labels, min(MOST_FOLDS, max(LEAST_FOLDS, MOST_WORK // work)))
    tested = torch.tensor([place for fold in without for place in fold], dtype=torch.long)
    fits = [
        head.fit(known, other, given, count, without, pause) for known, other in features.views(seen, asked)
    ]
    known, other = [fit.left_out for fit in fits], [fit.asked for fit in fits]
    learns = [True] * len(fits)
    if words is not None:
        known, other, learns = [*known, words[0][tested]], [*other, words[1]], [*learns, False]
    weights = head.blend(known, given[tested], learns)
    chances = head.mixed(torch.stack(other), weights).softmax(-1)
    if not len(tested):
        return Learned(chances, 0, 0, None)
    left_out = head.mixed(torch.stack(known), weights).softmax(-1)
    right = int((left_out.argmax(-1) == given[tested]).sum())
    sure = float(left_out.amax(-1).mean())
    return Learned(chances, len(tested), right, (sure + right / len(tested)) / 2)
