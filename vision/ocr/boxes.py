"""Draws boxes around the lines of text that were read in a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

from core.results.text_lines import Point, TextLine, line_height
from vision.pictures.chart import BAR, BEST

ROOM = 0.2  # of the letters' height, between them and the box that is drawn
MOST = 2048  # px of the longer side of the picture with boxes
SURE = 0.8  # score from which on a box has the colour of what is sure
DOUBT = "#fee75c"


def wider(line: TextLine, margin: float) -> list[Point]:
    """Return the corners of a line's box with ``margin`` px of room on each side."""
    a, b, c, d = line.box
    wide = max(1.0, math.dist(a, b))
    across = (b[0] - a[0]) / wide * margin, (b[1] - a[1]) / wide * margin
    down = (d[0] - a[0]) / line_height(line) * margin, (d[1] - a[1]) / line_height(line) * margin
    signs = ((a, -1, -1), (b, 1, -1), (c, 1, 1), (d, -1, 1))
    return [(x + i * across[0] + j * down[0], y + i * across[1] + j * down[1]) for (x, y), i, j in signs]


def draw(image: Image.Image, lines: Sequence[TextLine]) -> Image.Image:
    """Return a picture, no larger than MOST, with a box around each line: yellow where its reader isn't
    sure."""
    scale = min(1.0, MOST / max(image.size))
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    drawn = image.convert("RGB")
    drawn = drawn.copy() if size == image.size else drawn.resize(size, Image.Resampling.LANCZOS)
    pen, wide = ImageDraw.Draw(drawn), max(2, round(max(size) / 400))
    for line in lines:
        corners = [
            (x * scale, y * scale) for x, y in wider(line, ROOM * line_height(line) + 2 * wide / scale)
        ]
        around = [*corners, *corners[:2]]
        pen.line(around, BAR, 2 * wide, joint="curve")
        pen.line(around, BEST if line.score >= SURE else DOUBT, max(1, wide // 2), joint="curve")
    return drawn
