"""The kinds of values that parameters take: how each is read from a prompt, written back, and checked in a
request.

Reading raises PromptError, checking UserError; both name the flag, the value and what is allowed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from core.errors import PromptError, UserError
from core.grammar.quoting import escape, unescape
from core.grammar.spelling import decimal, hint, short
from core.limits import MAX_ASPECT

NUMBER = r"-?(?:\d+(?:\.\d+)?|\.\d+)(?:e-?\d+)?"
_STYLE_CODE = re.compile(
    r"random(-\d+){0,2}|(raw-)?[A-Za-z0-9]*\d[A-Za-z0-9]*(-[A-Za-z0-9]+)*", re.IGNORECASE
)
_NAME = re.compile(r"[A-Za-z0-9][\w.+-]{0,63}")


class Value:
    """Any value; the base of all kinds."""

    @property
    def bare(self) -> Any:
        """What a flag without text behind it means; None = it needs text."""
        return None

    @property
    def bounds(self) -> str:
        """What the flag's help says of the range."""
        return ""

    def read(self, flag: str, text: str) -> Any:
        """Return the value of ``text``, which isn't empty; None for one that is known but has no effect."""
        raise NotImplementedError

    def join(self, first: Any, second: Any) -> Any:
        """Return what a flag means that was given twice: here the first value wins."""
        return first

    def writes(self, value: Any) -> bool:
        """Return whether a prompt with ``value`` has this flag."""
        return bool(value)

    def write(self, value: Any) -> str:
        """Return the text that ``read`` turns into ``value``; empty for the flag's name alone."""
        return str(value)

    def check(self, name: str, value: Any) -> None:
        """Raise UserError if a request can't have ``value``; ``name`` is how its author knows the field."""

    def pictures(self, value: Any) -> tuple[str, ...]:
        """Return the SHA-256 of every stored picture that a request's ``value`` names."""
        return ()


@dataclass(frozen=True)
class Switch(Value):
    """``bare`` for a flag that takes no text."""

    bare: Any = True

    def read(self, flag: str, text: str) -> Any:
        """Refuse any text: the flag takes none."""
        raise PromptError(f"`--{flag}` takes no value, but `{short(text)}` follows it. Flags come last.")

    def writes(self, value: Any) -> bool:
        """Return whether ``value`` is what the flag means."""
        return value is self.bare

    def write(self, value: Any) -> str:
        """Return no text."""
        return ""


@dataclass(frozen=True)
class Whole(Value):
    """A whole number in ``low``..``high``; ``unit`` is written behind it where a request's is refused."""

    low: float
    high: float
    unit: str = ""
    kind: ClassVar[str] = "a whole number"
    form: ClassVar[re.Pattern[str]] = re.compile(r"-?\d{1,20}", re.ASCII)

    @property
    def bounds(self) -> str:
        """The range, as a flag's help tells it."""
        return f", {self.low:g} to {self.high:.10g}"

    def read(self, flag: str, text: str) -> float:
        """Return the number; whole numbers have at most 20 digits."""
        number = self._number(text) if self.form.fullmatch(text) else None
        if number is None or not self.low <= number <= self.high:
            raise PromptError(
                f"`--{flag}` is `{short(text)}`; it takes {self.kind} from {self.low:g} to {self.high:.10g}."
            )
        return number

    def _number(self, text: str) -> float:
        return int(text)

    def writes(self, value: float | None) -> bool:
        """Return whether there is a number, 0 too."""
        return value is not None

    def check(self, name: str, value: float | None) -> None:
        """Refuse a number outside the range."""
        if value is not None:
            within(name, value, self.low, self.high, self.unit)


@dataclass(frozen=True)
class Real(Whole):
    """A decimal number in ``low``..``high``."""

    kind: ClassVar[str] = "a number"
    form: ClassVar[re.Pattern[str]] = re.compile(NUMBER, re.ASCII)

    def _number(self, text: str) -> float:
        return float(text)

    def write(self, value: float) -> str:
        """Return the shortest plain decimal."""
        return decimal(value)


@dataclass(frozen=True)
class OneNumberOf(Value):
    """One of a few numbers."""

    numbers: tuple[float, ...]

    def read(self, flag: str, text: str) -> float:
        """Return the number, as it stands among those, if it is one of them."""
        number = Real(min(self.numbers), max(self.numbers)).read(flag, text)
        if number not in self.numbers:
            raise PromptError(f"`--{flag}` is `{short(text)}`; it takes {self._listed()}.")
        return self.numbers[self.numbers.index(number)]

    def write(self, value: float) -> str:
        """Return the shortest plain decimal."""
        return decimal(value)

    def check(self, name: str, value: float | None) -> None:
        """Refuse any other number."""
        if value is not None and value not in self.numbers:
            raise UserError(f"`{name}` is {value:g}; it takes {self._listed()}.")

    def _listed(self) -> str:
        return ", ".join(map(decimal, self.numbers))


@dataclass(frozen=True)
class Choice(Value):
    """One of a few words, whatever its case. With a ``prefix`` the value is prefix + word, and the prefix
    alone is what the flag means without text."""

    words: tuple[str, ...]
    prefix: str = ""

    @property
    def bare(self) -> str | None:
        """The prefix alone, where there is one."""
        return self.prefix.strip() or None

    def read(self, flag: str, text: str) -> str:
        """Return the word in small letters, behind the prefix."""
        word = text.lower()
        if word not in self.words:
            raise PromptError(
                f"`--{flag}` is `{short(text)}`; it takes {', '.join(self.words)}.{hint(word, self.words)}"
            )
        return self.prefix + word

    def writes(self, value: str | None) -> bool:
        """Return whether ``value`` is one of this flag's."""
        return bool(value) and (value == self.bare or value in [self.prefix + word for word in self.words])

    def write(self, value: str) -> str:
        """Return the word without the prefix."""
        return value.removeprefix(self.prefix.strip()).strip()


@dataclass(frozen=True)
class Style(Value):
    """``--style``: True for "raw"; the other styles and codes of Midjourney are known but have no effect."""

    words: tuple[str, ...]

    def read(self, flag: str, text: str) -> bool | None:
        """Return True for "raw", None for any other style."""
        word = text.lower()
        close = "" if word in self.words else hint(word, self.words, cutoff=0.75)
        if close or not (word in self.words or _STYLE_CODE.fullmatch(text)):
            raise PromptError(
                f"`--{flag}` is `{short(text)}`; it takes {', '.join(self.words)}, or a style code.{close}"
            )
        return True if word == "raw" else None

    def writes(self, value: bool) -> bool:
        """Return False: ``--raw`` says the same and is written."""
        return False  # `--raw` is written


class Aspect(Value):
    """A shape (w, h) of whole numbers."""

    def read(self, flag: str, text: str) -> tuple[int, int]:
        """Return (w, h) of ``3:2`` or ``3x2``."""
        w, h = _pair(flag, text, "[:x]", 1, 10_000, "3:2")
        if max(w / h, h / w) > MAX_ASPECT:
            raise PromptError(f"`--{flag}` is `{w}:{h}`; it takes 1:{MAX_ASPECT} to {MAX_ASPECT}:1.")
        return w, h

    def write(self, value: tuple[int, int]) -> str:
        """Return ``w:h``."""
        return f"{value[0]}:{value[1]}"

    def check(self, name: str, value: tuple[int, int] | None) -> None:
        """Refuse a shape over MAX_ASPECT to 1."""
        if value is None:
            return
        w, h = value
        if w < 1 or h < 1 or max(w / h, h / w) > MAX_ASPECT:
            raise UserError(
                f"`{name}` is {w}:{h}; it takes whole numbers from 1:{MAX_ASPECT} to {MAX_ASPECT}:1."
            )


@dataclass(frozen=True)
class Size(Value):
    """(width, height) in px, each in ``low``..``high``."""

    low: int
    high: int

    def read(self, flag: str, text: str) -> tuple[int, int]:
        """Return (width, height) of ``768x512``."""
        return _pair(flag, text, "x", self.low, self.high, "768x512")

    def write(self, value: tuple[int, int]) -> str:
        """Return ``widthxheight``."""
        return f"{value[0]}x{value[1]}"


class Words(Value):
    """Words as they are meant, without escapes; given twice, they stand side by side."""

    def read(self, flag: str, text: str) -> str:
        """Return the words that are meant."""
        return unescape(text)

    def join(self, first: str, second: str) -> str:
        """Return both, separated by a comma."""
        return f"{first}, {second}"

    def write(self, value: str) -> str:
        """Return the words with everything escaped that would mean something."""
        return escape(value)


class Code(Value):
    """A code that only its own feature understands, up to 200 characters; empty for the flag alone."""

    bare = ""

    def read(self, flag: str, text: str) -> str:
        """Return the code in single spaces, safe between backticks."""
        return " ".join(text.replace("`", "").split())[:200]

    def writes(self, value: str | None) -> bool:
        """Return whether there is a code, an empty one too."""
        return value is not None


class Name(Value):
    """A name that the host has set up; whether there is one is for others to know."""

    def read(self, flag: str, text: str) -> str:
        """Return the name as typed."""
        if not _NAME.fullmatch(text):
            raise PromptError(
                f"`--{flag}` is `{short(text)}`; it takes the name of a model that the host has set up."
            )
        return text


def within(name: str, value: float, low: float, high: float, unit: str = "") -> None:
    """Raise UserError unless ``low`` <= ``value`` <= ``high``."""
    if not low <= value <= high:
        raise UserError(f"`{name}` is {value:.10g}{unit}; it takes {low:g} to {high:.10g}{unit}.")


def _pair(flag: str, text: str, separator: str, low: int, high: int, example: str) -> tuple[int, int]:
    match = re.fullmatch(rf"(\d{{1,5}}){separator}(\d{{1,5}})", text.lower(), re.ASCII)
    if not match or not all(low <= int(n) <= high for n in match.groups()):
        raise PromptError(
            f"`--{flag}` is `{short(text)}`; write it like `--{flag} {example}`, with {low} to {high}."
        )
    return int(match[1]), int(match[2])
