"""Conversations: one picture and questions about it, pictures compared, frames of videos, names taught by
example.

Where pictures come from is not known here: a source gives them, with what is true of them. In training they
come from the pool, in the evaluation they are drawn anew from held-out compositions.
"""

import random
from dataclasses import dataclass
from typing import Any, NamedTuple

from demo.drawing import layout
from demo.train import chat_data
from demo.train.chat_data import (
    Asked,
    Drawn,
    about_chart,
    about_scene,
    about_sign,
    article,
    capital,
    chart_picture,
    random_chart,
    random_scene,
    random_word,
    scene_picture,
    sign_picture,
    single_scene,
    some,
    table,
)
from demo.world import COLOURS, OBJECTS, canonical

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
        return tuple(map(self._told, chat_data.pair(rng, self.held)))

    def video(self, rng):
        frames, way = chat_data.video(rng, self.held)
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
        second = chat_data.changed(first, rng.choice(("object", "colour", "background")), rng)
        return self._told(first, rng), self._told(second, rng)

    def video(self, rng):
        scene, way = single_scene(rng, self.held), rng.choice(chat_data.WAYS)
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
