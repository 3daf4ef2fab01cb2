"""The samples of a training: what the model draws with the style at each checkpoint, beside what it draws
without, on one sheet."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import replace

from PIL import Image, ImageDraw, ImageFont

from core.requests import ImagineRequest
from vision.drawing import task as drawing
from vision.drawing.generate import generate
from vision.families import Mode
from vision.image_model.model import ImageModel
from vision.own_models.steps import Store
from vision.pictures import encode
from vision.reporter import Reporter, Stage

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
        """Report where the training stands."""
        self.whole.step(self._step, self._total, preview)


def draw(
    prompts: Sequence[str],
    lora: str,
    name: str,
    seed: int,
    model: ImageModel,
    store: Store,
    reporter: Reporter,
    strength: float = 1.0,
) -> list[Image.Image]:
    """Return a picture for each prompt, from ``store`` where it was kept as ``name``. lora: "" = without.
    strength: of it."""
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


def sheet(prompts: Sequence[str], rows: Sequence[tuple[str, Sequence[Image.Image]]]) -> Image.Image:
    """Return all samples on one sheet: a row for each (words, pictures), a column for each prompt."""
    font = ImageFont.load_default(13)
    page = Image.new("RGB", (SIDE + len(prompts) * (CELL + GAP), LINE + len(rows) * (CELL + GAP)), PAPER)
    pen = ImageDraw.Draw(page)
    for column, prompt in enumerate(prompts):
        pen.text((SIDE + column * (CELL + GAP), 2), _wrapped(prompt, font), INK, font)
    for row, (words, pictures) in enumerate(rows):
        top = LINE + row * (CELL + GAP)
        pen.text((GAP, top + CELL // 2), words, INK, font)
        for column, picture in enumerate(pictures):
            shown = picture.resize((CELL, CELL), Image.Resampling.LANCZOS)
            page.paste(shown, (SIDE + column * (CELL + GAP), top))
    return page


def _wrapped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The text in at most two lines of a cell's width."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= CELL:
            lines[-1] = longer
        elif len(lines) == 2:
            lines[-1] += "…"
            break
        else:
            lines.append(word)
    return "\n".join(lines)
