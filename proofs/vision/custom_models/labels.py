"""Rows of ``proofs.vision.custom_models.proof`` on classifiers: own ``labels``, wrong ones among them
(``flipped``), and a transformer that learns to see them (``tuned``)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from proofs.vision.custom_models import textures
from proofs.vision.custom_models.seen_with import demo_towers, towers
from tests.vision.custom_models.conftest import Pile, pile
from tests.vision.custom_models.memory_store import MemoryStore
from vision.custom_models.classification import (
    Tuning,
    by_chance,
    compare,
    expected_error,
    fitting,
    suspicion,
    train_classifier,
)
from vision.custom_models.features import BOTH, Extractor, pixels, vectors
from vision.custom_models.features import find_extractor as named
from vision.custom_models.metrics import Share
from vision.custom_models.steps import exhausted

Row = dict[str, object]
DRAWS, FEWEST, TESTED = (
    5,
    4,
    10_000,
)  # of the examples, and at any scale; first seed of pictures that none is learned from
Picture = Callable[[str, int, bool], Image.Image]  # label, seed, tested


@dataclass(frozen=True)
class Task:
    """labels with their pictures. examples: of a label that are learned from, one row each. tested: of a
    label."""

    name: str
    labels: tuple[str, ...]
    picture: Picture
    examples: tuple[int, ...]
    tested: int


def tasks() -> list[Task]:
    from demo import world

    return [
        Task("style", world.STYLES, lambda label, seed, tested: drawn(seed, style=label), (10, 50), 100),
        Task("colour", world.COLOURS, lambda label, seed, tested: drawn(seed, colour=label), (10,), 25),
        Task(
            "surface",
            textures.TEXTURES,
            lambda label, seed, tested: textures.picture(label, seed, None, tested),
            (10,),
            50,
        ),
    ]


def drawn(seed: int, **wanted: str) -> Image.Image:
    """A demo drawing in a style, or of an object in a colour."""
    from demo import drawing, world

    lots = random.Random(seed)
    while True:
        scene = world.compose(lots, "single")
        found = {"style": scene.style, "colour": scene.groups[0].colour}
        if wanted.items() <= found.items():
            return drawing.draw(scene, lots, (128, 128))


def of_labels(scale: float) -> Iterator[Row]:
    """8.18: own labels of drawings and of real surfaces, from 10 and 50 of a label; over several draws of the
    examples, each asked about the same pictures."""
    extractors, store = [*demo_towers(), *towers()], MemoryStore()
    for task in tasks():
        most = max(task.examples)
        known = {
            label: [task.picture(label, 100 * at + n, False) for n in range(2 * most)]
            for at, label in enumerate(task.labels)
        }
        asked = pile(
            [
                (task.picture(label, TESTED + 1000 * at + n, True), label)
                for at, label in enumerate(task.labels)
                for n in range(round(task.tested * scale))
            ]
        )
        seen = {one.name: _seen(one, asked) for one in extractors}
        for each in task.examples:
            draws = [
                _told(_drawn_from(known, each, draw), extractors, seen, asked, store)
                for draw in range(max(FEWEST, round(DRAWS * scale)))
            ]
            yield {"labels": task.name, "a label": each, "tested": len(asked.images), "draws": len(draws)} | {
                "chosen": sorted({told.chosen for told in draws}),
                "accuracy": _spread([told.right for told in draws]),
                "ECE": _spread([told.error for told in draws]),
                "ECE by chance": float(np.mean([told.chance for told in draws])),
                "called none of these": float(np.mean([told.unknown for told in draws])),
            }


@dataclass(frozen=True)
class _Told:
    chosen: str
    right: float
    error: float
    chance: float
    unknown: float


def _drawn_from(known: dict[str, list[Image.Image]], each: int, draw: int) -> Pile:
    lots = random.Random(draw)
    return pile([(image, label) for label, images in known.items() for image in lots.sample(images, each)])


def _seen(extractor: Extractor, some: Pile) -> torch.Tensor:
    with torch.no_grad():
        shown = [pixels(some.open(item.sha256), extractor.side) for item in some.snapshot.items]
        return torch.cat([vectors(extractor.module, one[None]) for one in shown])


def _told(
    some: Pile,
    extractors: Sequence[Extractor],
    seen: dict[str, torch.Tensor],
    asked: Pile,
    store: MemoryStore,
) -> _Told:
    model = exhausted(train_classifier(some.snapshot, some.open, extractors, store))
    logits, squares = compare(
        model.probe(), torch.cat([seen[name] for name in model.card["extractor"].split(BOTH)], 1)
    )
    chances, far = logits.softmax(1), squares.amin(1).sqrt() / model.probe().far
    right = torch.tensor([model.labels.index(item.label) for item in asked.snapshot.items])
    return _Told(
        model.card["extractor"],
        float((chances.argmax(1) == right).float().mean()),
        expected_error(chances, right),
        by_chance(chances),
        float((far > 1).float().mean()),
    )


def _spread(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f} ({min(values):.3f}-{max(values):.3f})"


def of_flipped(scale: float) -> Iterator[Row]:
    """8.20: a tenth of the labels are wrong, 50 of a label: how many of the most suspicious are, and of those
    that the report asks to look at again."""
    extractors, store = [*demo_towers(), *towers()], MemoryStore()
    for task in tasks()[:2]:
        each = 50 if task.name == "style" else 20
        right = [
            (task.picture(label, 100 * at + n, False), label)
            for at, label in enumerate(task.labels)
            for n in range(each)
        ]
        for draw in range(max(1, round(3 * scale))):
            lots = random.Random(draw)
            wrong = set(lots.sample(range(len(right)), len(right) // 10))
            called = [
                lots.choice([one for one in task.labels if one != label]) if at in wrong else label
                for at, (_, label) in enumerate(right)
            ]
            some = pile([(image, label) for (image, _), label in zip(right, called, strict=True)])
            truth = dict(zip(pile(right).images, (label for _, label in right), strict=True))
            model = exhausted(train_classifier(some.snapshot, some.open, extractors, store))
            doubted = [one[0] for one in model.card["doubtful"]]
            given = {item.sha256: item.label for item in some.snapshot.items}
            extractor = named(model.card["extractor"], {one.name: one for one in extractors}.get)
            ranked = _ranked(extractor, some, model.labels)[: len(wrong)]
            yield {"labels": task.name, "a label": each, "chosen": extractor.name, "flipped": len(wrong)} | {
                "of as many most suspicious, wrong": str(_wrong(ranked, given, truth)),
                "asked to look at again, wrong": str(_wrong(doubted, given, truth)),
            }


def _ranked(extractor: Extractor, some: Pile, labels: Sequence[str]) -> list[str]:
    places = [labels.index(item.label) for item in some.snapshot.items]
    groups = [item.sha256 for item in some.snapshot.items]
    _, told = exhausted(fitting(_seen(extractor, some), places, groups, len(labels)))
    return [groups[one.place] for one in suspicion(told.logits.softmax(1), places)]


def _wrong(named: Sequence[str], given: dict[str, str], truth: dict[str, str]) -> Share:
    return Share(sum(given[sha256] != truth[sha256] for sha256 in named), len(named))


def of_tuned(scale: float) -> Iterator[Row]:
    """A transformer that learns to see the styles of drawings, from 50 of a style, beside the probes."""
    extractors, task = [*demo_towers(), *towers()], tasks()[0]
    some = pile(
        [
            (task.picture(label, 100 * at + n, False), label)
            for at, label in enumerate(task.labels)
            for n in range(50)
        ]
    )
    asked = pile(
        [
            (task.picture(label, TESTED + 1000 * at + n, True), label)
            for at, label in enumerate(task.labels)
            for n in range(round(task.tested * scale))
        ]
    )
    for seen_with in (extractors[1:2], extractors):
        start = time.process_time()
        model = exhausted(
            train_classifier(some.snapshot, some.open, seen_with, MemoryStore(), lora=Tuning(float("inf")))
        )
        spent = time.process_time() - start
        extractor = named(model.card["extractor"], {one.name: one for one in extractors}.get)
        said = [model.classify(asked.open(item.sha256), extractor) for item in asked.snapshot.items]
        hits = sum(
            one.chances[0][0] == item.label for one, item in zip(said, asked.snapshot.items, strict=True)
        )
        yield {
            "offered": [one.name for one in seen_with],
            "left-out loss": model.card["tried"],
            "chosen with LoRA": any(name.startswith("lora.") for name in model.tensors),
            "accuracy": str(Share(hits, len(said))),
            "training CPU s": spent,
        }
