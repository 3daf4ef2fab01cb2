"""Draws boxes around the lines of text that were read in a picture."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

from core.results.text_lines import TextLine
from vision.pictures.chart import BAR, BEST

MOST = 2048  # px of the longer side of the picture with boxes
SURE = 0.8  # score from which on a box has the colour of what is sure
DOUBT = "#fee75c"


def draw(image: Image.Image, lines: Sequence[TextLine]) -> Image.Image:
    """Return a picture, no larger than MOST, with a box around each line: yellow where its reader isn't
    sure."""
    scale = min(1.0, MOST / max(image.size))
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    drawn = image.convert("RGB")
    drawn = drawn.copy() if size == image.size else drawn.resize(size, Image.Resampling.LANCZOS)
    pen, wide = ImageDraw.Draw(drawn), max(2, round(max(size) / 400))
    for line in lines:
        around = [(x * scale, y * scale) for x, y in (*line.box, line.box[0], line.box[1])]
        pen.line(around, BAR, 2 * wide, joint="curve")
        pen.line(around, BEST if line.score >= SURE else DOUBT, max(1, wide // 2), joint="curve")
    return drawn
