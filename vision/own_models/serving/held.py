"""Own models that were read from their files, kept in memory for the next picture."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cachetools import LRUCache

from core.errors import ModelError
from core.requests.own_models import ANOMALY, DETECT

if TYPE_CHECKING:
    from vision.own_models.anomaly.detector import Detector
    from vision.own_models.anomaly.inspector import Inspector
    from vision.own_models.classify.classifier import Classifier
    from vision.own_models.detect.detector import Detector as BoxDetector
    from vision.own_models.features.extractor import Extractor

MOST = 8  # models, of a few megabytes each


@dataclass(frozen=True)
class Loaded:
    """A model with what it sees with. detector: of an inspection."""

    model: Inspector | Classifier | BoxDetector
    extractor: Extractor
    detector: Detector | None = None


class OwnModels:
    """loaded: the last MOST that were asked, by the SHA-256 of their files. towers: (role, model as
    configured) → what is seen with it."""

    def __init__(self) -> None:
        self.towers: dict[tuple[str, str], Extractor] = {}
        self.loaded = LRUCache[str, Loaded](MOST)

    def forget(self, names: Collection[str]) -> None:
        """Give up the models of these files (SHA-256)."""
        for name in names:
            self.loaded.pop(name, None)


def read(path: Path, task: str) -> Inspector | Classifier | BoxDetector:
    """Return the model in a file. Raises ModelError for a file that is gone, of another task, or of none."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError("The model's file is gone. Train it again.") from error
    return unpack(data, task)


def unpack(data: bytes, task: str) -> Inspector | Classifier | BoxDetector:
    """Return the model in the bytes of a file. Raises ModelError for one of another task, or none."""
    from vision.own_models.anomaly.inspector import Inspector
    from vision.own_models.classify.classifier import Classifier
    from vision.own_models.detect.detector import Detector as BoxDetector

    if task == DETECT:
        return BoxDetector.unpack(data)
    return Inspector.unpack(data) if task == ANOMALY else Classifier.unpack(data)
