"""Permutations: ``a {red, blue} {cat, dog}`` is four prompts. Counted before they are written out; ``\\,`` is
a plain comma, sets may nest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from math import prod

from core.errors import PromptError
from core.grammar.quoting import mask_quoted

MAX_JOBS = 40  # of one prompt, https://docs.midjourney.com/hc/en-us/articles/32761322355597-Permutations
MAX_DEPTH = 20
_MARKS = re.compile(r"[{},]")
_Sequence = list[
    "str | list[_Sequence]"
]  # texts in a row, and sets: each has a sequence for every alternative


def count_prompts(source: str) -> int:
    """Return how many prompts ``source`` stands for, quickly however many they are.

    Raises PromptError for braces without partners.
    """
    return _count(_read_sets(source))


def expand_sets(source: str, limit: int = MAX_JOBS) -> list[str]:
    """Return every prompt that ``source`` stands for, the last set changing fastest.

    Raises PromptError for braces without partners, and before writing any if they are more than ``limit``.
    """
    sequence = _read_sets(source)
    number = _count(sequence)
    if number > limit:
        many = f"{number:,}" if number < 10**12 else f"more than 10^{len(str(number)) - 1}"
        raise PromptError(f"The sets in braces make {many} prompts; the limit is {limit} at once.")
    return [" ".join(text.split()) if len(sequence) > 1 else text for text in _texts(sequence)]


def _count(sequence: _Sequence) -> int:
    return prod(sum(map(_count, item)) for item in sequence if isinstance(item, list))


def _texts(sequence: _Sequence) -> Iterator[str]:
    choices = [
        [item] if isinstance(item, str) else [text for alternative in item for text in _texts(alternative)]
        for item in sequence
    ]
    return ("".join(chosen) for chosen in product(*choices))


def _read_sets(source: str) -> _Sequence:
    """Return the sequence that ``source`` is. Commas count inside braces only."""
    current, begin = _Sequence(), 0  # what takes the next text
    open_sets: list[tuple[_Sequence, list[_Sequence]]] = []  # where each stands, and its alternatives so far
    for mark in _MARKS.finditer(mask_quoted(source)):
        if mark[0] == "," and not open_sets:
            continue
        current += filter(None, [source[begin : mark.start()]])
        begin = mark.end()
        if mark[0] == "{":
            if len(open_sets) == MAX_DEPTH:
                raise PromptError(f"Sets in braces are nested more than {MAX_DEPTH} levels deep.")
            open_sets.append((current, [_Sequence()]))
            current = open_sets[-1][1][0]
            continue
        if not open_sets:
            raise PromptError("A `}` closes nothing. Write `\\}` for the character itself.")
        if current and isinstance(current[0], str):  # an alternative has no spaces around it
            current[0] = current[0].lstrip()
        if current and isinstance(current[-1], str):
            current[-1] = current[-1].rstrip()
        if mark[0] == ",":
            current = _Sequence()
            open_sets[-1][1].append(current)
        else:
            current, alternatives = open_sets.pop()
            current.append(alternatives)
    if open_sets:
        raise PromptError("A `{` is never closed. Write `\\{` for the character itself.")
    return [*current, *filter(None, [source[begin:]])]
