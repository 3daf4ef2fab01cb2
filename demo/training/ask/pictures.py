"""The pictures that the demo chat model is asked about: scenes, signs and bar charts, each with what is known
of it and with labels for every patch, from which the image tower learns.
"""

import dataclasses
import random
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from demo.drawing import PAINT, Placed, draw, layout, patches
from demo.training.vision import GRID, PATCH, SIZE
from demo.world import (
    BACKGROUNDS,
    COLOURS,
    OBJECTS,
    RELATIONS,
    STYLES,
    Group,
    Scene,
    compose,
    is_held_out,
)

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LONGEST = 5  # letters of a sign
TOP = 10  # the largest value of a chart
BARS = (3, 4, 5)
STEP = 50  # thousandths: boxes are told in steps as coarse as this
KINDS = ("scene", "sign", "chart")
MIX = {"large": 0.18, "single": 0.36, "several": 0.17, "pair": 0.26, "empty": 0.03}
AREAS = tuple((h, v) for v in ("top", "", "bottom") for h in ("left", "", "right"))  # nine fields
EDGES = (0.38, 0.62)  # between the fields
DOUBT = 0.02  # nearer to an edge than this, nobody is asked where a thing is

# What the throw-away heads of the tower say of every patch, and among how many answers; -1: nothing is asked.
HEADS = {
    "kind": len(KINDS),
    "background": len(BACKGROUNDS),
    "style": len(STYLES),
    "object": len(OBJECTS) + 1,  # the last: none
    "colour": len(COLOURS) + 1,
    "count": 5,  # of the group that the patch shows
    "area": len(AREAS),
    "relation": len(RELATIONS),  # of its group to the other
    "other_object": len(OBJECTS),
    "other_colour": len(COLOURS),
    "x0": 1000 // STEP + 1,
    "y0": 1000 // STEP + 1,
    "x1": 1000 // STEP + 1,
    "y1": 1000 // STEP + 1,
    "letter": len(LETTERS) + 1,
    "index": 6,  # of the letter or bar, from the left
    "length": 6,  # letters of the word, bars of the chart
    "value": TOP + 1,
    "extreme": 3,  # neither, highest, lowest
    **{f"spelled{k}": len(LETTERS) + 1 for k in range(LONGEST)},  # the whole word, by every letter's patch
}
ROW = {name: row for row, name in enumerate(HEADS)}
BACKWARD = {"above": "below", "below": "above", "left": "right", "right": "left"}


@dataclass(frozen=True)
class Drawn:
    """A scene as it was laid out."""

    scene: Scene
    placed: tuple[Placed, ...]

    @property
    def main(self) -> Group:
        return self.scene.groups[0]


@dataclass(frozen=True)
class Chart:
    """A bar chart from left to right."""

    colours: tuple[str, ...]
    values: tuple[int, ...]


@dataclass(frozen=True)
class Picture:
    """A picture as drawn and as the model sees it, the truth about it, and the labels of every patch."""

    image: Image.Image
    pixels: np.ndarray  # (SIZE, SIZE, 3) uint8
    truth: Drawn | Chart | str  # str: the word on a sign
    labels: np.ndarray  # (len(HEADS), GRID * GRID) int8


def _blank(kind: str) -> np.ndarray:
    labels = np.full((len(HEADS), GRID * GRID), -1, np.int8)
    labels[ROW["kind"]] = KINDS.index(kind)
    return labels


def _small(image: Image.Image, rng: random.Random) -> np.ndarray:
    """The picture as a processor shrinks it, at times blurred or noisy."""
    if rng.random() < 0.12:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.9) * image.width / 128))
    kernel = rng.choice((Image.BICUBIC, Image.BICUBIC, Image.BOX, Image.LANCZOS))
    a = np.asarray(image.resize((SIZE, SIZE), kernel))
    if rng.random() < 0.2:
        noise = np.random.default_rng(rng.randrange(1 << 30)).normal(0, rng.uniform(1, 5), a.shape)
        a = (a + noise).clip(0, 255).astype(np.uint8)
    return a


# Scenes
# ------------------------------------------------------------------------------------------------------------


def area(thing: Placed) -> int | None:
    """Which of AREAS a thing stands in; None where it is hard to say."""
    if any(abs(v - edge) < DOUBT for v in (thing.x, thing.y) for edge in EDGES):
        return None
    column, row = (sum(v > edge for edge in EDGES) for v in (thing.x, thing.y))
    return 3 * row + column


def box(thing: Placed) -> tuple[int, int, int, int]:
    """Left, top, right and bottom in thousandths of the picture, in steps of STEP."""
    sides = (thing.x - thing.half, thing.y - thing.half, thing.x + thing.half, thing.y + thing.half)
    return tuple(round(min(max(side, 0), 1) * 1000 / STEP) * STEP for side in sides)


def scene_picture(scene: Scene, rng: random.Random, placed: list[Placed] | None = None) -> Picture:
    """Draws a scene and says of each patch what it shows."""
    placed = layout(scene, rng) if placed is None else placed
    labels = _blank("scene")
    labels[ROW["background"]] = BACKGROUNDS.index(scene.background)
    labels[ROW["style"]] = STYLES.index(scene.style)
    labels[ROW["object"]], labels[ROW["colour"]] = len(OBJECTS), len(COLOURS)
    owner = patches(placed, GRID, GRID).ravel()
    for index, thing in enumerate(placed):
        group, own = scene.groups[thing.group], owner == index
        told = {
            "object": OBJECTS.index(thing.object),
            "colour": COLOURS.index(thing.colour),
            "count": group.count,
        }
        if group.count == 1:
            field = area(thing)
            told["area"] = -1 if field is None else field
            told |= {name: v // STEP for name, v in zip(("x0", "y0", "x1", "y1"), box(thing), strict=True)}
        if len(scene.groups) == 2:
            other = scene.groups[1 - thing.group]
            way = scene.place if thing.group == 0 else BACKWARD[scene.place]
            told["relation"] = RELATIONS.index(way)
            told["other_object"] = OBJECTS.index(other.object)
            told["other_colour"] = COLOURS.index(other.colour)
        for name, label in told.items():
            labels[ROW[name], own] = label
    image = draw(scene, rng, placed=placed)
    return Picture(image, _small(image, rng), Drawn(scene, tuple(placed)), labels)


def random_scene(rng: random.Random, held: bool, mix: dict[str, float] = MIX) -> Scene:
    """A scene of the training's nine tenths of all compositions, or of the tenth held out."""
    while True:
        scene = compose(rng, rng.choices(list(mix), list(mix.values()))[0])
        if is_held_out(scene) == held:
            return scene


def single_scene(rng: random.Random, held: bool, **wanted: str) -> Scene:
    """A scene of one thing that is easy to see; `wanted` may set its object, colour or background."""
    while True:
        scene = compose(rng, rng.choice(("large", "large", "single")))
        group = scene.groups[0]
        group = Group(
            1,
            wanted.get("colour", group.colour),
            wanted.get("object", group.object),
            "large" if group.size == "small" else group.size,
        )
        background = wanted.get("background", scene.background)
        style = "flat" if scene.style == "outline" else scene.style
        scene = Scene((group,), scene.place, background, style)
        if background != group.colour and is_held_out(scene) == held:
            return scene


def moving(scene: Scene, way: str, rng: random.Random, frames: int = 3) -> list[Picture]:
    """Pictures of a film in which the thing of a scene moves `left`, `right`, `up` or `down`."""
    (thing,) = layout(scene, rng)
    start, end, fixed = rng.uniform(0.2, 0.32), rng.uniform(0.68, 0.8), rng.uniform(0.3, 0.7)
    if way in ("left", "up"):
        start, end = end, start
    seed, pictures = rng.random(), []
    for k in range(frames):
        v = start + (end - start) * k / (frames - 1)
        x, y = (v, fixed) if way in ("left", "right") else (fixed, v)
        placed = [dataclasses.replace(thing, x=x, y=y, half=0.2)]
        pictures.append(scene_picture(scene, random.Random(seed), placed))
    return pictures


# Signs
# ------------------------------------------------------------------------------------------------------------

WORDS = (
    "OPEN SHUT STOP EXIT CAFE BAR SHOP SALE FREE HOT COLD TAXI BUS HOTEL PARK ZOO BANK FISH CAT TREE HOME"
    " STAR MOON BOAT TEA PIZZA BOOK TOYS FARM LAKE NORTH SOUTH EAST WEST PUSH PULL WET DRY LEFT RIGHT UP DOWN"
    " YES NO ICE MILK BEER WINE RED BLUE GREEN TRAIN PORT GATE QUIET VET GYM JAZZ KIOSK"
).split()
BOARDS = (  # board and ink
    ((250, 250, 245), (20, 20, 30)),
    ((250, 214, 60), (30, 20, 20)),
    ((40, 90, 190), (250, 250, 250)),
    ((200, 40, 40), (250, 250, 250)),
    ((30, 110, 60), (250, 250, 250)),
)
SIGN = 256  # px that a sign or chart is drawn at


def held_word(word: str) -> bool:
    """True for the seventh of all words that no training shows."""
    return len(word) > 1 and zlib.crc32(word.encode()) % 7 == 0


def random_word(rng: random.Random, held: bool, longest: int = LONGEST) -> str:
    """A word, or letters at random."""
    while True:
        length = rng.choice([n for n in (2, 3, 3, 4, 4, 5, 5) if n <= longest] or [1])
        word = rng.choice(WORDS) if rng.random() < 0.35 else "".join(rng.choices(LETTERS, k=length))
        if len(word) <= longest and held_word(word) == held:
            return word


def sign_picture(word: str, rng: random.Random) -> Picture:
    """Draws a board with a word on a pole, and says of each patch which letter it shows."""
    ground = draw(Scene((), "any", rng.choice(BACKGROUNDS), "flat"), rng, (64, 64))
    image = ground.resize((SIGN, SIGN), Image.BILINEAR)
    canvas = ImageDraw.Draw(image)
    font = ImageFont.load_default(int(min(110, 216 / (len(word) * 0.68)) * rng.uniform(0.86, 1)))
    left, top, right, bottom = canvas.textbbox((0, 0), word, font=font, stroke_width=2)
    width, height = right - left, bottom - top
    wide, high = width + rng.randint(12, 26), height + rng.randint(16, 36)
    x = rng.uniform(wide / 2 + 1, SIGN - 1 - wide / 2)
    y = rng.uniform(high / 2 + 4, 216 - high / 2)
    board, ink = rng.choice(BOARDS)
    canvas.rectangle([x - 5, y, x + 5, SIGN], fill=(110, 80, 50))
    canvas.rectangle(
        [x - wide / 2, y - high / 2, x + wide / 2, y + high / 2], fill=board, outline=ink, width=3
    )
    start = x - width / 2 - left
    canvas.text((start, y - height / 2 - top), word, font=font, fill=ink, stroke_width=2, stroke_fill=ink)
    labels = _blank("sign")
    labels[ROW["length"]] = len(word)
    letters = np.full((GRID, GRID), len(LETTERS), np.int8)
    index = np.full((GRID, GRID), -1, np.int8)
    ends = [start + left + canvas.textlength(word[:k], font=font) for k in range(len(word) + 1)]
    cell = SIGN / GRID
    centres = (np.arange(GRID) + 0.5) * cell
    rows = np.abs(centres - y) <= max(height / 2, cell / 2)
    owner = np.full(GRID, -1)
    for k in range(len(word)):
        owner[(centres >= ends[k]) & (centres < ends[k + 1])] = k
    for k in sorted(range(len(word)), key=lambda k: ends[k] - ends[k + 1]):  # the narrow last
        owner[min(max(int((ends[k] + ends[k + 1]) / 2 // cell), 0), GRID - 1)] = k
    for k, letter in enumerate(word):
        own = np.ix_(rows, owner == k)
        letters[own], index[own] = LETTERS.index(letter), k
    for k in range(LONGEST):
        shown = LETTERS.index(word[k]) if k < len(word) else len(LETTERS)
        labels[ROW[f"spelled{k}"], (index >= 0).ravel()] = shown
    labels[ROW["letter"]], labels[ROW["index"]] = letters.ravel(), index.ravel()
    return Picture(image, _small(image, rng), word, labels)


# Charts
# ------------------------------------------------------------------------------------------------------------


def held_chart(chart: Chart) -> bool:
    """True for the tenth of all charts that no training shows."""
    return zlib.crc32(repr(chart).encode()) % 10 == 0


def random_chart(rng: random.Random, held: bool) -> Chart:
    """Three to five bars of different colours."""
    while True:
        bars = rng.choice(BARS)
        colours = rng.sample([c for c in COLOURS if c != "white"], bars)
        chart = Chart(tuple(colours), tuple(rng.randint(1, TOP) for _ in range(bars)))
        if held_chart(chart) == held:
            return chart


def chart_picture(chart: Chart, rng: random.Random) -> Picture:
    """Draws bars over a grid of lines, one for every two units, and labels the patches that they touch."""
    image = Image.new("RGB", (SIGN, SIGN), (250, 250, 250))
    canvas = ImageDraw.Draw(image)
    left, right, top, base = 14, 250, 16, 240
    unit = (base - top) / TOP
    for value in range(0, TOP + 1, 2):
        y = base - value * unit
        canvas.line([left, y, right, y], fill=(205, 205, 210), width=2)
    pace = (right - left) / len(chart.values)
    wide = pace * rng.uniform(0.6, 0.8)
    labels = _blank("chart")
    labels[ROW["length"]] = len(chart.values)
    labels[ROW["colour"]] = len(COLOURS)
    cells = labels.reshape(-1, GRID, GRID)
    cell = SIGN / GRID
    centres = (np.arange(GRID) + 0.5) * cell
    values = sorted(chart.values)
    for k, (colour, value) in enumerate(zip(chart.colours, chart.values, strict=True)):
        x = left + pace * (k + 0.5)
        canvas.rectangle([x - wide / 2, base - value * unit, x + wide / 2, base], fill=PAINT[colour])
        columns = np.abs(centres - x) <= wide / 2
        columns[int(x // cell)] = True
        rows = (centres >= base - value * unit - cell / 2) & (centres <= base)
        where = np.ix_(rows, columns)
        cells[ROW["colour"]][where] = COLOURS.index(colour)
        cells[ROW["value"]][where] = value
        cells[ROW["index"]][where] = k
        highest, lowest = value == values[-1] > values[-2], value == values[0] < values[1]
        cells[ROW["extreme"]][where] = 1 if highest else 2 if lowest else 0
    canvas.line([left, top, left, base, right, base], fill=(40, 40, 40), width=4)
    assert PATCH * GRID == SIZE
    return Picture(image, _small(image, rng), chart, labels)
