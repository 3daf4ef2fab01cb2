"""What a custom model says of a picture, in the words of a result, and what a worker's models see pictures
with: on the processor in float32 wherever the worker draws, so that the same pictures give the same model."""

from __future__ import annotations

import copy
import logging
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from core.errors import ModelError
from core.requests.custom_models import ANOMALY
from core.results import Region, Verdict
from vision.custom_models import features, figures
from vision.custom_models.anomaly.detector import Inspector
from vision.custom_models.classification import Classifier, Words
from vision.custom_models.detection import FAINTEST, Found, sees_with
from vision.custom_models.detection import Detector as BoxDetector
from vision.custom_models.features import (
    Extractor,
    blurred,
    efficientnet,
    filters,
    gaussian,
    pixels,
    transformer,
)
from vision.custom_models.figures import Outline, drawn, short, tone_of
from vision.custom_models.report import Looked
from vision.custom_models.snapshot import GOOD, TEST, Item, Snapshot
from vision.custom_models.steps import Step, in_slice
from vision.readers.photo.describe import is_demo
from vision.reporter import Reporter
from vision.store import Loaded, read_own_model

if TYPE_CHECKING:
    from vision.store import Models


log = logging.getLogger(__name__)

PHOTOGRAPH, TRANSFORMERS = "photograph", ("clip", "vit")  # roles


def towers(task: str, models: Models, reporter: Reporter) -> Iterator[Extractor]:
    """Yield what a task is tried with. The demo models have seen nothing but twelve drawn objects: they are
    tried with labels, not with parts."""
    yield filters()
    for role in (PHOTOGRAPH, *TRANSFORMERS):
        if task == ANOMALY and role in TRANSFORMERS and is_demo(models, role):
            continue
        found = tower(role, models, reporter)
        if found is not None:
            yield found


def extractor_of(name: str, models: Models, reporter: Reporter) -> Extractor:
    """Return the extractor that a model was trained with. Raises ModelError when this worker lacks it."""

    def alone(one: str) -> Extractor | None:
        roles = (PHOTOGRAPH, *TRANSFORMERS) if one.startswith("efficientnet-") else TRANSFORMERS
        known = chain([filters()], (tower(role, models, reporter) for role in roles))
        return next((found for found in known if found is not None and found.name == one), None)

    try:
        return features.find_extractor(name, alone)
    except KeyError as error:
        message = f"This model needs {error.args[0]}, which isn't installed any more. Train it again."
        raise ModelError(message) from None


def tower(role: str, models: Models, reporter: Reporter) -> Extractor | None:
    """Return what the configured model of a role sees with; None without one that has square patches."""
    spec = models.config.models.get(role)
    if not spec:
        return None
    if (kept := models.own.towers.get((role, spec))) is not None:
        return kept
    try:
        reader = models.get(role, reporter)
        found = efficientnet(reader.model) if role == PHOTOGRAPH else _transformer(reader)
    except ModelError as error:
        log.info("custom models see without the %s model: %s", role, error)
        return None
    models.own.towers[role, spec] = found
    return found


def _transformer(reader: Any) -> Extractor:
    processor = getattr(reader.processor, "image_processor", reader.processor)
    weight = next(reader.model.parameters())
    model = reader.model
    if weight.device.type != "cpu" or weight.dtype != torch.float32:
        model = copy.deepcopy(model).to("cpu", torch.float32)
    return transformer(reader.name, model, processor)


STEPS = 8  # of the way from a blurred picture to the picture
BLUR = 16.0  # pixels, of the picture that shows nothing
CELLS = 16  # a side of a map of what speaks for a label


def loaded(sha256: str, path: Path, task: str, models: Models, reporter: Reporter) -> Loaded:
    """Return a model, from memory where it was asked lately. Raises ModelError when it can't be read, or the
    host has no more what it sees with."""
    if (kept := models.own.loaded.get(sha256)) is not None:
        return kept
    model = reporter.in_thread(lambda: read_own_model(path, task))
    if isinstance(model, BoxDetector):
        extractor = sees_with(int(model.card["side"]))
    else:
        extractor = extractor_of(model.card["extractor"], models, reporter)
    detector = model.detector(extractor) if isinstance(model, Inspector) else None
    found = models.own.loaded[sha256] = Loaded(model, extractor, detector)
    return found


def label_words(labels: Sequence[str], models: Models, reporter: Reporter, name: str = "") -> Words | None:
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
    said = replace(found, limit=limit, heat=found.heat * (found.limit / limit))
    places = said.heat.numpy()
    verdict = Verdict(
        sha256,
        round(said.score, 6),
        said.strange,
        said.sentence(),
        said.name,
        round(limit, 6),
        tuple((name, round(chance, 4)) for name, chance in said.names),
        tuple(figures.regions(places, image.size) if said.strange else ()),
        said.rank,
        said.good,
    )
    return verdict, places


def verdict_label(verdict: Verdict, kinds: bool) -> str:
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
        f"{best}: {chance:.0%}." if not answer.unknown else f"Doesn't match any label (closest: {best}).",
        "" if answer.unknown else best,
        names=tuple((name, round(each, 4)) for name, each in answer.chances),
    )


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


MOST_NAMED, MOST_TEXT = 8, 200  # labels of a sentence, characters of a verdict's label


def testing(
    model: BoxDetector, snapshot: Snapshot, open_picture: Callable[[str], Image.Image]
) -> Generator[Step, None, list[Looked]]:
    """Yield a step for each picture that was kept for testing, and return what is found in them."""
    items, found = snapshot.part(TEST), list[Looked]()
    for number, item in enumerate(items, 1):
        seen = model.detect(open_picture(item.sha256), FAINTEST)
        found.append(Looked(item.sha256, marked(item), tuple(seen)))
        yield Step(number, len(items), f"tested {number} of {len(items)}")
    return found


def marked(item: Item) -> tuple[Found, ...]:
    """Return what is marked in a picture."""
    return tuple(
        Found(name, 1.0, (box[0], box[1], box[2], box[3]))
        for name, box in zip(item.names, item.boxes, strict=True)
    )


def detected(
    sha256: str, image: Image.Image, one: Loaded, limit: float, reporter: Reporter
) -> tuple[Verdict, Image.Image]:
    """Return what a detector finds in a picture, and the picture with it drawn over it. limit: the score from
    which on an object is told, 0 = the detector's own."""
    model = one.model
    assert isinstance(model, BoxDetector)
    limit = limit or model.limit
    found = in_slice(reporter, "detect", lambda: model.detect(image, limit))
    regions, best = list[Region](), dict[str, float]()
    for obj in found:
        left, top, right, bottom = (round(side, 6) for side in obj.box)
        area = round((obj.box[2] - obj.box[0]) * (obj.box[3] - obj.box[1]), 6)
        ratio, score = round(obj.score / limit, 4), round(obj.score, 6)
        regions.append(Region(left, top, right, bottom, area, ratio, obj.label, score))
        best.setdefault(obj.label, round(obj.score, 4))
    verdict = Verdict(
        sha256,
        regions[0].score if regions else 0.0,
        False,
        f"Found: {counts(regions)}." if regions else "None of its objects was found.",
        counts(regions)[:MOST_TEXT],
        round(limit, 6),
        tuple(best.items()),
        tuple(regions),
    )
    outlines = [
        Outline(
            (one.left, one.top, one.right, one.bottom),
            f"{short(one.label)} {one.score:.0%}",
            tone_of(model.labels, one.label),
        )
        for one in regions
    ]
    return verdict, drawn(image, outlines)


def counts(regions: Sequence[Region]) -> str:
    """Return how many there are of each label, the most first: "3 nut, 1 screw"; "" of nothing."""
    counted = Counter(region.label for region in regions)
    order = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))
    named = [f"{count} {label}" for label, count in order[:MOST_NAMED]]
    named += [f"{len(order) - MOST_NAMED} other labels"] if len(order) > MOST_NAMED else []
    return ", ".join(named)
