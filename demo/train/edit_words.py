"""Edits: pairs of scenes that differ in one object while everything else stands still, and the words in which
people ask for one: verbs, synonyms, bare ends of sentences and politeness.
"""

import random
import re
from dataclasses import dataclass, replace

import numpy as np

from demo.drawing import HALF, SIZE, Placed, draw_steady, layout
from demo.world import (
    BACKGROUNDS,
    COLOUR_WORDS,
    COLOURS,
    FAINT,
    OBJECT_WORDS,
    OBJECTS,
    PLACE_WORDS,
    PLACES,
    POSITION_WORDS,
    RELATION_WORDS,
    REVERSE,
    SIZE_WORDS,
    STYLE_WORDS,
    STYLES,
    Group,
    Scene,
    compose,
    has_held_pair,
    is_held_out,
    join,
    plural,
)

KINDS = ("colour", "thing", "background", "style", "add", "remove")
MIX = {"colour": 0.21, "thing": 0.22, "background": 0.18, "style": 0.18, "add": 0.12, "remove": 0.09}
BASE = {"large": 0.3, "single": 0.3, "several": 0.1, "pair": 0.3}
RECOLOURED = 0.15  # share of replaced things that get a new colour, too: "replace the cat with a blue boat"
SMALL = (0.11, 0.24)  # half size of what is added beside something
APART = 0.85  # things may touch a little: how much of both their half sizes lies between their centres


@dataclass(frozen=True)
class Edit:
    """`before` becomes `after`; `group` is the changed one, of `after` where something is added, else of
    `before` (-1: background or style)."""

    kind: str  # one of KINDS
    before: Scene
    after: Scene
    placed: tuple[tuple[Placed, ...], tuple[Placed, ...]]  # before, after
    group: int
    seed: str  # of both drawings

    @property
    def changed(self) -> list[Placed]:
        """The things that the edit changes, as they stand before or after it; none for the whole picture."""
        there = self.placed[1 if self.kind == "add" else 0]
        return [thing for thing in there if thing.group == self.group]

    def pictures(self, size: tuple[int, int] = (SIZE, SIZE)):
        """Both pictures: RGB, `size` (width, height) px."""
        scenes = (self.before, self.after)
        return tuple(
            draw_steady(scene, self.seed, size, list(placed))
            for scene, placed in zip(scenes, self.placed, strict=True)
        )


def training_edit(rng: random.Random, size: tuple[int, int] = (SIZE, SIZE)) -> Edit:
    """An edit between compositions that are not held out, for a picture of a size (width, height)."""
    while True:
        edit = any_edit(rng, rng.choices(list(MIX), list(MIX.values()))[0], size)
        if not any(is_held_out(scene) or has_held_pair(scene) for scene in (edit.before, edit.after)):
            return edit


def held_out_edit(rng: random.Random, kind: str) -> Edit:
    """An edit of one thing whose two compositions no training has drawn."""
    while True:
        edit = any_edit(rng, kind, recoloured=0.0)
        scenes = [scene for scene in (edit.before, edit.after) if scene.groups]
        if all(is_held_out(scene) and not has_held_pair(scene) for scene in scenes):
            return edit


def any_edit(
    rng: random.Random, kind: str, size: tuple[int, int] = (SIZE, SIZE), recoloured: float = RECOLOURED
) -> Edit:
    """A random edit of a kind, for pictures of a size (width, height)."""
    if kind in ("add", "remove"):
        return _with_or_without(rng, kind, size)
    while True:
        scene = compose(rng, rng.choices(list(BASE), list(BASE.values()))[0])
        group = rng.randrange(len(scene.groups)) if kind in ("colour", "thing") else -1
        after = _changed(rng, scene, kind, group, recoloured)
        if after is None:
            continue
        placed = tuple(layout(scene, rng, size))
        moved = tuple(
            replace(thing, object=after.groups[thing.group].object, colour=after.groups[thing.group].colour)
            for thing in placed
        )
        return Edit(kind, scene, after, (placed, moved), group, f"edit {rng.random()}")


def _changed(rng, scene: Scene, kind: str, group: int, recoloured: float) -> Scene | None:
    """The scene after a change of a kind; None where this one can't be changed so."""
    if kind == "style":
        styles = [style for style in STYLES if style != scene.style and _can_be(scene, style)]
        return replace(scene, style=rng.choice(styles)) if styles else None
    if kind == "background":
        grounds = [
            ground
            for ground in BACKGROUNDS
            if ground != scene.background
            and not any(_lost(g.colour, ground, scene.style) for g in scene.groups)
        ]
        return replace(scene, background=rng.choice(grounds))
    old = scene.groups[group]
    thing, colour = old.object, old.colour
    if kind == "thing":
        thing = rng.choice([name for name in OBJECTS if name != old.object])
    if kind == "colour" or rng.random() < recoloured:
        colours = [c for c in COLOURS if c != old.colour and not _lost(c, scene.background, scene.style)]
        colour = rng.choice(colours)
    groups = list(scene.groups)
    groups[group] = Group(old.count, colour, thing, old.size)
    after = replace(scene, groups=tuple(groups))
    return after if len(set(after.pairs)) == len(after.pairs) else None


def _lost(colour: str, background: str, style: str) -> bool:
    """Whether a thing of a colour would vanish on a background."""
    return colour == background or style == "outline" and colour in FAINT[background]


def _can_be(scene: Scene, style: str) -> bool:
    """Whether the world draws this scene in a style (`demo.world.compose`)."""
    small = any(group.size == "small" for group in scene.groups)
    if style == "outline":
        alone = len(scene.groups) == 1 and scene.groups[0].count == 1
        return alone and not small and not _lost(scene.groups[0].colour, scene.background, style)
    return not (small and style == "pixel")


# Adding and removing
# ------------------------------------------------------------------------------------------------------------


def _with_or_without(rng, kind: str, size) -> Edit:
    """An edit that adds a group to what is there or takes one away."""
    full, placed, group = _fuller(rng, size)
    kept = tuple(g for index, g in enumerate(full.groups) if index != group)
    rest = tuple(replace(thing, group=0) for thing in placed if thing.group != group)
    less = Scene(kept, "any", full.background, full.style)
    if kind == "add":
        return Edit(kind, less, full, (rest, placed), group, f"edit {rng.random()}")
    return Edit(kind, full, less, (placed, rest), group, f"edit {rng.random()}")


def _fuller(rng, size) -> tuple[Scene, tuple[Placed, ...], int]:
    """A scene, its layout, and which of its groups comes or goes."""
    chance = rng.random()
    if chance < 0.15:  # the only one
        scene = compose(rng, rng.choice(("large", "single")))
        return scene, tuple(layout(scene, rng, size)), 0
    if chance < 0.6:
        scene = compose(rng, "pair")
        return scene, tuple(layout(scene, rng, size)), rng.randrange(2)
    while True:  # a small one beside one of any size
        scene = compose(rng, rng.choice(("large", "single", "single", "several")))
        there = layout(scene, rng, size)
        spot = _spot(rng, there, size)
        if scene.style in ("outline", "pixel") or spot is None:
            continue
        x, y, half = spot
        colour = rng.choice([c for c in COLOURS if c != scene.background])
        name = "small" if half < (HALF["small"][1] + HALF["medium"][0]) / 2 else "medium"
        new = Group(1, colour, rng.choice(OBJECTS), name)
        if (new.colour, new.object) in scene.pairs:
            continue
        place = _relation(there, x, y)
        both = Scene((scene.groups[0], new), place, scene.background, scene.style)
        return both, (*there, Placed(new.object, colour, x, y, half, 1)), 1


def _spot(rng, there: list[Placed], size) -> tuple[float, float, float] | None:
    """A free place for one more thing: x and y as shares of the picture, half as one of its shorter side."""
    width, height = (side / min(size) for side in size)
    for _ in range(40):
        half = rng.uniform(*SMALL)
        x = rng.uniform(half + 0.02, width - half - 0.02)
        y = rng.uniform(half + 0.02, height - half - 0.02)
        reach = [
            max(abs(thing.x * width - x), abs(thing.y * height - y)) / (thing.half + half) for thing in there
        ]
        if min(reach) > APART:
            return x / width, y / height, half
    return None


def _relation(there: list[Placed], x: float, y: float) -> str:
    """How those that are there stand to a thing at x, y (`Scene.place`)."""
    dx = x - float(np.mean([thing.x for thing in there]))
    dy = y - float(np.mean([thing.y for thing in there]))
    if abs(dx) > abs(dy):
        return "left" if dx > 0 else "right"
    return "above" if dy > 0 else "below"


SIDES = ("any", "center", "left", "right", "top", "bottom", "above", "below")  # of what is added
# What the text encoder must know at the end: the kind, the thing that is meant and its colour, the new thing,
# its colour, how many, where, background and style; the last class of each but the kind: not told.
SUMMARY = (
    len(KINDS),
    len(OBJECTS) + 1,
    len(COLOURS) + 1,
    len(OBJECTS) + 1,
    len(COLOURS) + 1,
    5,
    len(SIDES),
    len(BACKGROUNDS) + 1,
    len(STYLES) + 1,
)
LEADING = (
    "in ",
    "on ",
    "at ",
    "under ",
    "among ",
    "by ",
)  # how a phrase of PLACE_WORDS begins that follows a verb

RECOLOUR = (
    *("make {old} {colour}",) * 5,
    *("change {old} to {colour}",) * 2,
    "turn {old} {colour}",
    "paint {old} {colour}",
    "color {old} {colour}",
    "colour {old} {colour}",
    "recolor {old} {colour}",
    "change the color of {old} to {colour}",
    "change the colour of {old} to {colour}",
    "set the color of {old} to {colour}",
    "give {old} a {colour} color",
    "{old} should be {colour}",
    "i want {old} to be {colour}",
    "{old} in {colour}",
)
REPLACE = (
    *("change {old} to {new}",) * 3,
    *("change {old} into {new}",) * 2,
    *("turn {old} into {new}",) * 3,
    *("replace {old} with {new}",) * 3,
    *("make {old} {new}",) * 2,
    "replace {old} by {new}",
    "swap {old} for {new}",
    "switch {old} to {new}",
    "{new} instead of {old}",
    "{old} should be {new}",
    "draw {new} instead of {old}",
)
ON_COLOUR = (
    *("make the background {colour}",) * 4,
    *("change the background to {colour}",) * 3,
    "turn the background {colour}",
    "set the background to {colour}",
    "change the color of the background to {colour}",
    "paint the background {colour}",
    "replace the background with {colour}",
    "{colour} background",
    "a {colour} background",
    "with a {colour} background",
    "on a {colour} background",
    "put it on a {colour} background",
    "the background should be {colour}",
)
AT_PLACE = ("put {old} {place}", "make it {place}", "{place}", "place {old} {place}", "set it {place}")
TO_PLACE = (
    *("change the background to {place}",) * 3,
    *("make the background {place}",) * 2,
    "replace the background with {place}",
    "{place} background",
    "with {place} in the background",
    "turn the background into {place}",
    "make it {place}",
)
RESTYLE = (
    *("make it {style}",) * 3,
    *("as {style}",) * 3,
    *("turn it into {style}",) * 2,
    "turn the picture into {style}",
    "change the style to {style}",
    "in {style} style",
    "make it look like {style}",
    "draw it as {style}",
    "convert it to {style}",
    "convert to {style}",
    "redraw it as {style}",
    "{style}",
    "{style} style",
)
ADD = (
    *("add {new}",) * 6,
    *("put {new}",) * 2,
    "place {new}",
    "draw {new}",
    "with {new}",
    "also {new}",
    "and {new}",
    "there should be {new}",
    "give it {new}",
    "insert {new}",
)
REMOVE = (
    *("remove {old}",) * 5,
    *("delete {old}",) * 2,
    *("take away {old}",) * 2,
    "erase {old}",
    "take {old} away",
    "take out {old}",
    "get rid of {old}",
    "without {old}",
    "no {bare}",
    "drop {old}",
    "hide {old}",
    "remove {old} from the picture",
)
BEFORE = ("please", "can you", "could you", "now", "i want to", "let's", "just")
AFTER = ("please", "and keep the rest", ", keep everything else the same", "in this picture", "!", "now")


@dataclass(frozen=True)
class Instruction:
    """`text` as somebody types it, and the class of each part of SUMMARY."""

    text: str
    labels: tuple[int, ...]


def instruct(edit: Edit, rng: random.Random, noise: float = 0.15) -> Instruction:
    """A random instruction for an edit; `noise`: share of them with words around."""
    told = _Told()
    told.kind = edit.kind
    text = _PHRASES[edit.kind](edit, rng, told)
    if rng.random() < noise:
        text = f"{rng.choice(BEFORE)} {text}" if rng.random() < 0.5 else join([text, rng.choice(AFTER)])
    return Instruction(text.replace(" ,", ","), told.labels())


def instruction_words() -> set[str]:
    """Every word of the forms that instructions are made of."""
    forms = (*RECOLOUR, *REPLACE, *ON_COLOUR, *AT_PLACE, *TO_PLACE, *RESTYLE, *ADD, *REMOVE, *BEFORE, *AFTER)
    return set(re.findall(r"[a-z']+", re.sub(r"\{\w+\}", " ", " ".join(forms)))) | {"them"}


class _Told:
    """What the words of an instruction tell; None: nothing."""

    kind = "colour"
    old: str | None = None
    old_colour: str | None = None
    new: str | None = None
    new_colour: str | None = None
    count = 0
    side = "any"
    background: str | None = None
    style: str | None = None

    def labels(self) -> tuple[int, ...]:
        def index(names, name):
            return len(names) if name is None else names.index(name)

        return (
            KINDS.index(self.kind),
            index(OBJECTS, self.old),
            index(COLOURS, self.old_colour),
            index(OBJECTS, self.new),
            index(COLOURS, self.new_colour),
            self.count,
            SIDES.index(self.side),
            index(BACKGROUNDS, self.background),
            index(STYLES, self.style),
        )


def _noun(group: Group, rng) -> str:
    noun = rng.choice(OBJECT_WORDS[group.object])
    return plural(noun) if group.count > 1 else noun


def _article(text: str) -> str:
    return "an" if text[:1] in "aeiou" else "a"


def _old(edit: Edit, rng, told: _Told, bare: bool = False) -> str:
    """The thing that is there, named so that no other is meant."""
    group = edit.before.groups[edit.group]
    things = [other.object for other in edit.before.groups]
    if len(things) == 1 and not bare and rng.random() < 0.12:
        return "them" if group.count > 1 else "it"
    told.old = group.object
    noun = _noun(group, rng)
    if things.count(group.object) > 1 or rng.random() < 0.25:
        told.old_colour = group.colour
        noun = f"{rng.choice(COLOUR_WORDS[group.colour])} {noun}"
    return noun if bare else f"the {noun}"


def _new(group: Group, rng, told: _Told, coloured: bool) -> str:
    """The thing that shall be there, with its article or number."""
    told.new, told.count = group.object, group.count
    words = _noun(group, rng)
    if coloured:
        told.new_colour = group.colour
        words = f"{rng.choice(COLOUR_WORDS[group.colour])} {words}"
    return words


def _recolour(edit, rng, told):
    group = edit.after.groups[edit.group]
    told.new_colour = group.colour
    colour = rng.choice(COLOUR_WORDS[group.colour])
    return rng.choice(RECOLOUR).format(old=_old(edit, rng, told), colour=colour)


def _replace(edit, rng, told):
    before, after = edit.before.groups[edit.group], edit.after.groups[edit.group]
    coloured = before.colour != after.colour or rng.random() < 0.15
    words = _new(after, rng, told, coloured)
    if after.count == 1:
        words = f"{_article(words)} {words}"
    return rng.choice(REPLACE).format(old=_old(edit, rng, told), new=words)


def _reground(edit, rng, told):
    ground = told.background = edit.after.background
    if ground not in PLACES:
        return rng.choice(ON_COLOUR).format(colour=rng.choice(COLOUR_WORDS[ground]))
    place = rng.choice(PLACE_WORDS[ground])
    forms = AT_PLACE if place.startswith(LEADING) else TO_PLACE
    things = [other.object for other in edit.before.groups]
    old = "it"
    if len(things) == 1 and rng.random() < 0.6:
        old = f"the {_noun(edit.before.groups[0], rng)}"
    return rng.choice(forms).format(old=old, place=place)


def _restyle(edit, rng, told):
    told.style = edit.after.style
    style = rng.choice([words for words in STYLE_WORDS[edit.after.style] if words])
    if rng.random() < 0.15 and not style.startswith(("painted", "8 bit")):
        style = f"{_article(style)} {style}"
    return rng.choice(RESTYLE).format(style=style)


def _add(edit, rng, told):
    group = edit.after.groups[edit.group]
    words = _new(group, rng, told, rng.random() < 0.94)
    size = rng.choice(SIZE_WORDS[group.size]) if rng.random() < 0.4 else ""
    words = f"{size} {words}".strip()
    number = {1: _article(words), 2: "two", 3: "three", 4: "four"}[group.count]
    return f"{rng.choice(ADD).format(new=f'{number} {words}')} {_where(edit, rng, told)}".strip()


def _where(edit, rng, told) -> str:
    """Where what is added shall stand, in two of three instructions."""
    if rng.random() < 0.35:
        return ""
    if len(edit.after.groups) == 1:
        told.side = edit.after.place
        words = rng.choice(POSITION_WORDS[edit.after.place])
        if not words:
            told.side = "any"
        return words
    side = edit.after.place if edit.group == 0 else REVERSE[edit.after.place]
    words = rng.choice(RELATION_WORDS[side])
    told.side = "any" if words in ("next to", "beside") else side
    other = edit.after.groups[1 - edit.group]
    if rng.random() < 0.3 and told.side != "any":  # "on the left"
        place = {"above": "top", "below": "bottom"}.get(side, side)
        told.side = place
        return rng.choice(POSITION_WORDS[place])
    told.old = other.object
    return f"{words} the {_noun(other, rng)}"


def _remove(edit, rng, told):
    form = rng.choice(REMOVE)
    if "{bare}" in form:
        return form.format(bare=_old(edit, rng, told, bare=True))
    return form.format(old=_old(edit, rng, told))


_PHRASES = {
    "colour": _recolour,
    "thing": _replace,
    "background": _reground,
    "style": _restyle,
    "add": _add,
    "remove": _remove,
}
