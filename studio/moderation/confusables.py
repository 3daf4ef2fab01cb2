"""A text as a filter has to read it: look-alike letters, digits for letters, hidden marks, spaced-out and
stretched words made plain. The look-alikes are in ``confusables.toml``."""

import re
import tomllib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

MAX_STARS = 3  # in a pattern, so that reading it stays linear
LONGEST = 60  # characters of a pattern

_ALIKE = tomllib.loads(Path(__file__).with_name("confusables.toml").read_text(encoding="utf-8"))
_LETTERS = {ord(char): letter for letter, chars in _ALIKE.items() for char in chars}
# … and what is near enough for a reader, though not for Unicode's list
_LETTERS |= zip(map(ord, "пᴎηвнтмкяυτω"), "nnnbhtmkrutw", strict=True)
_LEETS = tuple(str.maketrans("034@5$7+891!|", f"oeaassttbg{3 * one}") for one in "il")
_WORD = re.compile(r"[a-z]+")
_RUN = re.compile(r"([a-z])\1{2,}")
_PAIR = re.compile(r"([a-z])\1+")
_SPACED = re.compile(r"(?<![a-z])(?:[a-z] ){2,}[a-z](?![a-z])")


@dataclass(frozen=True)
class Reading:
    """plain: any script, digits kept, underscores as spaces, for ages and other alphabets. views: Latin words
    between single spaces, read in several ways."""

    plain: str
    views: tuple[str, ...]
    spaced: str  # words of single letters, joined; a filter may find its word anywhere in them


@lru_cache(maxsize=256)
def read_text(text: str) -> Reading:
    """Return all readings of ``text``."""
    plain = _plain(text)
    latin = plain.translate(_LETTERS)
    views: dict[str, None] = {}
    for leet in ({}, *_LEETS):
        letters = latin.translate(leet)
        split = " ".join(_WORD.findall(letters))
        joined = " ".join("".join(_WORD.findall(part)) for part in letters.split())
        for view in (split, joined):
            # Words that double two letters or more, with each once: nnuuddee
            words = (_PAIR.sub(r"\1", one) if len(_PAIR.findall(one)) > 1 else one for one in view.split())
            views |= dict.fromkeys((view, _RUN.sub(r"\1", view), _RUN.sub(r"\1\1", view), " ".join(words)))
    spaced = " ".join(match[0].replace(" ", "") for view in views for match in _SPACED.finditer(view))
    return Reading(f" {plain.replace('_', ' ')} ", tuple(f" {view} " for view in views), spaced)


def _plain(text: str) -> str:
    """Lower case, compatibility forms, without accents, marks and whatever can't be seen; one space where
    there was any."""
    split = unicodedata.normalize("NFKD", text.casefold())
    seen = (
        " " if c.isspace() else c
        for c in split
        if c.isspace() or unicodedata.category(c) not in ("Mn", "Me", "Cf", "Cc", "Co", "Cs")
    )
    return " ".join("".join(seen).casefold().split())


class Terms:
    """Words, phrases and patterns (``listed``) to look for. ``*`` stands for any letters within a word. Other
    alphabets are searched as they are written; a word in katakana isn't looked for in the middle of one."""

    def __init__(self, terms: Iterable[str]) -> None:
        self.listed = tuple(terms)
        known = [clean for term in self.listed if (clean := _plain(term))]
        latin = [term for term in known if term.isascii() and not re.search(r"\d", term)]  # views' letters
        others = [term.replace("_", " ") for term in known if term not in latin and not _unspaced(term)]
        self._latin = _any([_pattern(term) for term in latin], r"(?<![a-z])", r"(?![a-z])")
        self._others = _any([_pattern(term, r"\w") for term in others], r"(?<!\w)", r"(?!\w)")
        katakana = "(?<![\u30a1-\u30ff])"  # before a word in it
        inside = [
            (katakana if "\u30a1" <= term[0] <= "\u30ff" else "") + re.escape(term)
            for term in known
            if _unspaced(term)
        ]
        self._inside = _any(inside)
        stems = [term.strip("*").replace(" ", "") for term in known]
        self._long = _any([re.escape(stem) for stem in stems if re.fullmatch(r"[a-z]{4,}", stem)])

    def found_in(self, reading: Reading) -> bool:
        """Return whether a text has one of these terms, in any of the ways it can be read."""
        if any(self._latin.search(view) for view in reading.views) or self._long.search(reading.spaced):
            return True
        return bool(self._others.search(reading.plain) or self._inside.search(reading.plain))

    def all_in(self, reading: Reading) -> frozenset[str]:
        """Return what of these a text has, in the way of reading that has the most."""
        views = [frozenset(self._latin.findall(view)) for view in reading.views]
        plain = (*self._others.findall(reading.plain), *self._inside.findall(reading.plain))
        return max(views, key=len) | frozenset(plain) | frozenset(self._long.findall(reading.spaced))


def check_pattern(pattern: str) -> str:
    """Return ``pattern`` made plain. Raises ValueError, which says what is wrong with it."""
    clean = _plain(pattern)
    if not any(c.isalpha() for c in clean):
        raise ValueError("has no letters")
    if len(clean) > LONGEST:
        raise ValueError(f"is longer than {LONGEST} characters")
    if clean.count("*") > MAX_STARS:
        raise ValueError(f"has more than {MAX_STARS} stars")
    if sum(c.isalpha() for c in clean) < 2:
        raise ValueError("would fit nearly everything")
    return clean


def _unspaced(term: str) -> bool:
    """Written without spaces between words: Chinese, Japanese, Thai and their like."""
    return any(
        "\u0e00" <= c <= "\u0eff" or "\u3040" <= c <= "\u30ff" or "\u3400" <= c <= "\u9fff" for c in term
    )


def _pattern(term: str, letter: str = "[a-z]") -> str:
    """As a regular expression over a view, which has Latin letters only, or over the plain text."""

    def part(text: str) -> str:
        return "".join(_WORD.findall(text)) if letter == "[a-z]" else re.escape(text)

    return " ".join((letter + "{0,20}").join(map(part, word.split("*"))) for word in term.split())


def _any(patterns: list[str], before: str = "", after: str = "") -> re.Pattern[str]:
    return re.compile(before + "(?:" + "|".join(patterns) + ")" + after if patterns else r"(?!)")
