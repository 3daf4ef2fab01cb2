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
    """Pieces in a row: text, or a set with one sequence for each alternative."""

    pieces: list[str | list[_Sequence]] = field(default_factory=list)


def count(source: str) -> int:
    """Return how many prompts ``source`` stands for, quickly however many they are.

    Raises PromptError for braces without partners.
    """
    return _count(_read(source))


def expand(source: str, limit: int = MAX_JOBS) -> list[str]:
    """Return every prompt that ``source`` stands for, the last set changing fastest.

    Raises PromptError for braces without partners, and before writing any if they are more than ``limit``.
    """
    tree = _read(source)
    number = _count(tree)
    if number > limit:
        many = f"{number:,}" if number < 10**12 else f"more than 10^{len(str(number)) - 1}"
        raise PromptError(f"The sets in braces make {many} prompts; the limit is {limit} at once.")
    return [" ".join(text.split()) if len(tree.pieces) > 1 else text for text in _texts(tree)]


def _count(sequence: _Sequence) -> int:
    return prod(sum(_count(way) for way in piece) for piece in sequence.pieces if isinstance(piece, list))


def _texts(sequence: _Sequence) -> Iterator[str]:
    ways = [
        [piece] if isinstance(piece, str) else [text for way in piece for text in _texts(way)]
        for piece in sequence.pieces
    ]
    return ("".join(chosen) for chosen in product(*ways))


class _Tree:
    """A tree that is being read. ``current`` takes the next text; ``open_sets`` has, for each open brace,
    the sequence where the set stands, and the set's alternatives."""

    def __init__(self) -> None:
        self.current = _Sequence()
        self.open_sets: list[tuple[_Sequence, list[_Sequence]]] = []

    def open_set(self) -> None:
        if len(self.open_sets) == MAX_DEPTH:
            raise PromptError(f"Sets in braces are nested more than {MAX_DEPTH} levels deep.")
        self.open_sets.append((self.current, [_Sequence()]))
        self.current = self.open_sets[-1][1][0]

    def begin_alternative(self) -> None:
        _trim(self.current)
        self.current = _Sequence()
        self.open_sets[-1][1].append(self.current)

    def close_set(self) -> None:
        if not self.open_sets:
            raise PromptError("A `}` closes nothing. Write `\\}` for the character itself.")
        _trim(self.current)
        self.current, ways = self.open_sets.pop()
        self.current.pieces.append(ways)


def _read(source: str) -> _Sequence:
    """Return the tree of ``source``. Commas count inside braces only."""
    tree = _Tree()
    begin = 0
    for mark in _MARKS.finditer(shape(source)):
        if mark[0] == "," and not tree.open_sets:
            continue
        _add(tree.current, source[begin : mark.start()])
        begin = mark.end()
        if mark[0] == "{":
            tree.open_set()
        elif mark[0] == ",":
            tree.begin_alternative()
        else:
            tree.close_set()
    if tree.open_sets:
        raise PromptError("A `{` is never closed. Write `\\{` for the character itself.")
    _add(tree.current, source[begin:])
    return tree.current


def _add(sequence: _Sequence, text: str) -> None:
    if text:
        sequence.pieces.append(text)


def _trim(sequence: _Sequence) -> None:
    """Remove the spaces around an alternative."""
    pieces = sequence.pieces
    if pieces and isinstance(pieces[0], str):
        pieces[0] = pieces[0].lstrip()
    if pieces and isinstance(pieces[-1], str):
        pieces[-1] = pieces[-1].rstrip()
