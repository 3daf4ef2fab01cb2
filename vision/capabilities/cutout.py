"""/cutout: an object of a picture, on nothing: the one that words name, else what stands out. Of drawings of
the demo world the demo's segmenter knows the outlines; all else is cut by a network for what stands out."""

from contextlib import suppress

import numpy as np
from PIL import Image

from core.errors import ModelError, UserError
from core.events import Output
from core.prompt.values import short
from core.requests import CutOutRequest
from vision.diffusion.inpaint import find_mask_by_words
from vision.diffusion.task import output_of_one
from vision.images import encode
from vision.readers.photo import describe
from vision.reporter import Reporter
from vision.store import Models

LEAST = 0.002  # of the picture: a smaller object is none
MISSING = (
    "This studio has no model that cuts objects out. The operator can install one: make setup EXTRAS=photo."
)
INSTEAD = "“{}” wasn't found for sure, so what stands out was cut out."
NOTHING = "Nothing stands out from the background, so there is nothing to cut out."


def run(request: CutOutRequest, images: encode.Pictures, models: Models, reporter: Reporter) -> Output:
    """See vision.capabilities. Pixels that are cut away are white, too: nothing of them is kept."""
    assert request.image is not None  # its constructor has checked that
    image, notes = images[request.image], list[str]()
    alpha, name, knows = _alpha(image, request.named.strip(), models, reporter, notes)
    reporter.check()
    if (np.asarray(alpha) > 127).mean() < LEAST:
        raise UserError(NOTHING)
    own = {"named": request.named, "knows": knows}
    made = reporter.in_thread(lambda: output_of_one(request, cut_out(image, alpha), name, notes, **own))
    reporter.step(1, 1)
    return made


def cut_out(image: Image.Image, alpha: Image.Image) -> Image.Image:
    """Return an RGB picture as RGBA, with ``alpha`` ("L" at its size) and white where that is 0."""
    colours, values = np.array(image), np.asarray(alpha)
    colours[values == 0] = 255
    return Image.fromarray(np.dstack([colours, values]))


def _alpha(
    image: Image.Image, named: str, models: Models, reporter: Reporter, notes: list[str]
) -> tuple[Image.Image, str, str]:
    """Return "L" at the picture's size, who made it, and what it knows. Raises UserError without a model."""
    demo = describe.is_demo(models, "segment")
    looked = describe.look_at(image, models, reporter, "segment")
    if named:
        found = None
        if looked.chances is None:  # else the demo's models don't know what is in it
            with suppress(UserError):
                found = find_mask_by_words(image, named, models, reporter, rim=False)
        if found is not None and found.by != "clip":  # which knows no outlines
            notes.append(f"Cut out: what “{short(named)}” seems to be.")
            return found.mask, models.get("segment", reporter).name, looked.knows
        notes.append(INSTEAD.format(short(named)))
    if looked.chances is None and demo:
        notes += [looked.note] if looked.note else []
        segmenter = models.get("segment", reporter)
        objects = reporter.in_thread(lambda: segmenter.outline(image, segmenter.see(image)))
        return objects.mask, segmenter.name, looked.knows
    try:
        cutter = models.get("cutout", reporter)
    except ModelError as error:
        raise UserError(MISSING if "cutout" not in models.config.models else str(error)) from error
    return reporter.in_thread(lambda: cutter.alpha(image)), cutter.name, looked.knows
