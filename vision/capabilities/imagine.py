"""/imagine: one to four pictures from words, or from words and a picture to start from."""

from __future__ import annotations

from collections.abc import Mapping

from PIL import Image

from core.events import Output
from core.requests import ImagineRequest
from vision import drawing, pictures
from vision.diffusion import Drawn, generate
from vision.drawing import Task
from vision.image_model import ImageModel
from vision.models import Mode
from vision.provider import Models
from vision.reporter import Reporter


def run(request: ImagineRequest, images: Mapping[str, Image.Image], models: Models, reporter: Reporter) -> Output:
    """See vision.capabilities."""
    model = models.image(request.model, reporter)
    task = prepare(request, images, model)
    drawn = generate(model, task.generation, reporter)
    return reporter.aside(lambda: finish(task, drawn, model))


def prepare(request: ImagineRequest, images: Mapping[str, Image.Image], model: ImageModel) -> Task:
    """A given picture is brought to the size that is drawn; without a size, that keeps its shape."""
    start = images[request.image] if request.image else None
    size, notes = drawing.choose_size(request, model.card, start.width / start.height if start else 1.0)
    if start is None:
        task = drawing.prepare(request, model, Mode.TEXT, size)
    else:
        strength = model.card.strength if request.strength is None else request.strength
        task = drawing.prepare(request, model, Mode.IMAGE, size, image=pictures.resize(start, size), strength=strength)
    return Task(task.generation, task.parameters, (*notes, *task.notes))


def finish(task: Task, drawn: Drawn, model: ImageModel) -> Output:
    """Enlarge by the model's output scale and encode."""
    return drawing.output(task, drawn, [pictures.enlarge(image, model.card.output_scale, task.generation.tile) for image in drawn.images])
