"""Pictures of other hands than the pack's painter: drawings whose outlines, inks, grounds, textures and sizes
the pack has never seen, and photographs; each with the truth about what is in it.

Three hands: flat shapes of PIL, inked ones of OpenCV on paper, and shaded ones on patterned grounds. The
objects have the pack's names; their outlines are constructed anew here.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from demo.world import OBJECTS

SIZES = ((512, 512), (640, 480), (480, 640), (800, 600), (900, 506), (400, 400), (1024, 768), (700, 700))
HANDS = ("flat", "ink", "shaded")
PAINTS = {  # not the pack's own
    "red": ((204, 24, 30), (230, 60, 50), (178, 18, 44)),
    "orange": ((255, 150, 40), (238, 120, 16)),
    "yellow": ((255, 226, 40), (240, 204, 70)),
    "green": ((30, 140, 60), (90, 180, 80), (20, 110, 70)),
    "blue": ((30, 80, 200), (60, 120, 240), (20, 60, 160)),
    "purple": ((120, 40, 170), (150, 80, 200)),
    "pink": ((255, 130, 180), (240, 150, 200)),
    "white": ((250, 250, 250), (240, 240, 236)),
    "black": ((20, 20, 24), (40, 40, 44)),
    "brown": ((120, 72, 36), (146, 96, 60)),
}
Colour = tuple[int, int, int]
Outline = list[list[tuple[float, float]]]  # polygons in the unit square, (-1, -1) its upper left


def _ring(rx: float, ry: float, x: float = 0, y: float = 0, n: int = 48, begin: float = 0, end: float = 360):
    angles = np.radians(np.linspace(begin, end, n))
    return [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles]


def _star(points: int = 5, inner: float = 0.38) -> Outline:
    turns = [math.pi * i / points - math.pi / 2 for i in range(2 * points)]
    return [[((1, inner)[i % 2] * math.cos(a), (1, inner)[i % 2] * math.sin(a)) for i, a in enumerate(turns)]]


def _heart() -> Outline:
    ts = np.linspace(0, 2 * math.pi, 60)
    xs, ys = (
        16 * np.sin(ts) ** 3,
        13 * np.cos(ts) - 5 * np.cos(2 * ts) - 2 * np.cos(3 * ts) - np.cos(4 * ts),
    )
    return [[(float(x) / 17, -float(y) / 17) for x, y in zip(xs, ys, strict=True)]]


OUTLINES: dict[str, Callable[[], Outline]] = {  # the first polygon has the object's colour
    "ball": lambda: [_ring(0.95, 0.95)],
    "star": _star,
    "heart": _heart,
    "moon": lambda: [_ring(0.95, 0.95, begin=60, end=300) + _ring(0.75, 0.85, x=0.35, begin=284, end=76)],
    "diamond": lambda: [[(-0.55, -0.6), (0.55, -0.6), (0.95, -0.1), (0, 0.95), (-0.95, -0.1)]],
    "house": lambda: [
        [(-0.8, -0.1), (-0.95, -0.1), (0, -0.95), (0.95, -0.1), (0.8, -0.1), (0.8, 0.95), (-0.8, 0.95)],
        [(-0.18, 0.95), (-0.18, 0.4), (0.18, 0.4), (0.18, 0.95)],
        [(-0.6, 0.05), (-0.3, 0.05), (-0.3, 0.32), (-0.6, 0.32)],
    ],
    "tree": lambda: [
        [(0, -0.95), (0.35, -0.45), (0.2, -0.45), (0.6, 0.05), (0.3, 0.05), (0.8, 0.55)]
        + [(-0.8, 0.55), (-0.3, 0.05), (-0.6, 0.05), (-0.2, -0.45), (-0.35, -0.45)],
        [(-0.12, 0.55), (0.12, 0.55), (0.12, 0.95), (-0.12, 0.95)],
    ],
    "boat": lambda: [
        [(-0.95, 0.35), (0.95, 0.35), (0.65, 0.85), (-0.7, 0.85)],
        [(0.0, -0.9), (0.7, 0.2), (0.0, 0.2)],
        [(-0.06, -0.95), (0.02, -0.95), (0.02, 0.35), (-0.06, 0.35)],
    ],
    "flower": lambda: [
        [
            (
                (0.62 + 0.2 * math.cos(6 * a)) * math.cos(a),
                -0.3 + (0.62 + 0.2 * math.cos(6 * a)) * math.sin(a),
            )
            for a in np.linspace(0, 2 * math.pi, 90)
        ],
        _ring(0.2, 0.2, y=-0.3),
        [(-0.05, 0.4), (0.05, 0.4), (0.05, 0.98), (-0.05, 0.98)],
    ],
    "cat": lambda: [
        [(-0.75, -0.9), (-0.3, -0.55), (0.3, -0.55), (0.75, -0.9), (0.85, 0.1)]
        + _ring(0.85, 0.8, y=0.1, begin=10, end=170),
        _ring(0.12, 0.16, x=-0.35, y=0.0),
        _ring(0.12, 0.16, x=0.35, y=0.0),
        [(-0.1, 0.3), (0.1, 0.3), (0, 0.42)],
    ],
    "fish": lambda: [
        _ring(0.7, 0.45, x=-0.2, begin=25, end=335) + [(0.95, -0.5), (0.8, 0.0), (0.95, 0.5)],
        _ring(0.08, 0.08, x=-0.6, y=-0.1),
    ],
    "mushroom": lambda: [
        _ring(0.95, 0.85, y=0.1, begin=180, end=360),
        [(-0.25, 0.1), (0.25, 0.1), (0.32, 0.92), (-0.32, 0.92)],
        _ring(0.15, 0.13, x=-0.35, y=-0.25),
        _ring(0.12, 0.1, x=0.3, y=-0.35),
    ],
}
DETAILS = {
    "house": ((92, 60, 40), (250, 236, 160)),
    "tree": ((110, 74, 44),),
    "boat": ((244, 240, 228), (90, 60, 40)),
    "flower": ((250, 200, 60), (50, 130, 60)),
    "cat": ((30, 30, 30), (30, 30, 30), (220, 120, 130)),
    "fish": ((20, 20, 30),),
    "mushroom": ((236, 224, 200), (250, 250, 250), (250, 250, 250)),
}


@dataclass(frozen=True)
class Drawn:
    """An object in a picture. box: around it, px. mask: (h, w) of the parts that have its colour."""

    object: str
    colour: str
    box: tuple[int, int, int, int]
    mask: np.ndarray = field(repr=False)
    shape: np.ndarray = field(repr=False)  # all of it


@dataclass(frozen=True)
class Picture:
    """A drawing. ground: what is there without its objects; name: of the ground."""

    image: Image.Image
    ground: Image.Image
    name: str
    hand: str
    things: tuple[Drawn, ...]


def _ground(name: str, hand: str, size: tuple[int, int], rng: random.Random) -> Image.Image:
    width, height = size
    noise = np.random.default_rng(rng.randrange(2**31))
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    if name == "land":
        sky = np.array(rng.choice(((150, 210, 250), (190, 225, 245), (250, 200, 150))), np.float32)
        land = np.array(
            rng.choice(((110, 180, 90), (230, 205, 150), (240, 244, 250), (60, 120, 190))), np.float32
        )
        edge = height * rng.uniform(0.55, 0.75) + 0.03 * height * np.sin(xs / width * rng.uniform(2, 7))
        pixels = np.where((ys < edge)[..., None], sky, land)
    elif name == "gradient":
        a, b = (np.array([rng.randint(120, 255) for _ in range(3)], np.float32) for _ in range(2))
        share = ((xs / width + ys / height) / 2)[..., None]
        pixels = a * (1 - share) + b * share
    elif name == "stripes":
        a = np.array([rng.randint(150, 240) for _ in range(3)], np.float32)
        step = rng.randint(18, 60)
        pixels = np.where((((xs + ys * rng.choice((0, 1))) // step) % 2 == 0)[..., None], a, a - 22)
    else:
        pixels = np.broadcast_to(
            np.array([rng.randint(140, 252) for _ in range(3)], np.float32), (height, width, 3)
        )
    if hand == "ink":
        pixels = pixels + noise.normal(0, 5, (height, width, 1))
    elif hand == "shaded":
        soft = Image.fromarray(noise.integers(0, 255, (max(2, height // 16), max(2, width // 16)), np.uint8))
        grain = np.asarray(soft.resize(size, Image.Resampling.BICUBIC), np.float32) - 128
        pixels = pixels + 0.08 * grain[..., None] + noise.normal(0, 2, (height, width, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _points(polygon, x: float, y: float, half: float) -> list[tuple[float, float]]:
    return [(x + half * px, y + half * py) for px, py in polygon]


def _cover(polygon, size: tuple[int, int], smooth: bool = True) -> np.ndarray:
    """(h, w), 0..1: how much of each pixel lies in a polygon."""
    k = 3 if smooth else 1
    mask = Image.new("L", (size[0] * k, size[1] * k))
    ImageDraw.Draw(mask).polygon([(px * k, py * k) for px, py in polygon], fill=255)
    return np.asarray(mask.resize(size, Image.Resampling.BOX), np.float32) / 255


def _paint(canvas: np.ndarray, thing: str, paint: Colour, at, hand: str, rng: random.Random):
    """Draw an object; return its mask of colour, and of all."""
    size = canvas.shape[1], canvas.shape[0]
    main, whole = np.zeros(canvas.shape[:2], bool), np.zeros(canvas.shape[:2], bool)
    outlines = OUTLINES[thing]()
    colours = (paint, *DETAILS.get(thing, ()))
    colours = (*colours, *(colours[-1],) * (len(outlines) - len(colours)))
    layers = list(zip(outlines, colours, strict=True))
    for number, (polygon, colour) in enumerate(layers):
        points = _points(polygon, *at)
        cover = _cover(points, size, smooth=hand != "ink")
        fill = np.array(colour, np.float32)
        if hand == "shaded":
            ys, xs = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float32)
            away = np.hypot(xs - at[0] + 0.4 * at[2], ys - at[1] + 0.4 * at[2]) / (2 * at[2])
            fill = fill * (1.12 - 0.45 * away.clip(0, 1))[..., None]
        canvas[:] = canvas * (1 - cover[..., None]) + fill * cover[..., None]
        if hand == "ink":
            width = max(2, round(at[2] * 0.06))
            line = np.array(points, np.int32).reshape(-1, 1, 2)
            inked = np.ascontiguousarray(canvas.clip(0, 255).astype(np.uint8))
            cv2.polylines(inked, [line], True, (25, 22, 20), width, cv2.LINE_AA)
            canvas[:] = inked
            edge = np.zeros(canvas.shape[:2], np.uint8)
            cv2.polylines(edge, [line], True, 255, width)
            whole |= edge > 0
            main &= edge == 0
        inside = cover > 0.5
        whole |= cover > 0.02
        main = (main | (cover > 0.99)) if number == 0 else main & ~inside
    return main, whole


def drawing(seed: str) -> Picture:
    """A drawing of one or two objects."""
    rng = random.Random(seed)
    hand, (width, height) = rng.choice(HANDS), rng.choice(SIZES)
    name = rng.choice(("plain", "plain", "gradient", "land", "stripes"))
    ground = _ground(name, hand, (width, height), rng)
    canvas = np.asarray(ground, np.float32).copy()
    middle = np.asarray(ground, np.float32).mean((0, 1))
    free = [c for c, paints in PAINTS.items() if np.linalg.norm(middle - paints[0]) > 90]
    count, side = rng.choice((1, 1, 2)), min(width, height)
    things = []
    for index, thing in enumerate(rng.sample(OBJECTS, count)):
        colour = rng.choice([c for c in free if c not in [one.colour for one in things]])
        half = side * (rng.uniform(0.14, 0.3) if count == 1 else rng.uniform(0.13, 0.2))
        low, high = (
            (half + 8, width - half - 8)
            if count == 1
            else (
                (half + 8, width / 2 - half - 4) if index == 0 else (width / 2 + half + 4, width - half - 8)
            )
        )
        x, y = rng.uniform(low, max(low, high)), rng.uniform(half + 8, height - half - 8)
        main, whole = _paint(canvas, thing, rng.choice(PAINTS[colour]), (x, y, half), hand, rng)
        ys, xs = np.nonzero(whole)
        box = int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1
        things.append(Drawn(thing, colour, box, main, whole))
    image = Image.fromarray(canvas.round().clip(0, 255).astype(np.uint8))
    if hand == "shaded" and rng.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(0.8))
    return Picture(image, ground, name, hand, tuple(things))
