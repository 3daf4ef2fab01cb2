"""Drawings of the demo world's objects, and of others, by hands that aren't the pack's painter: other forms,
outlines, paints, sizes and grounds, drawn by Pillow or by scikit-image. Nothing is trained on them."""

from __future__ import annotations

import io
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from demo.world import OBJECTS

Paint = tuple[int, int, int]
Points = Sequence[tuple[float, float]]
PAINTS: dict[str, tuple[Paint, ...]] = {
    "red": ((255, 0, 0), (200, 30, 40), (232, 70, 60)),
    "orange": ((255, 140, 0), (240, 120, 30), (255, 165, 40)),
    "yellow": ((255, 255, 0), (250, 220, 60), (240, 200, 20)),
    "green": ((0, 128, 0), (60, 180, 75), (100, 200, 60)),
    "blue": ((0, 0, 255), (30, 80, 200), (70, 130, 230)),
    "purple": ((128, 0, 128), (140, 60, 200), (110, 50, 160)),
    "pink": ((255, 105, 180), (255, 160, 200), (240, 130, 170)),
    "white": ((255, 255, 255), (245, 245, 240), (250, 250, 255)),
    "black": ((0, 0, 0), (30, 30, 30), (45, 45, 50)),
    "brown": ((139, 69, 19), (120, 80, 50), (101, 67, 33)),
}
CLOSE = {  # paints that nobody could tell apart on each other
    "red": {"orange", "brown", "pink"},
    "orange": {"yellow", "red", "brown"},
    "yellow": {"orange", "white"},
    "green": set(),
    "blue": {"purple"},
    "purple": {"blue", "brown", "pink"},
    "pink": {"red", "purple", "white"},
    "white": {"yellow", "pink"},
    "black": {"brown"},
    "brown": {"red", "orange", "black", "purple"},
}
PLACES = {  # colours that a thing doesn't have there
    "night": {"black", "blue", "purple", "brown", "white", "yellow"},
    "sea": {"blue", "white", "green"},
    "grass": {"green", "blue", "white"},
    "desert": {"yellow", "orange", "brown", "white", "blue"},
    "snow": {"white", "blue"},
}
SIZES = ((96, 96), (200, 200), (320, 240), (512, 512), (640, 480), (800, 600), (1024, 1024), (480, 720))
CREAM, WOOD, LEAF, DARK = (252, 244, 226), (110, 70, 40), (70, 150, 60), (30, 30, 36)


class Canvas(Protocol):
    """Fills shapes, in pixels."""

    def shape(self, points: Points, fill: Paint, line: Paint | None, width: float) -> None:
        """Fill a polygon, with a line around it."""

    def line(self, points: Points, fill: Paint, width: float) -> None:
        """Draw a line."""

    def picture(self) -> Image.Image:
        """Return what was drawn."""


class PillowCanvas:
    """Draws with Pillow, ``scale`` times as large as what comes out."""

    def __init__(self, ground: Image.Image, scale: int) -> None:
        self.size, self.scale = ground.size, scale
        self.image = ground.resize((ground.width * scale, ground.height * scale), Image.Resampling.NEAREST)
        self.pen = ImageDraw.Draw(self.image)

    def shape(self, points: Points, fill: Paint, line: Paint | None, width: float) -> None:
        grown = [(x * self.scale, y * self.scale) for x, y in points]
        self.pen.polygon(grown, fill=fill)
        if line is not None:
            self.line([*points, *points[:2]], line, width)

    def line(self, points: Points, fill: Paint, width: float) -> None:
        grown = [(x * self.scale, y * self.scale) for x, y in points]
        self.pen.line(grown, fill=fill, width=max(1, round(width * self.scale)), joint="curve")

    def picture(self) -> Image.Image:
        return self.image.resize(self.size, Image.Resampling.BOX)


class ScikitCanvas:
    """Draws with scikit-image into an array, without soft edges."""

    def __init__(self, ground: Image.Image, scale: int) -> None:
        self.pixels = np.asarray(ground).copy()

    def shape(self, points: Points, fill: Paint, line: Paint | None, width: float) -> None:
        from skimage.draw import polygon

        self.pixels[polygon([y for _, y in points], [x for x, _ in points], self.pixels.shape[:2])] = fill
        if line is not None:
            self.line([*points, points[0]], line, width)

    def line(self, points: Points, fill: Paint, width: float) -> None:
        from skimage.draw import disk, polygon

        half = max(0.6, width / 2)
        for (x0, y0), (x1, y1) in zip(points, points[1:], strict=False):
            long = math.hypot(x1 - x0, y1 - y0) or 1.0
            dx, dy = (y1 - y0) / long * half, (x0 - x1) / long * half
            ys, xs = [y0 + dy, y1 + dy, y1 - dy, y0 - dy], [x0 + dx, x1 + dx, x1 - dx, x0 - dx]
            self.pixels[polygon(ys, xs, self.pixels.shape[:2])] = fill
            self.pixels[disk((y1, x1), half + 0.4, shape=self.pixels.shape[:2])] = fill

    def picture(self) -> Image.Image:
        return Image.fromarray(self.pixels)


@dataclass(frozen=True)
class Hand:
    """How somebody draws. line: "black", "dark" (of the paint) or "" for none. width: of lines, as a share of
    the thing's half size. shaky: how far points miss their places, as such a share. form: 0 or 1, which of an
    object's two forms. paper: noise, of 255. quality: of a JPEG, 0 = none."""

    name: str
    canvas: Callable[[Image.Image, int], Canvas]
    scale: int
    line: str
    width: float
    shaky: float
    form: int
    paper: int = 0
    quality: int = 0


HANDS = (
    Hand("clip art", PillowCanvas, 3, "black", 0.07, 0.0, 0),
    Hand("flat, hard edges", PillowCanvas, 1, "", 0.0, 0.0, 0),
    Hand("marker", PillowCanvas, 2, "dark", 0.14, 0.035, 0, paper=3),
    Hand("soft icon", PillowCanvas, 3, "", 0.0, 0.0, 1),
    Hand("scikit-image, plain", ScikitCanvas, 1, "", 0.0, 0.0, 1),
    Hand("scikit-image, inked", ScikitCanvas, 1, "black", 0.06, 0.02, 1, paper=4, quality=85),
)
TUNED = (
    "clip art",
    "flat, hard edges",
    "marker",
)  # hands that the readers were tried on while they were built


class Pen:
    """Draws in a thing's own unit square, -1 to 1, with y downwards."""

    def __init__(self, canvas: Canvas, hand: Hand, x: float, y: float, half: float, rng: random.Random):
        self.canvas, self.hand, self.x, self.y, self.half, self.rng = canvas, hand, x, y, half, rng

    def _placed(self, points: Points) -> list[tuple[float, float]]:
        def off() -> float:
            return self.rng.uniform(-1, 1) * self.hand.shaky

        return [(self.x + (x + off()) * self.half, self.y + (y + off()) * self.half) for x, y in points]

    def _line(self, fill: Paint) -> Paint | None:
        if not self.hand.line:
            return None
        dark: Paint = (fill[0] // 2, fill[1] // 2, fill[2] // 2)
        return (10, 10, 12) if self.hand.line == "black" else dark

    def shape(self, points: Points, fill: Paint) -> None:
        width = max(1.0, self.hand.width * self.half)
        self.canvas.shape(self._placed(points), fill, self._line(fill), width)

    def oval(self, x: float, y: float, rx: float, ry: float, fill: Paint) -> None:
        turn = 2 * math.pi / 28
        points = [(x + rx * math.cos(k * turn), y + ry * math.sin(k * turn)) for k in range(28)]
        self.shape(points, fill)

    def stroke(self, points: Points, fill: Paint, width: float) -> None:
        self.canvas.line(self._placed(points), fill, max(1.0, width * self.half))


def _arc(x: float, y: float, rx: float, ry: float, begin: float, end: float, steps: int = 18) -> Points:
    angles = [math.radians(begin + (end - begin) * k / steps) for k in range(steps + 1)]
    return [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles]


def _star(points: int, inner: float, turn: float = 0.0) -> Points:
    radii = (1.0, inner)
    angles = [turn + k * math.pi / points for k in range(2 * points)]
    return [(radii[k % 2] * math.sin(a), -radii[k % 2] * math.cos(a)) for k, a in enumerate(angles)]


def ball(p: Pen, c: Paint) -> None:
    p.oval(0, 0, 0.95, 0.95, c)
    if p.hand.form:
        p.oval(-0.35, -0.35, 0.18, 0.18, (255, 255, 255))


def star(p: Pen, c: Paint) -> None:
    p.shape(_star(5, (0.4, 0.52)[p.hand.form], (0.0, 0.15)[p.hand.form]), c)


def heart(p: Pen, c: Paint) -> None:
    if p.hand.form:
        p.shape(
            [*_arc(-0.45, -0.35, 0.47, 0.47, 150, 350), *_arc(0.45, -0.35, 0.47, 0.47, 190, 390), (0, 0.95)],
            c,
        )
    else:
        angles = [k * math.pi / 20 for k in range(40)]
        p.shape(
            [
                (
                    math.sin(t) ** 3,
                    -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)) / 17,
                )
                for t in angles
            ],
            c,
        )


def moon(p: Pen, c: Paint) -> None:
    if p.hand.form:  # waning, slim
        p.shape([*_arc(0, 0, 0.95, 0.95, -100, 100), *_arc(-0.42, 0, 0.95, 0.93, 80, -80)], c)
    else:
        p.shape([*_arc(0, 0, 0.95, 0.95, 60, 300), *_arc(0.3, 0, 0.72, 0.8, 285, 75)], c)


def diamond(p: Pen, c: Paint) -> None:
    if p.hand.form:
        p.shape([(-0.6, -0.6), (0.6, -0.6), (1, -0.1), (0, 0.95), (-1, -0.1)], c)
        p.stroke([(-1, -0.1), (1, -0.1)], tuple(v // 2 for v in c), 0.06)  # type: ignore[arg-type]
    else:
        p.shape([(-0.55, -0.7), (0.55, -0.7), (0.9, -0.25), (0, 0.9), (-0.9, -0.25)], c)


def house(p: Pen, c: Paint) -> None:
    if p.hand.form:
        p.shape([(0.35, -0.9), (0.6, -0.9), (0.6, -0.2), (0.35, -0.2)], c)
        p.shape([(-0.8, -0.15), (0.8, -0.15), (0.8, 0.95), (-0.8, 0.95)], c)
        p.shape([(-1, -0.15), (0, -0.95), (1, -0.15)], tuple(v * 2 // 3 for v in c))  # type: ignore[arg-type]
        p.shape([(-0.15, 0.35), (0.2, 0.35), (0.2, 0.95), (-0.15, 0.95)], WOOD)
    else:
        p.shape([(-0.75, -0.1), (0.75, -0.1), (0.75, 0.9), (-0.75, 0.9)], c)
        p.shape([(-0.95, -0.1), (0, -0.95), (0.95, -0.1)], c)
        p.shape([(-0.5, 0.15), (-0.1, 0.15), (-0.1, 0.5), (-0.5, 0.5)], (255, 240, 170))
        p.shape([(0.15, 0.3), (0.5, 0.3), (0.5, 0.9), (0.15, 0.9)], WOOD)


def tree(p: Pen, c: Paint) -> None:
    p.shape([(-0.15, 0.3), (0.15, 0.3), (0.15, 0.95), (-0.15, 0.95)], WOOD)
    if p.hand.form:
        for low, wide in ((0.5, 0.8), (0.05, 0.65), (-0.35, 0.48)):
            p.shape([(0, low - 0.65), (wide, low), (-wide, low)], c)
    else:
        p.shape([(0, -0.95), (0.75, 0.45), (-0.75, 0.45)], c)


def boat(p: Pen, c: Paint) -> None:
    p.stroke([(0, 0.35), (0, -0.95)], WOOD, 0.1)
    p.shape([(0.08, -0.9), (0.75, 0.15), (0.08, 0.15)], CREAM)
    if not p.hand.form:
        p.shape([(-0.08, -0.7), (-0.65, 0.15), (-0.08, 0.15)], CREAM)
        p.shape([(-0.95, 0.3), (0.95, 0.3), (0.6, 0.85), (-0.6, 0.85)], c)
    else:
        p.shape([(-1, 0.3), (1, 0.3), *_arc(0, 0.3, 0.85, 0.6, 10, 170)], c)


def flower(p: Pen, c: Paint) -> None:
    p.stroke([(0, 0), (0, 0.95)], LEAF, 0.14)
    p.shape([(0, 0.8), (0.45, 0.45), (0.3, 0.75)], LEAF)
    petals = (5, 7)[p.hand.form]
    for k in range(petals):
        a = 2 * math.pi * k / petals
        p.oval(0.42 * math.sin(a), -0.3 - 0.42 * math.cos(a), 0.27, 0.27, c)
    p.oval(0, -0.3, 0.24, 0.24, (255, 220, 60) if c[2] > 100 or c[1] < 150 else (230, 120, 40))


def cat(p: Pen, c: Paint) -> None:
    light = sum(c) > 180
    for s in (-1, 1):
        p.shape([(s * 0.8, -0.05), (s * 0.7, -0.9), (s * 0.15, -0.45)], c)
    p.oval(0, 0.15, 0.85, 0.72, c)
    for s in (-1, 1):
        p.oval(s * 0.33, 0.0, 0.12, 0.15, DARK if light else (240, 230, 120))
    p.shape([(-0.1, 0.3), (0.1, 0.3), (0, 0.42)], DARK if light else (240, 160, 170))
    if p.hand.form:
        for s in (-1, 1):
            for y in (0.3, 0.45):
                p.stroke([(s * 0.3, 0.38), (s * 0.95, y)], DARK if light else CREAM, 0.04)


def fish(p: Pen, c: Paint) -> None:
    s = (-1, 1)[p.hand.form]  # where it looks to
    p.shape([(-s * 0.35, 0), (-s * 0.95, -0.5), (-s * 0.8, 0), (-s * 0.95, 0.5)], c)
    p.oval(s * 0.2, 0, 0.72, (0.5, 0.42)[p.hand.form], c)
    p.oval(s * 0.55, -0.12, 0.13, 0.13, (255, 255, 255))
    p.oval(s * 0.58, -0.12, 0.06, 0.06, DARK)


def mushroom(p: Pen, c: Paint) -> None:
    p.shape([(-0.25, 0), (0.25, 0), (0.32, 0.9), (-0.32, 0.9)], CREAM)
    p.shape([*_arc(0, 0.1, 0.95, (0.95, 0.75)[p.hand.form], 180, 360)], c)
    dots = CREAM if min(c) < 200 else (230, 120, 110)
    for x, y in ((-0.45, -0.2), (0.1, -0.4), (0.5, -0.12)):
        p.oval(x, y, 0.13, 0.12, dots)


def car(p: Pen, c: Paint) -> None:
    p.shape([(-0.5, 0), (-0.3, -0.4), (0.35, -0.4), (0.6, 0)], (190, 220, 240))
    p.shape([(-0.95, 0), (0.95, 0), (0.95, 0.4), (-0.95, 0.4)], c)
    for x in (-0.55, 0.55):
        p.oval(x, 0.42, 0.22, 0.22, DARK)


def key(p: Pen, c: Paint) -> None:
    p.oval(-0.55, 0, 0.4, 0.4, c)
    p.oval(-0.55, 0, 0.18, 0.18, (255, 255, 255))
    p.shape([(-0.2, -0.1), (0.95, -0.1), (0.95, 0.4), (0.75, 0.4), (0.75, 0.1), (-0.2, 0.1)], c)


def umbrella(p: Pen, c: Paint) -> None:
    p.stroke([(0, -0.1), (0, 0.8), (0.2, 0.9), (0.3, 0.7)], WOOD, 0.1)
    p.shape(
        [*_arc(0, 0, 0.95, 0.85, 180, 360), (0.6, -0.15), (0.3, 0), (0, -0.15), (-0.3, 0), (-0.6, -0.15)], c
    )


def cup(p: Pen, c: Paint) -> None:
    p.shape([*_arc(0.55, 0, 0.4, 0.45, -90, 90), *_arc(0.55, 0, 0.22, 0.25, 90, -90)], c)
    p.shape([(-0.75, -0.7), (0.6, -0.7), (0.45, 0.8), (-0.6, 0.8)], c)


def guitar(p: Pen, c: Paint) -> None:
    p.shape([(-0.08, -0.95), (0.08, -0.95), (0.08, 0), (-0.08, 0)], WOOD)
    p.oval(0, 0.1, 0.35, 0.3, c)
    p.oval(0, 0.55, 0.48, 0.4, c)
    p.oval(0, 0.3, 0.14, 0.14, DARK)


def ladder(p: Pen, c: Paint) -> None:
    for x in (-0.4, 0.4):
        p.stroke([(x, -0.95), (x, 0.95)], c, 0.16)
    for k in range(5):
        p.stroke([(-0.4, -0.75 + k * 0.38), (0.4, -0.75 + k * 0.38)], c, 0.13)


def chair(p: Pen, c: Paint) -> None:
    p.shape([(-0.6, -0.9), (-0.4, -0.9), (-0.4, 0.9), (-0.6, 0.9)], c)
    p.shape([(-0.6, 0), (0.6, 0), (0.6, 0.22), (-0.6, 0.22)], c)
    p.shape([(0.4, 0.2), (0.6, 0.2), (0.6, 0.9), (0.4, 0.9)], c)


def bicycle(p: Pen, c: Paint) -> None:
    for x in (-0.55, 0.55):
        p.stroke([*_arc(x, 0.35, 0.4, 0.4, 0, 360, 24)], DARK, 0.09)
    p.stroke([(-0.55, 0.35), (-0.15, -0.3), (0.4, -0.3), (0, 0.35), (-0.55, 0.35)], c, 0.1)
    p.stroke([(0.55, 0.35), (0.35, -0.55), (0.6, -0.6)], c, 0.1)


def rocket(p: Pen, c: Paint) -> None:
    p.shape([(-0.3, 0.4), (-0.65, 0.9), (-0.3, 0.8)], (230, 120, 40))
    p.shape([(0.3, 0.4), (0.65, 0.9), (0.3, 0.8)], (230, 120, 40))
    p.shape([(0, -0.95), (0.35, -0.4), (0.3, 0.8), (-0.3, 0.8), (-0.35, -0.4)], c)
    p.oval(0, -0.15, 0.16, 0.16, (190, 220, 240))


def bottle(p: Pen, c: Paint) -> None:
    p.shape(
        [
            (-0.12, -0.95),
            (0.12, -0.95),
            (0.12, -0.4),
            (0.35, -0.1),
            (0.35, 0.95),
            (-0.35, 0.95),
            (-0.35, -0.1),
            (-0.12, -0.4),
        ],
        c,
    )
    p.shape([(-0.35, 0.2), (0.35, 0.2), (0.35, 0.6), (-0.35, 0.6)], (255, 255, 255))


KNOWN: dict[str, Callable[[Pen, Paint], None]] = {
    "ball": ball,
    "star": star,
    "heart": heart,
    "moon": moon,
    "diamond": diamond,
    "house": house,
    "tree": tree,
    "boat": boat,
    "flower": flower,
    "cat": cat,
    "fish": fish,
    "mushroom": mushroom,
}
OTHERS: dict[str, Callable[[Pen, Paint], None]] = {
    "car": car,
    "key": key,
    "umbrella": umbrella,
    "cup": cup,
    "guitar": guitar,
    "ladder": ladder,
    "chair": chair,
    "bicycle": bicycle,
    "rocket": rocket,
    "bottle": bottle,
}
assert set(KNOWN) == set(OBJECTS)


@dataclass(frozen=True)
class Thing:
    """An object in a drawing: its middle and half its size, as shares of the sides and of the shorter one."""

    name: str
    colour: str
    x: float
    y: float
    half: float


@dataclass(frozen=True)
class Drawing:
    """What is drawn. ground: a colour, or one of PLACES."""

    things: tuple[Thing, ...]
    ground: str
    size: tuple[int, int]
    hand: Hand
    seed: str

    def paint(self) -> Image.Image:
        """Return the picture; the same drawing is always the same pixels."""
        rng = random.Random(self.seed)
        wide, high = self.size
        canvas = self.hand.canvas(_ground(self.ground, self.size, rng), self.hand.scale)
        for thing in self.things:
            pen = Pen(canvas, self.hand, thing.x * wide, thing.y * high, thing.half * min(self.size), rng)
            (KNOWN | OTHERS)[thing.name](
                pen, random.Random(f"{self.seed} {thing.colour}").choice(PAINTS[thing.colour])
            )
        return _on_paper(canvas.picture(), self.hand, rng)

    def moved(self, dx: float, dy: float) -> Drawing:
        """Return the drawing with its things moved by shares of the sides."""
        moved = tuple(replace(thing, x=thing.x + dx, y=thing.y + dy) for thing in self.things)
        return replace(self, things=moved)


def _ground(name: str, size: tuple[int, int], rng: random.Random) -> Image.Image:
    wide, high = size
    if name in PAINTS:
        return Image.new("RGB", size, rng.choice(PAINTS[name]))
    low, image = round(high * rng.uniform(0.55, 0.7)), Image.new("RGB", size)
    pen = ImageDraw.Draw(image)
    sky, land = {
        "night": ((16, 18, 60), (16, 18, 60)),
        "sea": ((190, 225, 250), (30, 100, 180)),
        "grass": ((170, 215, 250), (90, 170, 70)),
        "desert": ((150, 205, 245), (235, 205, 140)),
        "snow": ((170, 195, 225), (250, 252, 255)),
    }[name]
    pen.rectangle((0, 0, wide, high), fill=sky)
    pen.rectangle((0, low, wide, high), fill=land)
    if name == "night":
        for _ in range(9):
            x, y, r = rng.random() * wide, rng.random() * high, max(1, round(0.008 * min(size)))
            pen.ellipse((x - r, y - r, x + r, y + r), fill=(255, 250, 210))
    return image


def _on_paper(image: Image.Image, hand: Hand, rng: random.Random) -> Image.Image:
    if hand.paper:
        noise = np.random.default_rng(rng.randrange(1 << 30)).normal(0, hand.paper, (*image.size[::-1], 1))
        image = Image.fromarray((np.asarray(image) + noise).clip(0, 255).round().astype(np.uint8))
    if hand.quality:
        image = image.filter(ImageFilter.GaussianBlur(0.4))
        image.save(kept := io.BytesIO(), "JPEG", quality=hand.quality)
        image = Image.open(kept).convert("RGB")
    return image


SPOTS = {  # nine places of a thing's middle: x, y
    "upper left": (0.2, 0.2),
    "top": (0.5, 0.2),
    "upper right": (0.8, 0.2),
    "left": (0.2, 0.5),
    "middle": (0.5, 0.5),
    "right": (0.8, 0.5),
    "lower left": (0.2, 0.8),
    "bottom": (0.5, 0.8),
    "lower right": (0.8, 0.8),
}
ROWS = {2: ((0.27, 0.5), (0.73, 0.5)), 3: ((0.2, 0.5), (0.5, 0.5), (0.8, 0.5))}
ROWS[4] = ((0.28, 0.28), (0.72, 0.28), (0.28, 0.72), (0.72, 0.72))  # type: ignore[assignment]


def drawing(rng: random.Random, kind: str, hand: Hand, seed: str) -> Drawing:
    """Return a drawing by chance. kind: "one" (anywhere), "several" (of one kind), "two" (side by side, or
    one above the other) or "other" (one that the demo world doesn't know)."""
    ground = rng.choice(list(PAINTS)) if rng.random() < 0.65 else rng.choice(list(PLACES))
    bad = PLACES[ground] if ground in PLACES else {ground} | CLOSE[ground]
    colours = [colour for colour in PAINTS if colour not in bad]
    size, names = rng.choice(SIZES), list(OTHERS if kind == "other" else KNOWN)
    if kind == "two":
        first, second = rng.sample(names, 2)
        spots = rng.choice((((0.26, 0.5), (0.74, 0.5)), ((0.5, 0.25), (0.5, 0.75))))
        things = [
            Thing(
                name,
                rng.choice(colours),
                x + rng.uniform(-0.03, 0.03),
                y + rng.uniform(-0.02, 0.02),
                rng.uniform(0.16, 0.21),
            )
            for name, (x, y) in zip((first, second), spots, strict=True)
        ]
    elif kind == "several":
        name, colour, count = rng.choice(names), rng.choice(colours), rng.choice((2, 3, 4))
        half = rng.uniform(0.11, 0.14) if count == 3 else rng.uniform(0.13, 0.19)
        things = [
            Thing(name, colour, x + rng.uniform(-0.02, 0.02), y + rng.uniform(-0.04, 0.04), half)
            for x, y in ROWS[count]
        ]
    else:
        name, colour = rng.choice(names), rng.choice(colours)
        spot = rng.choice(list(SPOTS)) if kind == "one" and rng.random() < 0.6 else "middle"
        half = rng.uniform(0.22, 0.4) if spot == "middle" else rng.uniform(0.12, 0.17)
        x, y = SPOTS[spot]
        things = [Thing(name, colour, x + rng.uniform(-0.03, 0.03), y + rng.uniform(-0.03, 0.03), half)]
    return Drawing(tuple(things), ground, size, hand, seed)
