"""Rows about edits beyond the pack's own drawings: pictures of other hands and photographs, in which all
that a change doesn't touch must stay; objects of one picture laid into another; dialogues of four changes.

`python -m demo.evaluate.edits SHEET.png` draws some of the first of them, before and after.
"""

import io
import random
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image, ImageDraw
from tqdm import tqdm

from core.requests import EditRequest
from demo import photographs
from demo.drawing import draw_steady, layout
from demo.evaluate import Report
from demo.evaluate.images import Pack
from demo.evaluate.others import PAINTS, Picture, drawing
from demo.evaluate.readers import models
from demo.judge import CENTRE
from demo.world import (
    COLOUR_WORDS,
    COLOURS,
    FAINT,
    OBJECT_WORDS,
    OBJECTS,
    PLACE_WORDS,
    PLACES,
    Scene,
    compose,
    held_out_scene,
)
from vision.capabilities import edit
from vision.edits.layers import Reader, find_objects
from vision.images.encode import enlarge
from vision.images.ops import dilated
from vision.reporter import Reporter

SHA, OTHER = "0" * 64, "1" * 64
KEPT = 0.97  # of the pixels outside
NAMES = {"colour": "colour", "add": "add", "remove": "remove", "thing": "object", "ground": "background"}
RECOLOURED = (  # photographs: the object that stands out, its new colour, and its outline by hand, px; none
    # where it fills the picture
    (
        *("chelsea", "cat", "blue"),
        ((0, 120), (30, 95), (30, 0), (400, 0), (370, 130), (345, 190), (320, 230), (330, 300), (0, 300)),
    ),
    (
        *("flower", "flower", "purple"),
        ((165, 220), (200, 120), (300, 82), (410, 120), (450, 220), (410, 330), (300, 364), (200, 330)),
    ),
    (
        *("coffee", "cup", "green"),
        ((72, 200), (160, 20), (390, 14), (484, 200), (470, 300), (380, 390), (220, 394), (100, 320)),
    ),
    ("rocket", "rocket", "red", ((304, 128), (338, 128), (340, 420), (302, 420))),
    ("moon", "moon", "yellow", ()),
    (
        *("motorcycle_left", "motorcycle", "green"),
        ((85, 200), (140, 140), (330, 110), (500, 75), (585, 120), (640, 270), (690, 370), (680, 450))
        + ((620, 455), (520, 340), (430, 390), (320, 440), (240, 405), (160, 400), (115, 330), (130, 250)),
    ),
)
ADDED = (  # photographs: what is added to them
    ("astronaut", "star", "yellow"),
    ("brick", "heart", "red"),
    ("camera", "ball", "red"),
    ("cell", "star", "blue"),
    ("chelsea", "ball", "green"),
    ("clock_motion", "heart", "purple"),
    ("coins", "flower", "red"),
    ("grass", "mushroom", "red"),
    ("gravel", "boat", "blue"),
    ("hubble_deep_field", "moon", "yellow"),
    ("retina", "star", "green"),
    ("rocket", "moon", "white"),
    ("china", "cat", "orange"),
    ("motorcycle_right", "ball", "yellow"),
)
KINDS = ("colour", "add", "remove", "thing", "ground")
SHARES = (45, 45, 45, 45, 20)  # of 200 drawings
GREY = 200  # of 255: a plain ground
MARGIN = 0.06  # of the longer side of an outline by hand
GROWN = 0.25  # of the longer side of the object's box, that its grown box has around it
LARGEST = 0.5  # of a picture, that what is added may take
SAME = 2  # of 255: pixels that differ by no more are kept
WHERE = {
    "night": "at night",
    "snow": "in the snow",
    "sea": "at sea",
    "desert": "in the desert",
    "grass": "on a meadow",
    "sunset": "at sunset",
}


@dataclass(frozen=True)
class Asked:
    """A change of a picture. thing: the object that is changed, by its number; None = of what is added, or
    the ground. wanted: colour and object, or the ground."""

    picture: Picture
    kind: str
    words: str
    thing: int | None
    wanted: tuple[str, str]


def article(words: str) -> str:
    """The words with "a" or "an" before them."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def asked(index: int, kind: str, seed: str = "others") -> Asked:
    """Change ``index`` of a kind, of a drawing of its own."""
    rng = random.Random(f"{seed} {kind} {index}")
    while True:
        picture = drawing(f"{seed} {kind} {index} {rng.random()}")
        thing = rng.randrange(len(picture.things))
        here, used = picture.things[thing], {one.object for one in picture.things}
        colours = [c for c in free_colours(picture.ground) if c not in {one.colour for one in picture.things}]
        if not colours:
            continue
        colour, other = rng.choice(colours), rng.choice([o for o in OBJECTS if o not in used])
        if kind == "add" and len(picture.things) > 1:
            continue
        if kind == "colour":
            words = rng.choice(("make the {} {}", "change the {} to {}", "paint the {} {}"))
            return Asked(picture, kind, words.format(here.object, colour), thing, (colour, here.object))
        if kind == "add":
            return Asked(picture, kind, f"add {article(f'{colour} {other}')}", None, (colour, other))
        if kind == "remove":
            words = rng.choice(("remove the {}", "take away the {}", "delete the {}"))
            return Asked(picture, kind, words.format(here.object), thing, (here.colour, here.object))
        if kind == "thing":
            words = rng.choice(("replace the {} with {}", "turn the {} into {}"))
            return Asked(
                picture, kind, words.format(here.object, article(other)), thing, (here.colour, other)
            )
        place = rng.choice(list(WHERE))
        return Asked(picture, kind, f"make it {WHERE[place]}", None, ("", place))


def free_colours(ground: Image.Image) -> list[str]:
    """The colours that can be seen on a ground."""
    pixels = np.asarray(ground.resize((16, 16)), np.float32).reshape(-1, 3)
    return [c for c, paints in PAINTS.items() if np.linalg.norm(pixels - paints[0], axis=1).min() > 80]


def colour_of(pixels: np.ndarray) -> str:
    """The name of the colour of most of (n, 3) pixels: the nearest in CIELAB by hue and lightness."""
    if not len(pixels):
        return ""
    lab = _lab(pixels)
    names = [name for name, paints in PAINTS.items() for _ in paints]
    known = _lab(np.array([paint for paints in PAINTS.values() for paint in paints], np.float32))
    scale = np.array((0.6, 1, 1), np.float32)  # shades of one colour differ in lightness
    nearest = np.linalg.norm((lab[:, None] - known[None]) * scale, axis=-1).argmin(1)
    counts: dict[str, int] = {}
    for at in nearest:
        counts[names[at]] = counts.get(names[at], 0) + 1
    return max(counts, key=counts.__getitem__)


def _lab(pixels: np.ndarray) -> np.ndarray:
    return cv2.cvtColor((np.asarray(pixels, np.float32)[None] / 255), cv2.COLOR_RGB2LAB)[0]


@dataclass(frozen=True)
class Seen:
    """What is found in a result. kept: of the pixels outside of the grown box, how many are as before."""

    done: bool
    kept: float
    box: tuple[int, int, int, int] | None


def judged(ask: Asked, after: Image.Image, judge: Callable) -> Seen:
    """Measure a result against the truth."""
    before = np.asarray(ask.picture.image, np.int16)
    if after.size != ask.picture.image.size:
        after = after.resize(ask.picture.image.size, Image.Resampling.LANCZOS)
    now = np.asarray(after, np.int16)
    apart = np.abs(now - before).max(-1)
    if ask.kind == "ground":
        return Seen(judge([after])[0].background == ask.wanted[1], 1.0, None)
    if ask.thing is not None:
        here = ask.picture.things[ask.thing]
        box = here.box
    else:
        box = changed_box(apart)
    if box is None:
        return Seen(False, 1.0, None)
    if (box[2] - box[0]) * (box[3] - box[1]) > LARGEST * apart.size:  # it can't be told from the rest
        return Seen(shows(after, box, ask.wanted, judge, told=True), float((apart <= SAME).mean()), box)
    wide = grown(box, before.shape[:2])
    outside = np.ones(before.shape[:2], bool)
    outside[wide[1] : wide[3], wide[0] : wide[2]] = False
    kept = float((apart[outside] <= SAME).mean()) if outside.any() else 1.0
    if ask.kind == "colour":
        done = colour_of(now[here.mask].astype(np.float32)) == ask.wanted[0]
    elif ask.kind == "remove":
        ground = np.asarray(ask.picture.ground, np.int16)
        off = np.abs(now - ground).max(-1)[here.shape]
        done = float((off <= 48).mean()) >= 0.9
    else:
        done = shows(after, wide, ask.wanted, judge, told=ask.kind == "add")
    return Seen(done, kept, box)


def shows(after: Image.Image, box, wanted: tuple[str, str], judge: Callable, told: bool) -> bool:
    """Whether the pack's judge sees the wanted object in a picture, or in the part around a box."""
    left, top, right, bottom = box
    side = 0.9 * max(right - left, bottom - top)
    x, y = (left + right) / 2, (top + bottom) / 2
    parts = [after] + [
        after.crop((int(x - k * side), int(y - k * side), int(x + k * side), int(y + k * side)))
        for k in (0.55, 0.8)
    ]
    for verdict in judge(parts):
        for found in verdict.found:
            if found.score > 0.35 and found.object == wanted[1] and (not told or found.colour == wanted[0]):
                return True
    return False


def changed_box(apart: np.ndarray) -> tuple[int, int, int, int] | None:
    """Around the largest piece of what has clearly changed."""
    count, _, stats, _ = cv2.connectedComponentsWithStats((apart > 24).astype(np.uint8), connectivity=8)
    if count < 2:
        return None
    best = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    x, y, w, h = (int(v) for v in stats[best, :4])
    return (x, y, x + w, y + h)


def grown(box: tuple[int, int, int, int], shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """A box with GROWN of its longer side around it, inside of a picture (h, w)."""
    more = round(GROWN * max(box[2] - box[0], box[3] - box[1]))
    return (
        max(0, box[0] - more),
        max(0, box[1] - more),
        min(shape[1], box[2] + more),
        min(shape[0], box[3] + more),
    )


def changed(pack: Pack, picture: Image.Image, words: str, seed: int) -> Image.Image:
    """What `/edit` makes of a picture."""
    request = EditRequest(prompt=words, image=SHA, seed=seed, num_images=1)
    output = edit.run(request, {SHA: picture}, pack.models, Reporter())
    return Image.open(io.BytesIO(output.pictures[0].data)).convert("RGB")


def other_rows(pack: Pack, report: Report, n: int):
    """Changes of `n` drawings of other hands, and of photographs."""
    done: dict[str, list[bool]] = {kind: [] for kind in KINDS}
    kept, shares = [], []
    wanted = [(kind, at) for kind, share in zip(KINDS, SHARES, strict=True) for at in range(n * share // 200)]
    for kind, at in tqdm(wanted, desc="others", mininterval=10):
        ask = asked(at, kind)
        seen = judged(ask, changed(pack, ask.picture.image, ask.words, 1000 + at), pack.judge)
        done[kind].append(seen.done)
        if kind != "ground":
            kept.append(seen.kept >= KEPT)
            shares.append(seen.kept)
    report.share("edit, other hands: asked change done", [hit for hits in done.values() for hit in hits], 0.9)
    for kind, hits in done.items():
        print(f"edit, other hands, {NAMES[kind]}: {sum(hits)} of {len(hits)}")
    name = "edit, other hands: rest within 2 of 255"
    report.row(f"{name}, mean %", round(100 * statistics.mean(shares), 2), 97.0)
    report.share(f"{name}: in {KEPT:.0%} of them", kept, None)


def photo_rows(pack: Pack, report: Report, n: int):
    """Changes of twenty photographs: things that are added, and objects in other colours. What was added is
    also judged before a plain ground: the judge knows drawings alone."""
    photographs.fetch()
    store, done, shares = models(), [], []
    there = {Path(each.path).stem: each for each in photographs.JUDGED}
    asks = [(name, f"make the {thing} {colour}", thing, colour) for name, thing, colour, _ in RECOLOURED]
    asks += [(name, f"add {article(f'{colour} {thing}')}", thing, colour) for name, thing, colour in ADDED]
    outlines = {f"make the {thing} {colour}": outline for _, thing, colour, outline in RECOLOURED}
    for at, (name, words, thing, colour) in enumerate(asks):
        before = there[name].open()
        request = EditRequest(prompt=words, image=SHA, seed=at, num_images=1)
        output = edit.run(request, {SHA: before}, store, Reporter())
        after = Image.open(io.BytesIO(output.pictures[0].data)).convert("RGB")
        apart = np.abs(np.asarray(after, np.int16) - np.asarray(before, np.int16)).max(-1)
        box = changed_box(apart)
        if box is None:
            done.append(False)
            shares.append(1.0)
            continue
        if words in outlines:
            done.append(colour_of(np.asarray(after, np.float32)[apart > 24]) == colour)
            outside = beside(outlines[words], before.size)
        else:
            wide, alone = grown(box, apart.shape), np.full((*apart.shape, 3), GREY, np.uint8)
            alone[apart > SAME] = np.asarray(after)[apart > SAME]
            parts = (after, Image.fromarray(alone))
            done.append(any(shows(part, wide, (colour, thing), pack.judge, told=True) for part in parts))
            outside = np.ones(apart.shape, bool)
            outside[wide[1] : wide[3], wide[0] : wide[2]] = False
        if outside.any():
            shares.append(float((apart[outside] <= SAME).mean()))
        elif words not in outlines:
            shares.append(0.0)  # all of it was drawn anew
        print(words, name, done[-1], round(shares[-1], 4), flush=True)
    report.share("photographs, edit done", done, 0.9)
    name = "photographs, rest kept"
    report.row(f"{name}, mean %", round(100 * statistics.mean(shares), 2), 97.0)
    report.share(f"{name}: in {KEPT:.0%} of them", [share >= KEPT for share in shares], None)


def beside(outline: tuple[tuple[int, int], ...], size: tuple[int, int]) -> np.ndarray:
    """Where a photograph has none of an object, nor a margin of MARGIN of its longer side around it."""
    inside = Image.new("L", size, 0 if outline else 255)
    if outline:
        ImageDraw.Draw(inside).polygon(outline, fill=255)
    left, top, right, bottom = inside.getbbox()
    return ~dilated(np.asarray(inside) > 0, round(MARGIN * max(right - left, bottom - top)))


def pair(index: int, scale: int) -> tuple[list[Image.Image], list[Scene], str]:
    """Two drawn pictures of one object each, and an instruction that lays the second's beside the first's."""
    rng = random.Random(f"several {index}")
    while True:
        scenes = [held_out_scene(rng, "single"), held_out_scene(rng, "single")]
        groups = [scene.groups[0] for scene in scenes]
        style = all(scene.style == "flat" for scene in scenes)
        lost = groups[1].colour == scenes[0].background or groups[1].colour in FAINT[scenes[0].background]
        if style and not lost and groups[0].object != groups[1].object:
            break
    pictures = [
        enlarge(draw_steady(s, f"{index} {k}", (128, 128), layout(s, rng)), scale)
        for k, s in enumerate(scenes)
    ]
    where = rng.choice(("next to", "beside", "to the left of", "to the right of"))
    return pictures, scenes, f"put the {groups[1].object} of 2 {where} the {groups[0].object}"


def several_rows(pack: Pack, report: Report, n: int):
    """Objects of a second picture laid into a first: both are seen by the judge, and told apart by what finds
    objects for the next change."""
    scale, both, again, ground = pack.settings["output_scale"], [], [], []
    reader = Reader(pack.models.get("segment"), pack.models.get("clip"))
    for index in tqdm(range(n), desc="several", mininterval=10):
        pictures, scenes, words = pair(index, scale)
        given = {SHA: pictures[0], OTHER: pictures[1]}
        request = EditRequest(prompt=words, image=SHA, images=(OTHER,), seed=index, num_images=1)
        output = edit.run(request, given, pack.models, Reporter())
        after = Image.open(io.BytesIO(output.pictures[0].data)).convert("RGB")
        wanted = {(scene.groups[0].colour, scene.groups[0].object) for scene in scenes}
        verdict = pack.judge([after])[0]
        both.append(wanted <= {(one.colour, one.object) for one in verdict.found if one.score > CENTRE})
        ground.append(verdict.background == scenes[0].background)
        there = find_objects(reader.segmenter, after)
        names = [reader.named(after, there, scene.groups[0].object)[:1] for scene in scenes]
        again.append(all(names) and names[0] != names[1])
    report.share("two pictures: both with their colours", both, 0.85)
    report.share("two pictures: both found again by name", again, 0.85)
    report.share("two pictures: the first one's ground", ground, None)


@dataclass(frozen=True)
class Turn:
    """A change in a dialogue, and what is to be seen after it."""

    words: str
    kind: str
    things: tuple[tuple[str, str], ...]
    ground: str


def dialogue(seed: str, *, plain: bool) -> tuple[Scene, list[Turn]]:
    """A drawn scene of one object, and four changes. plain: in plain words; else of a scene that no training
    has drawn, in words of all kinds."""
    rng = random.Random(seed)
    scene = held_out_scene(rng, "single")
    while scene.style != "flat" or scene.groups[0].count > 1:
        scene = compose(rng, "single") if plain else held_out_scene(rng, "single")
    things, ground, turns = [(scene.groups[0].colour, scene.groups[0].object)], scene.background, []
    kinds = rng.sample(("colour", "ground", "add", "ground", "colour", "thing", "remove"), 7)

    def say(name: str, words: dict) -> str:
        return name if plain else rng.choice([name, *words.get(name, ())])

    while len(turns) < 4:
        kind = kinds.pop(0) if kinds else rng.choice(("colour", "ground"))
        used = {colour for colour, _ in things}
        seen = [c for c in COLOURS if c not in used | {ground} | FAINT[ground]]
        if kind == "ground":
            to = [p for p in PLACES if p != ground and not used & FAINT[p]]
            if not to:
                continue
            ground = rng.choice(to)
            words = rng.choice(("make it {}", "put it {}", "now {}")).format(PLACE_WORDS[ground][0])
        elif kind == "add" and len(things) == 1 and seen:
            new = rng.choice(seen), rng.choice([o for o in OBJECTS if o != things[0][1]])
            words = f"add {article(f'{say(new[0], COLOUR_WORDS)} {say(new[1], OBJECT_WORDS)}')}"
            things = [*things, new]
        elif kind == "colour" and seen:
            at, colour = rng.randrange(len(things)), rng.choice(seen)
            words = f"make the {say(things[at][1], OBJECT_WORDS)} {say(colour, COLOUR_WORDS)}"
            things[at] = (colour, things[at][1])
        elif kind == "thing":
            at = rng.randrange(len(things))
            new = rng.choice([o for o in OBJECTS if o not in {thing for _, thing in things}])
            words = f"replace the {say(things[at][1], OBJECT_WORDS)} with {article(say(new, OBJECT_WORDS))}"
            things[at] = (things[at][0], new)
        elif kind == "remove" and len(things) > 1:
            at = rng.randrange(len(things))
            words = f"remove the {say(things[at][1], OBJECT_WORDS)}"
            things = [thing for k, thing in enumerate(things) if k != at]
        else:
            continue
        turns.append(Turn(words, kind, tuple(things), ground))
    return scene, turns


def chain_rows(pack: Pack, report: Report, n: int):
    """Dialogues of a picture and four changes, each of one picture: at most 60, plain and held out."""
    for name, plain, bars in (("plain", True, (0.95, 0.85)), ("held out", False, (0.9, None))):
        done, whole = [], []
        for index in tqdm(range(min(n, 60)), desc=f"dialogues, {name}", mininterval=10):
            scene, turns = dialogue(f"dialogue {name} {index}", plain=plain)
            rng, scale = random.Random(f"start {index}"), pack.settings["output_scale"]
            now = enlarge(draw_steady(scene, f"{index}", (128, 128), layout(scene, rng)), scale)
            before = tuple(scene.pairs)
            for number, turn in enumerate(turns):
                now = changed(pack, now, turn.words, 31 * index + 7 * number)
                verdict = pack.judge([now])[0]
                found = [(one.colour, one.object) for one in verdict.found if one.score > CENTRE]
                done.append(_is_done(turn, before, found, verdict.background))
                before = turn.things
            whole.append(sorted(found) == sorted(turns[-1].things) and verdict.background == turns[-1].ground)
        report.share(f"four changes, {name}: done", done, bars[0])
        report.share(f"four changes, {name}: all true at the end", whole, bars[1])


def _is_done(turn: Turn, before: tuple, found: list[tuple[str, str]], ground: str) -> bool:
    if turn.kind == "ground":
        return ground == turn.ground
    if turn.kind == "remove":
        [gone] = [thing for thing in before if thing not in turn.things]
        return gone[1] not in {thing for _, thing in found}
    [new] = [thing for thing in turn.things if thing not in before]
    return new[1] in {thing for _, thing in found} if turn.kind == "thing" else new in found


def main():
    torch.set_num_threads(1)
    pack, cells = Pack(), []
    for at, kind in ((at, kind) for at in range(8) for kind in KINDS):
        ask = asked(at, kind)
        cell = Image.new("RGB", (404, 222), "white")
        for side, picture in enumerate(
            (ask.picture.image, changed(pack, ask.picture.image, ask.words, 1000 + at))
        ):
            small = picture.copy()
            small.thumbnail((200, 200))
            cell.paste(small, (side * 202, 0))
        ImageDraw.Draw(cell).text((2, 206), ask.words, fill="black")
        cells.append(cell)
    sheet = Image.new("RGB", (len(KINDS) * 408, 8 * 226), "white")
    for number, cell in enumerate(cells):
        sheet.paste(cell, (number % len(KINDS) * 408, number // len(KINDS) * 226))
    sheet.save(sys.argv[1])


if __name__ == "__main__":
    main()
