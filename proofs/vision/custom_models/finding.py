"""What finding objects in pictures is worth: a row of ``proofs.vision.custom_models.proof``."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image

from tests.vision.custom_models import trays
from tests.vision.custom_models.conftest import Pile
from tests.vision.custom_models.memory_store import MemoryStore
from vision.custom_models.detection import FAINTEST, Detector, Found, Settings, train_detector
from vision.custom_models.report import Looked, of_detector
from vision.custom_models.snapshot import Item, Snapshot
from vision.custom_models.steps import exhausted

Row = dict[str, object]
LEAST_AREA, MOST_SECONDS = 0.9, 180  # what is asked of AP50, and of the processor
LOTS, SHOWN, NEW = 4, 10, 60  # trainings; trays that are learned from, and those that aren't
FIRST_NEW = 10_000


def pile(seeds: Iterable[int]) -> Pile:
    """Trays with what is marked in them."""
    images: dict[str, Image.Image] = {}
    items = []
    for seed in seeds:
        image, objects = trays.picture(seed)
        sha256 = hashlib.sha256(image.tobytes()).hexdigest()
        images[sha256] = image
        boxes, names = tuple(box for _, box in objects), tuple(kind for kind, _ in objects)
        items.append(Item(sha256, "marked", boxes=boxes, names=names))
    return Pile(images, Snapshot.of(items))


def looked(detector: Detector, some: Pile) -> list[Looked]:
    """What a detector finds in trays, beside what is marked there."""
    return [
        Looked(
            item.sha256,
            tuple(Found(name, 1.0, box) for name, box in zip(item.names, item.boxes, strict=True)),
            tuple(detector.detect(some.open(item.sha256), FAINTEST)),
        )
        for item in some.snapshot.items
    ]


def from_afar(detector: Detector) -> Detector:
    """The same detector without its closer look at what objects are called."""
    tensors = {name: value for name, value in detector.tensors.items() if not name.startswith("namer.")}
    return Detector({**detector.card, "named": False}, tensors)


def of_boxes(scale: float) -> Iterator[Row]:
    """8.19: four trainings, each of ten other trays, on the same new trays, and what they come to together; a
    scale takes part of them."""
    new = pile(range(FIRST_NEW, FIRST_NEW + round(NEW * max(scale, 0.5))))
    came: list[tuple[float, float]] = []
    for lot in range(max(1, round(LOTS * scale))):
        shown = pile(range(lot * SHOWN, (lot + 1) * SHOWN))
        start = time.process_time()
        detector = exhausted(train_detector(shown.snapshot, shown.open, Settings(seed=lot), MemoryStore()))
        trained = time.process_time() - start
        row, area = _of_one(detector, shown, new)
        came.append((area, trained))
        yield row | {"training CPU s": trained, "seconds asked": MOST_SECONDS, "passes": _passes(*came[-1])}
    if len(came) > 1:
        areas, seconds = zip(*came, strict=True)
        yield {
            "lots": len(came),
            "AP50, mean": float(np.mean(areas)),
            "AP50, lowest and highest": (min(areas), max(areas)),
            "training CPU s, most": max(seconds),
            "passes": all(_passes(*one) for one in came),
        }


def _of_one(detector: Detector, shown: Pile, new: Pile) -> tuple[Row, float]:
    """What a detector finds in new trays, and its AP50 alone."""
    start = time.process_time()
    found = looked(detector, new)
    each = (time.process_time() - start) / len(found)
    metrics = of_detector(detector, found, new.open).metrics
    before = from_afar(detector)
    afar = of_detector(before, looked(before, new), new.open).metrics
    return {
        "pictures": len(shown.snapshot.items),
        "marked": sum(len(item.boxes) for item in shown.snapshot.items),
        "new": len(found),
        "AP50": metrics["ap50"],
        "AP50-95": metrics["ap"],
        "AP50, AP50-95 without the closer look": (afar["ap50"], afar["ap"]),
        "of each": {label: (told["ap50"], told["ap"]) for label, told in metrics["labels"].items()},
        "found": metrics["found"],
        "right": metrics["right"],
        "limit": detector.limit,
        "parameters": sum(value.numel() for value in detector.finder.network.parameters()),
        "bytes": len(detector.pack()),
        "verdict CPU s": each,
    }, metrics["ap50"]


def _passes(area: float, seconds: float) -> bool:
    return area >= LEAST_AREA and seconds <= MOST_SECONDS
