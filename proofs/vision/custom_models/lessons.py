"""A row of ``proofs.vision.custom_models.proof``: ``few`` good pictures. Filters alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from PIL import Image

from tests.vision.custom_models import parts
from tests.vision.custom_models.conftest import Pile, pile
from tests.vision.custom_models.memory_store import MemoryStore
from vision.custom_models import metrics
from vision.custom_models.anomaly.detector import Inspector
from vision.custom_models.anomaly.train import Settings, train_inspection
from vision.custom_models.features import filters
from vision.custom_models.snapshot import Snapshot
from vision.custom_models.steps import exhausted

Row = dict[str, object]


def of_few(scale: float, some: Sequence[str] = parts.ALL) -> Iterator[Row]:
    """8.2: from 1, 2 and 4 good pictures."""
    for part in some:
        good = [parts.picture(part, 20_000 + n)[0] for n in range(round(30 * scale))]
        bad = [parts.picture(part, 10_000 + n, parts.DEFECTS[n % 7])[0] for n in range(7 * round(6 * scale))]
        for count in (1, 2, 4):
            known = pile([(parts.picture(part, 40 + n)[0], "good") for n in range(count)])
            inspector = learned(known, known.snapshot, MemoryStore())
            ratios = [judged(inspector, images) for images in (good, bad)]
            strange = [False] * len(good) + [True] * len(bad)
            yield {
                "part": part,
                "good": count,
                "promise": inspector.card["promise"],
                "image AUROC": metrics.curves(strange, [*ratios[0], *ratios[1]])[0].area,
                "stopped": str(metrics.share_above(ratios[0], 1)),
                "found": str(metrics.share_above(ratios[1], 1)),
            }


def learned(some: Pile, snapshot: Snapshot, store: MemoryStore) -> Inspector:
    return exhausted(train_inspection(snapshot, some.open, [filters()], Settings(), store))


def judged(inspector: Inspector, images: Sequence[Image.Image]) -> list[float]:
    """The scores of pictures, in limits."""
    extractor = filters()
    network = inspector.detector(extractor)
    return [inspector.inspect(image, extractor, network).ratio for image in images]
