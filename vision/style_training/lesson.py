"""What a style is learned from: pictures and their captions, cut to squares, and kept as the denoiser takes
them, so that no step encodes anything."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from PIL import Image

from vision.families import Mode
from vision.image_model.model import ImageModel
from vision.own_models.steps import Store, Tensors, kept
from vision.pictures import encode, pixels
from vision.reporter import Reporter
from vision.style_training import recipes
from vision.style_training.recipes import Crop, Recipe, Row, Texts

SQUARE = 1.25  # longer to shorter side, up to which the middle is all that is looked at


@dataclass(frozen=True)
class Example:
    """A picture, and what its caption says besides the style. is_prior: the model has drawn it itself."""

    picture: Image.Image = field(repr=False)
    caption: str = field(repr=False)
    is_prior: bool = False

    @property
    def digest(self) -> str:
        """A text that is another one for another picture or caption."""
        data = hashlib.sha256(self.picture.tobytes()).hexdigest()
        return f"{data} {self.picture.size} {self.caption} {self.is_prior}"


def squares(picture: Image.Image, side: int) -> list[tuple[Image.Image, Crop]]:
    """Return what of a picture is trained on, ``side`` px each: its middle, or both ends of a long one."""
    width, height = picture.size
    scale = side / min(width, height)
    small = encode.resize(picture, (max(side, round(width * scale)), max(side, round(height * scale))))
    over = max(small.size) - side
    starts = [over // 2] if max(picture.size) <= SQUARE * min(picture.size) else [0, over]
    places = [(start, 0) if width > height else (0, start) for start in starts]
    return [(small.crop((x, y, x + side, y + side)), Crop((height, width), top=y, left=x)) for x, y in places]


def rows(
    examples: Sequence[Example],
    model: ImageModel,
    recipe: Recipe,
    side: int,
    store: Store,
    reporter: Reporter,
) -> list[Row]:
    """Return the rows of a training, from ``store`` where they were kept; encoding goes on beside the steps
    of other jobs. side: px."""
    found = []
    for example in examples:
        texts = _texts(example.caption, model, recipe, store, reporter)
        for square, crop in squares(example.picture, side):
            make = partial(_latents, model, square, reporter)
            parts = (
                "latents",
                model.identity,
                str(model.pipeline(Mode.TEXT).dtype),
                hashlib.sha256(square.tobytes()).hexdigest(),
            )
            latents = kept(store, parts, make)
            found.append(Row(latents["mean"], latents["std"], texts, crop, example.is_prior))
    return found


def _texts(caption: str, model: ImageModel, recipe: Recipe, store: Store, reporter: Reporter) -> Texts:
    def make() -> Texts:
        if reporter.fiber is not None:
            reporter.fiber.pause("style texts")
        reporter.check()
        with torch.no_grad():
            return recipe.texts(model.pipeline(Mode.TEXT), caption)

    return kept(store, ("texts", model.identity, str(model.pipeline(Mode.TEXT).dtype), caption), make)


def _latents(model: ImageModel, square: Image.Image, reporter: Reporter) -> Tensors:
    vae, values = model.pipeline(Mode.TEXT).vae, pixels.from_uint8(np.asarray(square))

    def work() -> Tensors:
        with torch.no_grad():
            mean, std = recipes.encoded(vae, values)
        return {"mean": mean, "std": std}

    return reporter.in_thread(work, lock=model.decoder_lock)
