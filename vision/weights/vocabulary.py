"""The words that a model with a small vocabulary knows, as its ``atelier.json`` names them, and which words
of a text it doesn't know."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator

SHOWN = 8  # unknown words that a note names
LONGEST = 30  # characters of one of them


def words_of(text: str) -> Iterator[str]:
    """Yield the words of a text in small letters, in any script, and each emoji on its own."""
    word = ""
    for c in unicodedata.normalize("NFC", text).casefold() + " ":
        kind = unicodedata.category(c)
        if kind[0] in "LN" or (word and (kind[0] == "M" or c in "'\u2019")):
            word += c
            continue
        if word:
            yield word.rstrip("'\u2019").removesuffix("'s").removesuffix("\u2019s")
        word = ""
        if kind == "So":
            yield c


def unknown(texts: Iterable[str], vocabulary: str) -> list[str]:
    """Return the words of ``texts`` that aren't in ``vocabulary``, each once; none where that is empty."""
    known = set(words_of(vocabulary))
    return list(dict.fromkeys(w for text in texts for w in words_of(text) if w not in known)) if known else []


def notes(texts: Iterable[str], vocabulary: str) -> list[str]:
    """Return the sentence that names the unknown words of ``texts``, if there are any."""
    found = unknown(texts, vocabulary)
    if not found:
        return []
    named = ", ".join(word if len(word) <= LONGEST else word[: LONGEST - 1] + "…" for word in found[:SHOWN])
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return [f"This model knows only some words. It doesn't know: {named}{more}."]
