"""How numbers and a member's text are shown in messages, and which known name is closest to a wrong one."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable
from decimal import Decimal

_INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp", "Zs", "Mn", "Me")  # what shows nothing on its own
_FILLERS = "\u115f\u1160\u3164\uffa0\u2800"  # letters and signs that are drawn as spaces


def short(text: str) -> str:
    """Return at most 40 characters of a member's text, safe between backticks."""
    text = text.replace("`", "'")
    return text if len(text) <= 40 else text[:39] + "…"


def is_blank(text: str) -> bool:
    """Return whether nothing in a text can be seen: it is empty, or all spaces and invisible characters."""
    return all(c.isspace() or c in _FILLERS or unicodedata.category(c) in _INVISIBLE for c in text)


def decimal(number: float) -> str:
    """Return the shortest plain decimal that reads back as the same number: 2, 0.1, 0.0000001."""
    return str(int(number)) if number == int(number) else format(Decimal(repr(number)), "f")


def closest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known name most like ``word``, or None; ``cutoff`` is difflib's ratio, 0..1.

    Only names of about its length are compared: comparing all of them takes milliseconds.
    """
    near = [name for name in known if abs(len(name) - len(word)) <= 2]
    return next(iter(difflib.get_close_matches(word, near, 1, cutoff)), None)


def hint(word: str, known: Iterable[str], before: str = "", cutoff: float = 0.6) -> str:
    """Return " Did you mean `--seed`?" for a close known name, else an empty text."""
    close = closest(word, known, cutoff)
    return f" Did you mean `{before}{close}`?" if close else ""
