"""/region: draws a part of a picture again, named by a mask, boxes or words; every pixel outside stays."""

from dataclasses import replace
from typing import Any

from PIL import Image

from core.events import Output
from core.prompt.values import short
from core.requests import RegionRequest
from vision.diffusion import inpaint
from vision.diffusion import task as drawing
from vision.diffusion.generate import generate
from vision.diffusion.model import ImageModel
from vision.images.encode import Pictures
from vision.images.ops import place_of
from vision.reporter import Reporter
from vision.store import Models


def run(request: RegionRequest, images: Pictures, models: Models, reporter: Reporter) -> Output:
    """See vision.capabilities."""
    assert request.image is not None  # its constructor has checked that
    image = images[request.image]
    mask = find_mask(request, image, images, models, reporter)
    model = models.image(request.model, reporter)
    layout = inpaint.plan_region(mask, model.card, near=request.remix)
    task = prepare(request, image, mask, layout, model)
    task = drawing.with_references(task, request, images, model, models, reporter)
    reporter.place(layout.box)
    drawn = generate(model, task.generation, reporter)

    def finish() -> Output:
        pasted = [inpaint.pasted(painted, image, mask, layout, model) for painted in drawn.images]
        return drawing.output(task, drawn, pasted)

    return reporter.in_thread(finish)


def find_mask(
    request: RegionRequest, image: Image.Image, images: Pictures, models: Models, reporter: Reporter
) -> Image.Image:
    """Return the mask of ``image`` at its size, 255 = paint. Raises UserError for an empty one."""
    if request.mask_image is not None:
        return inpaint.from_picture(images[request.mask_image], image.size)
    if request.boxes:
        return inpaint.from_boxes(request.boxes, image.size)
    return inpaint.find_mask_by_words(image, request.region.strip(), models, reporter).mask


def prepare(
    request: RegionRequest,
    image: Image.Image,
    mask: Image.Image,
    layout: inpaint.RegionLayout,
    model: ImageModel,
) -> drawing.Task:
    """Return the task: the part around the mask at the model's scale, with its parameters and notes."""
    start, paint = inpaint.crop_region(image, mask, layout, model.card)
    notes: tuple[str, ...] = ()
    if request.region:
        found = f"Redrawn: what “{short(request.region)}” seems to be, {place_of(mask)}."
        notes = (f"{found} If that is the wrong part, choose it by `mask` or `fields`.",)
    strength = model.card.region
    task = drawing.prepare_inpainting(request, model, layout.size, start, paint, strength, notes=notes)
    own: dict[str, Any] = {"width": image.width, "height": image.height}
    own |= {"region": request.region} if request.region else {}
    return replace(task, parameters=task.parameters | own | {"box": list(layout.box)})
