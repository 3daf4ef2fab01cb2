"""Generated trays with screws, nuts and washers of any size and turn, on three grounds, for what finds
objects in pictures: each with the boxes of what lies there.

Nothing lies on anything else, all of it lies within the tray. A screw lies on its side, so that its box is as
long as it is turned; nuts have six edges and a small hole, washers are round and have a larger one, and the
ground is seen through both.
"""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tests.vision.custom_models.parts import SCALE, SIDE, grained, taken

KINDS = ("nut", "screw", "washer")
GROUNDS = (((150, 140, 120), 9, 0.8), ((78, 92, 104), 1.2, 1.2), ((204, 198, 188), 3, 3))  # colour, grain
FEWEST, MOST = 3, 9  # objects on a tray
SMALLEST, LARGEST = 18.0, 40.0  # px of the drawing, half of what a nut, a washer or a screw's head is wide
HOLES = {"nut": (0.40, 0.50), "washer": (0.55, 0.65)}  # shares of what is wide
APART = 6.0  # px of the drawing, between two objects
Box = tuple[float, float, float, float]
Point = tuple[float, float]


def picture(seed: int) -> tuple[Image.Image, list[tuple[str, Box]]]:
    """Return a tray, (SIDE, SIDE), and what lies on it: its kind with left, top, right, bottom in 0..1."""
    rng = np.random.default_rng((seed, 11))
    side = SIDE * SCALE
    colour, along, across = GROUNDS[int(rng.integers(len(GROUNDS)))]
    empty = grained(rng, colour, along, across, 7)
    objects: list[tuple[str, list[list[Point]], list[Point], float]] = []
    places: list[tuple[float, float, float]] = []
    for _ in range(int(rng.integers(FEWEST, MOST + 1))):
        kind = KINDS[int(rng.integers(len(KINDS)))]
        size = SMALLEST * (LARGEST / SMALLEST) ** rng.random() * (0.6 if kind == "screw" else 1.0)
        long = size * rng.uniform(2.2, 4.2) if kind == "screw" else 0.0
        reach = size + long / 2
        for _ in range(40):
            x, y = rng.uniform(0.08 * side + reach, 0.92 * side - reach, 2)
            if all(math.hypot(x - a, y - b) > reach + far + APART for a, b, far in places):
                break
        else:
            continue
        places.append((x, y, reach))
        hole = size * rng.uniform(*HOLES[kind]) if kind in HOLES else 0.0
        objects.append((kind, *_outlines(kind, x, y, size, long, hole, rng.uniform(0, 2 * math.pi)), size))
    shade = Image.new("L", (side, side))
    for _, shapes, _, size in objects:
        for shape in shapes:
            ImageDraw.Draw(shade).polygon([(x + size / 5, y + size / 4) for x, y in shape], 110)
    shade = shade.filter(ImageFilter.GaussianBlur(3))
    image = Image.composite(Image.new("RGB", (side, side), (20, 20, 22)), empty, shade)
    found = []
    for kind, shapes, hole, size in objects:
        _draw(image, empty, kind, shapes, hole, size, rng)
        xs, ys = zip(*(point for shape in shapes for point in shape), strict=True)
        found.append((kind, (min(xs) / side, min(ys) / side, max(xs) / side, max(ys) / side)))
    small = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX), np.float32)
    return Image.fromarray(taken(small, rng)), found


def _outlines(
    kind: str, x: float, y: float, size: float, long: float, hole: float, turn: float
) -> tuple[list[list[Point]], list[Point]]:
    """Return the outlines of what is drawn of an object, and that of its hole."""
    if kind == "screw":
        shaft, end = 0.5 * size, long / 2
        head = [
            (-end - 0.9 * size, -0.8 * size),
            (-end, -size),
            (-end, size),
            (-end - 0.9 * size, 0.8 * size),
        ]
        body = [(-end, -shaft), (end - shaft, -shaft), (end, 0.0), (end - shaft, shaft), (-end, shaft)]
        return [_turned(body, x, y, turn), _turned(head, x, y, turn)], []
    edges = 6 if kind == "nut" else 48
    return [_ring(x, y, size, edges, turn)], _ring(x, y, hole, 48, 0.0)


def _ring(x: float, y: float, radius: float, edges: int, turn: float) -> list[Point]:
    angles = [turn + 2 * math.pi * at / edges for at in range(edges)]
    return [(x + radius * math.cos(a), y + radius * math.sin(a)) for a in angles]


def _turned(points: list[Point], x: float, y: float, turn: float) -> list[Point]:
    c, s = math.cos(turn), math.sin(turn)
    return [(x + c * a - s * b, y + s * a + c * b) for a, b in points]


def _draw(
    image: Image.Image,
    empty: Image.Image,
    kind: str,
    shapes: list[list[Point]],
    hole: list[Point],
    size: float,
    rng: np.random.Generator,
) -> None:
    grey = int(rng.integers(130, 220))
    tone = (grey, grey, min(255, grey + int(rng.integers(-22, 14))))
    rim = tuple(max(0, each - 85) for each in tone)
    pen = ImageDraw.Draw(image)
    for shape in shapes:
        pen.polygon(shape, tone, rim, 2)
    if kind == "screw":  # its thread
        (tail, top), (far, tip) = shapes[0][0], shapes[0][4]
        along = (shapes[0][1][0] - tail, shapes[0][1][1] - top)
        turns = max(3, round(math.hypot(*along) / (0.35 * size)))
        for at in range(1, turns):
            dx, dy = along[0] * at / turns, along[1] * at / turns
            pen.line((tail + dx, top + dy, far + dx, tip + dy), rim, 2)
    if hole:
        mask = Image.new("L", image.size)
        ImageDraw.Draw(mask).polygon(hole, 255)
        image.paste(empty, (0, 0), mask)
        pen.polygon(hole, None, rim, 2)
