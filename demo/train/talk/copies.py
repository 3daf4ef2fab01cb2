"""Copies of the writers' sentences in other words.

They are about other things, asked in another way, or without articles. A copy means what its sentence means,
and meets the same conversation about the other things.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import replace

from core.talk import State
from demo.train.talk import corpora
from studio.talk.words import kind_of, plain

COPIES = 2  # of each sentence
SWAPPED = ("thing", "colour", "part", "scene")  # classes whose words are put for one another
_WORD, _ARTICLE = re.compile(r"[a-z]+(?:['-][a-z]+)*"), re.compile(r"\b(?:the|a|an|some) (?=\w)")
_ORDER = re.compile(
    r"(?:please )?(?=(?:make|put|add|remove|give|turn|change|take|let|draw|paint|show|find|zoom|cut|replace"
    r"|swap|move|get|have|set|try|go|bring|animate|enlarge|upscale|extend|widen|isolate|search|look|create"
    r"|generate|design|describe|tell)\b)"
)
_ASKED = re.compile(r"(?:can|could|would|will) you (?:please )?(?=\w)")
_ASKS = (
    *("can you {}?", "could you {}?", "would you {}?", "can we {}?", "please {}", "{} please", "now {}"),
    *("i'd like you to {}", "i want you to {}", "you could {}", "maybe {}", "and {}", "ok {}", "and then {}"),
)
_FILLED = (
    *("ok {}", "um {}", "and {}", "so {}", "hm {}", "hey {}", "oh {}", "well {}", "but {}", "then {}"),
    *("now {}", "right, {}", "yes, {}", "no, {}", "actually {}", "i think {}", "{}, if you can", "{} :)"),
    *("{}, please", "{} please", "{} thanks", "{}.", "{}!"),
)


def _asked(said: str, chance: random.Random) -> str:
    """Return a wish in another form: an order as a question, or with other words around it."""
    bare = _ASKED.sub("", said, count=1)
    if chance.random() < 0.35:
        if found := _ORDER.match(bare):
            return chance.choice(_ASKS).format(bare[found.end() :].rstrip("?.! "))
        return said if bare == said else bare.rstrip("?")
    if chance.random() < 0.3 and len(said.split()) > 2:
        return chance.choice(_FILLED).format(said.rstrip(".!"))
    return said


def copies(dialogues: list[dict[str, list[corpora.Turn]]]) -> Iterator[tuple[corpora.Turn, State]]:
    """Give copies of a writer's turns, with the state that each meets: always the same."""
    chance = random.Random(1)
    listed = json.loads((corpora.HERE / "vocabulary.json").read_text("utf-8"))
    words = {kind: listed[kind].split() for kind in SWAPPED}
    for dialogue in dialogues * COPIES:
        other: dict[str, str] = {}

        def swapped(found: re.Match[str], other: dict[str, str] = other) -> str:
            word, kind = found[0], kind_of(found[0])
            if word not in other:
                is_swapped = kind in words and chance.random() < (0.3 if kind == "part" else 0.5)
                other[word] = chance.choice(words[kind]) if is_swapped else word
                if (
                    is_swapped
                    and word.endswith("s")
                    and kind in ("thing", "part")
                    and kind_of(word[:-1]) == kind
                ):
                    other[word] = other[word].removesuffix("s") + "s"
            return other[word]

        for turn, state in corpora.with_states(dialogue):
            said = _WORD.sub(swapped, plain(turn["say"]))
            if turn["kind"] not in ("talk", "unclear"):
                said = _asked(said, chance)
            if chance.random() < 0.25:
                said = _ARTICLE.sub("", said)
            if chance.random() < 0.3:
                said = said.rstrip(".!?") if chance.random() < 0.7 else f"{said}."
            told = tuple(replace(one, words=_WORD.sub(swapped, plain(one.words))) for one in state.pictures)
            yield turn | {"say": said}, replace(state, pictures=told)
