"""Draws a bar chart of labels and percentages with PIL, for a dark background."""

import unicodedata
from collections.abc import Sequence
from contextlib import suppress

from PIL import Image, ImageDraw, ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

BACKGROUND, ROW, BAR, BEST, TEXT, FAINT = "#2b2d31", "#383a40", "#5865f2", "#57f287", "#f2f3f5", "#b5bac1"
WIDTH, MARGIN, GAP = 800, 24, 14  # px
LABELS_WIDTH = 150, 400  # px, least and most
PERCENT_WIDTH = 92  # px
# for letters PIL's own lacks
SYSTEM_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "Arial Unicode.ttf",
    "arial.ttf",
)


def draw_chart(scores: Sequence[tuple[str, float]], title: str = "") -> Image.Image:
    """Return the chart of (label, 0..1) in the given order: 800 px wide, as tall as it must be. Many rows are
    set smaller, and long labels are shortened."""
    font_size = 24 if len(scores) <= 12 else 19 if len(scores) <= 25 else 15
    row = round(font_size * 1.75)
    font, small = ImageFont.load_default(font_size), ImageFont.load_default(17)
    labels = [
        fit_text(label, LABELS_WIDTH[1], font_size, place) for place, (label, _) in enumerate(scores, 1)
    ]
    left = MARGIN + GAP + round(max(LABELS_WIDTH[0], *(face.getlength(text) for text, face in labels)))
    right = WIDTH - MARGIN - PERCENT_WIDTH
    top = MARGIN + (34 if title else 0)
    image = Image.new("RGB", (WIDTH, top + row * len(scores) + MARGIN - row // 6), BACKGROUND)
    pen = ImageDraw.Draw(image)
    if title:
        text, face = fit_text(title, WIDTH - 2 * MARGIN, 17, 0)
        pen.text((MARGIN, MARGIN - 4), text, FAINT, face)
    for i, ((text, face), (_, value)) in enumerate(zip(labels, scores, strict=True)):
        middle, half = top + i * row + row // 2, (row - row // 3) // 2
        pen.rounded_rectangle((left, middle - half, right, middle + half), 5, ROW)
        length = round((right - left) * min(max(value, 0), 1))
        if length >= 2:
            box = left, middle - half, left + length, middle + half
            pen.rounded_rectangle(box, min(5, length // 2), BAR if i else BEST)
        pen.text((left - GAP, middle), text, TEXT, face, anchor="rm")
        face = font if font_size > 17 else small
        pen.text((WIDTH - MARGIN, middle), percent(value), FAINT if i else TEXT, face, anchor="rm")
    return image


def percent(value: float) -> str:
    """ "93.4 %"; a value over zero is never shown as zero."""
    return "< 0.1 %" if 0 < value < 0.0005 else f"{value * 100:.1f} %"


def fit_text(text: str, width: float, size: int, place: int) -> tuple[str, Font]:
    """Return as much of ``text`` as fits ``width`` px, with an ellipsis where it was cut, and the font that
    has its letters. PIL's own font comes first, then one of the machine's; else letters lose their marks (é →
    e). A text that nothing here can write becomes "#place"."""
    text = " ".join(text.split())
    plain = ImageFont.load_default(size)
    face: Font = plain
    if not _has_all(plain, text):
        for name in SYSTEM_FONTS:
            with suppress(OSError):
                if _has_all(found := ImageFont.truetype(name, size), text):
                    face = found
                    break
    if not _has_all(face, text):
        bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
        text = "".join(c for c in bare if _has_all(face, c)).strip() or f"#{place}"
    if face.getlength(text) <= width:
        return text, face
    while text and face.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…", face


def _has_all(font: Font, text: str) -> bool:
    """Return whether ``font`` draws each letter as itself and not as its sign for a missing one."""
    missing = [_shape(font, sign) for sign in ("\U0010fffd", "\ue123")]
    return all(c.isascii() or _shape(font, c) not in (*missing, None) for c in set(text))


def _shape(font: Font, letter: str) -> bytes | None:
    mask = font.getmask(letter)
    return bytes(mask) + bytes(mask.size) if mask.getbbox() else None
