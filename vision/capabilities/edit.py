"""/edit: a picture changed as words say, by a model that was trained for it; what they don't name stays."""

import numpy as np
from PIL import Image

from core.events import Output
from core.requests import EditRequest
from vision.capabilities.variation import within_aspect
from vision.diffusion import task as drawing
from vision.diffusion.generate import generate
from vision.diffusion.model import ImageModel
from vision.families import Mode
from vision.images import encode, ops
from vision.reporter import Reporter
from vision.store import Models

EDGES = 16  # how many of the soft edges between old and new make the native side


def run(request: EditRequest, images: encode.Pictures, models: Models, reporter: Reporter) -> Output:
    """See vision.capabilities. Raises ModelError for a model that can't edit."""
    model = models.editor(request.model, reporter)
    model.pipeline(Mode.EDIT)
    task = prepare(request, images, model)
    drawn = generate(model, task.generation, reporter)
    shape = task.generation.shape

    def finish() -> Output:  # enlarged, with the old picture's own pixels where they stay, cut to its shape
        whole = [_over(task.extra["start"], image, model, shape) for image in drawn.images]
        return drawing.output(task, drawn, [encode.cut_to_shape(image, shape) for image in whole])

    return reporter.in_thread(finish)


def prepare(request: EditRequest, images: encode.Pictures, model: ImageModel) -> drawing.Task:
    """Return the task: the picture in its own shape, at about the model's native area."""
    assert request.image is not None  # its constructor has checked that
    start, notes = within_aspect(images[request.image])
    size, shape, more = drawing.choose_size(request, model.card, start.size)
    image = encode.placed(start, size, shape)
    task = drawing.prepare(request, model, Mode.EDIT, size, image=image, shape=shape)
    ignored = [name for name, given in (("strength", request.strength), ("tile", request.tile)) if given]
    notes += [f"`--{name}` had no effect on an edit." for name in ignored]
    return drawing.Task(task.generation, task.parameters, (*notes, *more, *task.notes), {"start": start})


def _over(
    start: Image.Image, image: Image.Image, model: ImageModel, shape: tuple[int, int] | None
) -> Image.Image:
    """What was drawn, enlarged, over the picture ``start`` where it is not transparent."""
    new = model.enlarged(image.convert("RGB"))
    if image.mode != "RGBA":
        return new
    edge = model.card.native_size * model.card.output_scale // EDGES
    changed = np.asarray(image.getchannel("A").resize(new.size, Image.Resampling.NEAREST)) > 0
    old = encode.placed(start, new.size, shape)
    drift = np.asarray(ops.drift(old, new, ~changed, edge), np.float32) - 128
    share = ops.alpha(np.zeros_like(changed), changed, edge, 0)[..., None]
    pixels = (np.asarray(new, np.float32) + drift) * share + np.asarray(old, np.float32) * (1 - share)
    return Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))
