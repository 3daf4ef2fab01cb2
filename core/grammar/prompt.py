"""The prompt grammar: pictures and words first, then ``--flags``. Pure: text in, a frozen ``Prompt`` or a
``PromptError`` out.

    <picture>::2 <picture> words::2 other words::-0.5 --flag value --flag

Midjourney's grammar (https://docs.midjourney.com/hc/en-us/articles/32859204029709-Parameter-List), softened:
names in any case, links anywhere among the words, ``\\`` before a character that would mean something,
nothing inside "double quotes" means anything. Sets in braces are read by ``core.grammar.permutations``, the
values of flags by ``core.grammar.values``.
"""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Any, NamedTuple

from core.errors import PromptError
from core.grammar.flags import BY_NAME, SUPPORTED, Prompt, unknown
from core.grammar.quoting import GLUED, escape, plain, shape
from core.grammar.references import picture, write_weighted
from core.grammar.spelling import closest, decimal, is_blank
from core.grammar.values import Code, Name, Switch, Words
from core.limits import MAX_PARTS, MAX_PROMPT, MAX_WEIGHT, NEGATIVE_WEIGHT, Weighted
from core.parameters import Flag

__all__ = ["Prompt", "TypedFlag", "format_prompt", "parse", "split"]


_FLAG = re.compile(rf"(?:(?<!\S)(--|[\u2014\u2013])(?=[A-Za-z])|(?P<glued>{GLUED}))([^\s=]+)=?")
_WEIGHT = re.compile(r"::(?:(-?(?:\d+(?:\.\d+)?|\.\d+))(?=[\s,]|$|::))?,?", re.ASCII)


def parse(source: str) -> Prompt:
    """Return what a prompt without sets in braces asks for.

    Of repeated flags the first wins, but ``--no``, references and LoRAs add up. Raises PromptError, which
    names the flag, the value and what is allowed.
    """
    if len(source) > MAX_PROMPT:
        raise PromptError(f"The prompt has {len(source):,} characters; it takes up to {MAX_PROMPT:,}.")
    body, flags = split(source)
    found: dict[str, Any] = {}
    if wrong := [flag.name for flag in flags if flag.name not in BY_NAME]:
        raise PromptError(unknown(wrong))
    for flag in flags:
        _take(found, flag.name, flag.text)
    images, text, parts = _words(body)
    if "size" in found and "aspect_ratio" in found:
        raise PromptError("`--size` and `--ar` exclude each other; keep one of them.")
    prompt = Prompt(text=text, parts=parts, images=images, **found)
    _check_sum(prompt)
    return prompt


class TypedFlag(NamedTuple):
    """A flag in a prompt: its name in small letters, the name as typed with its dash, the text behind it."""

    name: str
    typed: str
    text: str


def split(source: str, own: Container[str] = ()) -> tuple[str, list[TypedFlag]]:
    """Return what stands before the flags of ``source``, and its flags; together they are ``source`` again.

    A double dash begins a flag, and so does a long dash before a name that is known, nearly known or ``own``.
    Behind a word without a space, a dash begins one before a known name with a number that it takes, and
    before the name of a switch behind which nothing but flags comes.
    """
    flags: list[TypedFlag] = []
    end = len(source)
    for mark in reversed(list(_FLAG.finditer(shape(source)))):
        name, text = mark[3].lower().rstrip(","), source[mark.end() : end]
        if mark["glued"]:
            begins = _takes(name, text)
        else:
            begins = (
                mark[1] == "--" or name in BY_NAME or name in own or closest(name, BY_NAME, 0.75) is not None
            )
        if begins:
            flags.append(TypedFlag(name, source[mark.start() : mark.end()], text))
            end = mark.start()
    return source[:end], flags[::-1]


def _takes(name: str, text: str) -> bool:
    """Return whether ``name`` is a switch and ``text`` is empty, or a flag with numbers among its values and
    ``text`` is one of them."""
    flag = BY_NAME.get(name)
    if flag is None or isinstance(flag.value, Code | Name | Words):
        return False
    if is_blank(text):
        return isinstance(flag.value, Switch)
    try:
        return flag.value.read(name, " ".join(text.split()).rstrip(" ,")) is not None
    except PromptError:
        return False


def _take(found: dict[str, Any], name: str, text: str) -> None:
    """Read one flag into ``found``. A value that is known but has no effect is kept as typed."""
    flag = BY_NAME[name]
    text = "" if is_blank(text) else " ".join(text.split())
    if not isinstance(flag.value, Words):
        text = text.rstrip(" ,")
    value = _value(flag, name, text)
    second = flag.field == "version" and found.get("version", value) != value
    if flag.unsupported or value is None or second:
        typed = f"--{name} {text}".strip()
        found["unsupported"] = tuple(dict.fromkeys((*found.get("unsupported", ()), typed)))
    else:
        found[flag.field] = flag.value.join(found[flag.field], value) if flag.field in found else value


def _value(flag: Flag, name: str, text: str) -> Any:
    if text:
        return flag.value.read(name, text)
    if flag.value.bare is None:
        raise PromptError(f"`--{name}` needs a value: {flag.help}.")
    return flag.value.bare


def _words(source: str) -> tuple[Weighted, str, Weighted]:
    """Return (pictures, text, parts) of what stands before the flags."""
    images, kept = [], []
    for token in re.finditer(r"\S+", shape(source)):
        written = source[token.start() : token.end()]
        if (one := picture(written)) is not None:
            images.append(one)
        else:
            kept.append((written, token[0]))
    parts = _parts(" ".join(word for word, _ in kept), " ".join(word for _, word in kept))
    if len(parts) > MAX_PARTS:
        raise PromptError(f"The prompt has {len(parts)} parts; it takes up to {MAX_PARTS}.")
    text = ", ".join(words for words, weight in parts if weight > 0)
    plainly = not parts or (len(parts) == 1 and parts[0][1] == 1)
    return tuple(images), text, () if plainly else parts


def _parts(source: str, seen: str) -> Weighted:
    parts, begin = [], 0
    for mark in _WEIGHT.finditer(seen):
        parts.append((plain(source[begin : mark.start()]), float(mark[1] or 1)))
        begin = mark.end()
    parts.append((plain(source[begin:]), 1.0))
    return tuple((words, weight) for words, weight in parts if not is_blank(words))


def _check_sum(prompt: Prompt) -> None:
    if any(abs(weight) > MAX_WEIGHT for _, weight in (*prompt.parts, *prompt.images)):
        raise PromptError(f"A weight is over {MAX_WEIGHT:g}.")
    if not prompt.parts:
        return
    total = sum(weight for _, weight in prompt.parts) - (NEGATIVE_WEIGHT if prompt.negative_prompt else 0)
    if total <= 0:
        raise PromptError(
            f"The weights add up to {decimal(round(total, 6))} (`--no` counts -{NEGATIVE_WEIGHT:g}); the sum"
            " must be over 0. Give what you want to see a higher weight."
        )


def format_prompt(prompt: Prompt) -> str:
    """Return the text that ``parse`` reads as ``prompt``: pictures, words, flags in the table's order."""
    pieces = [
        write_weighted(prompt.images),
        _format_parts(prompt.parts) if prompt.parts else escape(prompt.text),
    ]
    for flag in SUPPORTED:
        value = getattr(prompt, flag.field)
        if flag.value.writes(value):
            pieces.append(flag.typed(value))
    return " ".join(piece for piece in (*pieces, *prompt.unsupported) if piece)


def _format_parts(parts: Weighted) -> str:
    written = []
    for number, (words, weight) in enumerate(parts, 1):
        last = number == len(parts) > 1 and weight == 1
        text = escape(words)
        text = (
            text[:-1] + "\\:" if text.endswith(":") and not last else text
        )  # else it would join the weight's colons
        written.append(text if last else f"{text}::{decimal(weight)}")
    return " ".join(written)
