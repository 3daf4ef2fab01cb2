"""The pictures that the demo chat model is asked about, questions with true answers about one of them, and
conversations of such questions. It is one module since each question is in both.

Scenes, signs and bar charts are drawn, each with what is known of it and with labels for every patch, from
which the image tower learns; they are drawn once and kept on disk, for drawing costs half as much as a step
of training.

A conversation has one picture and questions about it, pictures compared, frames of videos, or names taught by
example. Where pictures come from is not known here: a source gives them, with what is true of them. In
training they come from the pool, in the evaluation they are drawn again from held-out compositions."""

import dataclasses
import pickle
import random
import zlib
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from demo.drawing import PAINT, Placed, draw, layout, patches
from demo.train.loop import WORK, shard
from demo.train.readers import GRID, PATCH, SIZE
from demo.world import (
    BACKGROUNDS,
    CANONICAL_RELATION,
    COLOURS,
    OBJECT_WORDS,
    OBJECTS,
    RELATIONS,
    REVERSE,
    Group,
    Scene,
    background_phrase,
    canonical,
    compose,
    is_held_out,
    plural,
)
from demo.world import STYLES as WORLD_STYLES

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
    "style": len(WORLD_STYLES),
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
    labels[ROW["style"]] = WORLD_STYLES.index(scene.style)
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
    """Pictures of a video in which the thing of a scene moves `left`, `right`, `up` or `down`."""
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


SHARDS = 80
WAYS = ("left", "right", "up", "down")
# of one shard
SCENES, SINGLES, PAIRS, VIDEOS, SIGNS, CHARTS = 480, 120, 60, 30, 420, 200
EASY = (1, 1, 2, 2, 3, 3, 4, 5, 5)  # longest words of signs, by turns


def changed(scene: Scene, what: str, rng: random.Random) -> Scene:
    """The same scene of one thing but for its `object`, `colour` or `background`."""
    group = scene.groups[0]
    colour, thing, background = group.colour, group.object, scene.background
    if what == "object":
        thing = rng.choice([o for o in OBJECTS if o != thing])
    elif what == "colour":
        colour = rng.choice([c for c in COLOURS if c not in (colour, background)])
    else:
        background = rng.choice([b for b in BACKGROUNDS if b not in (background, colour)])
    return Scene((Group(1, colour, thing, group.size),), scene.place, background, scene.style)


def pair(rng: random.Random, held: bool) -> tuple[Picture, Picture]:
    """Two pictures that differ in one thing."""
    first = single_scene(rng, held)
    second = changed(first, rng.choice(("object", "colour", "background")), rng)
    return scene_picture(first, rng), scene_picture(second, rng)


def video(rng: random.Random, held: bool) -> tuple[list[Picture], str]:
    """Three frames in which a thing moves, and which way."""
    scene, way = single_scene(rng, held), rng.choice(WAYS)
    return moving(scene, way, rng), way


def draw_shard(number: int, share: float = 1.0) -> dict[str, list]:
    """The pictures of one shard by what they are for."""
    rng = random.Random(f"ask pictures {number}")

    def many(count):
        return range(max(2, round(count * share)))

    drawn = {"scene": [scene_picture(random_scene(rng, False), rng) for _ in many(SCENES)]}
    drawn["single"] = [scene_picture(single_scene(rng, False), rng) for _ in many(SINGLES)]
    drawn["pair"] = [pair(rng, False) for _ in many(PAIRS)]
    drawn["video"] = [video(rng, False) for _ in many(VIDEOS)]
    drawn["sign"] = [sign_picture(random_word(rng, False, EASY[k % len(EASY)]), rng) for k in many(SIGNS)]
    drawn["chart"] = [chart_picture(random_chart(rng, False), rng) for _ in many(CHARTS)]
    return drawn


def _draw(number: int) -> dict[str, np.ndarray]:
    """pixels and labels of a shard's pictures, and `index`, the bytes of a pickle that names them by
    place."""
    pictures: list[Picture] = []

    def put(picture):
        pictures.append(picture)
        return len(pictures) - 1, picture.truth

    index: dict[str, list] = {}
    for kind, drawn in draw_shard(number).items():
        if kind == "video":
            index[kind] = [([put(p) for p in frames], way) for frames, way in drawn]
        elif kind == "pair":
            index[kind] = [tuple(map(put, two)) for two in drawn]
        else:
            index[kind] = [put(picture) for picture in drawn]
    return {
        "pixels": np.stack([p.pixels for p in pictures]),
        "labels": np.stack([p.labels for p in pictures]),
        "index": np.frombuffer(pickle.dumps(index), np.uint8),
    }


class Pool:
    """Shards of drawn pictures. `index` names pictures by their place in `pixels` and `labels`."""

    def __init__(self, shards: int = 0):
        self.pixels, self.labels = [], []
        self.index: dict[str, list] = {}
        self.grow(shards)

    def grow(self, shards: int):
        """Takes in as many shards, drawing those that are not on disk."""
        for number in range(len(self.pixels), shards):
            path = WORK / "ask-pictures" / f"{number:03d}.npz"
            arrays, base = shard(path, partial(_draw, number)), sum(map(len, self.pixels))
            self.pixels.append(arrays["pixels"])
            self.labels.append(arrays["labels"])
            for kind, entries in pickle.loads(arrays["index"].tobytes()).items():
                self.index.setdefault(kind, []).extend(_moved(entry, base) for entry in entries)
        self._starts = np.cumsum([0, *map(len, self.pixels)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def _at(self, arrays, places):
        held = np.searchsorted(self._starts, places, "right") - 1
        return np.stack([arrays[s][i - self._starts[s]] for s, i in zip(held, places, strict=True)])

    def pixels_of(self, places) -> np.ndarray:
        """(B, SIZE, SIZE, 3) uint8."""
        return self._at(self.pixels, np.asarray(places))

    def labels_of(self, places) -> np.ndarray:
        """(B, len(HEADS), GRID * GRID) int8."""
        return self._at(self.labels, np.asarray(places))


def _moved(entry, base):
    """An entry of a shard's index with `base` added to every place."""
    first = entry[0]
    if isinstance(first, int):
        return (first + base, entry[1])
    if isinstance(first, list):  # a video
        return ([_moved(frame, base) for frame in first], entry[1])
    return tuple(_moved(one, base) for one in entry)


NUMBERS = ("none", "one", "two", "three", "four", "five")
STYLES = {"flat": "flat", "outline": "line art", "pixel": "pixel art", "watercolor": "watercolor"}
# How much likelier than others a kind of question is to be asked. What isn't there is asked for rarely: a
# model that hears of it too often answers everything with "there is no …".
LIKELY = {
    "absent": 0.2,
    "background": 3.0,
    "box": 0.5,
    "describe": 2.0,
    "object": 2.5,
    "relation": 3.0,
    "style": 0.3,
    "where": 4.0,
    "yes_no": 0.5,
}
SIGN_QUESTIONS = (
    "what does the sign say?",
    "what does the sign say?",
    "read the text.",
    "what is written there?",
    "which word is on the sign?",
)


class Asked(NamedTuple):
    """A question with the answer that is true, and what kind of question it is."""

    kind: str
    question: str
    answer: str


def article(words: str) -> str:
    """`words` with a or an before them."""
    return ("an " if words[:1] in "aeiou" else "a ") + words


def capital(question: str, rng: random.Random) -> str:
    """The question as people type it: most begin with a capital."""
    return question[0].upper() + question[1:] if rng.random() < 0.7 else question


def noun(thing: str, rng: random.Random) -> str:
    """The thing's name or, now and then, one of its synonyms."""
    return rng.choice(OBJECT_WORDS[thing]) if rng.random() < 0.2 else thing


def area_phrase(field: int) -> str:
    """One of the nine fields in words, such as `at the top left`."""
    across, down = AREAS[field]
    if not across and not down:
        return "in the middle"
    return ("at the " if down else "on the ") + " ".join(filter(None, (down, across)))


def box_text(sides) -> str:
    """`[left, top, right, bottom]` in thousandths."""
    return "[" + ", ".join(map(str, sides)) + "]"


def group_phrase(group: Group) -> str:
    """`a red cat`, `two blue stars`."""
    if group.count == 1:
        return article(f"{group.colour} {group.object}")
    return f"{NUMBERS[group.count]} {group.colour} {plural(group.object)}"


def about_scene(drawn: Drawn, rng: random.Random) -> list[Asked]:
    """Every kind of question that has one true answer for this scene."""
    scene = drawn.scene
    asked = [
        Asked(
            "describe",
            rng.choice(("what is in the picture?", "describe the picture.", "what do you see?")),
            canonical(scene),
        ),
        Asked(
            "background",
            rng.choice(
                ("what is in the background?", "what is the background?", "where does this take place?")
            ),
            background_phrase(scene.background),
        ),
        Asked("style", rng.choice(("which style is it?", "what style is this?")), STYLES[scene.style]),
    ]
    there = [group.object for group in scene.groups]
    gone = rng.choice([o for o in OBJECTS if o not in there])
    absent = noun(gone, rng)
    question = rng.choice((f"what colour is the {absent}?", f"where is the {absent}?"))
    asked.append(Asked("absent", question, f"there is no {gone}"))
    if rng.random() < 0.15:
        asked.append(Asked("count", f"how many {plural(absent)} are there?", "none"))
    named = rng.choice(there) if there and rng.random() < 0.5 else gone
    word = noun(named, rng)
    question = rng.choice((f"is there {article(word)}?", f"do you see {article(word)}?"))
    asked.append(Asked("yes_no", question, "yes" if named in there else "no"))
    if there:
        asked += _about_group(drawn, rng.randrange(len(there)), rng)
    return asked


def _about_group(drawn: Drawn, index: int, rng: random.Random) -> list[Asked]:
    groups = drawn.scene.groups
    me = groups[index]
    one = me.count == 1
    name = noun(me.object, rng)
    the, be = (name, "is") if one else (plural(name), "are")
    asked = []
    if len(groups) == 1:
        question = rng.choice(("what object is this?", "what thing is this?", "which object do you see?"))
        asked.append(Asked("object", question, article(me.object) if one else plural(me.object)))
    if len(groups) == 2 and groups[0].object == groups[1].object:
        return asked
    question = rng.choice(
        (f"what colour {be} the {the}?", f"which colour {be} the {the}?", f"colour of the {the}?")
    )
    asked.append(Asked("colour", question, me.colour))
    question = rng.choice((f"how many {plural(name)} are there?", f"count the {plural(name)}."))
    asked.append(Asked("count", question, NUMBERS[me.count]))
    colour = me.colour if rng.random() < 0.5 else rng.choice([c for c in COLOURS if c != me.colour])
    asked.append(Asked("yes_no", f"{be} the {the} {colour}?", "yes" if colour == me.colour else "no"))
    if one:
        thing = next(p for p in drawn.placed if p.group == index)
        question = rng.choice((f"give the box of the {the}.", f"locate the {the}."))
        asked.append(Asked("box", question, box_text(box(thing))))
        field = area(thing)
        if len(groups) == 1 and field is not None:
            question = rng.choice((f"where is the {the}?", f"in which part of the picture is the {the}?"))
            asked.append(Asked("where", question, area_phrase(field)))
    if len(groups) == 2:
        other = groups[1 - index]
        way = drawn.scene.place if index == 0 else REVERSE[drawn.scene.place]
        named = other.object if other.count == 1 else plural(other.object)
        answer = f"{CANONICAL_RELATION[way]} the {named}"
        asked.append(Asked("relation", f"where {be} the {the}?", answer))
        question = f"what is {CANONICAL_RELATION[REVERSE[way]]} the {the}?"
        asked.append(Asked("relation", question, group_phrase(other)))
    return asked


def about_sign(word: str, rng: random.Random) -> list[Asked]:
    """What a sign says."""
    return [Asked("sign", rng.choice(SIGN_QUESTIONS), word)]


def table(chart: Chart) -> str:
    """The chart's bars as lines of `red, 7`."""
    return "\n".join(f"{c}, {v}" for c, v in zip(chart.colours, chart.values, strict=True))


def about_chart(chart: Chart, rng: random.Random) -> list[Asked]:
    """Values, extremes, the number of bars, the whole table."""
    k = rng.randrange(len(chart.values))
    colour, value = chart.colours[k], chart.values[k]
    question = rng.choice(
        (f"what is the value of the {colour} bar?", f"how high is {colour}?", f"value of {colour}?")
    )
    asked = [Asked("value", question, str(value))]
    for choose, words in ((max, ("highest", "largest")), (min, ("lowest", "smallest"))):
        end = choose(chart.values)
        if chart.values.count(end) == 1:
            question = rng.choice(
                (f"which bar is the {words[0]}?", f"which colour has the {words[1]} value?")
            )
            asked.append(Asked("extreme", question, chart.colours[chart.values.index(end)]))
    question = rng.choice(("how many bars are there?", "how many bars does the chart have?"))
    asked.append(Asked("bars", question, NUMBERS[len(chart.values)]))
    question = rng.choice(
        ("give the values as a table.", "read the chart as csv.", "turn the chart into a table.")
    )
    asked.append(Asked("table", question, table(chart)))
    return asked


def some(asked: list[Asked], count: int, rng: random.Random) -> list[Asked]:
    """`count` of the questions in random order, by how likely their kinds are."""
    keyed = sorted(asked, key=lambda one: rng.random() ** (1 / LIKELY.get(one.kind, 1.0)), reverse=True)
    return keyed[:count]


CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"
INTRO = "You are provided the following series of three frames from a 0:00:03 [H:MM:SS] video.\n"
TO = {"left": "to the left", "right": "to the right", "up": "up", "down": "down"}
NEVER_NAMED = ("boat", "flower", "diamond", "mushroom")  # no lesson gives these another name
NAMED = tuple(thing for thing in OBJECTS if thing not in NEVER_NAMED)
UNTOLD = frozenset({"where", "box", "style"})  # what a canonical sentence doesn't say
LONG = frozenset({"describe", "box"})
WHAT, WHICH = "what is this?", "which colour is this?"


class Turn(NamedTuple):
    """One question (texts, and pictures by their place in the conversation) and its answer."""

    parts: tuple[str | int, ...]
    answer: str
    kind: str
    learned: bool = True  # whether training learns this answer


@dataclass(frozen=True)
class Talk:
    """A conversation and its pictures, as its source knows them."""

    pictures: list[Any]
    turns: list[Turn]


class Fresh:
    """A source that draws every picture anew, of held-out compositions or of the training's."""

    def __init__(self, held: bool):
        self.held = held

    def scene(self, rng):
        """A picture of any scene, and what is true of it; so with every method here."""
        return self._told(scene_picture(random_scene(rng, self.held), rng))

    def single(self, rng, **wanted):
        return self._told(scene_picture(single_scene(rng, self.held, **wanted), rng))

    def sign(self, rng):
        return self._told(sign_picture(random_word(rng, self.held), rng))

    def chart(self, rng):
        return self._told(chart_picture(random_chart(rng, self.held), rng))

    def pair(self, rng):
        return tuple(map(self._told, pair(rng, self.held)))

    def video(self, rng):
        frames, way = video(rng, self.held)
        return [self._told(frame) for frame in frames], way

    @staticmethod
    def _told(picture):
        return picture, picture.truth


class Facts:
    """A source without pictures: each is told in words instead."""

    def __init__(self, held: bool):
        self.held = held

    def scene(self, rng):
        """What is true of any scene, in words and as facts; so with every method here."""
        return self._told(random_scene(rng, self.held), rng)

    def single(self, rng, **wanted):
        return self._told(single_scene(rng, self.held, **wanted), rng)

    def sign(self, rng):
        word = random_word(rng, self.held)
        return f"a sign that says {word}", word

    def chart(self, rng):
        chart = random_chart(rng, self.held)
        return "bars: " + table(chart).replace("\n", "; "), chart

    def pair(self, rng):
        first = single_scene(rng, self.held)
        second = changed(first, rng.choice(("object", "colour", "background")), rng)
        return self._told(first, rng), self._told(second, rng)

    def video(self, rng):
        scene, way = single_scene(rng, self.held), rng.choice(WAYS)
        ends = (
            ("on the left", "on the right") if way in ("left", "right") else ("at the top", "at the bottom")
        )
        places = (ends[0], "in the middle", ends[1])
        if way in ("left", "up"):
            places = places[::-1]
        drawn = Drawn(scene, tuple(layout(scene, rng)))
        return [(f"{article(scene.groups[0].object)} {place}", drawn) for place in places], way

    @staticmethod
    def _told(scene, rng):
        return canonical(scene), Drawn(scene, tuple(layout(scene, rng)))


def _asked(pictures, first_parts, asked: list[Asked], rng) -> Talk:
    """A talk in which the first question comes with the pictures."""
    turns = []
    for one in asked:
        parts = (capital(one.question, rng),)
        turns.append(Turn((*first_parts, *parts) if not turns else parts, one.answer, one.kind))
    return Talk(pictures, turns)


def scene_talk(source, rng: random.Random, turns: int = 5, without: frozenset[str] = frozenset()) -> Talk:
    """Several questions about one scene, of any kinds but those of `without`."""
    picture, drawn = source.scene(rng)
    asked = [one for one in about_scene(drawn, rng) if one.kind not in without]
    return _asked([picture], (0,), some(asked, turns, rng), rng)


def drill_talk(source, rng: random.Random, turns: int = 12) -> Talk:
    """Many questions about one scene that have short answers; most need a word of the question to be looked
    up in the picture."""
    picture, drawn = source.scene(rng)
    asked = {one.question: one for _ in range(4) for one in about_scene(drawn, rng) if one.kind not in LONG}
    return _asked([picture], (0,), some(list(asked.values()), turns, rng), rng)


def pair_talk(source, rng: random.Random, turns: int = 6) -> Talk:
    """Where two things stand to each other, asked every way."""
    while True:
        picture, drawn = source.scene(rng)
        if len(drawn.scene.groups) == 2:
            break
    asked = [one for _ in range(6) for one in about_scene(drawn, rng) if one.kind in ("relation", "describe")]
    return _asked([picture], (0,), some(list(dict.fromkeys(asked)), turns, rng), rng)


def box_talk(source, rng: random.Random, turns: int = 2) -> Talk:
    """The boxes of what there is one of."""
    picture, drawn = source.scene(rng)
    asked = {
        one.answer: one for _ in range(4) for one in about_scene(drawn, rng) if one.kind in ("box", "where")
    }
    return _asked([picture], (0,), list(asked.values())[:turns], rng) if asked else scene_talk(source, rng)


def bars_talk(source, rng: random.Random, turns: int = 7) -> Talk:
    """Many questions about one chart, most about the value of a bar."""
    picture, chart = source.chart(rng)
    asked = {one.question: one for _ in range(6) for one in about_chart(chart, rng)}
    return _asked([picture], (0,), some(list(asked.values()), turns, rng), rng)


def told_talk(source, rng: random.Random) -> Talk:
    """Questions that one who only heard the canonical sentence of a scene can answer."""
    return scene_talk(source, rng, without=UNTOLD)


def sign_talk(source, rng: random.Random) -> Talk:
    """What a sign says."""
    picture, word = source.sign(rng)
    return _asked([picture], (0,), about_sign(word, rng), rng)


def chart_talk(source, rng: random.Random, turns: int = 4) -> Talk:
    """Several questions about one chart."""
    picture, chart = source.chart(rng)
    return _asked([picture], (0,), some(about_chart(chart, rng), turns, rng), rng)


def compare_talk(source, rng: random.Random, turns: int = 3) -> Talk:
    """Two pictures that differ in one thing."""
    (first, a), (second, b) = source.pair(rng)
    g, h = a.main, b.main
    what = "object" if g.object != h.object else "colour" if g.colour != h.colour else "background"

    def yes_no(same):
        return "yes" if same else "no"

    question = rng.choice(("what is different?", "what is the difference between the two pictures?"))
    asked = [
        Asked("compare", question, f"the {what}"),
        Asked("compare", "is it the same object in both pictures?", yes_no(g.object == h.object)),
        Asked("compare", "is the colour the same in both?", yes_no(g.colour == h.colour)),
    ]
    k = rng.randrange(2)
    which = ("the first", "the second")[k]
    if what == "object":
        asked.append(Asked("compare", f"which picture shows the {(g, h)[k].object}?", which))
    if what == "colour":
        asked.append(Asked("compare", f"which picture has the {(g, h)[k].colour} one?", which))
    rng.shuffle(asked)
    return _asked([first, second], (0, 1), asked[:turns], rng)


def _frames(rng) -> tuple:
    """Three frames in the words of SmolVLM's own video prompt, or in plain ones."""
    if rng.random() < 0.5:
        return (INTRO, "\nFrame from 00:00:", 0, "\nFrame from 00:01:", 1, "\nFrame from 00:02:", 2, "\n\n")
    return ("Frame 1:", 0, " frame 2:", 1, " frame 3:", 2, "\n")


def motion_talk(source, rng: random.Random) -> Talk:
    """Which way a thing moves."""
    frames, way = source.video(rng)
    thing = frames[0][1].main.object
    asked = Asked(
        "direction", rng.choice((f"which way does the {thing} move?", f"where does the {thing} go?")), TO[way]
    )
    if rng.random() < 0.3:
        asked = Asked("direction", "what happens in the video?", f"the {thing} moves {TO[way]}")
    return _asked([frame for frame, _ in frames], _frames(rng), [asked], rng)


def order_talk(source, rng: random.Random, turns: int = 3) -> Talk:
    """What comes first, last, before and after, in three frames of different things."""
    shown = [source.single(rng, object=thing) for thing in rng.sample(OBJECTS, 3)]
    groups = [drawn.main for _, drawn in shown]
    says = [article(f"{g.colour} {g.object}") for g in groups]
    k = rng.randrange(2)
    asked = [
        Asked("order", "what comes first?", says[0]),
        Asked("order", rng.choice(("what comes last?", "what is at the end?")), says[2]),
        Asked("order", f"what comes after the {groups[k].object}?", says[k + 1]),
        Asked("order", f"what comes before the {groups[k + 1].object}?", says[k]),
    ]
    rng.shuffle(asked)
    return _asked([picture for picture, _ in shown], _frames(rng), asked[:turns], rng)


def invented(rng: random.Random) -> str:
    """A word that means nothing, of two or three syllables."""
    return "".join(rng.choice(CONSONANTS) + rng.choice(VOWELS) for _ in range(rng.choice((2, 2, 3))))


def name_talk(
    source,
    rng: random.Random,
    ways: int = 2,
    shots: int = 2,
    by: str = "object",
    more: int = 0,
    things: tuple[str, ...] | None = None,
) -> Talk:
    """Invented names for objects or colours: `shots` examples of each, a question, and `more` questions.

    Training learns every answer whose name was told before."""
    names: list[str] = []
    while len(names) < ways:
        name = invented(rng)
        if name not in names:
            names.append(name)
    keys = rng.sample(things or (OBJECTS if by == "object" else COLOURS), ways)
    order = list(range(ways)) * shots
    rng.shuffle(order)
    order += [rng.randrange(ways) for _ in range(1 + more)]
    question = (WHAT if by == "object" else WHICH).capitalize()
    pictures, turns, told = [], [], set()
    for k in order:
        pictures.append(source.single(rng, **{by: keys[k]})[0])
        turns.append(Turn((len(pictures) - 1, question), names[k], "naming", k in told))
        told.add(k)
    return Talk(pictures, turns)


def follow_talk(source, rng: random.Random) -> Talk:
    """Three questions about a scene, the last of a kind that needs the picture again."""
    while True:
        talk = scene_talk(source, rng, turns=3)
        if len(talk.turns) == 3:
            return talk
