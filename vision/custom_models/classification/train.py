"""Trains a classifier: a probe on each tower the host has, the best, the best two together, or a tower that
learns to see labels, chosen by left-out examples, with what words say blended in while examples are few."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from core.errors import UserError
from vision.custom_models.classification import model
from vision.custom_models.classification.model import (
    ADDED,
    EPOCHS,
    FOLDS,
    FORMAT,
    STRENGTHS,
    WORTH,
    Classifier,
    Doubt,
    Probe,
    Taught,
    Tested,
    Words,
    compare,
    doubts,
    expected_error,
    fitting,
    folds,
    tested,
    together,
)
from vision.custom_models.features import Extractor, TransformerFeatures, pair, pixels, vectors
from vision.custom_models.snapshot import TRAIN, Item, Snapshot
from vision.custom_models.steps import Step, Store, Tensors, exhausted, kept
from vision.readers import few_shot

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


def count_tuning_stops(labels: Sequence[int], groups: Sequence[str]) -> int:
    """Return how often ``tuning`` stands still at most."""
    return sum(model.steps(len(labels) - len(part)) for part in [*folds(labels, groups, FOLDS), []])


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
        added, probe = yield from model.learning(module, taught.some(kept), store, name, seed, device)
        rows = model.rows(model.merged(module, added), taught.pictures[part])
        logits[part], squares[part] = compare(probe, rows)
        if number == 0:
            mine = tested(logits[part], squares[part], taught.right[part], 0.0).loss
            theirs = torch.nn.functional.cross_entropy(begun.logits[part], taught.right[part])
            if not math.isfinite(mine) or mine > HOPELESS * float(theirs):
                return None
    added, probe = yield from model.learning(module, taught, store, f"{key} with all", seed, device)
    found = tested(logits, squares, taught.right, taught.strength)
    return Tuned(added, found.told_by(probe), found)


LEAST = 3  # examples of a label that is taught
Open = Callable[[str], Image.Image]
ENOUGH = 50  # examples a label from which words are no longer asked


def train_classifier(
    snapshot: Snapshot,
    open_picture: Open,
    extractors: Sequence[Extractor],
    store: Store,
    words: Words | None = None,
    seed: int = 0,
    *,
    words_name: str = "",
    lora: Tuning | None = None,
) -> Generator[Step, None, Classifier]:
    """Yield steps and return a classifier of the labels in the snapshot's training part.

    words: what the host's CLIP, called ``words_name``, makes of the labels' words, in the labels' sorted
    order. lora: what it may cost to let a transformer learn to see the labels, None = none does. Raises
    UserError for fewer than two labels with three examples each; labels with fewer are left out and named in
    the card.
    """
    items, labels, too_few = _taught(snapshot)
    fits = len(STRENGTHS) * FOLDS
    places = [labels.index(item.label) for item in items]
    groups = [item.group or item.sha256 for item in items]
    able = [
        extractor
        for extractor in extractors
        if lora is not None
        and isinstance(extractor.module, TransformerFeatures)
        and lora.allows(extractor.module, places, groups)
    ]
    total = len(items) * (len(extractors) + bool(words)) + len(extractors) * fits + 1
    total += len(items) + count_tuning_stops(places, groups) if able else 0
    count = _Count(total)

    # 1. Try a probe on each tower.
    tried: list[_Way] = []
    for extractor in extractors:
        rows = []
        for number, item in enumerate(items, 1):
            rows.append(_row(extractor, item, open_picture, store))
            yield count.step(f"looked at {number} of {len(items)}")
        fits_left = fitting(torch.stack(rows), places, groups, len(labels))
        for number in range(1, fits + 1):
            next(fits_left)
            yield count.step(f"left out {number} of {fits}")
        tried.append(_Way(extractor, *exhausted(fits_left)))
    # 2. Let the best two see together.
    right = torch.tensor(places)
    both = _both(tried, right)
    # 3. Let the transformer that does best learn to see the labels.
    if lora is not None and able:
        begun = min((one for one in tried if one.extractor in able), key=lambda one: one.tested.loss)
        examples = _Examples(items, places, groups, len(labels), open_picture)
        learned = yield from _tuned(begun, examples, store, seed, lora.device, count)
        tried += [learned] if learned is not None else []
    best = min(tried, key=lambda one: one.tested.loss)
    if both is not None:
        tried.append(both)
        best = both if both.tested.loss <= best.tested.loss - WORTH else best
    # 4. Ask words, while examples are few.
    said = None
    if words is not None:
        asked = len(items) < ENOUGH * len(labels)
        told = []
        for number, item in enumerate(items, 1):
            told.append(words([open_picture(item.sha256)]) if asked else torch.zeros(1, len(labels)))
            yield count.step(f"asked words of {number} of {len(items)}")
        said = torch.cat(told) if asked else None
    weights, chances = _blended(best.tested, said, places)
    yield count.step("done")
    card = {
        "format": FORMAT,
        "task": "classify",
        "snapshot": snapshot.sha256,
        "labels": labels,
        "too_few": too_few,
        "extractor": best.extractor.name,
        "licence": best.extractor.licence,
        "side": best.extractor.side,
        "strength": best.tested.strength,
        "temperature": round(best.tested.temperature, 4),
        "weights": weights,
        "words": words_name if weights[1] else "",
        "far": best.probe.far,
        "accuracy": round(float((chances.argmax(1) == right).float().mean()), 4),
        "calibration_error": round(expected_error(chances, right), 4),
        "examples": len(items),
        "seed": seed,
        "tried": {one.name: round(one.tested.loss, 4) for one in tried},
        "doubtful": [_doubtful(one, items, labels) for one in doubts(chances, places)],
    }
    tensors = {name: getattr(best.probe, name) for name in ("mean", "scale", "weight", "bias", "centres")}
    return Classifier(card, tensors | {f"{ADDED}{name}": value for name, value in best.added.items()})


@dataclass(frozen=True)
class _Way:
    """One way to tell labels apart. added: what a transformer has learned to see them by."""

    extractor: Extractor
    probe: Probe
    tested: Tested
    added: Tensors = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.extractor.name} with LoRA" if self.added else self.extractor.name


def _both(tried: Sequence[_Way], right: Tensor) -> _Way | None:
    """Return the best two that take pictures of the same side, together; None where no two do."""
    ranked = sorted(tried, key=lambda one: one.tested.loss)
    for number, second in enumerate(ranked):
        for first in ranked[:number]:
            if first.extractor.side == second.extractor.side:
                ways = (first.probe, first.tested), (second.probe, second.tested)
                return _Way(pair(first.extractor, second.extractor), *together(*ways, right))
    return None


@dataclass(frozen=True)
class _Examples:
    """Pictures with the places of their labels, and the groups that are left out together."""

    items: Sequence[Item]
    places: Sequence[int]
    groups: Sequence[str]
    count: int
    open: Open

    def key(self) -> str:
        told = [
            [item.sha256, *rest] for item, *rest in zip(self.items, self.places, self.groups, strict=True)
        ]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


@dataclass
class _Count:
    total: int
    done: int = 0

    def step(self, said: str) -> Step:
        self.done += 1
        return Step(self.done, self.total, said)


def _tuned(
    begun: _Way, some: _Examples, store: Store, seed: int, device: str, count: _Count
) -> Generator[Step, None, _Way | None]:
    """Let the transformer of a probe learn to see the labels; return None where it comes to nothing."""
    module = begun.extractor.module
    assert isinstance(module, TransformerFeatures)
    seen = []
    for number, item in enumerate(some.items, 1):
        seen.append(model.kept_small(module, pixels(some.open(item.sha256), begun.extractor.side)))
        yield count.step(f"opened {number} of {len(some.items)}")
    taught = Taught(torch.stack(seen), torch.tensor(some.places), some.count, begun.tested.strength)
    key = f"{begun.extractor.name} {some.key()}"
    learning = tuning(module, taught, some.groups, begun.tested, store, key, seed, device)
    first, stops = count.done, count_tuning_stops(some.places, some.groups)
    while True:
        try:
            next(learning)
        except StopIteration as end:
            found: Tuned | None = end.value
            break
        except torch.OutOfMemoryError:  # the device has no room for it now
            found = None
            break
        yield count.step(f"tuned {count.done - first} of {stops}")
    count.done = first + stops
    return None if found is None else _Way(begun.extractor, found.probe, found.tested, found.added)


def _doubtful(one: Doubt, items: Sequence[Item], labels: Sequence[str]) -> list[Any]:
    """Return a doubt as the card tells it: the picture's hash, its label, the other one, how likely both
    are."""
    said = items[one.place].sha256, labels[one.label], labels[one.rather]
    return [*said, round(one.chance, 4), round(one.other, 4)]


def taught_labels(snapshot: Snapshot) -> list[str]:
    """Return the labels that can be taught, sorted. Raises UserError for fewer than two."""
    return _taught(snapshot)[1]


def _taught(snapshot: Snapshot) -> tuple[list[Item], list[str], list[str]]:
    items = snapshot.part(TRAIN)
    counts = snapshot.counts()[TRAIN]
    labels = sorted(label for label, count in counts.items() if count >= LEAST)
    if len(labels) < 2:
        raise UserError(
            f"A classifier needs at least 2 labels with {LEAST} pictures each; there are"
            f" {', '.join(f'{count} of {label}' for label, count in counts.items()) or 'none'}."
        )
    return [item for item in items if item.label in labels], labels, sorted(set(counts) - set(labels))


def _row(extractor: Extractor, item: Item, open_picture: Open, store: Store) -> Tensor:
    @torch.no_grad()
    def make() -> dict[str, Tensor]:
        seen = pixels(open_picture(item.sha256), extractor.side)[None]
        return {"pooled": vectors(extractor.module, seen)[0]}

    return kept(store, (extractor.name, "pooled", item.sha256), make)["pooled"]


def _blended(tested: Tested, said: Tensor | None, places: Sequence[int]) -> tuple[list[float], Tensor]:
    """Return how much the probe and words count, and the chances (n, L) that left-out examples then have."""
    mine = tested.logits.log_softmax(-1)
    if said is None:
        return [1.0, 0.0], mine.softmax(-1)
    views = [mine, said]
    weights = few_shot.blend(views, torch.tensor(list(places)), [True, False])
    return [round(float(weight), 4) for weight in weights], few_shot.mixed(
        torch.stack(views), weights
    ).softmax(-1)
