"""A text as a filter has to read it: look-alike letters, digits for letters, hidden marks, spaced-out and
stretched words made plain.

Pure. The table of look-alikes is Unicode's (https://www.unicode.org/Public/security/latest/confusables.txt,
Unicode licence v3), cut down to what reads as one or two Latin letters and is left as it is by NFKD and case
folding, with small capitals and letters in boxes added.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

MAX_STARS = 3  # in a pattern, so that reading it stays linear
LONGEST = 60  # characters of a pattern

_ALIKE = {
    "a": "\u237a\u0251\u03b1\u0430\u13aa\u15c5\ua4ee\U00016f40\U000102a0ᴀ\U0001f170\U0001f150\U0001f1e6",
    "aa": "\ua733",
    "ae": "æ\u04d5",
    "ao": "\ua735",
    "ar": "\U0001f707",
    "au": "\ua737",
    "av": "\ua739\ua73b",
    "ay": "\ua73d",
    "b": (
        "ƅ\u044c\u13cf\u1472\u15af\ua7b5\u03b2\u0432\u13f4\u15f7\ua4d0\U00010282\U000102a1\U00010301\u0299"
        "\U0001f171\U0001f151\U0001f1e7"
    ),
    "bl": "\u044b",
    "c": (
        "ᴄ\u2ca5\u0441\u13df\U0001043d\U0001f74c\U000118f2\U000118e9\ua4da\U000102a2\U00010302\U0001051c"
        "\U0001f172\U0001f1e8\U0001f152"
    ),
    "d": "\u0501\u13e7\u146f\ua4d2\u13a0\u15de\u15ea\ua4d3ᴅđð\u0256\U0001f173\U0001f1e9\U0001f153",
    "dz": "\u02a3",
    "e": (
        "\u212e\uab32\u0435\u04bd\u22ff\u03b5\u2d39\u13ac\ua4f0\U000118c6\U000118ce\U00010286ᴇ\u0258\u0259ǝ"
        "\U0001f174\u20ac\U0001f1ea\U0001f154"
    ),
    "f": (
        "\uab35\ua799\u1e9d\u0584\U0001d213\u03dd\u15b4\ua4dd\U000118c2\U00010287\U000102a5\U00010525\ua730"
        "\U0001f175\U0001f1eb\U0001f155"
    ),
    "g": "\u0261\u1d83ƍ\u0581\u050d\u13c0\u13f3\ua4d6\u0262\U0001f176\U0001f1ec\U0001f156",
    "h": (
        "\u04bb\u0570\u13c2\u03b7\u2c8f\u043d\u13bb\u157c\ua4e7\U000102cf\u029cħ\U0001f177\U0001f1ed"
        "\U0001f157"
    ),
    "i": "\u2373ı\u026a\u0269\u03b9\u0456\ua647\u04cf\u13a5\U000118c3\U0001f178\U0001f1ee\U0001f158",
    "j": "\u03f3\u0458\u029d\u13ab\u148d\ua4d9ᴊ\U0001f179\U0001f1ef\U0001f159",
    "k": "\u03ba\u2c95\u043a\u13e6\u16d5\ua4d7\U00010518ᴋ\U0001f17a\U0001f1f0\U0001f15a",
    "l": (
        "\u2223\u23fd\u06f1\U00010320ǀ\u2c93\u2d4f\u16c1\ua4f2\U00016f28\U0001028a\U00010309\U0001d22a\u2cd1"
        "\u13de\u14aa\ua4e1\U00016f16\U000118d2\U00010443\U00010526\u029fł\U0001f17b£\U0001f1f1\U0001f15b"
    ),
    "ll": "\u2016\u2225ǁ",
    "lo": "\u044e",
    "ls": "\u02aa",
    "lt": "\u20b6",
    "lz": "\u02ab",
    "m": (
        "\u03bc\u03fb\u2c99\u043c\u13b7\u15f0\u16d6\ua4df\U000102b0\U00010311ᴍ\u026f\U0001f17c\U0001f1f2"
        "\U0001f15c"
    ),
    "mb": "\U0001f76b",
    "n": "\u0578\u057c\u03bd\u2c9b\ua4e0\U00010513\u0274ŋ\U0001f17d\U0001f1f3\U0001f15d",
    "o": (
        "\u0c02\u0c82\u0d02\u0d82\u0966\u0a66\u0ae6\u0be6\u0c66\u0ce6\u0d66\u0e50\u0ed0\u1040\u06f5ᴏᴑ\uab3d"
        "\u03bf\u03c3\u2c9f\u043e\u10ff\u0585\u0d20\u101d\U000104ea\U000118c8\U000118d7\U0001042c\u09e6\u0b66"
        "\u3007\U000114d0\U000118e0\u2d54\u12d0\u0b20\ua4f3\U000118d5\U00010292\U000102ab\U00010516ø\u0275"
        "\U0001f17e\U0001f1f4\U0001f15e"
    ),
    "oe": "œ",
    "oo": "\u221e\ua74f\ua699",
    "p": "\u2374\u03c1\u2ca3\u0440\u13e2\u146d\ua4d1\U00010295ᴘ\U0001f17f\U0001f1f5\U0001f15f",
    "q": "\u051b\u0563\u0566\u2d55\U0001f180\U0001f1f6\U0001f160",
    "qe": "\U0001f700",
    "r": (
        "\uab47\uab48ᴦ\u2c85\u0433\u13b1\U0001d216\u0280\u13a1\u13d2\U000104dc\u1587\ua4e3\U00016f35\u0279"
        "\U0001f181\U0001f1f7\U0001f161"
    ),
    "rn": "\U000118e3\U00011700",
    "s": (
        "\ua731ƽ\u0455\u13da\U000118c1\U00010448\u057f\u13d5\ua4e2\U00016f3a\U00010296\u0282\U0001f182"
        "\U0001f1f8\U0001f162"
    ),
    "ss": "\u13f0",
    "t": (
        "\u22a4\u27d9\U0001f768\u03c4\u2ca7\u0442\u13a2\ua4d4\U00016f0a\U000118dc\U00010297\U000102b1"
        "\U00010315ᴛŧ\U0001f183\U0001f1f9\U0001f163"
    ),
    "tf": "\ua777",
    "th": "þ",
    "ts": "\u02a6",
    "u": (
        "\ua79fᴜ\uab4e\uab52\u028b\u03c5\u057d\U000104f6\U000118d8\u222a\u22c3\u1200\u144c\ua4f4\U00016f42"
        "\U0001f184\U0001f1fa\U0001f164"
    ),
    "ue": "ᵫ",
    "uo": "\uab63",
    "v": (
        "\u2228\u22c1ᴠ\u0475\U00011706\u13d9\U000118c0\U0001d20d\u06f7\u2d38\u142f\ua6df\ua4e6\U00016f08"
        "\U0001051d\u028c\U0001f185\U0001f1fb\U0001f165"
    ),
    "vb": "\U0001f76c",
    "w": (
        "\u026fᴡ\u0461\u051d\u0561\U0001170a\U0001170e\U0001170f\u13b3\U000118ef\U000118e6\u13d4\ua4ea"
        "\U0001f186\U0001f1fc\U0001f166"
    ),
    "x": (
        "\u166e×\u292b\u292c\u2a2f\u0445\u1541\u157d\u166d\u2573\U00010322\U000118ec\uab53\u03c7\u2cad\u2d5d"
        "\u16b7\ua4eb\U00010290\U000102b4\U00010317\U00010527\U0001f187\U0001f1fd\U0001f167"
    ),
    "y": (
        "\u0263\u1d8c\u028f\u1eff\uab5a\u03b3\u0443\u04af\u10e7\u2ca9\u13a9\u13bd\ua4ec\U00016f43\U000118c4"
        "\U000102b2\U0001f188\U0001f1fe\U0001f168"
    ),
    "z": "ᴢ\u13c3\U000102f5\U000118e5\u03b6\ua4dc\U000118c9ƶ\U0001f189\U0001f1ff\U0001f169",
}
# … and what is near enough for a reader, though not for Unicode's list
_LETTERS = {ord(char): letter for letter, chars in _ALIKE.items() for char in chars}
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
        for view in (
            split,
            joined,
        ):  # at last, words that double two letters or more, with each once: nnuuddee
            single = (
                _PAIR.sub(r"\1", word) if len(_PAIR.findall(word)) > 1 else word for word in view.split()
            )
            views |= dict.fromkeys((view, _RUN.sub(r"\1", view), _RUN.sub(r"\1\1", view), " ".join(single)))
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
