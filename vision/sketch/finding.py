"""Finds the thing of a picture that is to move: by the host's segmenter, by what cuts photographs out, or by
CLIP."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from PIL import Image

from core.errors import ModelError, UserError
from vision.capabilities import region
from vision.model_store import Models
from vision.photo import looking
from vision.readers.outline import outlined
from vision.readers.thing_segmenter import Thing, ThingSegmenter, meant
from vision.reporter import Reporter
from vision.sketch.cutting import LEAST

RIM = 0.01  # of a side: outlines are no sharper
LARGEST = 0.85  # of the picture: what covers more is the ground itself
_ELSEWHERE = re.compile(
    r"\s*(?:[,;:]|\b(?:on|in|at|above|over|below|under|beneath|before|behind|against|beside|near|next|with|and"
    r"|of a|left of|right of)\b).*",
    re.IGNORECASE | re.DOTALL,
)


def find(image: Image.Image, words: str, models: Models, reporter: Reporter) -> Image.Image | None:
    """Return the mask of the thing that ``words`` speak of, or of the one that stands out ("L" at the
    picture's size, 255 = the thing); None where nothing does, or no model can tell."""
    mask = _found(image, head(words), models, reporter)
    covered = 0.0 if mask is None else float((np.asarray(mask) > 127).mean())
    return mask if LEAST < covered < LARGEST else None


def whole(
    pictures: Sequence[Image.Image], words: str, models: Models, reporter: Reporter
) -> tuple[Image.Image, ...]:
    """Return those pictures whose edges don't cut off the thing that ``words`` speak of; all where they cut
    it off in each, or none has one."""
    masks = [find(picture, words, models, reporter) for picture in pictures]
    kept = tuple(
        picture
        for picture, mask in zip(pictures, masks, strict=True)
        if mask is not None and not is_cut_off(mask)
    )
    return kept or tuple(pictures)


def is_cut_off(mask: Image.Image) -> bool:
    """Return whether what a mask shows reaches the edge of its picture."""
    inside = np.asarray(mask) > 127
    rim = max(1, round(RIM * max(inside.shape)))
    return bool(inside[:rim].any() or inside[-rim:].any() or inside[:, :rim].any() or inside[:, -rim:].any())


def head(words: str) -> str:
    """Return the words about the thing itself: "a red boat" of "a red boat on the sea, watercolor"."""
    return _ELSEWHERE.sub("", words, count=1).strip() or words


def _found(image: Image.Image, words: str, models: Models, reporter: Reporter) -> Image.Image | None:
    roles = models.config.models
    drawn = looking.look(image, models, reporter, "segment").chances is None
    if roles.get("segment") and drawn:
        segmenter = models.get("segment", reporter)
        if isinstance(segmenter, ThingSegmenter):
            return _among_things(segmenter, image, words, models, reporter)
    elif "cutout" in roles:
        try:
            cutter = models.get("cutout", reporter)
        except ModelError:
            return None
        return reporter.in_thread(lambda: cutter.alpha(image))
    if not words:
        return None
    try:
        named = region.by_words(image, words, models, reporter, rim=False)
    except UserError:
        return None
    return outlined(image, named.mask) if named.by == "clip" else named.mask


def _among_things(
    segmenter: ThingSegmenter, image: Image.Image, words: str, models: Models, reporter: Reporter
) -> Image.Image | None:
    things = reporter.in_thread(lambda: segmenter.see(image))
    if len(things) > 1 and words and models.config.models.get("clip"):
        things = _named(segmenter, image, things, words, models, reporter)
    return reporter.in_thread(lambda: segmenter.outline(image, things).mask) if things else None


def _named(
    segmenter: ThingSegmenter,
    image: Image.Image,
    things: list[Thing],
    words: str,
    models: Models,
    reporter: Reporter,
) -> list[Thing]:
    """Return the things that the words fit best."""
    matcher = models.get("clip", reporter)

    def choose() -> list[Thing]:
        [text], parts = matcher.embed_texts([words]), matcher.embed_images(segmenter.shown(image, things))
        *fits, _ = (parts @ text).float().tolist()
        return meant(things, fits, -1.0)

    return reporter.in_thread(choose)
