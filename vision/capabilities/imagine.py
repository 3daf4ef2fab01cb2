"""/imagine: one to four pictures from words, or from words and a picture to start from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PIL import Image

from core.events import Output
from core.limits import MAX_UPSCALED
from core.requests import GenerateRequest, ImagineRequest
from vision.diffusion import adapters, conditioning, parameters
from vision.diffusion import task as refine
from vision.diffusion.generate import generate
from vision.diffusion.model import ImageModel
from vision.diffusion.parameters import Drawn
from vision.diffusion.task import Task
from vision.families import Mode
from vision.images import encode
from vision.reporter import Reporter, Stage
from vision.store import Models


def run(
    request: ImagineRequest, images: Mapping[str, Image.Image], models: Models, reporter: Reporter
) -> Output:
    """See vision.capabilities."""
    model = models.image(request.model, reporter)
    if conditioning.reference_pictures(request, images):
        models.attach_adapter(model, reporter)
    task = prepare(request, images, model)
    drawn = draw(task, model, reporter)
    return reporter.in_thread(lambda: finish(task, drawn, model))


def draw(task: Task, model: ImageModel, reporter: Reporter) -> Drawn:
    """Return what the task draws; for ``--hd``, drawn once more at twice the side."""
    if not task.extra.get("hd"):
        return generate(model, task.generation, reporter)
    drawn = generate(model, task.generation, Stage(reporter, 0, 0.3, keeps=True))
    large = refine.enlarged(
        model, drawn.images, 2, task.generation, model.card.upscale["creative"], Stage(reporter, 0.3, 1)
    )
    return Drawn(tuple(large), drawn.notes)


def prepare(request: GenerateRequest, images: Mapping[str, Image.Image], model: ImageModel) -> Task:
    """Return the task. A picture to begin at is brought to the size that is drawn, which keeps its shape
    unless one was asked for; reference pictures are shown to the model, or drawing begins at their mean."""
    begin, shown = (
        images[request.image] if request.image else None,
        conditioning.reference_pictures(request, images),
    )
    first = begin or (shown[0].image if shown and shown[0].flag == "an image prompt" else None)
    size, shape, notes = refine.choose_size(request, model.card, first.size if first else (1, 1))
    notes += conditioning.ignored_pictures_notes(request)
    given: dict[str, Any] = {}
    if begin is not None:
        strength = model.card.strength if request.strength is None else request.strength
        given = {"image": encode.placed(begin, size, shape), "strength": strength}
        notes += ["Drawing began at the attached picture; the other pictures had no effect."] if shown else []
    elif shown and model.adapter is not None:
        influence = max(one.influence for one in shown)
        given = {
            "references": tuple(one.image for one in shown),
            "reference_scale": round(adapters.ip_adapter_scale(influence), 3),
        }
        notes.append(conditioning.ip_adapter_note(shown, model.name, given["reference_scale"]))
    elif shown and model.family.references:
        given = {"references": conditioning.references(shown, model.family.references)}
        notes.append(conditioning.references_note(shown, model.name, model.family.references))
    elif shown and model.has(Mode.IMAGE):
        image, strength = conditioning.mean(shown, size)
        strength = min(
            strength, 1 - 1 / max(2, parameters.steps(request, model.card))
        )  # else few steps begin at noise alone
        given = {"image": image, "strength": strength if request.strength is None else request.strength}
        notes.append(conditioning.mean_note(shown, model.name, given["strength"]))
    elif shown:
        notes.append(f"{model.name} draws from words alone; the pictures had no effect.")
    mode = Mode.IMAGE if "image" in given else Mode.TEXT
    task = refine.prepare(request, model, mode, size, shape=shape, **given)
    return _hd(request, Task(task.generation, task.parameters, (*notes, *task.notes)), model)


def _hd(request: GenerateRequest, task: Task, model: ImageModel) -> Task:
    if not request.hd:
        return task
    width, height = task.generation.finished_size(2 * model.card.output_scale)
    if not model.has(Mode.IMAGE) or max(width, height) > MAX_UPSCALED:
        why = (
            f"{width}x{height} px is over {MAX_UPSCALED} px a side"
            if model.has(Mode.IMAGE)
            else f"{model.name} can't start from a picture"
        )
        return Task(task.generation, task.parameters, (*task.notes, f"{why}; `--hd` had no effect."))
    return Task(
        task.generation, {**task.parameters, "width": width, "height": height}, task.notes, {"hd": True}
    )


def finish(task: Task, drawn: Drawn, model: ImageModel) -> Output:
    """Return the output: the pictures enlarged by the card's output scale, cut to their shape, and
    encoded."""
    shape, seamless = task.generation.shape, task.generation.seamless
    large = (model.enlarged(image, seamless) for image in drawn.images)
    return refine.output(task, drawn, [encode.cut_to_shape(image, shape, seamless) for image in large])
