"""/classify: how well labels fit a picture: given ones by CLIP or SigLIP, otherwise a classifier's own."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from PIL import Image

from core.errors import ModelError
from core.events import Output
from core.requests import ClassifyRequest
from vision.model_store import Models
from vision.pictures import chart, encode
from vision.reporter import Reporter

log = logging.getLogger(__name__)


def run(
    request: ClassifyRequest, images: Mapping[str, Image.Image], models: Models, reporter: Reporter
) -> Output:
    """See vision.capabilities. ``Output.scores`` has every given label, or the best ``top_k``;
    ``Output.grid`` is the chart."""
    image, notes = images[request.image], []
    if request.labels:
        scores, name = _match(image, tuple(dict.fromkeys(request.labels)), models, reporter)
    else:
        try:
            classifier = models.get("vit", reporter)
            scores, name = (
                reporter.batched("classifier", classifier.classify_each, (image, request.top_k)),
                classifier.name,
            )
        except ModelError as error:
            log.warning("no classifier (%s); CLIP's default labels are used", error)
            scores, name = _match(image, None, models, reporter)
            scores, notes = (
                scores[: request.top_k],
                ["There is no classifier; a default list of labels was tried with CLIP."],
            )
    reporter.step(1, 1)
    sheet = reporter.in_thread(lambda: encode.png(chart.draw(scores, title=f"{name}")))
    return Output(
        grid=sheet,
        scores=tuple(scores),
        parameters={"kind": request.kind, "model": name, "labels": list(request.labels), "notes": notes},
    )


def _match(
    image: Image.Image, labels: tuple[str, ...] | None, models: Models, reporter: Reporter
) -> tuple[list[tuple[str, float]], str]:
    matcher = models.get("clip", reporter)
    labels = labels or matcher.labels
    chances = matcher.probabilities(image, labels, reporter.batched_as("clip"))
    return sorted(zip(labels, chances, strict=True), key=lambda pair: -pair[1]), matcher.name
