"""A bar chart of labels and percentages, drawn with PIL for a dark Discord."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

BACKGROUND, ROW, BAR, BEST, TEXT, FAINT = "#2b2d31", "#383a40", "#5865f2", "#57f287", "#f2f3f5", "#b5bac1"
WIDTH, MARGIN = 800, 24  # px
LABELS_WIDTH, PERCENT_WIDTH = 270, 92  # px


def draw(scores: Sequence[tuple[str, float]], title: str = "") -> Image.Image:
    """(label, 0..1) in the given order → 800 px wide, as tall as it must be. Many rows are set smaller; long labels are shortened."""
    font_size = 24 if len(scores) <= 12 else 19 if len(scores) <= 25 else 15
    row = round(font_size * 1.75)
    font, small = ImageFont.load_default(font_size), ImageFont.load_default(17)
    top = MARGIN + (34 if title else 0)
    image = Image.new("RGB", (WIDTH, top + row * len(scores) + MARGIN - row // 6), BACKGROUND)
    pen = ImageDraw.Draw(image)
    if title:
        pen.text((MARGIN, MARGIN - 4), shorten(title, WIDTH - 2 * MARGIN, small), FAINT, small)
    left, right = MARGIN + LABELS_WIDTH, WIDTH - MARGIN - PERCENT_WIDTH
    for i, (label, value) in enumerate(scores):
        y = top + i * row
        middle, height = y + row // 2, row - row // 3
        box = (left, middle - height // 2, right, middle + height // 2)
        pen.rounded_rectangle(box, 5, ROW)
        length = round((right - left) * min(max(value, 0), 1))
        if length >= 2:
            pen.rounded_rectangle((box[0], box[1], left + length, box[3]), min(5, length // 2), BEST if i == 0 else BAR)
        pen.text((left - 14, middle), shorten(label, LABELS_WIDTH - 14, font), TEXT, font, anchor="rm")
        pen.text((WIDTH - MARGIN, middle), percent(value), TEXT if i == 0 else FAINT, font, anchor="rm")
    return image


def percent(value: float) -> str:
    """"93.4 %"; nothing that isn't zero is shown as zero."""
    return "< 0.1 %" if 0 < value < 0.0005 else f"{value * 100:.1f} %"


def shorten(text: str, width: float, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """As much of ``text`` as fits ``width`` px, with an ellipsis where it was cut. Signs the font lacks are left out if others remain."""
    text = " ".join(text.split())
    known = "".join(c for c in text if has(font, c)).strip()
    text = known or text
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"


def has(font: ImageFont.FreeTypeFont | ImageFont.ImageFont, character: str) -> bool:
    """Whether ``font`` draws ``character`` as itself and not as its sign for a missing one."""
    if character.isspace() or character.isascii():
        return True
    return font.getmask(character).getbbox() is not None and bytes(font.getmask(character)) != bytes(font.getmask("\U0010fffd"))
