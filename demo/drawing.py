"""Draws a `Scene` with PIL: where its objects stand, how each looks, and which patch of the picture shows
which object.

Everything is drawn at twice the size and reduced, so edges are smooth. No detail is meant to be read below 4
px of 128. Each object is drawn by one function, with a brush in its own unit square.
"""

import math
import random
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from demo.world import Scene

CREAM, WOOD, LEAF, DARK = (250, 244, 228), (122, 78, 46), (58, 140, 66), (28, 28, 34)


def mix(colour, other, share):
    """Return `colour` moved by `share` (0..1) towards `other`; both are RGB triples."""
    return tuple(round(a + (b - a) * share) for a, b in zip(colour, other, strict=True))


class Brush:
    """Draws in an object's own unit square (-1 to 1) around its centre."""

    def __init__(self, draw, x, y, half, paint, outline):
        self.draw, self.x, self.y, self.half, self.outline = draw, x, y, half, outline
        self.main = paint
        dark, bright = sum(paint) < 150, min(paint) > 215
        self.light = mix(paint, (255, 255, 255), 0.3 if dark else 0.42)
        warm = (
            paint[0] > 220 and paint[1] > 110 and paint[2] < 100
        )  # yellow and orange darken to brown, not to olive
        deep = (150, 52, 0) if warm else (16, 6, 30)
        self.shade = (212, 217, 230) if bright else mix(paint, deep, 0.38 if dark or warm else 0.22)
        self.line = (
            (112, 114, 130)
            if dark
            else (134, 138, 158)
            if bright
            else mix(paint, deep, 0.75 if warm else 0.5)
        )
        if outline:
            self.line = paint
        self.width = max(3, round(half * (0.16 if outline else 0.075)))

    def _points(self, points):
        return [(self.x + px * self.half, self.y + py * self.half) for px, py in points]

    def polygon(self, points, fill, line=True):
        points = self._points(points)
        if not self.outline:
            self.draw.polygon(points, fill=fill)
        if line:
            self.draw.line(points + points[:2], fill=self.line, width=self.width, joint="curve")

    def ellipse(self, x, y, rx, ry, fill, line=True):
        (x0, y0), (x1, y1) = self._points([(x - rx, y - ry), (x + rx, y + ry)])
        self.draw.ellipse(
            [x0, y0, x1, y1],
            fill=None if self.outline else fill,
            outline=self.line if line else None,
            width=self.width if line else 0,
        )

    def stroke(self, points, fill, width=1.0):
        width = max(3, round(self.half * 0.13 * width))
        self.draw.line(
            self._points(points), fill=self.line if self.outline else fill, width=width, joint="curve"
        )

    def dot(self, x, y, rx, ry, fill):
        """A filled detail such as an eye: kept in line drawings too."""
        (x0, y0), (x1, y1) = self._points([(x - rx, y - ry), (x + rx, y + ry)])
        self.draw.ellipse([x0, y0, x1, y1], fill=self.line if self.outline else fill)


class Silhouette(Brush):
    """Draws all that an object covers in 255, on a canvas of mode "L"."""

    def __init__(self, draw, x, y, half, outline):
        super().__init__(draw, x, y, half, (0, 0, 0), outline)

    def polygon(self, points, fill, line=True):
        points = self._points(points)
        self.draw.polygon(points, fill=255)
        if line:
            self.draw.line(points + points[:2], fill=255, width=self.width, joint="curve")

    def ellipse(self, x, y, rx, ry, fill, line=True):
        (x0, y0), (x1, y1) = self._points([(x - rx, y - ry), (x + rx, y + ry)])
        self.draw.ellipse([x0, y0, x1, y1], fill=255)

    def stroke(self, points, fill, width=1.0):
        width = max(3, round(self.half * 0.13 * width))
        self.draw.line(self._points(points), fill=255, width=width, joint="curve")

    def dot(self, x, y, rx, ry, fill):
        self.ellipse(x, y, rx, ry, fill)


def _star_points(radius, inner=0.46, dy=0.05):
    turn = math.pi / 5
    radii = (radius, radius * inner)
    return [(math.sin(i * turn) * radii[i % 2], dy - math.cos(i * turn) * radii[i % 2]) for i in range(10)]


def _heart_points(scale, dx=0.0, dy=0.0):
    points = []
    for i in range(36):
        t = i * math.pi / 18
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        points.append((dx + scale * 0.95 * math.sin(t) ** 3, dy - scale * y / 16.5 - 0.03))
    return points


def _ball(b):
    b.ellipse(0, 0, 0.9, 0.9, b.shade)
    if not b.outline:
        b.ellipse(-0.07, -0.08, 0.76, 0.75, b.main, line=False)
        b.ellipse(-0.32, -0.38, 0.27, 0.22, b.light, line=False)


def _star(b):
    b.polygon(_star_points(1.0), b.main)
    if not b.outline:
        b.polygon(_star_points(0.55), b.light, line=False)


def _heart(b):
    b.polygon(_heart_points(1.0), b.main)
    if not b.outline:
        b.ellipse(-0.42, -0.42, 0.24, 0.2, b.light, line=False)


def _moon(b):
    outer = [
        (-0.05 + 0.95 * math.cos(math.radians(a)), 0.95 * math.sin(math.radians(a)))
        for a in range(50, 311, 10)
    ]
    inner = [
        (0.34 + 0.73 * math.cos(math.radians(a)), 0.73 * math.sin(math.radians(a)))
        for a in range(291, 68, -10)
    ]
    b.polygon(outer + inner, b.main)
    if not b.outline:
        b.ellipse(-0.62, -0.18, 0.16, 0.17, b.shade, line=False)
        b.ellipse(-0.42, 0.4, 0.14, 0.14, b.light, line=False)


def _diamond(b):
    b.polygon([(-0.5, -0.72), (0.5, -0.72), (0.95, -0.18), (0, 0.9), (-0.95, -0.18)], b.main)
    if b.outline:
        b.stroke([(-0.9, -0.18), (0.9, -0.18)], b.line)
        return
    b.polygon([(-0.48, -0.66), (0.48, -0.66), (0.86, -0.2), (-0.86, -0.2)], b.light, line=False)
    b.polygon([(0.3, -0.18), (0.86, -0.18), (0.04, 0.8)], b.shade, line=False)


def _house(b):
    b.polygon([(-0.7, -0.12), (0.7, -0.12), (0.7, 0.88), (-0.7, 0.88)], b.main)
    b.polygon([(-0.98, -0.08), (0, -0.95), (0.98, -0.08)], b.shade)
    b.polygon([(-0.48, 0.22), (-0.02, 0.22), (-0.02, 0.88), (-0.48, 0.88)], b.line)
    b.polygon([(0.18, 0.16), (0.52, 0.16), (0.52, 0.5), (0.18, 0.5)], (255, 240, 165))


def _tree(b):
    b.polygon([(-0.15, 0.4), (0.15, 0.4), (0.15, 0.95), (-0.15, 0.95)], WOOD, line=b.outline)
    if b.outline:
        b.polygon([(0, -0.95), (0.72, 0.5), (-0.72, 0.5)], b.main)
        return
    b.polygon([(0, -0.4), (0.78, 0.52), (-0.78, 0.52)], b.shade)
    b.polygon([(0, -0.95), (0.6, 0.05), (-0.6, 0.05)], b.main)
    b.polygon([(-0.02, -0.74), (0.06, -0.1), (-0.4, -0.1)], b.light, line=False)


def _boat(b):
    b.polygon([(0.06, -0.92), (0.8, 0.18), (0.06, 0.18)], CREAM)
    b.polygon([(-0.1, -0.6), (-0.1, 0.18), (-0.62, 0.18)], CREAM)
    b.stroke([(-0.02, -0.95), (-0.02, 0.4)], b.line)
    b.polygon([(-0.97, 0.32), (0.97, 0.32), (0.6, 0.9), (-0.6, 0.9)], b.main)
    if not b.outline:
        b.polygon([(-0.82, 0.38), (0.82, 0.38), (0.76, 0.52), (-0.72, 0.52)], b.light, line=False)


def _flower(b):
    b.stroke([(0, 0), (0, 0.95)], LEAF, 1.2)
    b.polygon([(0, 0.86), (0.2, 0.56), (0.55, 0.5), (0.36, 0.8)], LEAF, line=b.outline)
    for k in range(5):
        angle = k * 2 * math.pi / 5 - math.pi / 2
        b.ellipse(0.42 * math.cos(angle), 0.42 * math.sin(angle) - 0.25, 0.33, 0.33, b.main)
    yellow = b.main[0] > 200 and b.main[1] > 180 and b.main[2] < 120
    b.ellipse(0, -0.25, 0.25, 0.25, (236, 124, 40) if yellow else (255, 214, 70))


def _cat(b):
    for side in (-1, 1):
        b.polygon([(side * 0.82, 0.0), (side * 0.74, -0.95), (side * 0.1, -0.5)], b.shade)
    b.ellipse(0, 0.15, 0.88, 0.74, b.main)
    dark = sum(b.main) < 150
    if not b.outline:
        b.ellipse(0, 0.5, 0.36, 0.26, b.light, line=False)
    for side in (-1, 1):
        b.dot(side * 0.36, 0.04, 0.13, 0.17, (244, 226, 90) if dark else DARK)
    b.dot(0, 0.4, 0.13, 0.1, (240, 150, 170) if dark else DARK)


def _fish(b):
    b.polygon([(0.36, 0.02), (0.98, -0.55), (0.86, 0.02), (0.98, 0.6)], b.shade)
    b.ellipse(-0.2, 0.02, 0.76, 0.56, b.main)
    if not b.outline:
        b.ellipse(-0.2, 0.26, 0.5, 0.22, b.light, line=False)
        b.polygon([(-0.08, -0.1), (0.32, 0.02), (-0.08, 0.2)], b.shade, line=False)
        b.dot(-0.6, -0.12, 0.17, 0.17, (255, 255, 255))
    b.dot(-0.62, -0.11, 0.1, 0.11, DARK)


def _mushroom(b):
    b.polygon([(-0.26, 0.0), (0.26, 0.0), (0.36, 0.9), (-0.36, 0.9)], CREAM)
    cap = [(0.95 * math.cos(math.pi * i / 16), 0.15 - 0.98 * math.sin(math.pi * i / 16)) for i in range(17)]
    b.polygon(cap, b.main)
    if not b.outline:
        bright = min(b.main) > 215
        for x, y in ((-0.48, -0.2), (0.08, -0.48), (0.5, -0.12)):
            b.ellipse(x, y, 0.16, 0.15, (228, 120, 110) if bright else (255, 252, 244), line=False)


ARTISTS = {
    "ball": _ball,
    "star": _star,
    "heart": _heart,
    "moon": _moon,
    "diamond": _diamond,
    "house": _house,
    "tree": _tree,
    "boat": _boat,
    "flower": _flower,
    "cat": _cat,
    "fish": _fish,
    "mushroom": _mushroom,
}
FLOATING = {"star", "moon", "heart", "diamond", "fish"}


SIZE = 128  # px, the native size
OVERSAMPLING = 2

PAINT = {
    "red": (222, 44, 46),
    "orange": (246, 138, 30),
    "yellow": (252, 216, 56),
    "green": (56, 166, 74),
    "blue": (44, 100, 222),
    "purple": (138, 66, 188),
    "pink": (248, 140, 190),
    "white": (247, 247, 245),
    "black": (36, 36, 42),
    "brown": (134, 84, 48),
}


@dataclass(frozen=True)
class Placed:
    """One object in the picture: its centre as shares of width and height, its half size as a share of the
    shorter side."""

    object: str
    colour: str
    x: float
    y: float
    half: float
    group: int


# Layout
# ------------------------------------------------------------------------------------------------------------

HALF = {"small": (0.12, 0.15), "medium": (0.19, 0.235), "large": (0.29, 0.36)}
REGION = {  # x0, y0, x1, y1 of where a single object's centre may be
    "any": (0.12, 0.12, 0.88, 0.88),
    "center": (0.44, 0.44, 0.56, 0.56),
    "left": (0.1, 0.35, 0.3, 0.65),
    "right": (0.7, 0.35, 0.9, 0.65),
    "top": (0.35, 0.1, 0.65, 0.3),
    "bottom": (0.35, 0.7, 0.65, 0.9),
}
ROWS = {1: (1,), 2: (2,), 3: (3,), 4: (2, 2)}


def _grid(count, box, rng):
    """Cells (x, y, half) of `count` equal objects inside a box, as few rows as look natural in it; all in one
    unit."""
    x0, y0, x1, y1 = box
    width, height = x1 - x0, y1 - y0
    rows = ROWS[count]
    if count in (2, 3) and height > 1.4 * width:
        rows = (1,) * count
    elif count == 3 and width < 1.6 * height:
        rows = rng.choice(((1, 2), (2, 1)))
    half = 0.5 * min(width / max(rows), height / len(rows)) * rng.uniform(0.76, 0.88)
    cells = []
    for row, columns in enumerate(rows):
        for column in range(columns):
            x = x0 + width * (column + 0.5) / columns
            y = y0 + height * (row + 0.5) / len(rows)
            slack_x = max(0.0, width / columns / 2 - half) * 0.6
            slack_y = max(0.0, height / len(rows) / 2 - half) * 0.6
            cells.append((x + rng.uniform(-slack_x, slack_x), y + rng.uniform(-slack_y, slack_y), half))
    return cells


def layout(scene: Scene, rng: random.Random, size: tuple[int, int] = (SIZE, SIZE)) -> list[Placed]:
    """Where the objects of a scene stand in a picture of a size (width, height); every object lies inside
    it."""
    width, height = (side / min(size) for side in size)  # in shorter sides
    if len(scene.groups) == 2:
        cut = rng.uniform(0.46, 0.54)
        before, after = ((0.06, 0.03, 0.94, cut), (0.06, cut, 0.94, 0.97))
        if scene.place in ("left", "right"):
            before, after = ((0.03, 0.12, cut, 0.88), (cut, 0.12, 0.97, 0.88))
        boxes = (before, after) if scene.place in ("above", "left") else (after, before)
    else:
        boxes = ((0.04, 0.06, 0.96, 0.94),)
    placed = []
    for index, (group, box) in enumerate(zip(scene.groups, boxes, strict=False)):
        if len(scene.groups) == 1 and group.count == 1:
            half = rng.uniform(*HALF[group.size])
            x0, y0, x1, y1 = REGION[scene.place]
            x = min(max(rng.uniform(x0, x1) * width, half + 0.02), width - 0.02 - half)
            y = min(max(rng.uniform(y0, y1) * height, half + 0.02), height - 0.02 - half)
            cells = [(x, y, half)]
        else:
            x0, y0, x1, y1 = box
            box = (x0 * width, y0 * height, x1 * width, y1 * height)
            cells = [(x, y, min(half, 0.26)) for x, y, half in _grid(group.count, box, rng)]
        placed += [
            Placed(group.object, group.colour, x / width, y / height, half, index) for x, y, half in cells
        ]
    return placed


def patches(placed: list[Placed], rows: int, columns: int) -> np.ndarray:
    """Which object covers each patch: (rows, columns) int8, -1 where none does, else its index in
    `placed`."""
    owner = np.full((rows, columns), -1, np.int8)
    ys, xs = np.arange(rows) + 0.5, np.arange(columns) + 0.5
    for index, thing in enumerate(placed):
        reach = thing.half * 0.85 * min(rows, columns)
        owner[np.ix_(np.abs(ys - thing.y * rows) < reach, np.abs(xs - thing.x * columns) < reach)] = index
        owner[min(int(thing.y * rows), rows - 1), min(int(thing.x * columns), columns - 1)] = index
    return owner


# Backgrounds
# -------------------------------------------------------------------------------------------------------


def _gradient(top, bottom, width, height):
    """An RGB picture that goes from one colour to another, top to bottom."""
    strip = np.linspace(np.array(top, np.float32), np.array(bottom, np.float32), 32)[:, None]
    strip = strip.clip(0, 255).astype(np.uint8)
    return Image.fromarray(strip).resize((width, height), Image.BILINEAR)


def _cloud(draw, x, y, r, fill):
    for dx, dy, k in ((-1.1, 0.2, 0.75), (0, 0, 1.05), (1.1, 0.22, 0.8)):
        draw.ellipse(
            [x + (dx - k) * r, y + (dy - k * 0.7) * r, x + (dx + k) * r, y + (dy + k * 0.7) * r], fill=fill
        )


LANDS = {  # sky from top to horizon, land from horizon to bottom
    "sea": (((140, 200, 246), (216, 238, 252)), ((52, 134, 204), (20, 76, 150))),
    "grass": (((134, 198, 248), (218, 240, 252)), ((132, 200, 86), (70, 148, 62))),
    "desert": (((120, 190, 242), (244, 232, 210)), ((242, 212, 146), (214, 168, 98))),
    "snow": (((146, 176, 212), (214, 226, 240)), ((252, 253, 255), (222, 232, 246))),
    "sunset": (((98, 60, 138), (255, 168, 92)), ((74, 46, 84), (36, 26, 50))),
}


def _place(name, rng, width, height):
    n = min(width, height)
    if name in LANDS:
        (sky_top, sky_low), (land_top, land_low) = LANDS[name]
        horizon = round(height * rng.uniform(0.58, 0.68))
        picture = Image.new("RGB", (width, height))
        picture.paste(_gradient(sky_top, sky_low, width, horizon), (0, 0))
        picture.paste(_gradient(land_top, land_low, width, height - horizon), (0, horizon))
        draw = ImageDraw.Draw(picture)
        if name in ("grass", "snow", "desert"):  # a hill
            x, r = rng.uniform(0.1, 0.9) * width, rng.uniform(0.4, 0.7) * width
            draw.ellipse(
                [x - r, horizon - 0.09 * n, x + r, horizon + 0.3 * n], fill=mix(land_top, land_low, 0.15)
            )
            picture.paste(
                _gradient(mix(land_top, land_low, 0.15), land_low, width, height - horizon), (0, horizon)
            )
        if name == "sea":
            for _ in range(5):
                x, y = rng.random() * width, rng.uniform(horizon + 0.05 * height, 0.96 * height)
                draw.line([x - 0.09 * n, y, x + 0.09 * n, y], fill=(120, 182, 230), width=round(0.016 * n))
        if name in ("grass", "sea") and rng.random() < 0.6:
            _cloud(
                draw,
                rng.random() * width,
                rng.uniform(0.1, 0.3) * height,
                rng.uniform(0.06, 0.09) * n,
                (250, 252, 255),
            )
        return picture
    if name == "night":
        picture = _gradient((12, 14, 48), (50, 48, 116), width, height)
        draw = ImageDraw.Draw(picture)
        for _ in range(rng.randint(7, 12)):
            x, y, r = rng.random() * width, rng.random() * height, rng.uniform(0.009, 0.014) * n
            draw.ellipse([x - r, y - r, x + r, y + r], fill=(255, 248, 214))
        return picture
    picture = _gradient((86, 164, 242), (196, 228, 252), width, height)
    draw = ImageDraw.Draw(picture)
    for _ in range(rng.randint(2, 4)):
        _cloud(draw, rng.random() * width, rng.random() * height, rng.uniform(0.06, 0.1) * n, (250, 252, 255))
    return picture


def _plain(colour, rng, width, height):
    base = tuple(v + rng.randint(-8, 8) for v in PAINT[colour])
    lift = 0.14 if colour == "black" else 0.1
    return _gradient(mix(base, (255, 255, 255), lift), mix(base, (0, 0, 0), 0.08), width, height)


# Styles
# ------------------------------------------------------------------------------------------------------------


def _noise(cells, width, height, generator):
    values = generator.standard_normal((cells, cells)).astype(np.float32)
    return np.asarray(Image.fromarray(values).resize((width, height), Image.BICUBIC))


def _washed(width, height, generator):
    """Where in a picture each pixel of its watercolor comes from: rows and columns, both (height, width)."""
    ys, xs = np.mgrid[0:height, 0:width]
    shift = min(width, height) / 90
    ys = (ys + _noise(9, width, height, generator) * shift).round().astype(int).clip(0, height - 1)
    xs = (xs + _noise(9, width, height, generator) * shift).round().astype(int).clip(0, width - 1)
    return ys, xs


def _watercolor(picture, masks, rng):
    width, height = picture.size
    generator = np.random.default_rng(rng.randrange(1 << 30))
    a = np.asarray(picture.filter(ImageFilter.GaussianBlur(min(picture.size) / 140))).astype(np.float32)
    ys, xs = _washed(width, height, generator)
    a = a[ys, xs] * 0.84 + 255 * 0.16
    a *= 1 + _noise(7, width, height, generator)[..., None] * 0.045
    picture = Image.fromarray(a.clip(0, 255).astype(np.uint8))
    return picture, [Image.fromarray(np.asarray(mask)[ys, xs]) for mask in masks]


def _pixel(picture):
    width, height = picture.size
    block = min(picture.size) / 32
    small = picture.resize((round(width / block), round(height / block)), Image.BOX)
    return small.resize((width, height), Image.NEAREST)


def draw(
    scene: Scene, rng: random.Random, size: tuple[int, int] = (SIZE, SIZE), placed: list[Placed] | None = None
) -> Image.Image:
    """The RGB picture of a scene, `size` (width, height) px. The same scene, layout and generator state give
    the same pixels."""
    if placed is None:
        placed = layout(scene, rng, size)
    return _styled(_painted(scene, rng, size, placed), [], scene, rng)[0]


def draw_apart(
    scene: Scene, rng: random.Random, size: tuple[int, int], placed: list[Placed]
) -> tuple[Image.Image, np.ndarray]:
    """The picture that `draw` makes, and which thing of `placed` each pixel shows: (height, width) int8, -1 =
    the ground. What a line surrounds belongs to its thing."""
    width, height = (side * OVERSAMPLING for side in size)
    masks = []
    for thing in placed:
        mask = Image.new("L", (width, height))
        x, y, half = thing.x * width, thing.y * height, thing.half * min(width, height)
        ARTISTS[thing.object](Silhouette(ImageDraw.Draw(mask), x, y, half, scene.style == "outline"))
        masks.append(mask.resize(size, Image.BOX))
    picture, masks = _styled(_painted(scene, rng, size, placed), masks, scene, rng)
    owner = np.full(size[::-1], -1, np.int8)
    for index, mask in enumerate(masks):
        owner[np.asarray(mask) > 127] = index
    return picture, owner


def draw_steady(scene: Scene, seed: str, size: tuple[int, int], placed: list[Placed]) -> Image.Image:
    """The RGB picture of a scene whose ground, things and style have generators of their own, a thing by
    where it stands: scenes that differ in one thing make pictures that differ in nothing else."""

    def own(part: str) -> random.Random:
        return random.Random(f"{seed} {part}")

    picture = _painted(scene, own("ground"), size, placed, lambda thing: own(f"{thing.x} {thing.y}"))
    return _styled(picture, [], scene, own("style"))[0]


def _painted(scene, rng, size, placed, paint_of=None):
    """The picture before its style changes its pixels; `paint_of` gives each thing a generator for its
    paint."""
    width, height = (side * OVERSAMPLING for side in size)
    plain = scene.background in PAINT
    picture = (_plain if plain else _place)(scene.background, rng, width, height)
    canvas = ImageDraw.Draw(picture)
    outline = scene.style == "outline"
    for thing in placed:
        x, y, half = thing.x * width, thing.y * height, thing.half * min(width, height)
        if plain and not outline and thing.object not in FLOATING:  # a soft shadow below
            ground = mix(PAINT[scene.background], (20, 20, 40), 0.26)
            canvas.ellipse([x - half * 0.75, y + half * 0.78, x + half * 0.75, y + half * 1.02], fill=ground)
        hand = paint_of(thing) if paint_of else rng
        paint = tuple(min(255, max(0, v + hand.randint(-8, 8))) for v in PAINT[thing.colour])
        ARTISTS[thing.object](Brush(canvas, x, y, half, paint, outline))
    return picture.resize(size, Image.BOX)


def _styled(picture, masks, scene, rng):
    """The picture and the masks of its things after that."""
    if scene.style == "pixel":
        return _pixel(picture), [_pixel(mask) for mask in masks]
    if scene.style == "watercolor":
        return _watercolor(picture, masks, rng)
    return picture, masks
