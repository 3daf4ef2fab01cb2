"""What a style is learned from, cut to squares and kept as the denoiser takes it, so that no step encodes
anything; and the samples that are drawn at each checkpoint, on one sheet."""

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from core.requests import ImagineRequest
from vision.custom_models.steps import Store, Tensors, kept
from vision.diffusion import task as drawing
from vision.diffusion.generate import generate
from vision.diffusion.model import ImageModel
from vision.diffusion.vae import tensor_of
from vision.families import Mode
from vision.images import encode
from vision.lora_training import families
from vision.lora_training.families import Crop, Recipe, Row, Texts
from vision.reporter import Reporter, Stage

SQUARE = 1.25  # longer to shorter side, up to which the middle is all that is looked at


@dataclass(frozen=True)
class Example:
    """A picture, and what its caption says besides the style."""

    picture: Image.Image = field(repr=False)
    caption: str = field(repr=False)

    @property
    def digest(self) -> str:
        """A text that is another one for another picture or caption."""
        data = hashlib.sha256(self.picture.tobytes()).hexdigest()
        return f"{data} {self.picture.size} {self.caption}"


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

    def make_texts(caption: str) -> Texts:
        if reporter.fiber is not None:
            reporter.fiber.pause("style texts")
        reporter.check()
        with torch.no_grad():
            return recipe.texts(model.pipeline(Mode.TEXT), caption)

    def make_latents(square: Image.Image) -> Tensors:
        vae, values = model.pipeline(Mode.TEXT).vae, tensor_of(np.asarray(square))
        work = torch.no_grad()(partial(families.encoded, vae, values, model.device))
        mean, std = reporter.in_thread(work, lock=model.decoder_lock)
        return {"mean": mean, "std": std}

    found, by = [], (model.identity, str(model.pipeline(Mode.TEXT).dtype))
    for example in examples:
        texts = kept(store, ("texts", *by, example.caption), partial(make_texts, example.caption))
        for square, crop in squares(example.picture, side):
            digest = hashlib.sha256(square.tobytes()).hexdigest()
            latents = kept(store, ("latents", *by, digest), partial(make_latents, square))
            found.append(Row(latents["mean"], latents["std"], texts, crop))
    return found


MOST = 4  # prompts on a sheet
TRIED = 12  # drawings at each strength, by which one is chosen
CELL, SIDE, LINE, GAP = 192, 96, 34, 6  # px: of a sample, of the words beside a row, above a column
PAPER, INK = "white", "black"


class Sampling(Stage):
    """Reports every step of a sample as the training's own, which it isn't: a sign of life."""

    def __init__(self, whole: Reporter, step: int, total: int) -> None:
        super().__init__(whole, 0.0, 1.0)
        self._step, self._total = step, total

    def step(self, step: int, total: int, preview: Callable[[], bytes | None] | None = None) -> None:
        self.whole.step(self._step, self._total, preview)


def draw_samples(
    prompts: Sequence[str],
    lora: str,
    name: str,
    seed: int,
    model: ImageModel,
    store: Store,
    reporter: Reporter,
    strength: float = 1.0,
) -> list[Image.Image]:
    """Return a picture for each prompt, kept in ``store`` as ``name``. lora: "" = without."""
    found = []
    for number, prompt in enumerate(prompts):
        kept = store.get(f"{name}-{number}.png")
        if kept is None:
            request = ImagineRequest(prompt=prompt, seed=seed + number, num_images=1)
            size, shape, _ = drawing.choose_size(request, model.card)
            plain = drawing.prepare(request, model, Mode.TEXT, size, shape=shape).generation
            loras = (*plain.loras, (lora, strength)) if lora else plain.loras
            picture = generate(model, replace(plain, loras=loras), reporter).images[0]
            kept = encode.png(picture).data
            store.put(f"{name}-{number}.png", kept)
        found.append(Image.open(io.BytesIO(kept)).convert("RGB"))
    return found


def sample_sheet(prompts: Sequence[str], rows: Sequence[tuple[str, Sequence[Image.Image]]]) -> Image.Image:
    """Return all samples on one sheet: a row for each (words, pictures), a column for each prompt."""
    font = ImageFont.load_default(13)
    page = Image.new("RGB", (SIDE + len(prompts) * (CELL + GAP), LINE + len(rows) * (CELL + GAP)), PAPER)
    pen = ImageDraw.Draw(page)
    for column, prompt in enumerate(prompts):
        # the text in at most two lines of a cell's width
        lines = [""]
        for word in prompt.split():
            longer = f"{lines[-1]} {word}".strip()
            if font.getlength(longer) <= CELL:
                lines[-1] = longer
            elif len(lines) == 2:
                lines[-1] += "…"
                break
            else:
                lines.append(word)
        pen.text((SIDE + column * (CELL + GAP), 2), "\n".join(lines), INK, font)
    for row, (words, pictures) in enumerate(rows):
        top = LINE + row * (CELL + GAP)
        pen.text((GAP, top + CELL // 2), words, INK, font)
        for column, picture in enumerate(pictures):
            shown = picture.resize((CELL, CELL), Image.Resampling.LANCZOS)
            page.paste(shown, (SIDE + column * (CELL + GAP), top))
    return page
