"""Reads JSON as models write it: in a fence, with words around it, trailing commas, NaN, single quotes, or
without its end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

LONGEST, DEEPEST = 200_000, 8  # characters; lists and objects in each other
TRIES = 100  # places where a list or object may begin
_SPACE = re.compile(r"(?:[\s\ufeff]|//[^\n]*)*")
_BARE = re.compile(r"[^,:\[\]{}\"'\n]+")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "", "f": ""}
_NOTHING = {"null", "none", "nan", "undefined", "infinity", "-infinity", "inf", "-inf"}


class Found(NamedTuple):
    """What was read. whole: whether it had its end."""

    value: Any
    whole: bool


class Bare(str):
    """A value without quotes, as it is written."""


def values(text: str) -> Iterator[Found]:
    """Yield the lists and objects in ``text``, those inside of others not.

    Numbers and other bare values come as they are written; nothing (null, NaN, …) as None. What has no end
    is read as far as it goes, without the value that was cut.
    """
    text, begin = text[:LONGEST], 0
    for _ in range(TRIES):
        found = re.compile(r"[\[{]").search(text, begin)
        if found is None:
            return
        reader = _Reader(text, found.start())
        try:
            yield Found(reader.value(0), reader.whole)
            begin = reader.place
        except _NotJson:
            begin = found.end()


class _NotJson(ValueError):
    pass


class _Cut(Exception):
    """The text ends in the middle of a value, which is left out."""


class _Reader:
    def __init__(self, text: str, place: int) -> None:
        self.text, self.place, self.whole = text, place, True

    def value(self, depth: int) -> Any:
        """Return the value that begins here."""
        if depth > DEEPEST:
            raise _NotJson
        match self._next():
            case "{":
                return self._object(depth)
            case "[":
                return self._list(depth)
            case "“" | '"' | "'" as quote:
                return self._string({"“": "”"}.get(quote, quote))
        return self._bare()

    def _next(self) -> str:
        """Return the next character that means something; raises _Cut at the end."""
        found = _SPACE.match(self.text, self.place)
        self.place = found.end() if found else self.place
        if self.place >= len(self.text):
            raise _Cut
        return self.text[self.place]

    def _list(self, depth: int) -> list[Any]:
        self.place += 1
        values: list[Any] = []
        try:
            while self._next() != "]":
                if self.text[self.place] == ",":
                    self.place += 1
                    continue
                values.append(self.value(depth + 1))
                if not self.whole:
                    return values
                if self._next() not in ",]":
                    raise _NotJson
            self.place += 1
        except _Cut:
            self.whole = False
        return values

    def _object(self, depth: int) -> dict[str, Any]:
        self.place += 1
        values: dict[str, Any] = {}
        try:
            while self._next() != "}":
                if self.text[self.place] == ",":
                    self.place += 1
                    continue
                name = self.value(DEEPEST)
                if not isinstance(name, str) or self._next() != ":":
                    raise _NotJson
                self.place += 1
                values[str(name)] = self.value(depth + 1)
                if not self.whole:
                    return values
                if self._next() not in ",}":
                    raise _NotJson
            self.place += 1
        except _Cut:
            self.whole = False
        return values

    def _string(self, quote: str) -> str:
        self.place += 1
        parts: list[str] = []
        while self.place < len(self.text):
            char = self.text[self.place]
            self.place += 1
            if char == quote:
                return "".join(parts)
            if char == "\\" and self.place < len(self.text):
                char = self.text[self.place]
                self.place += 1
                if char == "u":
                    code = self.text[self.place : self.place + 4]
                    self.place += len(code)
                    char = chr(int(code, 16)) if re.fullmatch("[0-9a-fA-F]{4}", code) else ""
                    char = "" if "\ud800" <= char <= "\udfff" else char
                else:
                    char = _ESCAPES.get(char, char)
            parts.append(char)
        raise _Cut

    def _bare(self) -> Bare | None:
        found = _BARE.match(self.text, self.place)
        if found is None:
            raise _NotJson
        if found.end() >= len(self.text):
            raise _Cut
        self.place = found.end()
        text = found[0].strip()
        return None if text.lower() in _NOTHING else Bare(text)
