"""The kinds of values that parameters take: how each is read from a prompt, written back, and checked in a
request. Beside them, how numbers and a member's text are shown, what is taken literally in a prompt, and how
a request names a LoRA that members have made.

Reading raises PromptError, checking UserError; both name the flag, the value and what is allowed.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, NamedTuple

from core.errors import PromptError, UserError
from core.limits import MAX_ASPECT, MAX_LABEL, MAX_REFERENCES, MAX_SEED, MAX_TASTES, MAX_WEIGHT, Weighted

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
    from difflib import get_close_matches

    near = [name for name in known if abs(len(name) - len(word)) <= 2]
    return next(iter(get_close_matches(word, near, 1, cutoff)), None)


def hint(word: str, known: Iterable[str], before: str = "", cutoff: float = 0.6) -> str:
    """Return " Did you mean `--seed`?" for a close known name, else an empty text."""
    close = closest(word, known, cutoff)
    return f" Did you mean `{before}{close}`?" if close else ""


# a dash behind a word, as phones make it: "fish—ar 2:3", or "fish—tile" at the end of the words
GLUED = (
    r"(?<=[^\s\0\\])(?:--|[\u2014\u2013])"
    r"(?=[A-Za-z]+(?:[\s=]+[\d.]|\s*$|\s+(?:--|[\u2014\u2013])[A-Za-z]))"
)
_SPECIAL = r"\\,{}:\-\u2014\u2013\"\u201c<"
_OPENING = r'(?<![^\s(\[{,:])"'
_QUOTED = (
    _OPENING + r'[^"]*"(?=[\s.,;:!?)\]{}\\"<\u2014\u2013-]|$)|\u201c[^\u201c\u201d]*\u201d'
)  # "so" and “so”; not the inches of 5" nails
_PROTECTED = re.compile(rf"{_QUOTED}|\\[{_SPECIAL}]")
_TO_ESCAPE = re.compile(
    rf"(?P<quoted>{_QUOTED})"
    rf"|\\(?=[{_SPECIAL}]|$)"
    rf"|[{{}}\u201c]|{_OPENING}"
    r"|:(?=:)|(?<=http):(?=//)|(?<=https):(?=//)"
    r"|(?<!\S)(?:--|[\u2014\u2013])(?=[A-Za-z])"
    rf"|{GLUED}"
    r"|(?<!\S)<(?=\d|https?:)",
    re.IGNORECASE,
)


def mask_quoted(source: str) -> str:
    """Return ``source`` with every protected character replaced by NUL.

    The length stays the same: an index into one is an index into the other.
    """
    return _PROTECTED.sub(lambda match: "\0" * len(match[0]), source)


def unescape(source: str) -> str:
    """Return the words that are meant: without the backslashes of escapes, with quotes, in single spaces."""
    return " ".join(
        _PROTECTED.sub(lambda match: match[0][1] if match[0][0] == "\\" else match[0], source).split()
    )


def escape(text: str) -> str:
    """Return words in single spaces so that ``unescape`` gives them back and none of them has a meaning."""
    return _TO_ESCAPE.sub(lambda match: match[0] if match["quoted"] else "\\" + match[0], text)


NUMBER = r"-?(?:\d+(?:\.\d+)?|\.\d+)(?:e-?\d+)?"
_STYLE_CODE = re.compile(
    r"random(-\d+){0,2}|(raw-)?[A-Za-z0-9]*\d[A-Za-z0-9]*(-[A-Za-z0-9]+)*", re.IGNORECASE
)
_VERSION = re.compile(r"\d{1,2}(\.\d)?", re.ASCII)
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
    """``bare`` for a flag that takes no text but ``same``, which means as much as none."""

    bare: Any = True
    same: str | None = None

    def read(self, flag: str, text: str) -> Any:
        if text == self.same:
            return self.bare
        raise PromptError(f"`--{flag}` takes no value, but `{short(text)}` follows it. Flags come last.")

    def writes(self, value: Any) -> bool:
        return value is self.bare

    def write(self, value: Any) -> str:
        return ""


@dataclass(frozen=True)
class Whole(Value):
    """A whole number in ``low``..``high``; ``unit`` is written behind it where a request's is refused."""

    low: float
    high: float
    unit: str = ""
    cast: ClassVar[type[int] | type[float]] = int
    kind: ClassVar[str] = "a whole number"
    form: ClassVar[re.Pattern[str]] = re.compile(r"-?\d{1,20}", re.ASCII)

    @property
    def bounds(self) -> str:
        return f", {self.low:g} to {self.high:.10g}"

    def read(self, flag: str, text: str) -> float:
        """Return the number; whole numbers have at most 20 digits."""
        number = self.cast(text) if self.form.fullmatch(text) else None
        if number is None or not self.low <= number <= self.high:
            raise PromptError(
                f"`--{flag}` is `{short(text)}`; it takes {self.kind} from {self.low:g} to {self.high:.10g}."
            )
        return number

    def writes(self, value: float | None) -> bool:
        """Return whether there is a number, 0 too."""
        return value is not None

    def check(self, name: str, value: float | None) -> None:
        if value is not None:
            within(name, value, self.low, self.high, self.unit)


@dataclass(frozen=True)
class Real(Whole):
    """A decimal number in ``low``..``high``."""

    cast = float
    kind: ClassVar[str] = "a number"
    form: ClassVar[re.Pattern[str]] = re.compile(NUMBER, re.ASCII)

    def write(self, value: float) -> str:
        return decimal(value)


@dataclass(frozen=True)
class OneNumberOf(Value):
    """One of a few numbers."""

    numbers: tuple[float, ...]

    def read(self, flag: str, text: str) -> float:
        number = Real(min(self.numbers), max(self.numbers)).read(flag, text)
        if number not in self.numbers:
            raise PromptError(f"`--{flag}` is `{short(text)}`; it takes {self._listed()}.")
        return self.numbers[self.numbers.index(number)]

    def write(self, value: float) -> str:
        return decimal(value)

    def check(self, name: str, value: float | None) -> None:
        if value is not None and value not in self.numbers:
            raise UserError(f"`{name}` is {value:g}; it takes {self._listed()}.")

    def _listed(self) -> str:
        return ", ".join(map(decimal, self.numbers))


@dataclass(frozen=True)
class Choice(Value):
    """One of a few words in any case, behind ``prefix``, which alone is what no text means."""

    words: tuple[str, ...]
    prefix: str = ""

    @property
    def bare(self) -> str | None:
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
        return bool(value) and (value == self.bare or value in [self.prefix + word for word in self.words])

    def write(self, value: str) -> str:
        return value.removeprefix(self.prefix.strip()).strip()


@dataclass(frozen=True)
class Version(Choice):
    """A version of Midjourney's, also one that came after ``words``, which are those to suggest."""

    def read(self, flag: str, text: str) -> str:
        """Return the version behind the prefix, without ".0"."""
        if not _VERSION.fullmatch(text):
            raise PromptError(
                f"`--{flag}` is `{short(text)}`; it takes a version such as {', '.join(self.words[-3:])}."
            )
        return self.prefix + text.removesuffix(".0")

    def writes(self, value: str | None) -> bool:
        return bool(value) and str(value).startswith("niji") == bool(self.prefix)


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
        return f"{value[0]}:{value[1]}"

    def check(self, name: str, value: tuple[int, int] | None) -> None:
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
        return _pair(flag, text, "x", self.low, self.high, "768x512")

    def write(self, value: tuple[int, int]) -> str:
        return f"{value[0]}x{value[1]}"


class Words(Value):
    """Words as they are meant, without escapes; given twice, they stand side by side."""

    def read(self, flag: str, text: str) -> str:
        return unescape(text)

    def join(self, first: str, second: str) -> str:
        return f"{first}, {second}"

    def write(self, value: str) -> str:
        return escape(value)


OWN_TASTE = ((OWN := "me", 1.0),)  # what ``--p`` alone names: one's own taste, from hearts


class Tastes(Value):
    """((taste, weight -2..2), …): one's own hearts ("me"), folders of one's own by name, and codes. Which of
    them there are is for others to know."""

    bare = OWN_TASTE

    def read(self, flag: str, text: str) -> Weighted:
        """Return the pairs, safe between backticks; a taste without a weight has 1."""
        found = tuple(self._one(flag, token) for token in text.replace("`", "").split())
        if len(found) > MAX_TASTES:
            raise PromptError(f"`--{flag}` has {len(found)} tastes; it takes up to {MAX_TASTES}.")
        return found

    def _one(self, flag: str, token: str) -> tuple[str, float]:
        what, weight = read_weighted(token) or (token, 1.0)
        if not -2 <= weight <= 2:
            raise PromptError(f"`--{flag}` has `{short(token)}`; a weight goes from -2 to 2.")
        return what[:MAX_LABEL].lower(), weight

    def writes(self, value: Weighted) -> bool:
        return bool(value)

    def write(self, value: Weighted) -> str:
        return "" if value == OWN_TASTE else write_weighted(value)

    def check(self, name: str, value: Weighted) -> None:
        if len(value) > MAX_TASTES:
            raise UserError(f"`{name}` has {len(value)} tastes; it takes up to {MAX_TASTES}.")
        for _, weight in value:
            within(name, weight, -2, 2)


class Name(Value):
    """A name that the host has set up; whether there is one is for others to know."""

    def read(self, flag: str, text: str) -> str:
        if not _NAME.fullmatch(text):
            raise PromptError(
                f"`--{flag}` is `{short(text)}`; it takes the name of a model that the operator has set up."
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


_STORED = re.compile(r"(?P<shown>[\w.-]{1,64})\+(?P<project>[a-z2-9]{12})\+(?P<sha256>[0-9a-f]{64})")


class StoredLora(NamedTuple):
    """A style of a project. shown: how it is typed. sha256: of its file."""

    shown: str
    project: str
    sha256: str

    def __str__(self) -> str:
        return "+".join(self)


def stored_lora(name: str) -> StoredLora | None:
    """Return what a LoRA's name in a request stands for; None for one that the host has set up."""
    match = _STORED.fullmatch(name)
    return StoredLora(*match.group("shown", "project", "sha256")) if match else None


def shown_lora(name: str) -> str:
    """Return how a LoRA in a request is typed."""
    stored = stored_lora(name)
    return stored.shown if stored else name


def lora_name(project: str) -> str:
    """Return how the name of a project is typed behind ``--lora``: one word."""
    return re.sub(r"[^\w.-]+", "-", project).strip("-")[:64] or "style"


_WEIGHTED = re.compile(rf"(?P<what>\S*?[^\s:])(?:::(?P<weight>{NUMBER}))?", re.ASCII)
_LORA = re.compile(rf"(?P<what>[\w.+-]{{1,64}})(?::(?P<weight>{NUMBER}))?", re.ASCII)
_LINK = re.compile(r"https?://[^\s<>]+|<\d{1,2}>", re.IGNORECASE)
OWN_STYLE = re.compile(r"s[a-z2-7]{7}", re.ASCII | re.IGNORECASE)  # of somebody's own pictures
_CODE = re.compile(rf"\d{{1,10}}|random|{OWN_STYLE.pattern}", re.ASCII | re.IGNORECASE)
_LORA_NAME = re.compile(r"[\w.+-]{1,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Loras(Value):
    """((name, weight -2..2), …), written ``ink:0.8``; given twice, they add up."""

    def read(self, flag: str, text: str) -> Weighted:
        """Return the pairs; a name without a weight has 1."""
        return tuple(self._one(flag, token) for token in text.replace(",", " ").split())

    def _one(self, flag: str, token: str) -> tuple[str, float]:
        match = _LORA.fullmatch(token)
        weight = float(match["weight"] or 1) if match else 0.0
        if match is None or not -2 <= weight <= 2:
            raise PromptError(
                f"`--{flag}` has `{short(token)}`; write it like `--{flag} ink:0.8`, with a weight from -2"
                " to 2."
            )
        return match["what"], weight

    def join(self, first: Weighted, second: Weighted) -> Weighted:
        return first + second

    def write(self, value: Weighted) -> str:
        return write_weighted(tuple((shown_lora(name), weight) for name, weight in value), ":")

    def check(self, name: str, value: Weighted) -> None:
        for lora, weight in value:
            if not _LORA_NAME.fullmatch(lora) and stored_lora(lora) is None:
                raise UserError(
                    f"`{name}` is {lora[:40]!r}; it takes a name of letters, digits, `.`, `_`, `+` and `-`."
                )
            within(name, weight, -2, 2)


@dataclass(frozen=True)
class References(Value):
    """((picture, weight), …). In a prompt a picture is a link, ``<n>`` for the n-th one given along, or, with
    ``codes``, a style code or "random"; in a request it is the SHA-256 of its file.

    ``lowest`` is the least weight that a request takes.
    """

    codes: bool = False
    lowest: float = 0.0

    def read(self, flag: str, text: str) -> Weighted:
        """Return the pairs; a picture without a weight has 1."""
        return tuple(self._one(flag, token) for token in text.replace(", ", " ").split())

    def _one(self, flag: str, token: str) -> tuple[str, float]:
        found = read_picture(token) or (self._code(flag, token) if self.codes else None)
        if found is None:
            codes = ", a code or random" if self.codes else ""
            raise PromptError(
                f"`--{flag}` has `{short(token)}`; it takes links to Discord attachments, or numbers such as"
                f" `<1>` of pictures you attached{codes}, each with a weight such as `::2` if you like."
            )
        return found

    def _code(self, flag: str, token: str) -> tuple[str, float] | None:
        found = read_weighted(token)
        if found is None or not _CODE.fullmatch(found[0]):
            return None
        code, weight = found
        if not code.isdigit():
            return code.lower(), weight
        if int(code) > MAX_SEED:
            raise PromptError(f"`--{flag}` is `{short(code)}`; a style code goes from 0 to {MAX_SEED}.")
        return str(int(code)), weight

    def join(self, first: Weighted, second: Weighted) -> Weighted:
        return first + second

    def write(self, value: Weighted) -> str:
        return write_weighted(value)

    def check(self, name: str, value: Weighted) -> None:
        if len(value) > MAX_REFERENCES:
            raise UserError(f"`{name}` has {len(value)} pictures; it takes up to {MAX_REFERENCES}.")
        for sha256, weight in value:
            check_sha256(name, sha256)
            within(name, weight, self.lowest, MAX_WEIGHT)

    def pictures(self, value: Weighted) -> tuple[str, ...]:
        return tuple(sha256 for sha256, _ in value)


class Reference(Value):
    """One picture of a prompt: a link, or ``<n>`` for the n-th one given along."""

    def read(self, flag: str, text: str) -> str:
        found = read_picture(text)
        if found is None or found[1] != 1:
            raise PromptError(
                f"`--{flag}` is `{short(text)}`; it takes one link to a Discord attachment, or the number of"
                " a picture you attached, such as `<1>`."
            )
        return found[0]


class StyleCodes(Value):
    """((style code, weight), …) of a request."""

    def check(self, name: str, value: tuple[tuple[int, float], ...]) -> None:
        for code, weight in value:
            within(name, code, 0, MAX_SEED)
            within(name, weight, 0, MAX_WEIGHT)


class Picture(Value):
    """The SHA-256 of one picture of a request, or None."""

    def check(self, name: str, value: str | None) -> None:
        """Refuse anything but a SHA-256, with ValueError."""
        check_sha256(name, *self.pictures(value))

    def pictures(self, value: str | None) -> tuple[str, ...]:
        return () if value is None else (value,)


class Pictures(Value):
    """The SHA-256 of several pictures of a request."""

    def check(self, name: str, value: tuple[str, ...]) -> None:
        """Refuse anything but SHA-256, with ValueError."""
        check_sha256(name, *value)

    def pictures(self, value: tuple[str, ...]) -> tuple[str, ...]:
        return value


def read_weighted(token: str) -> tuple[str, float] | None:
    """Return (what, weight) of ``what::2``, weight 1 where there is none; None where it is no number."""
    match = _WEIGHTED.fullmatch(token)
    return (match["what"], float(match["weight"] or 1)) if match else None


def read_picture(token: str) -> tuple[str, float] | None:
    """Return (link or ``<n>``, weight) of a word of a prompt that names a picture, else None."""
    if not token.startswith(("<", "h", "H")):
        return None
    found = read_weighted(token)
    if found is None:
        return None
    what = found[0][1:-1] if found[0].startswith("<http") and found[0].endswith(">") else found[0]
    return (what, found[1]) if _LINK.fullmatch(what) else None


def write_weighted(pairs: Weighted, sign: str = "::") -> str:
    """Return the pairs as they are typed, ``what::2 other``; a weight of 1 is left out."""
    return " ".join(what if weight == 1 else f"{what}{sign}{decimal(weight)}" for what, weight in pairs)


def check_sha256(name: str, *values: str) -> None:
    """Raise ValueError unless each value is a SHA-256 in hex."""
    for value in values:
        if not _SHA256.fullmatch(value):
            raise ValueError(f"{name} must be a SHA-256 in hex, not {value!r}")
