"""Rows of ``tests.vision.own_models.proof`` on learning from very little: ``few`` good pictures, and defects
that are ``taught`` after they were missed. Filters alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from tests.vision.own_models import parts
from tests.vision.own_models.conftest import Pile, pile
from vision.own_models.anomaly.inspector import Inspector
from vision.own_models.anomaly.training import Settings, train
from vision.own_models.features.filters import filters
from vision.own_models.report import metrics
from vision.own_models.snapshot import Snapshot
from vision.own_models.steps import MemoryStore, run

Row = dict[str, object]
FAINT = (
    ("plate", "stain", 0.35),
    ("valve", "stain", 0.35),  # never looked at before it was measured
    ("keypad", "crack", 0.25),
    ("circuit", "scratch", 0.25),
)  # and how faint
TAUGHT, NEW, MOST = 10, 30, 150  # missed defects; pictures that are looked at for them


def of_few(scale: float) -> Iterator[Row]:
    """8.2: from 1, 2 and 4 good pictures."""
    for part in parts.ALL:
        good = [parts.picture(part, 20_000 + n)[0] for n in range(round(30 * scale))]
        bad = [parts.picture(part, 10_000 + n, parts.DEFECTS[n % 7])[0] for n in range(7 * round(6 * scale))]
        for count in (1, 2, 4):
            known = pile([(parts.picture(part, 40 + n)[0], "good") for n in range(count)])
            inspector = learned(known, known.snapshot, MemoryStore())
            ratios = [judged(inspector, some) for some in (good, bad)]
            strange = [False] * len(good) + [True] * len(bad)
            yield {
                "part": part,
                "good": count,
                "promise": inspector.card["promise"],
                "image AUROC": metrics.roc(strange, [*ratios[0], *ratios[1]]).area,
                "stopped": str(metrics.alarms(ratios[0], 1)),
                "found": str(metrics.found(ratios[1], 1)),
            }


def of_taught(scale: float) -> Iterator[Row]:
    """8.6: ten missed defects are shown; of thirty new ones that were missed as well, how many are found
    then."""
    count = round(NEW * scale)
    for part, kind, strength in FAINT:
        store = MemoryStore()
        usual = [(parts.picture(part, n)[0], "good") for n in range(20)]
        known = pile(usual)
        before = learned(known, known.snapshot, store)
        missed, looked = [], 0
        while len(missed) < TAUGHT + count and looked < MOST:
            image, mask = parts.picture(part, 30_000 + looked, kind, strength)
            looked += 1
            if judged(before, [image])[0] <= 1:
                missed.append((image, mask))
        shown, new = missed[:TAUGHT], [image for image, _ in missed[TAUGHT:]]
        good = [parts.picture(part, 20_000 + n)[0] for n in range(round(40 * scale))]
        together = pile(usual + [(image, kind) for image, _ in shown])
        for marked in ("masks", "boxes", "nothing"):
            after = learned(together, _marked(together, shown, marked), store)
            yield {
                "part": part,
                "defect": f"{kind} at {strength}",
                "missed at first": f"{len(missed)} of {looked}",
                "marked": marked,
                "kept": after.card["taught"]["kept"],
                "new ones found": str(metrics.found(judged(after, new), 1)),
                "good stopped before": str(metrics.alarms(judged(before, good), 1)),
                "good stopped": str(metrics.alarms(judged(after, good), 1)),
            }


def learned(some: Pile, snapshot: Snapshot, store: MemoryStore) -> Inspector:
    return run(train(snapshot, some.open, [filters()], Settings(), store))


def judged(inspector: Inspector, images: Sequence[Image.Image]) -> list[float]:
    """The scores of pictures, in limits."""
    extractor = filters()
    network = inspector.detector(extractor)
    return [inspector.inspect(image, extractor, network).ratio for image in images]


def _marked(together: Pile, shown: Sequence[tuple[Image.Image, np.ndarray]], how: str) -> Snapshot:
    """The snapshot with each defect painted, in a box, or not marked."""
    marks: dict[int, dict[str, object]] = {}
    for image, mask in shown if how != "nothing" else ():
        painted = Image.fromarray(mask.astype(np.uint8) * 255)
        rows, columns = np.nonzero(mask)
        corners = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        marks[id(image)] = {"boxes": (tuple(float(at) / parts.SIDE for at in corners),)}
        if how == "masks":
            name = hashlib.sha256(painted.tobytes()).hexdigest()
            together.images[name] = painted
            marks[id(image)] = {"mask": name}
    return Snapshot.of(
        replace(item, **marks.get(id(together.images[item.sha256]), {})) for item in together.snapshot.items
    )
