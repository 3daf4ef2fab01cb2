"""/blend: four pictures between two to five given ones, without words: drawing begins at the mean of the
pictures, and the captioner's words describe them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image, ImageOps

from core.errors import ModelError
from core.events import Output
from core.requests import BlendRequest
from vision.diffusion import task as drawing
from vision.diffusion.generate import generate
from vision.diffusion.model import ImageModel
from vision.families import Mode
from vision.images.encode import Pictures
from vision.readers.captioner import write_captions
from vision.reporter import Reporter
from vision.store import Models

LONGEST_SIDE = 1024  # px that a captioner is shown


def run(request: BlendRequest, images: Pictures, models: Models, reporter: Reporter) -> Output:
    """See vision.capabilities."""
    given = [images[sha256] for sha256 in request.images]
    captions = describe(request, given, models, reporter)
    model = models.image(request.model, reporter)
    task = prepare(request, given, captions, model)
    drawn = generate(model, task.generation, reporter)
    return reporter.in_thread(lambda: drawing.finish_pictures(task, drawn, model))


def describe(
    request: BlendRequest, given: Sequence[Image.Image], models: Models, reporter: Reporter
) -> list[str]:
    """Return one caption for each picture; none when no captioner is configured."""
    try:
        captioner = models.get("caption", reporter)
    except ModelError:
        return []
    captions = []
    for name, image in zip(request.images, given, strict=True):
        small = image.copy()
        small.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        captions += list(write_captions(captioner, small, name, 1, request.seed, reporter))
    return captions


def prepare(
    request: BlendRequest, images: Sequence[Image.Image], captions: Sequence[str], model: ImageModel
) -> drawing.Task:
    """Return the task. All pictures count alike; the first one gives the shape, unless one was asked for."""
    size, shape, notes = drawing.choose_size(request, model.card, images[0].size)
    words = [text for text in (request.prompt.strip(), *captions) if text]
    parts = tuple((text, 1.0) for text in words)
    described = replace(request, prompt=", ".join(words)[:4000], prompt_parts=parts)
    strength = model.card.blend if request.strength is None else request.strength
    mode, given = Mode.TEXT, {}
    if model.has(Mode.IMAGE):
        mode, given = Mode.IMAGE, {"image": mean(images, size), "strength": strength}
    note = "No captioner is set up, so only the pictures' mean was used."
    if captions:
        note = f"The pictures were read as: {'; '.join(captions)}."
    task = drawing.prepare(described, model, mode, size, shape=shape, **given)
    parameters = {key: value for key, value in task.parameters.items() if key != "prompt_parts"}
    parameters |= {"prompt": request.prompt}
    return drawing.Task(task.generation, parameters, (*notes, *task.notes, note))


def mean(images: Sequence[Image.Image], size: tuple[int, int]) -> Image.Image:
    """Return the mean of all pictures' pixels, each cut in its middle to the shape of ``size`` (w, h)."""
    fitted = [np.asarray(ImageOps.fit(image, size, Image.Resampling.LANCZOS), np.float32) for image in images]
    return Image.fromarray(np.mean(fitted, 0).round().clip(0, 255).astype(np.uint8))
