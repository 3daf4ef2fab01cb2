"""Values that name pictures, style codes or LoRAs, most of them with weights: ``<1>::2``, ``ink:0.8``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from core.errors import PromptError, UserError
from core.grammar.spelling import decimal, short
from core.grammar.stored_loras import shown_lora, stored_lora
from core.grammar.values import NUMBER, Value, within
from core.limits import MAX_REFERENCES, MAX_SEED, MAX_WEIGHT, Weighted

_WEIGHTED = re.compile(rf"(?P<what>\S*?[^\s:])(?:::(?P<weight>{NUMBER}))?", re.ASCII)
_LORA = re.compile(rf"(?P<what>[\w.+-]{{1,64}})(?::(?P<weight>{NUMBER}))?", re.ASCII)
_LINK = re.compile(r"https?://[^\s<>]+|<\d{1,2}>", re.IGNORECASE)
_CODE = re.compile(r"\d{1,10}|random", re.ASCII | re.IGNORECASE)
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
        """Return the pairs of both."""
        return first + second

    def write(self, value: Weighted) -> str:
        """Return the pairs as typed, ``ink:0.8 wet``."""
        return write_weighted(tuple((shown_lora(name), weight) for name, weight in value), ":")

    def check(self, name: str, value: Weighted) -> None:
        """Refuse names that can't be configured and weights out of range."""
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
            return "random", weight
        if int(code) > MAX_SEED:
            raise PromptError(f"`--{flag}` is `{short(code)}`; a style code goes from 0 to {MAX_SEED}.")
        return str(int(code)), weight

    def join(self, first: Weighted, second: Weighted) -> Weighted:
        """Return the pairs of both."""
        return first + second

    def write(self, value: Weighted) -> str:
        """Return the pairs as typed, ``<1>::2 <2>``."""
        return write_weighted(value)

    def check(self, name: str, value: Weighted) -> None:
        """Refuse too many pictures and weights out of range."""
        if len(value) > MAX_REFERENCES:
            raise UserError(f"`{name}` has {len(value)} pictures; it takes up to {MAX_REFERENCES}.")
        for sha256, weight in value:
            check_sha256(name, sha256)
            within(name, weight, self.lowest, MAX_WEIGHT)

    def pictures(self, value: Weighted) -> tuple[str, ...]:
        """Return every picture."""
        return tuple(sha256 for sha256, _ in value)


class Reference(Value):
    """One picture of a prompt: a link, or ``<n>`` for the n-th one given along."""

    def read(self, flag: str, text: str) -> str:
        """Return the link or ``<n>``."""
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
        """Refuse codes and weights out of range."""
        for code, weight in value:
            within(name, code, 0, MAX_SEED)
            within(name, weight, 0, MAX_WEIGHT)


class Picture(Value):
    """The SHA-256 of one picture of a request, or None."""

    def check(self, name: str, value: str | None) -> None:
        """Refuse anything but a SHA-256, with ValueError."""
        check_sha256(name, *self.pictures(value))

    def pictures(self, value: str | None) -> tuple[str, ...]:
        """Return the picture, if there is one."""
        return () if value is None else (value,)


class Pictures(Value):
    """The SHA-256 of several pictures of a request."""

    def check(self, name: str, value: tuple[str, ...]) -> None:
        """Refuse anything but SHA-256, with ValueError."""
        check_sha256(name, *value)

    def pictures(self, value: tuple[str, ...]) -> tuple[str, ...]:
        """Return every picture."""
        return value


def read_weighted(token: str) -> tuple[str, float] | None:
    """Return (what, weight) of ``what::2``, weight 1 where there is none; None for a weight that isn't a
    number."""
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
