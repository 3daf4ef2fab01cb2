"""The words of a sentence, with the class that each has: a colour, a place, something that moves.

``words.json`` is written by `python -m demo.train.talk words` from the demo's words and a list of everyday
ones. It only helps to read: what isn't in it is drawn and changed all the same.
"""

from __future__ import annotations

import json
import re
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple

READ = 400  # characters that are read of a sentence; a longer one is a prompt
TOKEN = re.compile(r"--[a-z]+|[a-z]+(?:['-][a-z]+)*|\d+(?:[.:x]\d+)*|[?!.,;:+&=/>→]")
_SPOKEN = re.compile(r"[a-z']+")
_LETTERS = re.compile(r"[^\W\d_]+")
WEAK = frozenset(
    "a an the this that these those it its is are was were be been am i i'd i'm me my mine you your u we"
    " us our he"
    " him his she her they them their to of on in at by for from with without and or but so as no not"
    " than then"
    " now please pls plz can could would should will shall may might do does did done have has had just"
    " only too"
    " also again back one ones more most less some any all there here what which where who how why when"
    " if into"
    " out up down over off very really quite rather like want need make put let go get give take show"
    " see look"
    " picture pic image version first second third last next new old other another before after still".split()
)


class Word(NamedTuple):
    """A word as it was read: its mended spelling, its class, "" for none, the form of a motion that it can
    be, and whether it is a word that many use."""

    text: str
    kind: str
    moves: str = ""
    known: bool = True


class _Vocabulary(NamedTuple):
    kinds: dict[str, str]
    same: dict[str, str]  # a synonym → the word that stands for it
    moves: frozenset[str]  # what moves, in its base form
    near: dict[str, str]  # a word with one letter less, or the letters in another order → the word
    spoken: dict[str, str]  # a word as it is spoken or typed in haste → the word


@cache
def _vocabulary() -> _Vocabulary:
    stored = json.loads(files("studio.talk").joinpath("words.json").read_text("utf-8"))
    kinds = {word: kind for kind, words in stored["kinds"].items() for word in words.split()}
    common = stored["common"].split()
    near: dict[str, str] = {}
    for word in sorted((*kinds, *common), key=len):
        if len(word) > 3:
            near.setdefault(word[0] + "".join(sorted(word[1:])), word)
        for at in range(1, len(word)) if len(word) > 4 else ():
            near.setdefault(word[:at] + word[at + 1 :], word)
    for word in common:
        kinds.setdefault(word, "")
    return _Vocabulary(kinds, stored["same"], frozenset(stored["moves"].split()), near, stored["spoken"])


def _mended(word: str, known: _Vocabulary) -> str:
    """The word that is meant by one with a slip, or itself."""
    if len(word) < 4 or word in known.kinds:
        return word
    if word.endswith("s") and word[:-1] in known.kinds:
        return word
    if (found := known.near.get(word)) or (found := known.near.get(word[0] + "".join(sorted(word[1:])))):
        return found
    if len(word) > 5:
        for at in range(1, len(word)):
            if (shorter := word[:at] + word[at + 1 :]) in known.kinds and len(shorter) > 4:
                return shorter
    return word


def kind_of(word: str) -> str:
    """Return the class of a word, also of its plural."""
    kinds = _vocabulary().kinds
    if found := kinds.get(word):
        return found
    if word.endswith("s") and len(word) > 3:
        return kinds.get(word[:-1]) or kinds.get(word[:-2] if word.endswith("es") else "") or ""
    return ""


def _is_known(word: str) -> bool:
    return not word[0].isalpha() or word in WEAK or word in _vocabulary().kinds


ENDINGS = (("ing", ""), ("ing", "e"), ("es", ""), ("s", ""), ("ies", "y"))


def form_of_moving(word: str) -> str:
    """Return the form of a word that can be a motion ("base", "s", "ing"), "" of any other."""
    moves = _vocabulary().moves
    if word in moves:
        return "base"
    if word[-1] not in "gs":
        return ""
    for ending, instead in ENDINGS:
        if word.endswith(ending):
            stem = word[: -len(ending)] + instead
            if stem in moves or (len(stem) > 3 and stem[-1] == stem[-2] and stem[:-1] in moves):
                return "ing" if ending == "ing" else "s"
    return ""


@lru_cache(maxsize=512)
def plain(said: str) -> str:
    """Return what was said in small letters, with plain quotes, single spaces and the usual words for what is
    spoken or typed in haste; of a long text its beginning and its end."""
    if len(said) > READ:
        said = f"{said[: READ - 80]} {said[-79:]}"
    text = said.replace("’", "'").replace("‘", "'").replace("“", '"').replace("”", '"').lower()
    spoken = _vocabulary().spoken
    return _SPOKEN.sub(lambda found: spoken.get(found[0], found[0]), " ".join(text.split()))


def is_english(said: str) -> bool:
    """Return whether words of ``said`` are known: of another language hardly any is. A single word, such as
    a name, is no other language as long as it has plain letters."""
    words = _LETTERS.findall(plain(said))
    kinds = _vocabulary().kinds
    known = [word for word in words if word in WEAK or word in kinds or word.removesuffix("s") in kinds]
    return 3 * len(known) > len(words) or (len(words) == 1 and words[0].isascii())


@lru_cache(maxsize=512)  # a sentence is read several times, and each of its words
def read_words(text: str) -> tuple[Word, ...]:
    """Return the words and marks of a ``plain`` text, mended."""
    known = _vocabulary()
    return tuple(
        Word(
            word,
            kind := kind_of(word),
            form_of_moving(word),
            bool(kind) or word in WEAK or word in known.kinds or not word[0].isalpha(),
        )
        for found in TOKEN.findall(text)
        for word in (_mended(found, known) if found[0].isalpha() else found,)
    )


def things_in(text: str) -> frozenset[str]:
    """Return what a ``plain`` text names: the stems of its words that mean something, one for all of a
    meaning."""
    same = _vocabulary().same
    found = set()
    for word in read_words(text):
        if word.text in WEAK or not word.text[0].isalpha():
            continue
        for part in word.text.split("-"):
            if part not in WEAK:
                found.add(same.get(part) or same.get(_stem(part)) or _stem(part))
    return frozenset(found)


def _stem(word: str) -> str:
    word = word.removesuffix("'s")
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) > 2 and not word.endswith("ss"):
            word = word[: -len(ending)]
            break
    return word.removesuffix("e")
