"""Who reads a picture: where the host has left the demo models in a role, which know drawings only,
photographs are read by the readers of photographs. Real models read everything themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from core.errors import ModelError
from core.profiles import PROFILES
from vision.model_store import Models
from vision.photo import kind, labels
from vision.photo.faces import Face
from vision.reporter import Reporter
from vision.weights import local, sources

PHOTOGRAPH, DRAWING = "photographs", "drawings"  # what a reader knows, as a message says it


@dataclass(frozen=True)
class Look:
    """What the readers of photographs make of a picture.

    chances: of ImageNet's classes (1000,), None unless it is photographed. knows: what the right reader
    knows, "" where there is no choice. note: why they couldn't be asked.
    """

    chances: np.ndarray | None = None
    knows: str = ""
    note: str = ""


def look(image: Image.Image, models: Models, reporter: Reporter, role: str) -> Look:
    """Return what is seen in a picture that the model of ``role`` is to read."""
    if not helps(models, role) or (reporter.is_guest and not is_here(models, "photograph")):
        return Look()
    try:
        reader = models.get("photograph", reporter)
    except ModelError as error:
        return Look(note=f"{error} Until then a demo model, which knows drawings, reads photographs, too.")
    chances, features = reporter.batched("photograph", reader.read_each, image)
    if kind.photographed(features):
        return Look(chances, PHOTOGRAPH)
    return Look(knows=DRAWING)


def helps(models: Models, role: str) -> bool:
    """Return whether the model of ``role`` is the demo's, and there are readers of photographs."""
    return is_demo(models, role) and "photograph" in models.config.models


def is_demo(models: Models, role: str) -> bool:
    """Return whether the model of ``role`` is the demo's."""
    return models.config.models.get(role) == PROFILES["demo"][f"{role.upper()}_MODEL"]


def is_here(models: Models, role: str) -> bool:
    """Return whether the model of a reader of photographs is on this machine; guests don't have it
    fetched."""
    source = sources.parse(models.config.models[role])
    return local.find(source, Path(models.config.cache_dir)) is not None


def faces(image: Image.Image, models: Models, reporter: Reporter) -> list[Face]:
    """Return the faces in a photograph; none where their finder can't be had."""
    try:
        finder = models.get("faces", reporter)
    except ModelError:
        return []
    return reporter.in_thread(lambda: finder.find(image))


def best(chances: np.ndarray, found: Sequence[Face], count: int) -> list[tuple[str, float]]:
    """Return the ``count`` likeliest things in a photograph, best first: people, by their faces, among
    ImageNet's classes."""
    scores = labels.best(chances, count)
    if found:
        scores.append((_people(len(found)), found[0].score))
    return sorted(scores, key=lambda pair: -pair[1])[:count]


def compare(
    chances: np.ndarray, found: Sequence[Face], asked: Sequence[str]
) -> tuple[list[tuple[str, float]], list[str]]:
    """Return how well each of some labels fits a photograph, as shares that sum to 1 and best first, and the
    labels that mean nothing to these readers."""
    unknown = [label for label in asked if not labels.means_people(label) and not labels.classes_of(label)]
    fits = [_fit(chances, found, label) for label in asked]
    total = sum(fits)
    shares = ((label, fit / total) for label, fit in zip(asked, fits, strict=True))
    return sorted(shares, key=lambda pair: -pair[1]), unknown


def knows(asked: Sequence[str]) -> bool:
    """Return whether all of some labels mean something to these readers."""
    return all(labels.means_people(label) or labels.classes_of(label) for label in asked)


def _fit(chances: np.ndarray, found: Sequence[Face], label: str) -> float:
    if labels.means_people(label):
        return max(found[0].score if found else 0.0, 1e-6)
    return max(float(chances[list(labels.classes_of(label))].sum()), 1e-6)


def _people(count: int) -> str:
    return "person" if count == 1 else f"{count} people"
