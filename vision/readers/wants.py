"""What the words of a prompt ask of a picture, as far as readers can see it: objects with their colour and
number, the ground, where an object is, and words that are written. Each knows whether it is there, and what
an editor is asked for where it isn't."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vision.readers.photo.describe import with_article
from vision.readers.questions import NUMBERS, SIDES, Measurer
from vision.readers.scene import Scene, Thing
from vision.weights.card import vocabulary_words

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white", "black", "brown")
GROUNDS = {colour: f"on a {colour} background" for colour in COLOURS}
COUNTS = {word: number for number, word in enumerate(NUMBERS) if number > 1} | {"pair": 2}
DIGITS = frozenset("23456789")
BACKDROPS = frozenset("background backdrop wall paper page".split())
BETWEEN = frozenset("a an the one in on at and with near to by beside against".split())
LATER = frozenset("in is are coloured colored painted".split())  # what a colour follows that is an object's
WITHOUT = frozenset("no not without".split())
LEVELS = {word: side for word, side in SIDES.items() if side in ("above", "below")}
HALVES = {"left": "left", "right": "right", "top": "above", "upper": "above"}
HALVES |= {"bottom": "below", "lower": "below"}
SLACK = 0.02  # of a side: how far beyond the picture's middle the middle of what is on a side may lie
QUOTED = re.compile(r"[\"\u201c\u201d]([^\"\u201c\u201d]{1,80})[\"\u201c\u201d]")
AS_SAID = ((r"\b(?:under|in) the stars\b|\bstarry (?:night|sky)\b", "at night"), (r"\bgolden hour\b", ""))


def lexicon_of(card: Mapping[str, Any], names: Collection[str]) -> Measurer:
    """Return a pack's words, as its chat model's card has them; else objects' ``names`` and ten colours."""
    if (measurer := Measurer.of(card)) is not None and set(measurer.things.values()) <= set(names):
        return measurer
    words = {form: name for name in names for form in (name, f"{name}s", f"{name}es")}
    return Measurer(words, {colour: colour for colour in COLOURS}, {}, GROUNDS, {})


@dataclass(frozen=True)
class Part:
    """So many things of a name. colour: "" = any."""

    name: str
    colour: str
    count: int

    def __str__(self) -> str:
        called = f"{self.colour} {self.name}".strip()
        return with_article(called) if self.count == 1 else f"{self.count} × {called}"

    def is_like(self, thing: Thing) -> bool:
        """Return whether a thing is one of these."""
        return thing.name == self.name and self.colour in ("", thing.colour)

    def is_in(self, scene: Scene) -> bool:
        """Return whether a scene has exactly so many of them."""
        return self.number_in(scene) == self.count

    def number_in(self, scene: Scene) -> int:
        """Return how many a scene has."""
        return sum(map(self.is_like, scene.things))

    def wish(self, scene: Scene, others: Iterable[Part]) -> str:
        """Return the words of an edit that brings ``scene`` nearer to this; "" where none does. To too few
        none is added: things that touch are easily seen as one. others: parts that stay."""
        if (number := self.number_in(scene)) > self.count:
            alike = sorted((one for one in scene.things if one.name == self.name), key=lambda one: one.middle)
            ends = ((alike[0], "left"), (alike[-1], "right"))  # the smaller one goes
            side = min(((one.share, side) for one, side in ends if self.is_like(one)), default=(0.0, ""))[1]
            return side and f"remove the {self.name} on the {side}"
        if number or self.count > 1:
            return ""
        free = [one for one in scene.things if not any(other.is_like(one) for other in others)]
        if self.colour and any(one.name == self.name for one in free):
            return f"make the {self.name} {self.colour}"
        if free:
            return f"replace the {free[0].colour} {free[0].name} with {self}"
        return f"add {self}"


@dataclass(frozen=True)
class Ground:
    """What is behind the objects. words: that say so."""

    name: str
    words: str

    def __str__(self) -> str:
        return self.words

    def is_in(self, scene: Scene) -> bool:
        """Return whether it is a scene's, or nothing is known of that."""
        return scene.ground in ("", self.name)

    def wish(self, scene: Scene, others: Iterable[Part]) -> str:
        """Return the words of an edit that brings it."""
        is_colour = self.words.endswith(f"{self.name} background")
        return f"make the background {self.name}" if is_colour else f"put it {self.words}"


@dataclass(frozen=True)
class Place:
    """That a thing is on a side of another, or of the picture where ``other`` is None."""

    part: Part
    side: str
    other: Part | None = None

    def __str__(self) -> str:
        if self.other is None:
            return {"above": "at the top", "below": "at the bottom"}.get(self.side, f"on the {self.side}")
        side = f"to the {self.side} of" if self.side in ("left", "right") else self.side
        return f"{self.part} {side} {self.other}"

    def is_in(self, scene: Scene) -> bool:
        """Return whether it is so. What isn't there at all isn't in a wrong place."""
        first = [thing.middle for thing in scene.things if self.part.is_like(thing)]
        second = [(0.5, 0.5)]
        if self.other is not None:
            second = [thing.middle for thing in scene.things if self.other.is_like(thing)]
        if not first or not second or not any(any(thing.box) for thing in scene.things):
            return True
        at = 0 if self.side in ("left", "right") else 1
        sign = 1 if self.side in ("left", "above") else -1
        slack = SLACK if self.other is None else 0.0
        return all(sign * (one[at] - two[at]) < slack for one in first for two in second)

    def wish(self, scene: Scene, others: Iterable[Part]) -> str:
        """Return "": no edit moves a thing."""
        return ""


@dataclass(frozen=True)
class Writing:
    """Words that are written in the picture."""

    text: str

    def __str__(self) -> str:
        return f"“{self.text}”"

    def is_in(self, scene: Scene) -> bool:
        """Return whether a scene's text has them; the case and what is no letter don't matter."""
        return _letters(self.text) in _letters(scene.text)

    def wish(self, scene: Scene, others: Iterable[Part]) -> str:
        """Return the words of an edit that writes them."""
        return f"write {self}"


Want = Part | Ground | Place | Writing


def _letters(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


@dataclass
class _Reading:
    """What is read of a prompt so far. colour, count: of the next thing. side: from the last to it."""

    parts: dict[tuple[str, str], int] = field(default_factory=dict)
    order: list[tuple[str, str]] = field(default_factory=list)
    relations: list[tuple[int, str, int]] = field(default_factory=list)
    grounds: dict[int, str] = field(default_factory=dict)  # by their words
    half: str = ""
    colour: str = ""
    count: int = 1
    side: str = ""


def wants_of(prompt: str, lexicon: Measurer) -> tuple[Want, ...]:
    """Return what a prompt asks for by words of ``lexicon``, and the words in quotes."""
    writings = tuple(Writing(said) for said in QUOTED.findall(prompt) if _letters(said))
    text = QUOTED.sub(" ", prompt).casefold()
    for pattern, instead in AS_SAID:
        text = re.sub(pattern, instead, text)
    read = _read([word for word, *_ in vocabulary_words(text)], lexicon)
    parts = {key: Part(*key, count) for key, count in read.parts.items()}
    wants: list[Want] = list(parts.values())
    if len(grounds := set(read.grounds.values())) == 1:  # of two it isn't clear which is behind
        [ground] = grounds
        wants.append(Ground(ground, lexicon.vocabulary.grounds[ground]))
    for first, side, second in read.relations:
        one, two = parts[read.order[first]], parts[read.order[second]]
        if one != two:
            wants.append(Place(one, side, two))
    if len(parts) == 1 and read.half and (alone := next(iter(parts.values()))).count == 1:
        wants.append(Place(alone, read.half))
    return (*wants, *writings)


def _read(words: list[str], lexicon: Measurer) -> _Reading:
    read, at, absent = _Reading(), 0, False
    while at < len(words):
        size, sort, what = lexicon.phrase(words, at)
        before, after = words[at - 1] if at else "", words[at + size] if at + size < len(words) else ""
        if sort == "thing":
            if not absent:
                key = what, read.colour
                read.parts[key] = read.parts.get(key, 0) + read.count
                read.order.append(key)
                if read.side:
                    read.relations.append((len(read.order) - 2, read.side, len(read.order) - 1))
            read.colour, read.count, read.side, absent = "", 1, "", False
        elif sort == "colour":
            follows = lexicon.phrase(words, at + size)[1] if after else ""
            last = read.order[-1] if read.order else None
            is_behind = after in BACKDROPS or (before == "on" and follows != "thing")
            is_later = before in LATER and follows != "thing" and (before != "in" or follows != "place")
            if is_behind and what in lexicon.vocabulary.grounds:
                read.grounds[at] = what
                read.side = ""
            elif is_later and last is not None and not last[1]:
                read.parts[last[0], what] = read.parts.pop(last)
                read.order[-1] = last[0], what
            else:
                read.colour = what
        elif sort == "place":
            if at - 1 not in read.grounds:  # a night sky is a night
                read.grounds[at] = what
            read.colour, read.side = "", ""
        elif what in WITHOUT:
            absent = True
        elif what in COUNTS or what in DIGITS:
            read.count = COUNTS.get(what) or (int(what) if after != "bit" else 1)
        elif what in LEVELS or (after == "of" and what in ("left", "right", "top")):
            read.side = (LEVELS | HALVES)[what] if read.order else ""
        elif what in HALVES and after != "of":
            if before in ("the", "at", "on", "near"):
                read.half = HALVES[what]
        elif what in BETWEEN:
            read.colour, read.count = "", 1
        at += size
    return read
