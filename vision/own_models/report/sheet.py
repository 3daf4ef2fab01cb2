"""The worst mistakes side by side, each with what was right and what was said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont, ImageOps

CELL, LINE, GAP, COLUMNS, MOST = 192, 18, 6, 4, 12  # pixels, pictures


@dataclass(frozen=True)
class Mistake:
    """A picture named or judged wrongly. wrong: how surely, the largest first on the sheet."""

    sha256: str
    right: str
    said: str
    wrong: float


def mistakes(
    names: Sequence[str], right: Sequence[str], said: Sequence[str], sure: Sequence[float]
) -> list[Mistake]:
    """Return what was wrong, the surest first. names: SHA-256 of the pictures; sure: 0..1 or in limits."""
    found = [
        Mistake(name, a, b, how) for name, a, b, how in zip(names, right, said, sure, strict=True) if a != b
    ]
    return sorted(found, key=lambda one: (-one.wrong, one.sha256))


def sheet(
    found: Sequence[Mistake],
    open_picture: Callable[[str], Image.Image],
    cell: int = CELL,
    words: tuple[str, str] = ("right", "said"),
) -> Image.Image | None:
    """Draw the MOST surest mistakes, each ``cell`` px large; None without any. words: before what is right,
    and before what was said."""
    some = found[:MOST]
    if not some:
        return None
    columns = min(COLUMNS, len(some))
    rows = -(-len(some) // columns)
    high = cell + 2 * LINE + GAP
    page = Image.new("RGB", (columns * (cell + GAP) + GAP, rows * high + GAP), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(14)
    for number, mistake in enumerate(some):
        x, y = GAP + number % columns * (cell + GAP), GAP + number // columns * high
        upright = ImageOps.exif_transpose(open_picture(mistake.sha256)).convert("RGB")
        page.paste(ImageOps.pad(upright, (cell, cell), color="#e2e8f0"), (x, y))
        for line, text in enumerate((f"{words[0]}: {mistake.right}", f"{words[1]}: {mistake.said}")):
            pen.text((x, y + cell + 2 + line * LINE), _fitted(text, font, cell), "black", font)
    return page


def _fitted(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, cell: int) -> str:
    while font.getlength(text) > cell:
        text = f"{text.removesuffix('…')[:-1]}…"
    return text
