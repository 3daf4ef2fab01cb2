"""Sentences by pattern, beside those that people wrote: each way to say a wish with many different words.

``patterns.json`` has the ways of each kind: ``(a|b)`` is a choice, ``{thing}`` a word of a list, and
``{do:ing}`` the same in another form. Some meet a conversation that has begun, some its beginning.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from functools import cache

from core.talk import NEEDS_PICTURE, Picture, State
from demo.train.talk import corpora
from studio.talk.words import plain, read_words

FILE = corpora.HERE / "patterns.json"
TIMES, MORE = 10, 2  # sentences of a pattern, and more for each "|" in it
_CHOICE, _SLOT = re.compile(r"\(([^()]*)\)"), re.compile(r"\{(\w+)(?::(\w+))?\}(s?)")
_KINDS = ("change", "change", "change", "again", "extend", "upscale", "cutout", "video")


@cache
def _read() -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return the choice of each slot, and the patterns of each kind."""
    read = json.loads(FILE.read_text("utf-8"))
    words = json.loads((corpora.HERE / "vocabulary.json").read_text("utf-8"))
    lists = {name: listed.replace(" ", "|") for name, listed in words.items() if isinstance(listed, str)}
    return {name: f"({listed})" for name, listed in (lists | read["slots"]).items()}, read["kinds"]


def _form(phrase: str, form: str) -> str:
    """Return a phrase that begins with a verb, in the form "s" or "ing"."""
    verb, _, rest = phrase.partition(" ")
    if form == "s":
        verb += "es" if verb.endswith(("sh", "ch", "ss")) else "s"
    elif verb.endswith("e") and not verb.endswith("ee"):
        verb = f"{verb[:-1]}ing"
    else:
        verb += verb[-1] * bool(re.fullmatch(r"\w*[^aeiou][aeiou][bgmnpt]", verb)) + "ing"
    return f"{verb} {rest}".strip()


def _said(pattern: str, chance: random.Random) -> str:
    """Return a sentence of a pattern."""
    slots, _ = _read()

    def filled(found: re.Match[str]) -> str:
        words = _said(slots[found[1]], chance)
        return _form(words, found[2]) if found[2] else words + found[3] * (words[-1:] != "s")

    while _CHOICE.search(pattern):
        pattern = _CHOICE.sub(lambda found: chance.choice(found[1].split("|")), pattern)
    return re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", _SLOT.sub(filled, pattern))


def _state(said: str, chance: random.Random) -> State:
    """Return a conversation that a sentence can come in; in half of them it has to do with the picture."""
    known = [word.text for word in read_words(plain(said)) if word.kind == "thing"]
    thing = chance.choice(known) if known and chance.random() < 0.5 else "{thing}"
    pictures = [Picture(number=1, words=_said(f"a {{adj}} {thing} {{place}}", chance), count=4)]
    for number in range(2, chance.choice((2, 3, 3, 4))):
        kind = chance.choice(_KINDS)
        words = _said(chance.choice(_read()[1][kind]), chance)
        count = 4 if kind == "again" else 1
        pictures.append(Picture(number=number, words=words, kind=kind, count=count, before=number - 1))  # type: ignore[arg-type]
    last = len(pictures)
    return State(pictures=tuple(pictures), shown=last, undo=last - 1 or None, asked=chance.random() < 0.08)


def words() -> set[str]:
    """Return the words of the patterns themselves."""
    return {
        word
        for ways in _read()[1].values()
        for way in ways
        for word in re.findall(r"[a-z]{3,}", _SLOT.sub(" ", way))
    }


def sentences() -> Iterator[tuple[corpora.Turn, State]]:
    """Give sentences of each pattern, with the state that each meets: always the same."""
    chance = random.Random(1)
    for name, patterns in _read()[1].items():
        kind = "draw" if name == "draw_first" else name
        for pattern in patterns:
            for _ in range(TIMES + int(MORE * pattern.count("|"))):
                said = " ".join(_said(pattern, chance).split())
                said = said[:1].upper() + said[1:] if chance.random() < 0.3 else said
                begins = name == "draw_first" or (kind not in NEEDS_PICTURE and chance.random() < 0.35)
                yield {"say": said, "kind": kind}, State() if begins else _state(said, chance)
