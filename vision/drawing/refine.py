"""A second pass: a picture at twice or four times its side is drawn anew in tiles, at a strength that keeps
it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from PIL import Image

from vision.drawing.generate import Generation, generate
from vision.families import Mode
from vision.image_model.model import ImageModel
from vision.pictures import encode, tiles
from vision.reporter import Reporter

AT_ONCE = 4  # tiles in one batch


def refine(
    model: ImageModel,
    images: Sequence[Image.Image],
    generation: Generation,
    strength: float,
    reporter: Reporter,
) -> list[Image.Image]:
    """``images`` (of one size, at the model's scale, already enlarged and so still soft) with detail of the
    model's own.

    generation: whose words, steps and guidance hold; its seeds are those of ``images``. Colours stay: the
    soft part is the old picture's.
    """
    side, multiple = model.card.native_size, model.card.multiple
    margin = side // 4 if generation.tile else 0  # what is across a tile's edge is its own other side
    canvases = [
        tiles.padded(encode.wrapped(image, margin) if margin else image, multiple) for image in images
    ]
    plan = tiles.plan(canvases[0].size, side, multiple)
    count, (width, height) = len(plan.places), plan.tile
    task = replace(
        generation,
        mode=Mode.IMAGE,
        width=width,
        height=height,
        image=None,
        mask_image=None,
        strength=strength,
        tile=False,
        references=(),
        reference_scale=None,
        images=tuple(tile for canvas in canvases for tile in plan.cut(canvas)),
        seeds=tuple(seed + i for seed in generation.seeds for i in range(count)),
        at_once=1 if model.family.whole_mask else AT_ONCE,
    )
    drawn = generate(model, task, reporter).images
    joined = [plan.join(drawn[i * count : (i + 1) * count]) for i in range(len(images))]
    middles = [
        new.crop((margin, margin, margin + old.width, margin + old.height))
        for new, old in zip(joined, images, strict=True)
    ]
    return [tiles.recoloured(new, old, side / 16) for new, old in zip(middles, images, strict=True)]


def enlarged(
    model: ImageModel,
    images: Sequence[Image.Image],
    factor: int,
    generation: Generation,
    strength: float,
    reporter: Reporter,
) -> list[Image.Image]:
    """``images`` as the model drew them, ``factor`` times as large."""
    size = images[0].width * factor, images[0].height * factor
    return refine(model, [encode.resize(image, size) for image in images], generation, strength, reporter)
