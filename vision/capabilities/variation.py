"""/variation: other pictures like a given one, by image-to-image at the strength that the model's card has
for "subtle" or "strong"; with its shapes kept, by a ControlNet if one fits the model."""

from dataclasses import replace

from PIL import Image

from core.errors import ModelError
from core.events import Output
from core.limits import KEPT, MAX_ASPECT
from core.requests import VariationRequest
from vision.diffusion import task as drawing
from vision.diffusion.generate import generate
from vision.diffusion.model import ImageModel
from vision.families import Mode
from vision.images import encode
from vision.images.ops import edges
from vision.reporter import Reporter
from vision.store import Models

# longer pictures are cut to it, in the middle; /imagine draws no longer ones, its rounding included
LONGEST_ASPECT = MAX_ASPECT + 1.0
CONTROLLED = 0.9  # strength where a ControlNet keeps the shapes: colours and textures may become others
CONTROLLED_NOTE = "The shapes were kept by their edges (ControlNet)."
KEPT_NOTE = (
    "The shapes were kept by image-to-image: no ControlNet was used. A smaller amount keeps them better."
)


def run(request: VariationRequest, images: encode.Pictures, models: Models, reporter: Reporter) -> Output:
    """See vision.capabilities."""
    model = models.image(request.model, reporter)
    notes: tuple[str, ...] = ()
    if request.keep_structure:
        try:
            models.attach_controlnet(model, reporter)
        except ModelError as error:
            notes = (f"The ControlNet that the operator has set up can't be loaded: {error}",)
    task = prepare(request, images, model)
    task = drawing.with_references(task, request, images, model, models, reporter)
    generation, start = task.generation, task.generation.image
    if request.keep_structure and model.controlnet is not None and start is not None:
        generation = replace(generation, edges=reporter.in_thread(lambda: edges(start)))
    task = replace(task, generation=generation, notes=(*notes, *task.notes))
    drawn = generate(model, generation, reporter)
    return reporter.in_thread(lambda: drawing.finish_pictures(task, drawn, model))


def prepare(request: VariationRequest, images: encode.Pictures, model: ImageModel) -> drawing.Task:
    """Return the task: the picture at about the model's native area, then as /imagine with a picture."""
    assert request.image is not None  # its constructor has checked that
    start, notes = within_aspect(images[request.image])
    size, shape, more = drawing.choose_size(request, model.card, start.size)
    strength = model.card.variation[request.variation]
    if request.keep_structure:
        strength = KEPT if model.controlnet is None else CONTROLLED
        notes.append(CONTROLLED_NOTE if model.controlnet else KEPT_NOTE)
    strength = strength if request.strength is None else request.strength
    image = encode.placed(start, size, shape)
    task = drawing.prepare(request, model, Mode.IMAGE, size, image=image, shape=shape, strength=strength)
    parameters = {**task.parameters, "variation": request.variation}
    if request.keep_structure:
        parameters["keep_structure"] = "ControlNet" if model.controlnet else "image-to-image"
    return drawing.Task(task.generation, parameters, (*notes, *more, *task.notes))


def within_aspect(image: Image.Image) -> tuple[Image.Image, list[str]]:
    """Return the picture, or of one longer than models can draw its middle, and notes."""
    if 1 / LONGEST_ASPECT <= image.width / image.height <= LONGEST_ASPECT:
        return image, []
    width = min(image.width, round(image.height * LONGEST_ASPECT))
    height = min(image.height, round(image.width * LONGEST_ASPECT))
    left, top = (image.width - width) // 2, (image.height - height) // 2
    middle = image.crop((left, top, left + width, top + height))
    return middle, [f"The picture is longer than 1:{LONGEST_ASPECT:g}; its middle was used."]
