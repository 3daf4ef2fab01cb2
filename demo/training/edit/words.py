"""Puts an edit into words, as people ask for one: verbs, synonyms, bare ends of sentences and politeness, and
what of the edit the words tell."""

import random
import re
from dataclasses import dataclass

from demo.captions import join, plural
from demo.training.edit.scenes import KINDS, Edit
from demo.words import (
    COLOUR_WORDS,
    OBJECT_WORDS,
    PLACE_WORDS,
    POSITION_WORDS,
    RELATION_WORDS,
    REVERSE,
    SIZE_WORDS,
    STYLE_WORDS,
)
from demo.world import BACKGROUNDS, COLOURS, OBJECTS, PLACES, STYLES, Group

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
