"""/describe: several different prompts that could have made a picture. Where the captioner is the demo's, a
photograph is described by what readers of photographs find in it."""

from typing import Any

import numpy as np
from PIL import Image

from core.errors import UserError
from core.events import Output
from core.requests import DescribeRequest
from vision.images.encode import Pictures
from vision.readers.captioner import write_captions
from vision.readers.photo import describe
from vision.reporter import Reporter
from vision.store import Models

LONGEST_SIDE = 1024  # px; captioners look at far fewer


def run(request: DescribeRequest, images: Pictures, models: Models, reporter: Reporter) -> Output:
    """See vision.capabilities. A step is a caption."""
    image = images[request.image].copy()
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    looked = describe.look_at(image, models, reporter, "caption")
    if looked.chances is not None:
        return _photograph(request, image, looked.chances, models, reporter)
    captioner = models.get("caption", reporter)
    captions: list[str] = []
    how = (request.num_captions, request.seed, reporter)
    for caption in write_captions(captioner, image, request.image, *how):
        captions.append(caption)
        reporter.step(len(captions), request.num_captions)
        reporter.check()
    if not captions:
        raise UserError("The captioner had no words for this picture.")
    notes = [looked.note] if looked.note else []
    if len(captions) < request.num_captions:
        notes.append(f"{captioner.name} found only {len(captions)} different descriptions.")
    parameters = _parameters(request, captioner.name, looked.knows, notes)
    return Output(captions=tuple(captions), parameters=parameters)


def _photograph(
    request: DescribeRequest, image: Image.Image, chances: np.ndarray, models: Models, reporter: Reporter
) -> Output:
    """Describe a photograph."""
    name, found = models.get("photograph", reporter).name, describe.faces(image, models, reporter)
    likely = describe.best_with_faces(chances, (), 4)
    captions = tuple(describe.captions(image, likely, len(found), request.num_captions, request.seed))
    reporter.step(request.num_captions, request.num_captions)
    notes = ["Made of the objects, faces, colours and light that were found in it."]
    return Output(captions=captions, parameters=_parameters(request, name, describe.PHOTOGRAPH, notes))


def _parameters(request: DescribeRequest, model: str, knows: str, notes: list[str]) -> dict[str, Any]:
    told = {"knows": knows} if knows else {}
    return {"kind": request.kind, "model": model, "seed": request.seed, "notes": notes, **told}
