"""Languages: which one holds, and the program's texts in it.

English is the source: a text is its own key in gettext's catalogues, which lie in ``core/languages`` and are
made by ``make languages``. What has no translation stays English. A door says with ``speak`` whose languages
hold before it answers: the one of whom the answer is for, and the one of everybody who reads a public answer.
"""

from __future__ import annotations

import gettext
import json
import re
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from mmap import ACCESS_READ, mmap
from pathlib import Path
from struct import Struct

FOLDER, DOMAIN = Path(__file__).parent / "languages", "atelier"
SOURCE = "en"
HEAD, PLACE = Struct("<5I"), Struct("<2I")  # of a .mo file: its tables; how long a text is, and where
# Code → own name, in the order of menus; the codes are those of Discord and of browsers, without a region
# where one language serves several.
LANGUAGES = {
    SOURCE: "English",
    "de": "Deutsch",
    "fr": "Français",
    "es": "Español",
    "ja": "日本語",
    "pt-BR": "Português (Brasil)",
}
SEPARATORS = {"de": ".", "es": ".", "pt-BR": ".", "fr": "\u202f"}  # of thousands
_own, _shared = ContextVar("own language", default=SOURCE), ContextVar("shared language", default=SOURCE)


def speak(own: str, shared: str | None = None) -> None:
    """Let these languages hold in this task from now on. own: of the person who is answered. shared: of a
    public answer; None = the same."""
    _own.set(own)
    _shared.set(shared or own)


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Let ``language`` hold while the block runs."""
    before = _own.set(language), _shared.set(language)
    try:
        yield
    finally:
        _own.reset(before[0])
        _shared.reset(before[1])


def own_language() -> str:
    """Return the code of the language of the person who is answered."""
    return _own.get()


def shared_language() -> str:
    """Return the code of the language of public answers."""
    return _shared.get()


def known_language(wanted: str) -> str:
    """Return the code of the language of ours that serves ``wanted``, such as "es" for "es-419"; "" for
    none."""
    wanted = wanted.lower()
    for code in LANGUAGES:
        if code.lower() == wanted:
            return code
    base = wanted.partition("-")[0]
    return next((code for code in LANGUAGES if code.partition("-")[0] == base), "")


def accepted_language(header: str) -> str:
    """Return the language of ours that an Accept-Language header likes best, "" for none (RFC 9110,
    12.5.4)."""
    wanted: list[tuple[float, str]] = []
    for part in header[:1000].split(","):
        name, _, quality = part.strip().partition(";q=")
        try:
            wanted.append((-float(quality or 1), name.strip()))
        except ValueError:
            continue
    found = (known_language(name) for weight, name in sorted(wanted, key=lambda one: one[0]) if weight < 0)
    return next(filter(None, found), "")


class Catalogue(gettext.NullTranslations):
    """Translations that stay in their ``.mo`` file, whose texts are in order: most are never asked for, and
    as strings of Python they would take three times as much."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        with path.open("rb") as file:
            self._data = mmap(file.fileno(), 0, access=ACCESS_READ)
        _magic, _revision, self._count, self._texts, self._translations = HEAD.unpack_from(self._data)
        header = self._at(self._translations, 0).decode()
        self._form = gettext.c2py(re.search(r"plural=(.*);", header)[1])  # type: ignore[index]

    def gettext(self, message: str) -> str:
        """Return the translation of a text, or the text."""
        found = self._forms(message)
        return found[0].decode() if found else message

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        """Return the translation of a text for ``n`` of something, or the text."""
        found = self._forms(msgid1)
        return found[self._form(n)].decode() if found else msgid1 if n == 1 else msgid2

    def _forms(self, message: str) -> list[bytes]:
        """Return a text's translation, in each of its forms; none for one that isn't there."""
        wanted = message.encode()
        place = bisect_left(range(self._count), wanted, key=partial(self._at, self._texts))
        text = self._at(self._texts, place) if place < self._count else b""
        found = text.partition(b"\0")[0] == wanted  # after it comes its plural
        return self._at(self._translations, place).split(b"\0") if found else []

    def _at(self, table: int, place: int) -> bytes:
        length, begin = PLACE.unpack_from(self._data, table + 8 * place)
        return self._data[begin : begin + length]


@cache
def catalogue(language: str) -> gettext.NullTranslations:
    """Return the translations into a language; none for English."""
    path = FOLDER / language.replace("-", "_") / "LC_MESSAGES" / f"{DOMAIN}.mo"
    return Catalogue(path) if path.exists() else gettext.NullTranslations()


def _(message: str, /, **values: object) -> str:
    """Return a text in the language that holds, with ``values`` in the place of their names in braces."""
    if _own.get() != SOURCE and message:
        message = catalogue(_own.get()).gettext(message)
    return message.format(**values) if values else message


def n_(singular: str, plural: str, n: int, /, **values: object) -> str:
    """Return the text for ``n`` of something, as ``_`` does; "{n}" in it is the number."""
    return catalogue(_own.get()).ngettext(singular, plural, n).format(n=Number(n), **values)


class Number(int):
    """A whole number that texts show as the language that holds writes it, such as 1.200 in German."""

    def __format__(self, spec: str) -> str:
        return super().__format__(spec or ",").replace(",", SEPARATORS.get(_own.get(), ","))


def N_(message: str) -> str:
    """Mark a text that is translated later, where it is shown: one that is made before a language holds."""
    return message


def retold(text: str) -> str:
    """Return a sentence that was made in English, such as an error or what a job's row keeps, in the language
    that holds. What no sentence of ``kept.json`` fits stays as it is."""
    if _own.get() == SOURCE or not text:
        return text
    if (whole := _(text)) != text:
        return whole
    for message, parts in kept_messages():
        if text.startswith(parts[0]) and all(part in text for part in parts):
            if found := pattern_of(message).fullmatch(text):
                return _(message, **found.groupdict())
    return text


@cache
def kept_messages() -> list[tuple[str, list[str]]]:
    """Return each sentence that is made in English, and its words between its values, the longest first."""
    messages: list[str] = json.loads((FOLDER / "kept.json").read_text(encoding="utf-8"))
    return [(one, re.split(r"\{\w+\}", one)) for one in sorted(messages, key=len, reverse=True)]


def pattern_of(message: str) -> re.Pattern[str]:
    """Return what recognises a sentence, whatever its values are."""
    parts = re.split(r"\{(\w+)\}", message)
    found = (
        f"(?P<{part}>.+)"
        if at % 2 and part not in parts[1:at:2]
        else f"(?P={part})"
        if at % 2
        else re.escape(part)
        for at, part in enumerate(parts)
    )
    return re.compile("".join(found), re.DOTALL)
