"""What finding things in pictures is worth: a row of ``tests.vision.own_models.proof``."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image

from tests.vision.own_models import trays
from tests.vision.own_models.conftest import Pile
from vision.own_models.detect.detector import FAINTEST, Detector, Found
from vision.own_models.detect.training import Settings, train
from vision.own_models.report.boxes import Looked, of_detector
from vision.own_models.snapshot import Item, Snapshot
from vision.own_models.steps import MemoryStore, run

Row = dict[str, object]
SHOWN, NEW = 10, 60  # trays that are learned from, and those that aren't
FIRST_NEW = 10_000


def pile(seeds: Iterable[int]) -> Pile:
    """Trays with what is marked in them."""
    images: dict[str, Image.Image] = {}
    items = []
    for seed in seeds:
        image, things = trays.picture(seed)
        sha256 = hashlib.sha256(image.tobytes()).hexdigest()
        images[sha256] = image
        boxes, names = tuple(box for _, box in things), tuple(kind for kind, _ in things)
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


def of_boxes(scale: float) -> Iterator[Row]:
    """8.19: three trainings, each of ten other trays, on the same new trays; each but the first takes part at
    a full scale alone."""
    new = pile(range(FIRST_NEW, FIRST_NEW + round(NEW * max(scale, 0.5))))
    for lot in range(max(1, round(3 * scale))):
        shown = pile(range(lot * SHOWN, (lot + 1) * SHOWN))
        start = time.process_time()
        detector = run(train(shown.snapshot, shown.open, Settings(seed=lot), MemoryStore()))
        trained = time.process_time() - start
        start = time.process_time()
        found = looked(detector, new)
        each = (time.process_time() - start) / len(found)
        report = of_detector(detector, found, new.open)
        yield {
            "pictures": len(shown.snapshot.items),
            "marked": sum(len(item.boxes) for item in shown.snapshot.items),
            "new": len(found),
            "AP50": report.metrics["ap50"],
            "AP50-95": report.metrics["ap"],
            "of each": {
                label: (told["ap50"], told["ap"]) for label, told in report.metrics["labels"].items()
            },
            "found": report.metrics["found"],
            "right": report.metrics["right"],
            "limit": detector.limit,
            "parameters": sum(value.numel() for value in detector.finder.network.parameters()),
            "bytes": len(detector.pack()),
            "training CPU s": trained,
            "verdict CPU s": each,
            "seconds asked": 180,
            "passes": bool(np.isfinite(trained) and trained <= 180 and report.metrics["ap50"] >= 0.9),
        }
