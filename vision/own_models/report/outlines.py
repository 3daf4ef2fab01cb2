"""Boxes drawn over a picture, each in its label's colour with what it is called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont, ImageOps

TONES = (  # told apart by colour-blind people, too (Okabe and Ito, 2008), lighter where that is too dark
    "#e69f00",
    "#56b4e9",
    "#00b386",
    "#f0e442",
    "#4a8fe0",
    "#e0662a",
    "#d68ab8",
    "#f2f3f5",
)
INK = "#101114"
LEAST_TEXT, MOST_TEXT = 11, 28  # px
LONGEST = 24  # characters of a label


@dataclass(frozen=True)
class Outline:
    """box: left, top, right, bottom in shares of the picture. text: "" = none. dashed: of what isn't there as
    it should be."""

    box: tuple[float, float, float, float]
    text: str
    tone: str
    dashed: bool = False


def tone_of(labels: Sequence[str], label: str) -> str:
    """Return the colour of a label among those of its model."""
    return TONES[labels.index(label) % len(TONES)] if label in labels else TONES[-1]


def drawn(image: Image.Image, outlines: Sequence[Outline]) -> Image.Image:
    """Return a picture with boxes over it; the first ones are on top."""
    found = ImageOps.exif_transpose(image).convert("RGB")
    pen, short = ImageDraw.Draw(found), min(found.size)
    line = max(2, short // 200)
    font = ImageFont.load_default(max(LEAST_TEXT, min(MOST_TEXT, short // 32)))
    for one in reversed(outlines):
        left, top, right, bottom = (
            each * side for each, side in zip(one.box, (*found.size, *found.size), strict=True)
        )
        if one.dashed:
            _dashed(pen, (left, top, right, bottom), one.tone, line)
        else:
            pen.rectangle((left, top, right, bottom), outline=one.tone, width=line)
    for one in reversed(outlines):
        if one.text:
            _tagged(pen, found.size, one, font, line)
    return found


def _dashed(pen: ImageDraw.ImageDraw, box: tuple[float, float, float, float], tone: str, line: int) -> None:
    left, top, right, bottom = box
    dash = 4 * line
    for y in (top, bottom):
        for at in range(int(left), int(right), 2 * dash):
            pen.line((at, y, min(at + dash, right), y), tone, line)
    for x in (left, right):
        for at in range(int(top), int(bottom), 2 * dash):
            pen.line((x, at, x, min(at + dash, bottom)), tone, line)


def _tagged(
    pen: ImageDraw.ImageDraw,
    size: tuple[int, int],
    one: Outline,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    line: int,
) -> None:
    """Write what a box is called above it, or in it where there is no room."""
    x0, y0, x1, y1 = pen.textbbox((0, 0), one.text, font)
    wide, high = x1 - x0 + 2 * line, y1 - y0 + 2 * line
    left = max(0.0, min(one.box[0] * size[0], size[0] - wide))
    above = one.box[1] * size[1] - high
    top = above if above >= 0 else one.box[1] * size[1]
    pen.rectangle((left, top, left + wide, top + high), one.tone)
    pen.text((left + line - x0, top + line - y0), one.text, INK, font)


def short(label: str) -> str:
    """Return a label as it is written on a picture."""
    return label if len(label) <= LONGEST else f"{label[: LONGEST - 1]}…"
