"""The picture that shows an answer: boxes on what was asked about, or a chart drawn again beside it."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from core.events import Picture
from core.results import Box, Table
from vision.forms import plot
from vision.forms.boxes import MOST
from vision.pictures.chart import BACKGROUND, FAINT, fit

LONGEST = 1600  # px of a drawn picture's longer side
LINE = 2  # px
PLATE = "#1e1f22"
COLOURS = ("#ff5c5c", "#57f287", "#5bb8ff", "#fee75c", "#ff8ad8", "#ff9f43", "#3be0d0", "#b79bff")
BESIDE = 640, 480  # px, most of the original beside its numbers
CAPTION, GAP = 16, 16
QUALITY = 92  # of JPEG


def boxed(image: Image.Image, boxes: Sequence[Box]) -> Picture:
    """Return a copy of ``image`` (RGB) with boxes, each with its label on a plate."""
    drawn = image.copy()
    drawn.thumbnail((LONGEST, LONGEST))
    pen = ImageDraw.Draw(drawn)
    size = max(12, min(24, round(max(drawn.size) / 45)))
    places = [
        (box.left * drawn.width, box.top * drawn.height, box.right * drawn.width, box.bottom * drawn.height)
        for box in boxes[:MOST]
    ]
    for number, (left, top, right, bottom) in enumerate(places):
        sides = (left, top, min(right, drawn.width - 1), min(bottom, drawn.height - 1))
        pen.rectangle(tuple(map(round, sides)), outline=COLOURS[number % len(COLOURS)], width=LINE)
    for number, (box, place) in enumerate(zip(boxes, places, strict=False)):
        _plate(pen, drawn.size, f"{number + 1} {box.label}".strip(), place, size, number)
    return encoded(drawn)


def _plate(
    pen: ImageDraw.ImageDraw,
    within: tuple[int, int],
    label: str,
    place: tuple[float, float, float, float],
    size: int,
    number: int,
) -> None:
    """Write a label above its box; inside it where there is no room above."""
    text, face = fit(label, max(40, within[0] * 0.6), size, number + 1)
    width, height = round(face.getlength(text)) + 8, size + 6
    x = min(max(0, round(place[0])), max(0, within[0] - width))
    y = round(place[1]) - height
    y = y if y >= 0 else round(place[1]) + LINE
    y = min(y, max(0, within[1] - height))
    pen.rectangle((x, y, x + width, y + height), PLATE)
    pen.rectangle((x, y, x + 3, y + height), COLOURS[number % len(COLOURS)])
    pen.text((x + 6, y + height / 2), text, "#ffffff", face, anchor="lm")


def drawn_again(table: Table, original: Image.Image | None) -> Picture | None:
    """Return the numbers of a table as a chart, beside the picture they were read from where there is one;
    None where there are none to draw."""
    chart = plot.draw(table)
    if chart is None:
        return None
    if original is None:
        return encoded(chart)
    shown = original.copy()
    shown.thumbnail(BESIDE)
    top = CAPTION + 2 * GAP
    height = top + max(shown.height, chart.height) + GAP
    sheet = Image.new("RGB", (shown.width + chart.width + 3 * GAP, height), BACKGROUND)
    pen, face = ImageDraw.Draw(sheet), ImageFont.load_default(CAPTION)
    beside = shown.width + 2 * GAP
    for x, caption, picture in ((GAP, "the picture", shown), (beside, "drawn again from the numbers", chart)):
        pen.text((x, GAP), caption, FAINT, face)
        sheet.paste(picture, (x, top))
    return encoded(sheet)


def encoded(image: Image.Image) -> Picture:
    """Return a picture as PNG, or as JPEG where that is much smaller: a photograph."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=QUALITY, subsampling=0)
    data, kind = out.getvalue(), "image/jpeg"
    if image.width * image.height <= 2**21:
        exact = io.BytesIO()
        image.save(exact, "PNG", optimize=False)
        if len(exact.getvalue()) <= 2 * len(data):
            data, kind = exact.getvalue(), "image/png"
    return Picture(data, kind, *image.size)
