"""/edit: a picture changed as words say, by a model that was trained for it; what they don't name stays."""

from __future__ import annotations

from collections.abc import Mapping

from PIL import Image

from core.events import Output
from core.requests import EditRequest
from vision.capabilities.imagine import finish
from vision.capabilities.variation import within_aspect
from vision.drawing import task as drawing
from vision.drawing.generate import generate
from vision.drawing.task import Task
from vision.families import Mode
from vision.image_model.model import ImageModel
from vision.model_store import Models
from vision.pictures import encode
from vision.reporter import Reporter


def run(
    request: EditRequest, images: Mapping[str, Image.Image], models: Models, reporter: Reporter
) -> Output:
    """See vision.capabilities. Raises ModelError for a model that can't edit."""
    model = models.editor(request.model, reporter)
    model.pipeline(Mode.EDIT)
    task = prepare(request, images, model)
    drawn = generate(model, task.generation, reporter)
    return reporter.in_thread(lambda: finish(task, drawn, model))


def prepare(request: EditRequest, images: Mapping[str, Image.Image], model: ImageModel) -> Task:
    """Return the task: the picture in its own shape, at about the model's native area."""
    assert request.image is not None  # its constructor has checked that
    start, notes = within_aspect(images[request.image])
    size, shape, more = drawing.choose_size(request, model.card, start.size)
    image = encode.placed(start, size, shape)
    task = drawing.prepare(request, model, Mode.EDIT, size, image=image, shape=shape)
    ignored = [name for name, given in (("strength", request.strength), ("tile", request.tile)) if given]
    notes += [f"`--{name}` had no effect on an edit." for name in ignored]
    return Task(task.generation, task.parameters, (*notes, *more, *task.notes))
