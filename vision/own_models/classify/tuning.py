"""Whether a transformer that learns to see labels is better than a probe on what it sees: tried by the same
left-out examples, where there are enough of them and time."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import torch

from vision.own_models.classify import tuned
from vision.own_models.classify.folds import folds
from vision.own_models.classify.probe import FOLDS, Probe, Tested, compare, tested
from vision.own_models.classify.tuned import EPOCHS, Taught
from vision.own_models.features.transformer import TransformerFeatures
from vision.own_models.steps import Store, Tensors

ENOUGH = 50  # examples of each label from which it is tried
HOPELESS = 1.25  # times the probe's loss on the first examples left out, from which no others are
SPEED = {"cpu": 30e9}  # operations a second that a device does of a training; a processor on one thread
CARD = 1e12  # that any card does


@dataclass(frozen=True)
class Tuning:
    """What trying a transformer may cost. seconds: of the device at most. device: that it is trained on; what
    is told of it is always computed on the processor."""

    seconds: float
    device: str = "cpu"

    def allows(self, module: TransformerFeatures, labels: Sequence[int], groups: Sequence[str]) -> bool:
        """Whether there are enough examples, and time: counted from the tower's size, so that the same
        examples are treated alike whatever else the machine does."""
        least = min(Counter(labels).values(), default=0)
        speed = SPEED.get(self.device, CARD)
        return least >= ENOUGH and operations(module, labels, groups) / speed <= self.seconds


@dataclass(frozen=True)
class Tuned:
    """A transformer that has learned. added: the matrices. probe: the head. tested: on left-out examples."""

    added: Tensors
    probe: Probe
    tested: Tested


def operations(module: TransformerFeatures, labels: Sequence[int], groups: Sequence[str]) -> float:
    """Return how many multiplications and additions all its trainings take: two for each weight and patch
    forwards, twice as many backwards."""
    weights = sum(value.numel() for value in module.tower.parameters())
    patches = (module.size // module.tower.config.patch_size) ** 2 + 1
    looks = EPOCHS * sum(len(labels) - len(part) for part in [*folds(labels, groups, FOLDS), []])
    return 6.0 * weights * patches * looks


def stops(labels: Sequence[int], groups: Sequence[str]) -> int:
    """Return how often ``tuning`` stands still at most."""
    return sum(tuned.steps(len(labels) - len(part)) for part in [*folds(labels, groups, FOLDS), []])


def tuning(
    module: TransformerFeatures,
    taught: Taught,
    groups: Sequence[str],
    begun: Tested,
    store: Store,
    key: str,
    seed: int,
    device: str = "cpu",
) -> Generator[None, None, Tuned | None]:
    """Learn without each part of the examples and with all of them; return None where the first part that is
    left out says that it comes to nothing. begun: of the probe on the same tower."""
    logits = torch.zeros(len(taught.right), taught.count)
    squares = torch.zeros(len(taught.right), taught.count)
    for number, part in enumerate(folds(taught.right.tolist(), groups, FOLDS)):
        kept = sorted(set(range(len(taught.right))) - set(part))
        name = f"{key} without {number}"
        added, probe = yield from tuned.learning(module, taught.some(kept), store, name, seed, device)
        rows = tuned.rows(tuned.merged(module, added), taught.pictures[part])
        logits[part], squares[part] = compare(probe, rows)
        if number == 0:
            mine = tested(logits[part], squares[part], taught.right[part], 0.0).loss
            theirs = torch.nn.functional.cross_entropy(begun.logits[part], taught.right[part])
            if not math.isfinite(mine) or mine > HOPELESS * float(theirs):
                return None
    added, probe = yield from tuned.learning(module, taught, store, f"{key} with all", seed, device)
    found = tested(logits, squares, taught.right, taught.strength)
    return Tuned(added, found.told_by(probe), found)
