"""Draws a `Scene` with PIL: where its objects stand, how they look, and which patch of the picture shows
which object.

Everything is drawn at twice the size and reduced, so edges are smooth. No detail is meant to be read below 4
px of 128.
"""

import random
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from demo.objects import ARTISTS, FLOATING, Brush, Silhouette, mix
from demo.world import Scene

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
