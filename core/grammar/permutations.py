"""Permutations: ``a {red, blue} {cat, dog}`` is four prompts. Counted before they are written out; ``\\,`` is
a plain comma, sets may nest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from math import prod

from core.errors import PromptError
from core.grammar.quoting import shape

MAX_JOBS = 40  # of one prompt, https://docs.midjourney.com/hc/en-us/articles/32761322355597-Permutations
MAX_DEPTH = 20
_MARKS = re.compile(r"[{},]")


@dataclass
class _Sequence:
    """Pieces one after the other: text, or a set with one sequence for each alternative."""

    pieces: list[str | list[_Sequence]] = field(default_factory=list)


def count(source: str) -> int:
    """How many prompts ``source`` stands for; quick for any number. PromptError for braces without
    partners."""
    return _count(_read(source))


def expand(source: str, limit: int = MAX_JOBS) -> list[str]:
    """All of them, the last set changing fastest. PromptError when there are more than ``limit``: none is
    written out then."""
    tree = _read(source)
    number = _count(tree)
    if number > limit:
        many = f"{number:,}" if number < 10**12 else f"more than 10^{len(str(number)) - 1}"
        raise PromptError(f"The sets in braces make {many} prompts; up to {limit} fit in one go.")
    return [" ".join(text.split()) if len(tree.pieces) > 1 else text for text in _texts(tree)]


def _count(sequence: _Sequence) -> int:
    return prod(sum(_count(way) for way in piece) for piece in sequence.pieces if isinstance(piece, list))


def _texts(sequence: _Sequence) -> Iterator[str]:
    ways = [
        [piece] if isinstance(piece, str) else [text for way in piece for text in _texts(way)]
        for piece in sequence.pieces
    ]
    return ("".join(chosen) for chosen in product(*ways))


def _read(source: str) -> _Sequence:
    """The tree of ``source``. Commas count inside braces only."""
    seen, top = shape(source), _Sequence()
    open_sets: list[tuple[_Sequence, list[_Sequence]]] = []  # (where the set stands, its alternatives)
    current, begin = top, 0
    for mark in _MARKS.finditer(seen):
        if mark[0] == "," and not open_sets:
            continue
        _add(current, source[begin : mark.start()])
        begin = mark.end()
        if mark[0] == "{":
            if len(open_sets) == MAX_DEPTH:
                raise PromptError(f"Sets in braces are nested more than {MAX_DEPTH} deep.")
            ways = [_Sequence()]
            open_sets.append((current, ways))
            current = ways[0]
        elif not open_sets:
            raise PromptError("A `}` closes nothing. Write `\\}` for the character itself.")
        else:
            _trim(current)
            outer, ways = open_sets[-1]
            if mark[0] == ",":
                current = _Sequence()
                ways.append(current)
            else:
                open_sets.pop()
                outer.pieces.append(ways)
                current = outer
    if open_sets:
        raise PromptError("A `{` is never closed. Write `\\{` for the character itself.")
    _add(top, source[begin:])
    return top


def _add(sequence: _Sequence, text: str) -> None:
    if text:
        sequence.pieces.append(text)


def _trim(sequence: _Sequence) -> None:
    """Spaces around an alternative are for the eye."""
    pieces = sequence.pieces
    if pieces and isinstance(pieces[0], str):
        pieces[0] = pieces[0].lstrip()
    if pieces and isinstance(pieces[-1], str):
        pieces[-1] = pieces[-1].rstrip()
