"""Why each kind of reader says a label: gradients where it is a transformer with a class token, else by
covering parts of the picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image

from vision.engine.side_work import BeforeSlice, SideWork
from vision.explain import attention, cropping
from vision.photo import labels as photographed
from vision.photo import looking
from vision.photo.faces import Face
from vision.readers import occlusion
from vision.readers.clip import Matcher
from vision.readers.vit import Classifier, odds
from vision.reporter import Reporter

Box = tuple[float, float, float, float]
FACES = 32  # cells a side of a map of faces


@dataclass(frozen=True)
class Reason:
    """chance: of the label, 0..1. counts: (rows, columns), 0..1, how much each place speaks for it. seen: of
    which part of the picture, px; None = all. how: this was found out."""

    chance: float
    counts: np.ndarray
    seen: Box | None
    how: Literal["attention", "covering", "faces"]


def of_classifier(reader: Classifier, image: Image.Image, label: str, reporter: Reporter) -> Reason:
    """Return why a classifier says one of its labels."""
    place = reader.labels.index(label)
    chance = reporter.batched("classifier", reader.chances_each, image)[place]

    def each(pictures: Sequence[Image.Image], before_slice: BeforeSlice) -> list[np.ndarray | None]:
        found = []
        for picture in pictures:
            before_slice()
            pixels = reader.pixels([picture])
            score: attention.Score = lambda output: reader.score(output.logits[0].float(), place)  # noqa: E731
            found.append(attention.relevance(reader.model, pixels, score))
        return found

    counts = reporter.batched("why", each, image)
    if counts is not None:
        return Reason(chance, counts, cropping.seen_by(reader.processor, image.size), "attention")

    def chances(parts: list[Image.Image]) -> list[float]:
        return [one[place] for one in _at_once(reader.chances_each, parts, reporter)]

    return _covered(image, chance, chances)


def of_matcher(
    reader: Matcher, image: Image.Image, label: str, labels: Sequence[str], reporter: Reporter
) -> Reason:
    """Return why CLIP or SigLIP finds a label among others."""
    batched, place = reporter.batched_as("clip"), list(labels).index(label)
    chance = reader.probabilities(image, labels, batched)[place]
    text = torch.stack(reader.embed_words(labels, batched))  # (L, D)

    def each(pictures: Sequence[Image.Image], before_slice: BeforeSlice) -> list[np.ndarray | None]:
        found = []
        for picture in pictures:
            before_slice()
            found.append(_by_clip(reader, picture, text, place))
        return found

    counts = reporter.batched("why", each, image)
    if counts is not None:
        seen = cropping.seen_by(reader.processor.image_processor, image.size)
        return Reason(chance, counts, seen, "attention")

    def fits(parts: list[Image.Image]) -> list[float]:
        embeddings = reporter.batched("clip", reader.embed_image_lists, parts)
        return reader.fits(embeddings, text)[:, place].tolist()

    return _covered(image, chance, fits)


def of_photograph(
    reader: Any,
    image: Image.Image,
    label: str,
    labels: Sequence[str],
    faces: Sequence[Face],
    reporter: Reporter,
) -> Reason:
    """Return why the readers of photographs say a label. labels: that were compared, none = all they know."""

    def fits(parts: list[Image.Image]) -> list[float]:
        seen = (chances for chances, _ in _at_once(reader.read_each, parts, reporter))
        if labels:
            return [dict(looking.compare(chances, faces, labels)[0])[label] for chances in seen]
        return [float(chances[list(photographed.classes_of(label))].sum()) for chances in seen]

    if photographed.means_people(label) or (not labels and not photographed.classes_of(label)):
        counts = np.zeros((FACES, FACES))
        for face in faces:
            left, top, right, bottom = (
                int(px * FACES / side) for px, side in zip(face.box, (*image.size, *image.size), strict=True)
            )
            counts[max(0, top) : bottom + 1, max(0, left) : right + 1] = face.score
        return Reason(faces[0].score if faces else 0.0, counts, None, "faces")
    return _covered(image, fits([image])[0], fits)


def _by_clip(reader: Matcher, image: Image.Image, text: torch.Tensor, place: int) -> np.ndarray | None:
    """Return how much each patch speaks for the text at ``place``."""
    tower, projection = reader.model.vision_model, getattr(reader.model, "visual_projection", None)
    pixels = reader.pixels([image])

    def score(output: Any) -> torch.Tensor:
        pooled = output.pooler_output if projection is None else projection(output.pooler_output)
        return odds(reader.logits(pooled / pooled.norm(dim=-1, keepdim=True), text)[0].float(), place)

    return attention.relevance(tower, pixels, score)


def _at_once(work: SideWork, parts: Sequence[Image.Image], reporter: Reporter) -> Sequence[Any]:
    """Return what ``work`` makes of each part, beside the passes of other jobs: one by one, each part would
    wait for a pass."""
    return reporter.in_thread(lambda: work(parts, lambda count=1: None), thread="fetching")


def _covered(image: Image.Image, chance: float, fits: Callable[[list[Image.Image]], list[float]]) -> Reason:
    """Return what speaks for a label by covering parts of the picture."""
    drops = np.clip(occlusion.drops(image, fits), 0, None)
    return Reason(chance, drops / max(float(drops.max()), 1e-12), None, "covering")
