"""What an own model says of a picture, in the words of a result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from core.results.own_models import Region, Verdict
from vision.own_models.anomaly import inspector as inspections
from vision.own_models.anomaly.inspector import Inspector
from vision.own_models.classify.classifier import NONE, Answer, Classifier, Words
from vision.own_models.detect.detector import Detector as BoxDetector
from vision.own_models.detect.detector import sees_with
from vision.own_models.features.extractor import pixels
from vision.own_models.features.filters import blurred, gaussian
from vision.own_models.report import heat
from vision.own_models.serving import towers
from vision.own_models.serving.held import Loaded, read
from vision.own_models.serving.slices import in_slice
from vision.own_models.snapshot import GOOD
from vision.reporter import Reporter

if TYPE_CHECKING:
    from vision.model_store import Models

STEPS = 8  # of the way from a blurred picture to the picture
BLUR = 16.0  # pixels, of the picture that shows nothing
CELLS = 16  # a side of a map of what speaks for a label


def loaded(sha256: str, path: Path, task: str, models: Models, reporter: Reporter) -> Loaded:
    """Return a model, from memory where it was asked lately. Raises ModelError when it can't be read, or the
    host has no more what it sees with."""
    if (kept := models.own.loaded.get(sha256)) is not None:
        return kept
    model = reporter.in_thread(lambda: read(path, task))
    if isinstance(model, BoxDetector):
        extractor = sees_with(int(model.card["side"]))
    else:
        extractor = towers.named(model.card["extractor"], models, reporter)
    detector = model.detector(extractor) if isinstance(model, Inspector) else None
    found = models.own.loaded[sha256] = Loaded(model, extractor, detector)
    return found


def words_of(labels: Sequence[str], models: Models, reporter: Reporter, name: str = "") -> Words | None:
    """Return what the host's CLIP makes of labels' words; None where there is none, or another than the one
    called ``name`` ("" = any)."""
    if not models.config.models.get("clip"):
        return None
    matcher = models.get("clip", reporter)
    if name and matcher.name != name:
        return None

    def words(images: Sequence[Image.Image]) -> Tensor:
        chances = torch.tensor([matcher.probabilities(image, labels) for image in images])
        return chances.clamp(min=1e-9).log()

    return words


def inspected(
    sha256: str, image: Image.Image, one: Loaded, limit: float, reporter: Reporter
) -> tuple[Verdict, np.ndarray]:
    """Return an inspection's verdict and its heat (h, w) in limits. limit: 0 = the inspection's own."""
    model = one.model
    assert isinstance(model, Inspector)
    found = in_slice(reporter, "inspect", lambda: model.inspect(image, one.extractor, one.detector))
    limit = limit or found.limit
    said = inspections.Verdict(
        found.score, limit, found.rank, found.good, found.heat * (found.limit / limit), found.names
    )
    places = said.heat.numpy()
    width, height = image.size
    regions = tuple(
        Region(
            left / width,
            top / height,
            right / width,
            bottom / height,
            round(region.area, 6),
            round(region.ratio, 4),
        )
        for region in (heat.regions(places, image.size) if said.strange else [])
        for left, top, right, bottom in [region.box]
    )
    names = tuple((name, round(chance, 4)) for name, chance in said.names)
    return (
        Verdict(
            sha256,
            round(said.score, 6),
            said.strange,
            said.sentence(),
            said.name,
            round(limit, 6),
            names,
            regions,
            said.rank,
            said.good,
        ),
        places,
    )


def told(verdict: Verdict, kinds: bool) -> str:
    """Return what an inspection's verdict comes down to: good, a kind of defect, or that it is one."""
    if not verdict.strange:
        return GOOD
    return verdict.label if kinds and verdict.label else "defect"


def classified(
    sha256: str, image: Image.Image, one: Loaded, words: Words | None, reporter: Reporter
) -> Verdict:
    """Return a classifier's verdict."""
    model = one.model
    assert isinstance(model, Classifier)
    answer = in_slice(reporter, "classify", lambda: model.classify(image, one.extractor, words))
    best, chance = answer.chances[0]
    return Verdict(
        sha256,
        round(chance, 6),
        answer.unknown,
        _sentence(answer),
        "" if answer.unknown else best,
        names=tuple((name, round(each, 4)) for name, each in answer.chances),
    )


def _sentence(answer: Answer) -> str:
    best, chance = answer.chances[0]
    if answer.unknown:
        return f"{NONE.capitalize()}: unlike all that it was taught ({best} would be likeliest)."
    return f"{best}: {chance:.0%}."


def why(image: Image.Image, one: Loaded, label: str) -> np.ndarray:
    """Return how much each place speaks for a label, (CELLS, CELLS) in 0..1: integrated gradients
    (arXiv:1703.01365) from the blurred picture to the picture."""
    model = one.model
    assert isinstance(model, Classifier)
    network, place = model.network(one.extractor), model.labels.index(label)
    seen = pixels(image, one.extractor.side)[None]
    nothing = blurred(seen, gaussian(BLUR, 3 * int(BLUR)))
    total = torch.zeros_like(seen)
    with torch.enable_grad():
        for step in range(STEPS):
            part = (nothing + (seen - nothing) * ((step + 0.5) / STEPS)).requires_grad_()
            logits, _ = network(part)
            (slope,) = torch.autograd.grad(logits.log_softmax(-1)[0, place], part)
            total += slope
    counts = torch.nn.functional.adaptive_avg_pool2d(
        (total * (seen - nothing)).sum(1, keepdim=True), (CELLS, CELLS)
    )
    speaks = blurred(counts, gaussian(1.0, 2)).clamp(min=0)[0, 0]
    return (speaks / speaks.max().clamp(min=1e-9)).numpy()
