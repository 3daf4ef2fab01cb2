"""Draws an enlarged picture again in tiles, at a strength that keeps it, so that it gets sharp detail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from PIL import Image

from vision.drawing.generate import generate
from vision.drawing.generation import Generation
from vision.families import Mode
from vision.image_model.model import ImageModel
from vision.pictures import encode, tiles
from vision.reporter import Reporter

BATCH = 4  # tiles in one batch


def refine(
    model: ImageModel,
    images: Sequence[Image.Image],
    generation: Generation,
    strength: float,
    reporter: Reporter,
) -> list[Image.Image]:
    """Return ``images`` (of one size, at the model's scale, already enlarged and so still soft) with detail
    drawn by the model.

    generation: its texts, steps and guidance are used; its seeds are those of ``images``. Colours stay: the
    low frequencies are the old picture's.
    """
    side, multiple = model.card.native_size, model.card.multiple
    margin = side // 4 if generation.seamless else 0  # past an edge comes the picture's own opposite side
    canvases = [
        tiles.padded(encode.wrapped(image, margin) if margin else image, multiple) for image in images
    ]
    plan = tiles.plan(canvases[0].size, side, multiple)
    count, batch = len(plan.places), 1 if model.family.whole_mask else BATCH
    drawn = generate(model, _in_tiles(generation, canvases, plan, strength, batch), reporter).images
    joined = [plan.join(drawn[i * count : (i + 1) * count]) for i in range(len(images))]
    middles = [
        new.crop((margin, margin, margin + old.width, margin + old.height))
        for new, old in zip(joined, images, strict=True)
    ]
    return [tiles.recoloured(new, old, side / 16) for new, old in zip(middles, images, strict=True)]


def _in_tiles(
    generation: Generation, canvases: Sequence[Image.Image], plan: tiles.Tiles, strength: float, batch: int
) -> Generation:
    """The generation that draws every tile of ``canvases``; the tiles of a picture have the seeds from its
    own on."""
    (width, height), count = plan.tile, len(plan.places)
    return replace(
        generation,
        mode=Mode.IMAGE,
        width=width,
        height=height,
        image=None,
        mask_image=None,
        strength=strength,
        seamless=False,
        shape=None,
        references=(),
        reference_scale=None,
        images=tuple(tile for canvas in canvases for tile in plan.cut(canvas)),
        seeds=tuple(seed + i for seed in generation.seeds for i in range(count)),
        at_once=batch,
    )


def enlarged(
    model: ImageModel,
    images: Sequence[Image.Image],
    factor: int,
    generation: Generation,
    strength: float,
    reporter: Reporter,
) -> list[Image.Image]:
    """Return ``images``, as the model drew them, refined at ``factor`` times their size."""
    size = images[0].width * factor, images[0].height * factor
    return refine(model, [encode.resize(image, size) for image in images], generation, strength, reporter)
