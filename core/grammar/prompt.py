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
from core.grammar.flags import BY_NAME, SUPPORTED, Prompt, unknown_flags
from core.grammar.quoting import GLUED, escape, mask_quoted, unescape
from core.grammar.references import read_picture, write_weighted
from core.grammar.spelling import closest, decimal, is_blank
from core.grammar.values import Code, Name, Switch, Words
from core.limits import MAX_PARTS, MAX_PROMPT, MAX_WEIGHT, NEGATIVE_WEIGHT, Weighted

_FLAG = re.compile(rf"(?:(?<!\S)(--|[\u2014\u2013])(?=[A-Za-z])|(?P<glued>{GLUED}))([^\s=]+)=?")
_WEIGHT = re.compile(r"::(?:(-?(?:\d+(?:\.\d+)?|\.\d+))(?=[\s,]|$|::))?,?", re.ASCII)


def parse_prompt(source: str) -> Prompt:
    """Return what a prompt without sets in braces asks for.

    Of repeated flags the first wins, but ``--no``, references and LoRAs add up. Raises PromptError, which
    names the flag, the value and what is allowed.
    """
    if len(source) > MAX_PROMPT:
        raise PromptError(f"The prompt has {len(source):,} characters; it takes up to {MAX_PROMPT:,}.")
    body, flags = split_flags(source)
    found: dict[str, Any] = {}
    if wrong := [flag.name for flag in flags if flag.name not in BY_NAME]:
        raise PromptError(unknown_flags(wrong))
    for flag in flags:
        _set_field(found, flag.name, flag.text)
    images, words, parts = _words_of(body)
    if "size" in found and "aspect_ratio" in found:
        raise PromptError("`--size` and `--ar` exclude each other; keep one of them.")
    if any(abs(weight) > MAX_WEIGHT for _, weight in (*parts, *images)):
        raise PromptError(f"A weight is over {MAX_WEIGHT:g}.")
    total = sum(weight for _, weight in parts) - (NEGATIVE_WEIGHT if found.get("negative_prompt") else 0)
    if parts and total <= 0:
        raise PromptError(
            f"The weights add up to {decimal(round(total, 6))} (`--no` counts -{NEGATIVE_WEIGHT:g}); the sum"
            " must be over 0. Give what you want to see a higher weight."
        )
    return Prompt(text=words, parts=parts, images=images, **found)


class TypedFlag(NamedTuple):
    """A flag in a prompt: its name in small letters, the name as typed with its dash, the text behind it."""

    name: str
    typed: str
    text: str


def split_flags(source: str, own: Container[str] = ()) -> tuple[str, list[TypedFlag]]:
    """Return what stands before the flags of ``source``, and its flags; together they are ``source`` again.

    A double dash begins a flag, and so does a long dash before a name that is known, nearly known or ``own``.
    Behind a word without a space, a dash begins one before a known name with a number that it takes, and
    before the name of a switch behind which nothing but flags comes.
    """
    flags: list[TypedFlag] = []
    end = len(source)
    for mark in reversed(list(_FLAG.finditer(mask_quoted(source)))):
        name, text = mark[3].lower().rstrip(","), source[mark.end() : end]
        if mark["glued"]:
            begins = _takes_text(name, text)
        else:
            begins = (
                mark[1] == "--" or name in BY_NAME or name in own or closest(name, BY_NAME, 0.75) is not None
            )
        if begins:
            flags.append(TypedFlag(name, source[mark.start() : mark.end()], text))
            end = mark.start()
    return source[:end], flags[::-1]


def _takes_text(name: str, text: str) -> bool:
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


def _set_field(found: dict[str, Any], name: str, text: str) -> None:
    """Read one flag into ``found``. A value that is known but has no effect is kept as typed."""
    flag = BY_NAME[name]
    text = "" if is_blank(text) else " ".join(text.split())
    if not isinstance(flag.value, Words):
        text = text.rstrip(" ,")
    value = flag.value.read(name, text) if text else flag.value.bare
    if value is None and not text:
        raise PromptError(f"`--{name}` needs a value: {flag.help}.")
    second = flag.field == "version" and found.get("version", value) != value
    if flag.unsupported or value is None or second:
        typed = f"--{name} {text}".strip()
        found["unsupported"] = tuple(dict.fromkeys((*found.get("unsupported", ()), typed)))
    else:
        found[flag.field] = flag.value.join(found[flag.field], value) if flag.field in found else value


def _words_of(body: str) -> tuple[Weighted, str, Weighted]:
    """Return (pictures, words, parts) of what stands before the flags."""
    images, kept = [], []
    for token in re.finditer(r"\S+", mask_quoted(body)):
        written = body[token.start() : token.end()]
        if (image := read_picture(written)) is not None:
            images.append(image)
        else:
            kept.append((written, token[0]))
    words, shaped = (" ".join(column) for column in (zip(*kept, strict=True) if kept else ("", "")))
    found, begin = [], 0
    for mark in _WEIGHT.finditer(shaped):
        found.append((unescape(words[begin : mark.start()]), float(mark[1] or 1)))
        begin = mark.end()
    found.append((unescape(words[begin:]), 1.0))
    parts = tuple((text, weight) for text, weight in found if not is_blank(text))
    if len(parts) > MAX_PARTS:
        raise PromptError(f"The prompt has {len(parts)} parts; it takes up to {MAX_PARTS}.")
    positive = ", ".join(text for text, weight in parts if weight > 0)
    plainly = not parts or (len(parts) == 1 and parts[0][1] == 1)
    return tuple(images), positive, () if plainly else parts


def format_prompt(prompt: Prompt) -> str:
    """Return the text that ``parse_prompt`` reads as ``prompt``: pictures, words, flags in the table's
    order."""
    written = [write_weighted(prompt.images)]
    for number, (words, weight) in enumerate(prompt.parts, 1):
        text = escape(words)
        if number == len(prompt.parts) > 1 and weight == 1:
            written.append(text)
        else:  # a colon at the end would join the weight's
            text = text[:-1] + "\\:" if text.endswith(":") else text
            written.append(f"{text}::{decimal(weight)}")
    written += [] if prompt.parts else [escape(prompt.text)]
    typed = ((flag, getattr(prompt, flag.field)) for flag in SUPPORTED)
    written += [flag.typed(value) for flag, value in typed if flag.value.writes(value)]
    return " ".join(filter(None, (*written, *prompt.unsupported)))
