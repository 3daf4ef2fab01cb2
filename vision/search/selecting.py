"""Which pixels belong to a thing: by SAM, or among all things, where somebody points; by words as a region
is found."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from core.errors import UserError
from vision.capabilities import region
from vision.model_store import Models
from vision.pictures import encode
from vision.protocol import Select, Selected
from vision.readers.outline import outlined
from vision.readers.point_segmenter import PointSegmenter
from vision.reporter import Reporter

NO_POINTS = "This studio has no model for things that are pointed at; use words, or the magic wand."


def select(question: Select, models: Models, reporter: Reporter) -> Selected:
    """Return the thing that ``question`` asks for, or why there is none.

    Raises ModelError when a model can't be had, ImageError for a picture that can't be read.
    """
    segmenter = models.get("segment", reporter) if models.config.models.get("segment") else None
    image = reporter.in_thread(lambda: encode.open_picture(question.path), thread="fetching")
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
        return _packed(
            picked.mask, "sam" if isinstance(segmenter, PointSegmenter) else "segment", picked.score
        )
    if words := question.words.strip():
        named = region.by_words(image, words, models, reporter, key=question.path, rim=False)
        if named.by == "clip":
            return _packed(reporter.in_thread(lambda: outlined(image, named.mask)), "clip", 1.0)
        return _packed(named.mask, named.by, 1.0)
    if points:
        reporter.in_thread(lambda: segmenter.see(image, question.path), thread="fetching")
    return Selected()


def _packed(mask: Image.Image, by: str, score: float) -> Selected:
    """Return a mask ("L", 255 = the thing) as it travels. Raises UserError when it is empty."""
    box = mask.getbbox()
    if box is None:
        raise UserError("There is nothing that stands out. Point at another place, or use the magic wand.")
    rows = np.packbits(np.asarray(mask) > 127, axis=1).tobytes()
    return Selected(by, score, box, mask.size, rows)
