"""Generated parts in a fixture, for what `own_models` is measured on: pictures of good parts, and of parts
with one of seven defects, each with a mask of the defect.

A part and its defect come from one seed: the same part is drawn twice, with and without the defect, and the
mask is where the two differ. Nothing of the detector's own trial defects
(vision.custom_models.anomaly.train) is used here.
"""

import colorsys
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIDE = 256
SCALE = 2  # pictures are drawn this much larger
PARTS = ("plate", "keypad", "dial", "circuit")
LATER = (
    "valve",
    "lattice",
)  # drawn after the method was fixed, and never looked at before they were measured
ALL = PARTS + LATER
DEFECTS = ("scratch", "stain", "crack", "missing", "misplaced", "colour", "chip")
SHIFT, TURN, GRADIENT, GAIN, NOISE = 2.5, 1.2, 0.06, 0.05, 2.5  # deviations: px, degrees, shares, levels
LEAST_CHANGE = 12  # levels by which a pixel of a mask differs
LEAST_PIXELS = 40  # of a mask


@dataclass(frozen=True)
class Element:
    """One piece of a part: where its middle is, in 0..1, and how it is drawn there."""

    x: float
    y: float
    draw: Callable[[ImageDraw.ImageDraw, float, float, float], None]  # (pen, x, y in pixels, hue to add)


def picture(
    part: str, seed: int, defect: str | None = None, strength: float = 1.0
) -> tuple[Image.Image, np.ndarray]:
    """Return a picture, (SIDE, SIDE), and the mask of its defect, bool (SIDE, SIDE), empty without one.
    strength: how clearly it is seen, 0..1."""
    rng = np.random.default_rng((seed, 7))
    turn, shift = rng.normal(0, TURN), rng.normal(0, SHIFT * SCALE, 2)
    good = np.asarray(_moved(_drawn(part, seed, None, 0), turn, shift), np.float32)
    if defect is None:
        return Image.fromarray(taken(good, rng)), np.zeros((SIDE, SIDE), bool)
    for attempt in range(20):  # until it can be seen: a dark stain on a dark chip is none
        bad = np.asarray(_moved(_drawn(part, seed, defect, attempt), turn, shift), np.float32)
        mask = np.abs(good - bad).max(-1) > LEAST_CHANGE
        if mask.sum() >= LEAST_PIXELS:
            break
    mask = np.asarray(Image.fromarray(mask.astype(np.uint8) * 255).filter(_CLOSE)) > 0
    return Image.fromarray(taken(good + strength * (bad - good), rng)), mask


_CLOSE = ImageFilter.MaxFilter(3)


def _moved(image: Image.Image, turn: float, shift: np.ndarray) -> Image.Image:
    moved = image.rotate(turn, Image.Resampling.BICUBIC, translate=tuple(shift), fillcolor=(44, 46, 50))
    return moved.resize((SIDE, SIDE), Image.Resampling.BOX)


def taken(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return what a camera makes of it: uneven light, another exposure, noise."""
    slope = rng.normal(0, GRADIENT, 2)
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    light = (1 + slope[0] * x + slope[1] * y) * (1 + rng.normal(0, GAIN))
    noisy = pixels * light[..., None] + rng.normal(0, NOISE, pixels.shape)
    return noisy.clip(0, 255).astype(np.uint8)


def _drawn(part: str, seed: int, defect: str | None, attempt: int) -> Image.Image:
    wound = np.random.default_rng((seed, 2, attempt))
    ground, elements = _blank(part, seed)
    ground = ground.copy()
    side = SIDE * SCALE
    pen = ImageDraw.Draw(ground)
    hit = int(wound.integers(len(elements))) if defect in ("missing", "misplaced", "colour") else -1
    for at, element in enumerate(elements):
        x, y, hue = element.x, element.y, 0.0
        if at == hit:
            if defect == "missing":
                continue
            if defect == "misplaced":
                angle = wound.uniform(0, 2 * math.pi)
                far = wound.uniform(0.028, 0.045)
                x, y = x + far * math.cos(angle), y + far * math.sin(angle)
            if defect == "colour":
                hue = wound.uniform(0.25, 0.6)
        element.draw(pen, x * side, y * side, hue)
    return WOUNDS[defect](ground, wound) if defect in WOUNDS else ground


@lru_cache(maxsize=2)
def _blank(part: str, seed: int) -> tuple[Image.Image, list[Element]]:
    """Return the part itself, the same with and without a defect: its ground, and what lies on it."""
    return _MAKERS[part](np.random.default_rng((seed, 1)))


def _inside(rng: np.random.Generator) -> tuple[float, float]:
    return tuple(rng.uniform(0.2, 0.8, 2) * SIDE * SCALE)


def _scratch(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    x, y = _inside(rng)
    angle, length = rng.uniform(0, math.pi), rng.uniform(60, 130)
    bright = int(rng.choice([235, 245, 30, 20]))
    end = (x + length * math.cos(angle), y + length * math.sin(angle))
    ImageDraw.Draw(image).line([(x, y), end], (bright,) * 3, int(rng.integers(2, 4)))
    return image


def _crack(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    x, y = _inside(rng)
    angle, points = rng.uniform(0, 2 * math.pi), [(x, y)]
    for _ in range(int(rng.integers(6, 10))):
        angle += rng.normal(0, 0.6)
        x, y = x + 14 * math.cos(angle), y + 14 * math.sin(angle)
        points.append((x, y))
    ImageDraw.Draw(image).line(points, (18, 16, 16), 3, joint="curve")
    return image


def _stain(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    x, y = _inside(rng)
    wide, high = rng.uniform(16, 34, 2)
    cover = Image.new("L", image.size)
    ImageDraw.Draw(cover).ellipse((x - wide, y - high, x + wide, y + high), int(rng.uniform(90, 150)))
    tone = (60, 42, 20) if rng.random() < 0.7 else (200, 190, 160)
    return Image.composite(
        Image.new("RGB", image.size, tone), image, cover.filter(ImageFilter.GaussianBlur(6))
    )


def _chip(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    x, y = _inside(rng)
    angles = np.sort(rng.uniform(0, 2 * math.pi, 7))
    far = rng.uniform(7, 15, 7)
    points = [(x + r * math.cos(a), y + r * math.sin(a)) for r, a in zip(far, angles, strict=True)]
    tone = int(rng.choice([50, 225]))
    ImageDraw.Draw(image).polygon(points, (tone, tone - 8, tone - 16))
    return image


WOUNDS = {"scratch": _scratch, "stain": _stain, "crack": _crack, "chip": _chip}


def _hue(colour: tuple[int, int, int], add: float) -> tuple[int, int, int]:
    """Turn a colour's hue by ``add``, 0..1; greys become colours."""
    if not add:
        return colour
    h, s, v = colorsys.rgb_to_hsv(*(each / 255 for each in colour))
    return tuple(round(255 * each) for each in colorsys.hsv_to_rgb((h + add) % 1, max(s, 0.5), max(v, 0.4)))


def grained(rng: np.random.Generator, colour: tuple[int, int, int], along: float, across: float, deep: float):
    """A square of a colour with a grain, smoothed along x and y by deviations in pixels, ``deep`` levels."""
    side = SIDE * SCALE
    grain = rng.normal(0, 1, (side, side))
    for axis, far in ((1, along), (0, across)):
        frequency = np.fft.rfftfreq(side) if axis == 1 else np.fft.rfftfreq(side)[:, None]
        kernel = np.exp(-2 * (math.pi * frequency * far) ** 2)
        grain = np.fft.irfft(np.fft.rfft(grain, axis=axis) * kernel, side, axis=axis)
    grain *= deep / grain.std()
    base = np.asarray(colour, np.float32) + grain[..., None]
    frame = np.full((side, side, 3), (44, 46, 50), np.float32)
    edge = round(side * 0.06)
    frame[edge:-edge, edge:-edge] = base[edge:-edge, edge:-edge]
    return Image.fromarray(frame.clip(0, 255).astype(np.uint8))


def _disc(radius: float, fill: tuple[int, int, int], rim: tuple[int, int, int], slot: float | None = None):
    def draw(pen: ImageDraw.ImageDraw, x: float, y: float, hue: float) -> None:
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), _hue(fill, hue), rim, 3)
        if slot is not None:
            dx, dy = 0.7 * radius * math.cos(slot), 0.7 * radius * math.sin(slot)
            pen.line((x - dx, y - dy, x + dx, y + dy), rim, 4)

    return draw


def _box(wide: float, high: float, fill: tuple[int, int, int], rim: tuple[int, int, int], mark: int = 0):
    def draw(pen: ImageDraw.ImageDraw, x: float, y: float, hue: float) -> None:
        pen.rounded_rectangle((x - wide, y - high, x + wide, y + high), 5, _hue(fill, hue), rim, 2)
        for line in range(mark):
            at = y + (line - (mark - 1) / 2) * 9
            pen.line((x - wide * 0.5, at, x + wide * (0.2 + 0.3 * (line % 2)), at), rim, 3)

    return draw


def _plate(rng: np.random.Generator):
    ground = grained(rng, (150, 154, 160), 14, 0.6, 9)
    screws = [(0.2, 0.2), (0.5, 0.18), (0.8, 0.2), (0.2, 0.8), (0.5, 0.82), (0.8, 0.8)]
    found = [
        Element(x, y, _disc(22, (112, 114, 120), (60, 62, 66), rng.uniform(0, math.pi))) for x, y in screws
    ]
    found += [Element(x, 0.5, _disc(34, (38, 38, 42), (84, 86, 90))) for x in (0.32, 0.68)]
    return ground, [*found, Element(0.5, 0.5, _box(26, 44, (186, 170, 110), (90, 84, 60), 3))]


def _keypad(rng: np.random.Generator):
    ground = grained(rng, (62, 64, 74), 1.2, 1.2, 5)
    tones = [(196, 198, 204)] * 9 + [(190, 70, 62), (70, 150, 90), (214, 176, 70)]
    found = []
    for at, tone in enumerate(tones):
        x, y = 0.22 + 0.19 * (at % 4), 0.26 + 0.24 * (at // 4)
        found.append(Element(x, y, _box(34, 40, tone, (34, 34, 40), 1 + at % 3)))
    return ground, found


def _dial(rng: np.random.Generator):
    ground = grained(rng, (206, 204, 198), 3, 3, 3)
    pen, side = ImageDraw.Draw(ground), SIDE * SCALE
    pen.ellipse((0.12 * side, 0.12 * side, 0.88 * side, 0.88 * side), (220, 218, 212), (40, 40, 44), 6)
    found = []
    for tick in range(12):
        angle = math.radians(135 + tick * 270 / 11)
        x, y = 0.5 + 0.32 * math.cos(angle), 0.5 + 0.32 * math.sin(angle)
        tone = (186, 40, 36) if tick > 8 else (36, 36, 40)
        found.append(Element(x, y, _disc(9, tone, tone)))
    found += [Element(0.5, 0.5, _disc(30, (52, 54, 60), (24, 24, 26), rng.normal(0.8, 0.02)))]
    return ground, [*found, Element(0.5, 0.7, _box(44, 18, (60, 110, 176), (30, 50, 90), 2))]


def _circuit(rng: np.random.Generator):
    ground = grained(rng, (38, 98, 60), 2, 2, 4)
    pen, side = ImageDraw.Draw(ground), SIDE * SCALE
    for at in range(9):
        y = (0.16 + 0.085 * at) * side
        pen.line((0.1 * side, y, (0.3 + 0.07 * (at % 4)) * side, y), (76, 140, 92), 4)
    found = [Element(0.2 + 0.075 * at, 0.12, _box(8, 16, (206, 172, 84), (120, 96, 40))) for at in range(9)]
    found += [Element(0.36, 0.42, _box(62, 52, (34, 34, 38), (12, 12, 14), 3))]
    found += [Element(0.72, 0.4, _box(40, 46, (44, 44, 50), (14, 14, 16), 2))]
    found += [Element(0.24 + 0.14 * at, 0.76, _disc(21, (70, 84, 150), (30, 34, 60), 0.0)) for at in range(3)]
    return ground, found + [
        Element(0.7 + 0.1 * (at % 2), 0.68 + 0.1 * (at // 2), _box(15, 9, (188, 150, 110), (100, 80, 50)))
        for at in range(4)
    ]


def _valve(rng: np.random.Generator):
    """Rings around a hub with six bolts, on cast iron."""
    ground = grained(rng, (96, 90, 86), 1.6, 1.6, 8)
    found = [Element(0.5, 0.5, _disc(150, (120, 116, 112), (58, 54, 52)))]
    for bolt in range(6):
        angle = math.radians(60 * bolt + 15)
        x, y = 0.5 + 0.23 * math.cos(angle), 0.5 + 0.23 * math.sin(angle)
        found.append(Element(x, y, _disc(17, (176, 150, 92), (70, 58, 34), rng.uniform(0, math.pi))))
    found.append(Element(0.5, 0.5, _disc(52, (60, 58, 60), (150, 146, 140))))
    return ground, [*found, Element(0.2, 0.84, _box(50, 20, (206, 202, 190), (50, 50, 50), 2))]


def _lattice(rng: np.random.Generator):
    """A grid of bars on blue plastic with a label."""
    ground = grained(rng, (52, 78, 128), 2.5, 2.5, 4)
    found = [Element(0.16 + 0.17 * at, 0.5, _box(10, 180, (174, 180, 190), (92, 96, 104))) for at in range(5)]
    found += [Element(0.5, 0.2 + 0.2 * at, _box(186, 8, (150, 158, 170), (86, 90, 98))) for at in range(4)]
    return ground, [*found, Element(0.58, 0.5, _box(46, 26, (230, 226, 120), (70, 66, 30), 3))]


_MAKERS = {
    "plate": _plate,
    "keypad": _keypad,
    "dial": _dial,
    "circuit": _circuit,
    "valve": _valve,
    "lattice": _lattice,
}
