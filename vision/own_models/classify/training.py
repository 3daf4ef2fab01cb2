"""Trains a classifier: a probe on each tower the host has, the best by left-out examples, with what words say
blended in while examples are few."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

import torch
from PIL import Image
from torch import Tensor

from core.errors import UserError
from vision.few_shot import head
from vision.own_models.classify.classifier import FORMAT, Classifier, Words
from vision.own_models.classify.probe import FOLDS, STRENGTHS, Probe, Tested, fitting
from vision.own_models.features.extractor import Extractor, pixels
from vision.own_models.report.calibration import expected_error
from vision.own_models.snapshot import TRAIN, Item, Snapshot
from vision.own_models.steps import Step, Store, exhausted, kept

LEAST = 3  # examples of a label that is taught
Open = Callable[[str], Image.Image]
ENOUGH = 50  # examples a label from which words are no longer asked


def train(
    snapshot: Snapshot,
    open_picture: Open,
    extractors: Sequence[Extractor],
    store: Store,
    words: Words | None = None,
    seed: int = 0,
    *,
    words_name: str = "",
) -> Generator[Step, None, Classifier]:
    """Yield steps and return a classifier of the labels in the snapshot's training part.

    words: what the host's CLIP, called ``words_name``, makes of the labels' words, in the labels' sorted
    order. Raises UserError for
    fewer than two labels with three examples each; labels with fewer are left out and named in the card.
    """
    items, labels, too_few = _taught(snapshot)
    fits = len(STRENGTHS) * FOLDS
    total = len(items) * (len(extractors) + bool(words)) + len(extractors) * fits + 1
    done = 0

    def step(said: str) -> Step:
        nonlocal done
        done += 1
        return Step(done, total, said)

    places = [labels.index(item.label) for item in items]
    groups = [item.group or item.sha256 for item in items]
    tried: list[tuple[Extractor, Probe, Tested]] = []
    for extractor in extractors:
        rows = []
        for number, item in enumerate(items, 1):
            rows.append(_row(extractor, item, open_picture, store))
            yield step(f"looked at {number} of {len(items)}")
        learning = fitting(torch.stack(rows), places, groups, len(labels))
        for number in range(1, fits + 1):
            next(learning)
            yield step(f"left out {number} of {fits}")
        tried.append((extractor, *exhausted(learning)))
    extractor, probe, tested = min(tried, key=lambda one: one[2].loss)
    said = None
    if words is not None:
        asked = len(items) < ENOUGH * len(labels)
        told = []
        for number, item in enumerate(items, 1):
            told.append(words([open_picture(item.sha256)]) if asked else torch.zeros(1, len(labels)))
            yield step(f"asked words of {number} of {len(items)}")
        said = torch.cat(told) if asked else None
    weights, chances = _blended(tested, said, places)
    right = torch.tensor(places)
    yield step("done")
    card = {
        "format": FORMAT,
        "task": "classify",
        "snapshot": snapshot.sha256,
        "labels": labels,
        "too_few": too_few,
        "extractor": extractor.name,
        "licence": extractor.licence,
        "side": extractor.side,
        "strength": tested.strength,
        "temperature": round(tested.temperature, 4),
        "weights": weights,
        "words": words_name if weights[1] else "",
        "far": probe.far,
        "accuracy": round(float((chances.argmax(1) == right).float().mean()), 4),
        "calibration_error": round(expected_error(chances, right), 4),
        "examples": len(items),
        "seed": seed,
        "tried": {one.name: round(found.loss, 4) for one, _, found in tried},
    }
    tensors = {name: getattr(probe, name) for name in ("mean", "scale", "weight", "bias", "centres")}
    return Classifier(card, tensors)


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
        return {"pooled": extractor.module(pixels(open_picture(item.sha256), extractor.side)[None])[1][0]}

    return kept(store, (extractor.name, "pooled", item.sha256), make)["pooled"]


def _blended(tested: Tested, said: Tensor | None, places: Sequence[int]) -> tuple[list[float], Tensor]:
    """Return how much the probe and words count, and the chances (n, L) that left-out examples then have."""
    mine = tested.logits.log_softmax(-1)
    if said is None:
        return [1.0, 0.0], mine.softmax(-1)
    views = [mine, said]
    weights = head.blend(views, torch.tensor(list(places)), [True, False])
    return [round(float(weight), 4) for weight in weights], head.mixed(torch.stack(views), weights).softmax(
        -1
    )
