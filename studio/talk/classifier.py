"""The learned part: how likely each kind of turn is.

A small network on words, pairs of words and what the conversation is at: each feature has a row of numbers,
their sum goes through ``tanh``, and from that comes how likely each kind is. `python -m demo.train.talk`
learns it from the sentences of many writers. What is done with its answer isn't known here.
"""

from __future__ import annotations

import math
import struct
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from itertools import pairwise
from operator import mul
from typing import NamedTuple
from zlib import crc32

from core.talk import State
from studio.talk import rules
from studio.talk.words import Word, things_in

GENERAL = frozenset(
    ("thing", "colour", "scene", "style", "part", "praise", "number", "move", "size", "light")
)
LEADS = frozenset(
    "let make made should can could would might may will to and the a if watch see has have must".split()
)
HEAD = struct.Struct("<IHHff")  # what it was learned from, numbers of a row, answers, two steps
ZERO = 128
LONGEST = 60  # words that are read of a sentence


class Weights(NamedTuple):
    """keys: of each feature that counts, in order. rows: of each of them, one after another, in steps of
    ``step`` from ``ZERO``: a bytes object of its own for each would take four times the memory. first: the
    row that is always there.
    answers: of each answer, what it says to each number of the sum, and last to all, in steps of
    ``answer_step``; none where the numbers of the sum are the answers. learned_from: a number that changes
    with the sentences.
    """

    keys: array[int]
    rows: bytes
    first: bytes
    step: float
    answers: tuple[tuple[int, ...], ...]
    answer_step: float
    learned_from: int = 0


def pack(weights: Weights) -> bytes:
    """Return the bytes of a file of weights."""
    width = len(weights.first)
    answer = struct.Struct(f"{width + 1}b")
    head = HEAD.pack(weights.learned_from, width, len(weights.answers), weights.step, weights.answer_step)
    answers = b"".join(answer.pack(*values) for values in weights.answers)
    keys = struct.pack(f"<{len(weights.keys)}I", *weights.keys)
    return head + answers + weights.first + keys + weights.rows


def unpack(data: bytes) -> Weights:
    """Read what ``pack`` wrote."""
    learned_from, width, count, step, answer_step = HEAD.unpack_from(data)
    answer = struct.Struct(f"{width + 1}b")
    first = HEAD.size + answer.size * count
    answers = tuple(answer.iter_unpack(data[HEAD.size : first]))
    begin = first + width
    n = (len(data) - begin) // (4 + width)
    keys = array("I", struct.unpack_from(f"<{n}I", data, begin))
    return Weights(keys, data[begin + 4 * n :], data[first:begin], step, answers, answer_step, learned_from)


@cache
def stored_weights(name: str) -> Weights:
    """Return the weights that come with the program, of "kinds" or "cuts"."""
    return unpack(files("studio.talk").joinpath(f"{name}.bin").read_bytes())


def key(feature: str) -> int:
    """Return the number that stands for a feature."""
    return crc32(feature.encode())


def chances(found: Iterable[str], weights: Weights) -> list[float]:
    """Return how likely each answer is where these features are found."""
    width, rows = len(weights.first), [weights.first]
    for one in {key(name) for name in found}:
        at = bisect_left(weights.keys, one)
        if at < len(weights.keys) and weights.keys[at] == one:
            rows.append(weights.rows[at * width : (at + 1) * width])
    zero = ZERO * len(rows)
    said = [weights.step * (sum(column) - zero) for column in zip(*rows, strict=True)]
    if weights.answers:
        inside = [*map(math.tanh, said), 1.0]
        said = [weights.answer_step * sum(map(mul, answer, inside)) for answer in weights.answers]
    parts = [math.exp(value - max(said)) for value in said]
    return [part / sum(parts) for part in parts]


def general(word: Word) -> str:
    """Return the class of a word in capitals where it has one that says enough, else the word."""
    if word.text[0].isdigit():
        return "NUM"
    return word.kind.upper() if word.kind in GENERAL else word.text


_NAMES = frozenset(("thing", "part", "scene"))
_DESCRIBES = frozenset(("colour", "style", "light", "size"))
_PLACED = frozenset(("none", "grid", "picked", "one", "shown", "asked"))
_ENDINGS = ("ing", "ed", "er", "y", "s")


def coarse(word: Word) -> str:
    """Return whether a word names, describes, moves or is one that few use (with its ending); else itself."""
    if word.kind in _NAMES:
        return "N"
    if word.kind in _DESCRIBES:
        return "A"
    if word.moves:
        return f"M{word.moves}"
    if not word.known:
        return "U" + next((one for one in _ENDINGS if word.text.endswith(one)), "")
    return general(word)


def features(words: Sequence[Word], situation: Sequence[str]) -> set[str]:
    """Return what counts of a sentence: words, neighbours, beginnings, and each with the situation."""
    words = words[:LONGEST]
    raw = [word.text for word in words]
    line = ["<", *(general(word) for word in words), ">"]
    found = {f"w {word}" for word in raw} | {f"g {one}" for one in line}
    found |= {f"2 {a} {b}" for a, b in zip(line, line[1:], strict=False)}
    found |= {f"r {a} {b}" for a, b in zip(raw, raw[1:], strict=False)}
    found |= {f"3 {a} {b} {c}" for a, b, c in zip(line, line[1:], line[2:], strict=False)}
    found |= {f"_ {a} {c}" for a, c in zip(line, line[2:], strict=False)}
    plan = ["<", *map(coarse, words), ">"]
    found |= {f"p2 {a} {b}" for a, b in pairwise(plan)}
    found |= {f"p3 {a} {b} {c}" for a, b, c in zip(plan, plan[1:], plan[2:], strict=False)}
    found |= {f"p4 {' '.join(plan[at : at + 4])}" for at in range(len(plan) - 3)}
    found |= {f"pb {' '.join(plan[:n])}" for n in (4, 5, 6)}
    found |= {f"b {' '.join(line[1:n])}" for n in (2, 3, 4)}
    found |= {f"e {' '.join(line[-n:-1])}" for n in (2, 3)}
    found |= {f"~ {word[:4]}" for word in raw if len(word) > 4}
    found |= {f"$ {word[-3:]}" for word in raw if len(word) > 4}
    for at, word in enumerate(words):
        if word.moves:
            before = words[at - 1].text if at else "<"
            found |= {f"m {word.moves}", f"m {word.moves} {at == 0} {at == len(words) - 1}"}
            found |= {
                f"mb {word.moves} {line[at]}",
                f"ma {word.moves} {line[at + 2]}",
                f"mt {word.moves} {before}",
            }
            lead = next((w.text for w in reversed(words[:at]) if w.text in LEADS), "")
            found.add(f"ml {word.moves} {lead}")
    count = len(raw)
    size = f"{count if count < 6 else 6 if count < 9 else 9 if count < 14 else 14 if count < 25 else 25}"
    found |= {f"n {size}"}
    if count <= 4:
        found.add("all " + " ".join(line))
    if count <= 7:
        found.add("pa " + " ".join(plan))
    found |= {f"s {one}" for one in situation}
    found |= {f"sn {one} {size}" for one in situation}
    found |= {f"sb {one} {line[1] if count else ''}" for one in situation}
    names = " ".join(one[6:] for one in situation if one.startswith("names "))
    found |= {f"sp {one} {' '.join(plan[1:3])}" for one in situation if one.split()[0] in _PLACED}
    found |= {f"nc {names}", f"nc {names} {size}", f"nc {names} {line[1] if count else ''}"}
    cues = [one for one in situation if one.startswith("cue ")]
    found.add("cues " + " ".join(cues))
    found |= {f"ss {a} {b}" for a in cues for b in situation if a < b or not b.startswith("cue ")}
    return found


def situation(text: str, state: State) -> list[str]:
    """Return what a sentence meets: its cues, and what the conversation is at."""
    found = [f"cue {name}" for name in rules.cues(text)]
    if share := rules.foreign_share(text):
        found.append("cue foreign" if share > 0.45 else "some foreign")
    here = rules.shown(state)
    if here is None:
        return [*found, "none"]
    found.append("grid" if here.count > 1 and here.index is None else "picked" if here.count > 1 else "one")
    found += ["grid behind"] * (here.count == 1 and rules.grid_of(state) is not None)
    found.append(f"shown {here.kind}")
    found += (
        ["asked"] * state.asked + ["undo"] * (state.undo is not None) + ["redo"] * (state.redo is not None)
    )
    named, known = things_in(text), rules.believed(state)
    here_known = known.get(here.number, frozenset())
    older = frozenset().union(*known.values()) - here_known
    found += ["names shown"] * bool(named & here_known) + ["names older"] * bool(named & older)
    found += ["names new"] * bool(named - here_known - older) + ["names nothing"] * (not named)
    return found
