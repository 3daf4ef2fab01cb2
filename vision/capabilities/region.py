"""/region: draws a part of a picture again, named by a mask, by boxes or by words; every pixel outside stays
as it was."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from PIL import Image

from core.events import Output
from core.prompt.values import short
from core.requests import RegionRequest
from vision.diffusion import inpaint
from vision.diffusion import task as drawing
from vision.diffusion.generate import generate
from vision.diffusion.model import ImageModel
from vision.diffusion.parameters import Drawn
from vision.diffusion.task import Task
from vision.families import Mode
from vision.images.ops import place_of
from vision.reporter import Reporter
from vision.store import Models


def run(
    request: RegionRequest, images: Mapping[str, Image.Image], models: Models, reporter: Reporter
) -> Output:
    """See vision.capabilities."""
    assert request.image is not None  # its constructor has checked that
    image = images[request.image]
    mask = find_mask(request, image, images, models, reporter)
    model = models.image(request.model, reporter)
    attach = partial(models.attach_adapter, model, reporter)
    task = drawing.with_references(prepare(request, image, mask, model), request, images, model, attach)
    reporter.place(task.extra["layout"].box)
    drawn = generate(model, task.generation, reporter)
    return reporter.in_thread(lambda: finish(task, drawn, image, mask, model))


def find_mask(
    request: RegionRequest,
    image: Image.Image,
    images: Mapping[str, Image.Image],
    models: Models,
    reporter: Reporter,
) -> Image.Image:
    """Return the mask of ``image`` at its size, 255 = paint. Raises UserError when it is empty, or nothing
    fits the words."""
    if request.mask_image is not None:
        return inpaint.from_picture(images[request.mask_image], image.size)
    if request.boxes:
        return inpaint.from_boxes(request.boxes, image.size)
    return inpaint.find_mask_by_words(image, request.region.strip(), models, reporter).mask


def prepare(request: RegionRequest, image: Image.Image, mask: Image.Image, model: ImageModel) -> Task:
    """Return the task: the part around the mask at the model's scale, with its parameters and notes."""
    layout = inpaint.plan_region(mask, model.card)
    start, paint = inpaint.crop_region(image, mask, layout, model.card)
    strength = model.card.region if request.strength is None else request.strength
    given: dict[str, Any] = {"image": start, "strength": strength}
    notes: tuple[str, ...] = ()
    if model.has(Mode.INPAINT):
        mode, given["mask_image"] = Mode.INPAINT, paint
    else:
        mode, notes = Mode.IMAGE, (f"{model.name} can't paint into a mask; image-to-image was used.",)
    task = drawing.prepare(request, model, mode, layout.size, **given)
    if request.region:
        found = f"Redrawn: what “{short(request.region)}” seems to be, {place_of(mask)}."
        notes = (*notes, f"{found} If that is the wrong part, choose it by `mask` or `fields`.")
    parameters = {
        **task.parameters,
        "width": image.width,
        "height": image.height,
        "region": request.region or None,
        "box": list(layout.box),
    }
    return Task(
        task.generation,
        {k: v for k, v in parameters.items() if v is not None},
        (*notes, *task.notes),
        {"layout": layout},
    )


def finish(task: Task, drawn: Drawn, image: Image.Image, mask: Image.Image, model: ImageModel) -> Output:
    """Return the output: what was drawn, pasted into ``image`` where the mask is."""
    layout = task.extra["layout"]
    large = [model.enlarged(painted) for painted in drawn.images]
    return drawing.output(
        task, drawn, [inpaint.pasted(painted, image, mask, layout, model.card) for painted in large]
    )
