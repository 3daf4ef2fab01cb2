"""/describe: several different prompts that could have made a picture."""

from __future__ import annotations

from collections.abc import Mapping

from PIL import Image

from core.errors import UserError
from core.events import Output
from core.requests import DescribeRequest
from vision.model_store import Models
from vision.reporter import Reporter

LONGEST_SIDE = 1024  # px; captioners look at far fewer


def run(
    request: DescribeRequest, images: Mapping[str, Image.Image], models: Models, reporter: Reporter
) -> Output:
    """See vision.capabilities. A step is a caption."""
    captioner = models.get("caption", reporter)
    image = images[request.image].copy()
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    captions: list[str] = []
    for caption in captioner.captions(
        image, request.num_captions, request.seed, reporter.batched_as("caption")
    ):
        captions.append(caption)
        reporter.step(len(captions), request.num_captions)
        reporter.check()
    if not captions:
        raise UserError("The captioner had no words for this picture.")
    notes = []
    if len(captions) < request.num_captions:
        notes.append(f"{captioner.name} found only {len(captions)} different descriptions.")
    return Output(
        captions=tuple(captions),
        parameters={"kind": request.kind, "model": captioner.name, "seed": request.seed, "notes": notes},
    )
