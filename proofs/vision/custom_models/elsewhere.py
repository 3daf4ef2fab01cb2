"""What bundles say in a bare environment beside what their models say here: the row ``bundles`` of
``proofs.vision.custom_models.proof``."""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from proofs.vision.custom_models import finding, labels
from proofs.vision.custom_models.seen_with import towers
from tests.vision.custom_models import parts
from tests.vision.custom_models.conftest import pile
from tests.vision.custom_models.memory_store import MemoryStore
from vision.custom_models.anomaly.detector import Inspector
from vision.custom_models.anomaly.train import Settings as OfInspection
from vision.custom_models.anomaly.train import train_inspection
from vision.custom_models.classification import Classifier, train_classifier
from vision.custom_models.detection import NAME, sees_with, train_detector
from vision.custom_models.detection import Settings as OfDetector
from vision.custom_models.export import Model, bundle
from vision.custom_models.features import Extractor, find_extractor
from vision.custom_models.steps import exhausted

Row = dict[str, object]
STEPS = 200  # of the detector's training: it has to say something, not to be right
COUNT = 1000  # pictures that are judged
EXAMPLES, NEW = 20, 10_000  # pictures that are learned from; first seed of the others
LEAST_SIDE, MOST_SIDE = 90, 700  # px of a picture
SUFFIXES = ("jpg", "png", "webp")
CLOSE = 1e-4  # between scores
Said = dict[str, Any]  # a line of predict.py


@dataclass(frozen=True)
class Ran:
    """What ``predict.py`` printed of each file, and its seconds: by the clock and of processors."""

    said: dict[str, Said]
    wall: float
    processor: float


@dataclass(frozen=True)
class Case:
    """A model, what it sees with, and what it is asked about."""

    model: Model
    extractor: Extractor
    drawn: Sequence[Image.Image]


def of_bundles(scale: float, python: str = "") -> Iterator[Row]:
    """8.11: a bundle of each task in an environment of its own, on pictures of odd sizes, three types and all
    EXIF turns. python: of that environment."""
    for name, made in (("inspection", _inspection), ("classifier", _classifier), ("detector", _detector)):
        yield {"bundle": name} | _judged(made(), scale, python or "python3")


def _inspection() -> Case:
    drawn = [parts.picture("circuit", NEW + n, (None, *parts.DEFECTS)[n % 8])[0] for n in range(40)]
    some = pile([(parts.picture("circuit", n)[0], "good") for n in range(EXAMPLES)])
    extractor = towers()[-1]
    model = exhausted(train_inspection(some.snapshot, some.open, [extractor], OfInspection(), MemoryStore()))
    return Case(model, extractor, drawn)


def _classifier() -> Case:
    """Of styles of drawings, which two towers see together."""
    style = labels.tasks()[0]
    drawn = [style.picture(label, NEW + n, True) for n in range(10) for label in style.labels]
    some = pile([(style.picture(label, n, False), label) for label in style.labels for n in range(10)])
    seen_with = towers()
    model = exhausted(train_classifier(some.snapshot, some.open, seen_with, MemoryStore()))
    return Case(
        model, find_extractor(model.card["extractor"], {one.name: one for one in seen_with}.get), drawn
    )


def _detector() -> Case:
    some, asked = finding.pile(range(EXAMPLES // 2)), finding.pile(range(NEW, NEW + 40))
    model = exhausted(train_detector(some.snapshot, some.open, OfDetector(steps=STEPS), MemoryStore()))
    return Case(model, sees_with(int(model.card["side"])), list(asked.images.values()))


def _judged(case: Case, scale: float, python: str) -> Row:
    data = bundle(case.model, case.extractor, "proof", [one.resize((311, 277)) for one in case.drawn[:6]])
    compare = _comparison(case.model, case.extractor)
    with tempfile.TemporaryDirectory() as work:
        folder, pictures, none = (Path(work) / name for name in ("bundle", "pictures", "none"))
        zipfile.ZipFile(io.BytesIO(data)).extractall(folder)
        none.mkdir()
        _write(pictures, case.drawn, round(COUNT * scale))
        start, whole = _ran(python, folder, none), _ran(python, folder, pictures)
        told = []
        for file in sorted(pictures.iterdir()):
            with Image.open(file) as image:
                told.append(compare(image, whole.said[file.name]))
    return {
        "extractor": case.extractor.name if case.extractor.name != NAME else "its own",
        "pictures": len(told),
        "unequal": sum(not same for same, _, _ in told),
        "largest difference of scores": max(far for _, far, _ in told),
        "passes": all(same and far <= CLOSE for same, far, _ in told),
        "said of them": sum(number for _, _, number in told),
        "MiB": len(data) / 2**20,
        "start CPU s, wall s": (round(start.processor, 2), round(start.wall, 2)),
        "CPU s a picture": (whole.processor - start.processor) / len(told),
        "wall s a picture": (whole.wall - start.wall) / len(told),
    }


def _write(folder: Path, drawn: Sequence[Image.Image], count: int) -> None:
    lots = np.random.default_rng(0)
    folder.mkdir()
    for number in range(count):
        width, height = (int(side) for side in lots.integers(LEAST_SIDE, MOST_SIDE, 2))
        exif = Image.Exif()
        exif[0x0112] = int(lots.integers(1, 9))
        image = drawn[number % len(drawn)].resize((width, height))
        image.save(folder / f"{number:04}.{SUFFIXES[number % len(SUFFIXES)]}", exif=exif)


def _ran(python: str, folder: Path, pictures: Path) -> Ran:
    command = [os.path.abspath(python) if os.sep in python else python, "-I", "predict.py", str(pictures)]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    said = {Path(line["file"]).name: line for line in map(json.loads, done.stdout.splitlines())}
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Ran(said, wall, spent)


def _comparison(model: Model, extractor: Extractor) -> Callable[[Image.Image, Said], tuple[bool, float, int]]:
    """Return what tells of a picture whether the same is said of it here, how far apart scores are, relative
    to those above 1, and how many things are said."""
    if isinstance(model, Inspector):
        network = model.detector(extractor)

        def of_inspection(image: Image.Image, said: Said) -> tuple[bool, float, int]:
            verdict = model.inspect(image, extractor, network)
            same = ("strange" if verdict.strange else "good", verdict.name) == (said["verdict"], said["name"])
            return same, _far([verdict.score], [said["score"]]), 1

        return of_inspection
    if isinstance(model, Classifier):

        def of_classifier(image: Image.Image, said: Said) -> tuple[bool, float, int]:
            answer = model.classify(image, extractor)
            here = [answer.distance, *(chance for _, chance in answer.chances)]
            there = [said["distance"], *(said["chances"][label] for label, _ in answer.chances)]
            return answer.label == said["label"], _far(here, there), 1

        return of_classifier

    def of_detector(image: Image.Image, said: Said) -> tuple[bool, float, int]:
        found, there = model.detect(image), said["boxes"]
        if [one.label for one in found] != [one["label"] for one in there]:
            return False, 0.0, len(found)
        same = all(_far(one.box, other["box"]) <= CLOSE for one, other in zip(found, there, strict=True))
        return same, _far([one.score for one in found], [one["score"] for one in there]), len(found)

    return of_detector


def _far(some: Sequence[float], others: Sequence[float]) -> float:
    pairs = zip(some, others, strict=True)
    return max((abs(one - other) / max(abs(one), 1.0) for one, other in pairs), default=0.0)
