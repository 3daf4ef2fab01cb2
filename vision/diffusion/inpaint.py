"""Draws a part of a picture again: where it is, what the model gets, how it is pasted. The rest stays.

The mask is "L" at the picture's size, 255 = paint, nothing in between.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from core.errors import ModelError, UserError
from vision.diffusion.model import ImageModel
from vision.images import encode, ops
from vision.readers import attribution
from vision.readers.segmentation import ObjectSegmenter, PointSegmenter, meant
from vision.readers.segmentation import widened as with_rim
from vision.reporter import Reporter
from vision.store import Models
from vision.weights.card import Card

MARGIN = 0.5  # of the part's longer side that is cut out around it
NEAR = 0.12  # the same where a new thing is asked for
WHOLE = 0.6  # of the picture's area: a larger crop becomes the whole picture
MAX_ASPECT = 2.0  # of a crop
ROWS = 256  # pasted at a time: sums take four bytes a colour


@dataclass(frozen=True)
class RegionLayout:
    """What the model gets. box: (left, top, right, bottom), px, also beyond the picture. size: (w, h)."""

    box: tuple[int, int, int, int]
    size: tuple[int, int]


def from_picture(mask: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return a picture's mask at ``size``: white (over half) = paint. Raises UserError for an empty one."""
    grey = mask.convert("L").resize(size, Image.Resampling.BILINEAR)
    return checked(grey.point(lambda value: 255 * (value >= 128)))


def from_boxes(boxes: Sequence[tuple[int, int, int, int]], size: tuple[int, int]) -> Image.Image:
    """Return the union of ``boxes`` (left, top, right, bottom) in ``size``. Raises UserError for none."""
    mask = Image.new("L", size)
    for left, top, right, bottom in boxes:
        mask.paste(255, (left, top, max(left, min(right, size[0])), max(top, min(bottom, size[1]))))
    return checked(mask)


@dataclass(frozen=True)
class Named:
    """What words name in a picture. mask: "L" at its size, 255 = the object. by: who drew its outline, "sam",
    "segment", or "clip", which knows only the place."""

    mask: Image.Image
    by: str


def find_mask_by_words(
    image: Image.Image, words: str, models: Models, reporter: Reporter, *, key: str = "", rim: bool = True
) -> Named:
    """Return what the words name: by CLIPSeg if one is configured; by CLIP among the objects that a UPerNet
    or SegFormer sees; else by occlusion with CLIP, whose place SAM outlines if that is configured. key: of
    the picture, under which the segmenter keeps what it sees. rim: take a little of what lies around an
    object whose outline is known, too. Raises UserError when nothing fits, or no model can tell."""
    segmenter = models.get("segment", reporter) if models.config.models.get("segment") else None
    if segmenter is not None and segmenter.takes_words:
        return Named(reporter.in_thread(lambda: segmenter.mask(image, words)), "segment")
    if isinstance(segmenter, ObjectSegmenter):
        mask = _among_objects(segmenter, image, words, models, reporter, key)
        if mask is not None:
            return Named(reporter.in_thread(lambda: with_rim(mask)) if rim else mask, "segment")
    matcher = _matcher(models, reporter)
    text = reporter.batched("clip", matcher.embed_text_lists, [words])[0]
    place = attribution.find_by_occlusion(
        image,
        lambda parts: (reporter.batched("clip", matcher.embed_image_lists, parts) @ text).float().tolist(),
    )
    if isinstance(segmenter, PointSegmenter):
        box = place.getbbox()
        return Named(reporter.in_thread(lambda: segmenter.pick(image, box=box).mask), "sam")
    return Named(place, "clip")


def _among_objects(
    segmenter: ObjectSegmenter, image: Image.Image, words: str, models: Models, reporter: Reporter, key: str
) -> Image.Image | None:
    """Return the mask of the objects that the words name; None when they fit the ground better."""
    matcher = _matcher(models, reporter)

    def find() -> Image.Image | None:
        objects = segmenter.see(image, key)
        if not objects:
            return None
        [text], parts = matcher.embed_texts([words]), matcher.embed_images(segmenter.shown(image, objects))
        *fits, ground = (parts @ text).float().tolist()
        chosen = meant(objects, fits, ground)
        return segmenter.outline(image, chosen).mask if chosen else None

    # at once, as a click is answered: between two passes each of its parts would wait for a pass
    return reporter.in_thread(find, thread="fetching")


def _matcher(models: Models, reporter: Reporter) -> Any:
    """Return the CLIP. Raises UserError without one."""
    try:
        return models.get("clip", reporter)
    except ModelError as error:
        raise UserError(
            "No model that finds objects by words is installed here. Choose the part by `mask` or `fields`."
        ) from error


def checked(mask: Image.Image) -> Image.Image:
    """Return ``mask``. Raises UserError when there is nothing in it."""
    if mask.getbbox() is None:
        raise UserError(
            "The part to redraw is empty: a mask is white where the picture is to change, and a box must be"
            " inside the picture."
        )
    return mask


def plan_region(mask: Image.Image, card: Card, *, near: bool = False) -> RegionLayout:
    """Lay out a crop around the mask at about the native area, so that small parts get full detail.

    near: a new thing is to fill the mask. Models draw a thing in the middle of what they see, and most of it
    full, so the crop is close around the mask and the mask in its middle, beyond the picture's border too.
    """
    marked = mask.getbbox()
    if marked is None:
        raise ValueError("nothing is marked in the mask")
    left, top, right, bottom = marked
    side = max(right - left, bottom - top)
    wide, high = (length + 2 * (NEAR if near else MARGIN) * side for length in (right - left, bottom - top))
    # below, a crop would be enlarged more than eight times, or twice
    shortest = card.native_size * card.output_scale / (8 if near else 2)
    wide, high = max(wide, high / MAX_ASPECT, shortest), max(high, wide / MAX_ASPECT, shortest)
    if near:
        x, y = round((left + right - wide) / 2), round((top + bottom - high) / 2)
        box = (x, y, x + round(wide), y + round(high))
    else:
        across, down = _span(left, right, wide, mask.width), _span(top, bottom, high, mask.height)
        box = (across[0], down[0], across[1], down[1])
    if (box[2] - box[0]) * (box[3] - box[1]) > (1 if near else WHOLE) * mask.width * mask.height:
        box = (0, 0, *mask.size)
    aspect = (box[2] - box[0]) / (box[3] - box[1])
    return RegionLayout(box, encode.size_for_area(aspect, card.native_size, card.multiple))


def _span(begin: int, end: int, wanted: float, length: int) -> tuple[int, int]:
    """``wanted`` px around begin..end, inside of 0..length."""
    wanted = min(length, max(end - begin, round(wanted)))
    start = min(max(0, round((begin + end - wanted) / 2)), length - wanted)
    return start, start + wanted


def crop_region(
    image: Image.Image, mask: Image.Image, layout: RegionLayout, card: Card
) -> tuple[Image.Image, Image.Image]:
    """Return (picture, mask) for the model, the mask a little wider than what is pasted."""
    crop = encode.resize(Image.fromarray(ops.part(np.asarray(image), layout.box)), layout.size)
    return crop, widened(mask.crop(layout.box), layout.size, card)


def widened(mask: Image.Image, size: tuple[int, int], card: Card) -> Image.Image:
    """Return ``mask`` at the model's ``size``, a little wider."""
    marked = mask.resize(size, Image.Resampling.BOX).point(lambda value: 255 * (value > 0))
    return marked.filter(ImageFilter.MaxFilter(2 * max(1, card.native_size // 64) + 1))


def pasted(
    painted: Image.Image, image: Image.Image, mask: Image.Image, layout: RegionLayout, model: ImageModel
) -> Image.Image:
    """Return ``image`` with ``painted`` in its mask, in the tone around it; the edge is soft inside."""
    crop, inside = ops.part(np.asarray(image), layout.box), np.asarray(mask.crop(layout.box)) > 0
    edge = max(1, min(inside.shape) // 64)
    alpha = ops.alpha(inside, np.zeros_like(inside), 0, edge)
    tone = ops.tone(Image.fromarray(crop), painted, inside)
    return paste(np.asarray(image), model.enlarged(painted), tone, alpha, layout)


def paste(
    old: np.ndarray, new: Image.Image, added: Image.Image, alpha: ops.Real, layout: RegionLayout
) -> Image.Image:
    """Return the picture ``old`` (h, w, 3) with ``new`` and what is ``added`` to it (128 = nothing) in the
    layout's box. alpha: of that box, how much of each pixel is new."""
    left, top, right, bottom = layout.box
    size = right - left, bottom - top
    large = np.asarray(new.resize(size, Image.Resampling.LANCZOS))
    more = np.asarray(added.resize(size, Image.Resampling.BICUBIC))
    result = old.copy()
    columns = slice(max(0, -left), min(right, old.shape[1]) - left)  # of the box
    last = min(bottom, old.shape[0]) - top
    for row in range(max(0, -top), last, ROWS):
        rows = slice(row, min(row + ROWS, last))
        share = alpha[rows, columns][..., None]
        there = result[rows.start + top : rows.stop + top, columns.start + left : columns.stop + left]
        shown = large[rows, columns] + (more[rows, columns] - np.float32(128))
        mixed = shown * share + there * (1 - share)
        np.copyto(there, mixed.round().clip(0, 255).astype(np.uint8), where=share > 0)
    return Image.fromarray(result)
