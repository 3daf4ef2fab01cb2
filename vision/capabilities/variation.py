"""/variation: other pictures like a given one, by image-to-image at the strength that the model's card has
for "subtle" or "strong"."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from PIL import Image

from core.events import Output
from core.limits import MAX_ASPECT
from core.requests import VariationRequest
from vision.capabilities.imagine import finish
from vision.drawing import task as drawing
from vision.drawing.generate import generate
from vision.drawing.task import Task
from vision.families import Mode
from vision.image_model.model import ImageModel
from vision.model_store import Models
from vision.pictures import encode
from vision.reporter import Reporter

LONGEST_ASPECT = (
    MAX_ASPECT + 1.0
)  # longer pictures are cut to it, in the middle; /imagine draws no longer ones, its rounding included


def run(
    request: VariationRequest, images: Mapping[str, Image.Image], models: Models, reporter: Reporter
) -> Output:
    """See vision.capabilities."""
    model = models.image(request.model, reporter)
    attach = partial(models.attach_adapter, model, reporter)
    task = drawing.with_references(prepare(request, images, model), request, images, model, attach)
    drawn = generate(model, task.generation, reporter)
    return reporter.in_thread(lambda: finish(task, drawn, model))


def prepare(request: VariationRequest, images: Mapping[str, Image.Image], model: ImageModel) -> Task:
    """Return the task: the picture at about the model's native area in its own shape, then as /imagine with a
    picture."""
    assert request.image is not None  # its constructor has checked that
    start, notes = images[request.image], []
    if not 1 / LONGEST_ASPECT <= start.width / start.height <= LONGEST_ASPECT:
        start, notes = _cut(start), [f"The picture is longer than 1:{LONGEST_ASPECT:g}; its middle was used."]
    size, shape, more = drawing.choose_size(request, model.card, start.size)
    strength = model.card.variation[request.variation] if request.strength is None else request.strength
    image = encode.placed(start, size, shape)
    task = drawing.prepare(request, model, Mode.IMAGE, size, image=image, shape=shape, strength=strength)
    return Task(
        task.generation, {**task.parameters, "variation": request.variation}, (*notes, *more, *task.notes)
    )


def _cut(image: Image.Image) -> Image.Image:
    width = min(image.width, round(image.height * LONGEST_ASPECT))
    height = min(image.height, round(image.width * LONGEST_ASPECT))
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))
