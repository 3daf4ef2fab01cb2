"""/upscale: a picture two or four times as large. "subtle" keeps it and sharpens, "creative" draws new
detail. The demo's image model knows drawings only, so photographs are enlarged by a network for them."""

from dataclasses import replace

from PIL import Image

from core.errors import ModelError, UserError
from core.events import Output
from core.limits import MAX_UPSCALED
from core.requests import UpscaleRequest
from vision.diffusion import task as refine
from vision.diffusion.model import ImageModel
from vision.diffusion.parameters import Drawn, TextSpec
from vision.families import Mode
from vision.images import encode
from vision.readers.photo import describe
from vision.readers.photo.models import Enlarger
from vision.reporter import Reporter
from vision.store import Models


def run(request: UpscaleRequest, images: encode.Pictures, models: Models, reporter: Reporter) -> Output:
    """See vision.capabilities."""
    assert request.image is not None  # its constructor has checked that
    image = images[request.image]
    target = measure(request, image.size)
    notes: list[str] = []
    enlarger = _for_photograph(request, image, models, reporter, notes)
    if enlarger is not None:
        return _photograph(request, image, enlarger, reporter, notes)
    model = models.image(request.model, reporter)
    task = prepare(request, target, model)
    task = replace(task, notes=(*task.notes, *notes))
    if not model.has(Mode.IMAGE):
        note = f"{model.name} can't start from a picture; it was enlarged without new detail."
        task = replace(task, notes=(*task.notes, note))
        return refine.output(task, Drawn((image,)), [encode.resize(image, target)])
    card = model.card
    # at the model's scale
    wide, high = (max(card.multiple, -(-side // card.output_scale)) for side in target)
    [refined] = refine.refine(
        model, [encode.resize(image, (wide, high))], task.generation, task.parameters["strength"], reporter
    )

    def finish() -> Output:
        return refine.output(task, Drawn((refined,)), [model.enlarged(refined).crop((0, 0, *target))])

    return reporter.in_thread(finish)


def measure(request: UpscaleRequest, size: tuple[int, int]) -> tuple[int, int]:
    """Return (w, h) of the result in px. Raises UserError when it is over MAX_UPSCALED px a side."""
    target = size[0] * request.factor, size[1] * request.factor
    if max(target) > MAX_UPSCALED:
        fits = ", 2x fits" if request.factor == 4 and max(size) * 2 <= MAX_UPSCALED else ""
        raise UserError(
            f"`factor` is {request.factor}; that would be {target[0]}x{target[1]} px, and up to"
            f" {MAX_UPSCALED} px a side fit{fits}."
        )
    return target


def prepare(request: UpscaleRequest, target: tuple[int, int], model: ImageModel) -> refine.Task:
    """Return the task of one tile. "subtle" leaves the words out: every tile would get their object."""
    strength = model.card.upscale[request.mode] if request.strength is None else request.strength
    side = encode.round_to(model.card.native_size, model.card.multiple)
    task = refine.prepare(request, model, Mode.IMAGE, (side, side), strength=strength)
    generation = task.generation
    if request.mode == "subtle":
        generation = replace(generation, prompt="", text_spec=TextSpec())
    upscaled = {"width": target[0], "height": target[1], "mode": request.mode, "factor": request.factor}
    return refine.Task(generation, {**task.parameters, **upscaled}, task.notes)


def _for_photograph(
    request: UpscaleRequest, image: Image.Image, models: Models, reporter: Reporter, notes: list[str]
) -> Enlarger | None:
    """Return what enlarges a photograph in place of the demo's image model, else None, and notes why."""
    usual = models.config.models.get("image")
    chosen = models.config.image_models.get(request.model, request.model) if request.model else usual
    if chosen != usual or "enlarge" not in models.config.models:
        return None
    looked = describe.look_at(image, models, reporter, "image")
    if looked.chances is None:
        notes += [looked.note] if looked.note else []
        return None
    try:
        return models.get("enlarge", reporter)
    except ModelError as error:
        notes.append(f"{error} The demo's image model, which knows drawings, enlarged this photograph.")
        return None


def _photograph(
    request: UpscaleRequest, image: Image.Image, enlarger: Enlarger, reporter: Reporter, notes: list[str]
) -> Output:
    """Enlarge a photograph tile by tile, beside the steps of other jobs."""
    if request.mode == "creative":
        notes.append(
            "The demo's image model can't draw what is in photographs, so this one was enlarged without new"
            " detail."
        )
    parts = enlarger.parts(image, request.factor)
    for number, draw in enumerate(parts.tiles, 1):
        reporter.in_thread(draw)
        reporter.step(number, len(parts.tiles))
        reporter.check()
    large = reporter.in_thread(parts.finished)
    own = {"knows": describe.PHOTOGRAPH, "mode": request.mode, "factor": request.factor}
    return reporter.in_thread(lambda: refine.output_of_one(request, large, enlarger.name, notes, **own))
