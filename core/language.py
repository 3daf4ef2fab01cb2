"""Languages: which one holds, and the program's texts in it.

English is the source: a text is its own key in gettext's catalogues, which lie in ``core/languages`` and are
made by ``make languages``. What has no translation stays English. A door says with ``speak`` whose languages
hold before it answers: the one of whom the answer is for, and the one of everybody who reads a public answer.
"""

from __future__ import annotations

import gettext
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

FOLDER, DOMAIN = Path(__file__).parent / "languages", "atelier"
SOURCE = "en"
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


@cache
def catalogue(language: str) -> gettext.NullTranslations:
    """Return the translations into a language, read at its first use; none for English."""
    return gettext.translation(DOMAIN, FOLDER, [language.replace("-", "_")], fallback=True)


def _(message: str, /, **values: object) -> str:
    """Return a text in the language that holds, with ``values`` in the place of their names in braces."""
    if _own.get() != SOURCE and message:
        message = catalogue(_own.get()).gettext(message)
    return message.format(**values) if values else message


def n_(singular: str, plural: str, n: int, /, **values: object) -> str:
    """Return the text for ``n`` of something, as ``_`` does; "{n}" in it is the number."""
    return catalogue(_own.get()).ngettext(singular, plural, n).format(n=n, **values)


def N_(message: str) -> str:
    """Mark a text that is translated later, where it is shown: one that is made before a language holds."""
    return message


def retold(text: str) -> str:
    """Return a sentence that was made in English, such as an error or what a job's row keeps, in the language
    that holds. What no pattern of ``kept.json`` fits stays as it is."""
    if _own.get() == SOURCE or not text:
        return text
    if (whole := _(text)) != text:
        return whole
    for pattern, message in kept_patterns():
        if found := pattern.fullmatch(text):
            return _(message, **found.groupdict())
    return text


@cache
def kept_patterns() -> list[tuple[re.Pattern[str], str]]:
    """Return what recognises each sentence that is made in English, and the sentence, the longest first."""
    messages: list[str] = json.loads((FOLDER / "kept.json").read_text(encoding="utf-8"))
    return [(pattern_of(message), message) for message in sorted(messages, key=len, reverse=True)]


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
