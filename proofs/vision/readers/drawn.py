"""Drawn signs and bills whose text and boxes are known: turned by up to 10°, saved as JPEG."""

from __future__ import annotations

import io
import math
import random
import string
from dataclasses import dataclass, field

from PIL import Image, ImageDraw, ImageFont

Point = tuple[float, float]
Quad = tuple[Point, Point, Point, Point]
CAPITALS = string.ascii_uppercase + string.digits
EVERY_CASE = string.ascii_letters + string.digits
GOODS = (
    "Apples Bread Milk Butter Honey Coffee Tea Sugar Rice Pasta Cheese Onions Garlic Lemons Soap Paper Pens"
    " Candles Matches Rope Nails Paint Brushes Batteries Socks"
).split()
QUALITY = 60  # of the JPEG
TURNED = 10.0  # degrees at most


@dataclass(frozen=True)
class Word:
    """A text of a picture and the tight box around it."""

    text: str
    box: Quad


@dataclass
class Drawn:
    """A picture with all its texts. rows: of a bill, as they are read."""

    image: Image.Image
    words: list[Word] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)


def sign(rng: random.Random, letters: str = CAPITALS) -> Drawn:
    """A board on a pole with 2 to 8 random letters, in 256 to 1024 px."""
    side = rng.choice((256, 384, 512, 768, 1024))
    text = "".join(rng.choice(letters) for _ in range(rng.randint(2, 8)))
    image = Image.new("RGB", (side, side), _colour(rng, 90, 230))
    pen = ImageDraw.Draw(image)
    for _ in range(6):  # something else to look at
        x, y, size = rng.random() * side, rng.random() * side, side * rng.uniform(0.05, 0.2)
        pen.ellipse((x, y, x + size, y + size), fill=_colour(rng, 60, 240))
    room, font = side * rng.uniform(0.45, 0.8), ImageFont.load_default(12)
    size = min(round(12 * room / font.getlength(text)), round(side * 0.3))
    font = ImageFont.load_default(size)
    stroke = rng.choice((0, 0, size // 24))
    left, top, right, bottom = font.getbbox(text, stroke_width=stroke)
    x, y = (side - right + left) / 2 - left, side * rng.uniform(0.15, 0.45) - top
    margin = size * 0.4
    board = (x + left - margin, y + top - margin, x + right + margin, y + bottom + margin)
    pole = side / 30
    pen.rectangle((side / 2 - pole / 2, board[3], side / 2 + pole / 2, side), fill="#555")
    dark = rng.random() < 0.5
    pen.rounded_rectangle(board, margin / 2, fill=_colour(rng, 0, 80) if dark else _colour(rng, 200, 255))
    ink = _colour(rng, 200, 255) if dark else _colour(rng, 0, 80)
    pen.text((x, y), text, ink, font, stroke_width=stroke)
    drawn = Drawn(image, [Word(text, _quad(x + left, y + top, x + right, y + bottom))], [[text]])
    return photographed(drawn, rng, image.getpixel((0, 0)))


def bill(rng: random.Random) -> Drawn:
    """A bill of 4 to 9 goods, with how many and their price, and the sum."""
    size = rng.randint(20, 30)
    font, line = ImageFont.load_default(size), round(size * rng.uniform(1.7, 2.4))
    rows = [["Item", "Qty", "Price"]]
    for name in rng.sample(GOODS, rng.randint(4, 9)):
        rows.append([name, str(rng.randint(1, 99)), f"{rng.randint(1, 99)}.{rng.randint(0, 99):02d}"])
    rows.append(["Total", f"{rng.randint(100, 999)}.{rng.randint(0, 99):02d}"])
    width, height = size * 24, line * (len(rows) + 1)
    image = Image.new("RGB", (width, height), _colour(rng, 240, 255))
    pen = ImageDraw.Draw(image)
    drawn, columns = Drawn(image, [], rows), (size * 1.5, size * 11, size * 17)
    ruled = rng.random() < 0.5
    for number, row in enumerate(rows):
        y = line * (number + 0.6)
        places = columns if len(row) == 3 else (columns[0], columns[2])
        for x, text in zip(places, row, strict=True):
            pen.text((x, y), text, _colour(rng, 0, 70), font)
            left, top, right, bottom = font.getbbox(text)
            drawn.words.append(Word(text, _quad(x + left, y + top, x + right, y + bottom)))
        if ruled:
            pen.line((size, y + line * 0.85, width - size, y + line * 0.85), "#999", 1)
    return photographed(drawn, rng, image.getpixel((0, 0)))


def photographed(drawn: Drawn, rng: random.Random, around: tuple[int, ...]) -> Drawn:
    """Turn a picture and its boxes a little, and save it as JPEG."""
    angle = rng.uniform(-TURNED, TURNED)
    before = drawn.image
    turned = before.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=around)
    data = io.BytesIO()
    turned.save(data, "JPEG", quality=QUALITY)
    words = [Word(word.text, _turned(word.box, before.size, turned.size, angle)) for word in drawn.words]
    return Drawn(Image.open(io.BytesIO(data.getvalue())).convert("RGB"), words, drawn.rows)


def _turned(box: Quad, before: tuple[int, int], after: tuple[int, int], angle: float) -> Quad:
    turn = math.radians(angle)
    cos, sin = math.cos(turn), math.sin(turn)
    points = []
    for x, y in box:
        x, y = x - before[0] / 2, y - before[1] / 2
        points.append((x * cos + y * sin + after[0] / 2, -x * sin + y * cos + after[1] / 2))
    a, b, c, d = points
    return a, b, c, d


def _quad(left: float, top: float, right: float, bottom: float) -> Quad:
    return (left, top), (right, top), (right, bottom), (left, bottom)


def _colour(rng: random.Random, low: int, high: int) -> tuple[int, int, int]:
    return rng.randint(low, high), rng.randint(low, high), rng.randint(low, high)
