"""Which pixels belong to a thing: by SAM, or among all things, where somebody points; by words as a region
is found. In a photograph, where the host has no model for that, it is what stands out."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from PIL import Image

from core.errors import ModelError, UserError
from vision.capabilities import region
from vision.model_store import Models
from vision.photo import looking
from vision.photo.cutter import Cutter
from vision.pictures import encode
from vision.protocol import Select, Selected
from vision.readers.outline import outlined
from vision.readers.point_segmenter import PointSegmenter
from vision.reporter import Reporter

log = logging.getLogger(__name__)

POINT = (
    "This looks like a photograph: point at the thing or draw a box around it; words name drawn things only."
)
NO_POINTS = "This studio has no model for things that are pointed at; use words, or the magic wand."


def select(question: Select, models: Models, reporter: Reporter) -> Selected:
    """Return the thing that ``question`` asks for, or why there is none.

    Raises ModelError when a model can't be had, ImageError for a picture that can't be read.
    """
    image = reporter.in_thread(lambda: encode.open_picture(question.path), thread="fetching")
    segmenter = _segmenter(image, models, reporter)
    points = segmenter is not None and segmenter.takes_points
    words = bool(models.config.models.get("clip")) or (segmenter is not None and segmenter.takes_words)
    try:
        return _found(question, image, segmenter, models, reporter)._replace(points=points, words=words)
    except UserError as error:
        return Selected(refused=str(error), points=points, words=words)


def _found(
    question: Select, image: Image.Image, segmenter: Any, models: Models, reporter: Reporter
) -> Selected:
    points = segmenter is not None and segmenter.takes_points
    if question.points or question.box is not None:
        if not points:
            raise UserError(NO_POINTS)
        picked = reporter.in_thread(
            lambda: segmenter.pick(image, question.points, question.box, key=question.path),
            thread="fetching",
        )
        return _packed(picked.mask, _by(segmenter), picked.score)
    if words := question.words.strip():
        if isinstance(segmenter, Cutter) and looking.is_demo(models, "clip"):
            raise UserError(POINT)
        named = region.by_words(image, words, models, reporter, key=question.path, rim=False)
        if named.by == "clip":
            return _packed(reporter.in_thread(lambda: outlined(image, named.mask)), "clip", 1.0)
        return _packed(named.mask, named.by, 1.0)
    if points:
        reporter.in_thread(lambda: segmenter.see(image, question.path), thread="fetching")
    return Selected()


def _segmenter(image: Image.Image, models: Models, reporter: Reporter) -> Any:
    """Return what finds the things in a picture: the host's model, else what cuts photographs out; None
    without either."""
    roles = models.config.models
    wanted = "cutout" in roles and looking.is_here(models, "cutout")
    if wanted and roles.get("segment"):
        wanted = looking.look(image, models, reporter, "segment").chances is not None
    if wanted:
        try:
            return models.get("cutout", reporter)
        except ModelError as error:
            log.info("what stands out can't be found: %s", error)
    return models.get("segment", reporter) if roles.get("segment") else None


def _by(segmenter: Any) -> str:
    """Return who found a thing."""
    if isinstance(segmenter, Cutter):
        return "cutout"
    return "sam" if isinstance(segmenter, PointSegmenter) else "segment"


def _packed(mask: Image.Image, by: str, score: float) -> Selected:
    """Return a mask ("L", 255 = the thing) as it travels. Raises UserError when it is empty."""
    box = mask.getbbox()
    if box is None:
        raise UserError("There is nothing that stands out. Point at another place, or use the magic wand.")
    rows = np.packbits(np.asarray(mask) > 127, axis=1).tobytes()
    return Selected(by, score, box, mask.size, rows)
