"""The prompt grammar: pictures and words first, then ``--flags``. Pure: text in, a frozen ``Prompt`` or a
``PromptError`` out.

    <picture>::2 <picture> words::2 other words::-0.5 --flag value --flag

Midjourney's grammar (https://docs.midjourney.com/hc/en-us/articles/32859204029709-Parameter-List), softened:
names in any case, links anywhere among the words, ``\\`` before a character that would mean something,
nothing inside "double quotes" means anything. Sets in braces are ``core.grammar.permutations``', the flags'
values ``core.grammar.flags``'.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from typing import Any

from core.errors import PromptError
from core.grammar.flags import BY_NAME, FLAGS, Flag, closest, decimal, meant, picture, short, write_weighted
from core.grammar.quoting import escape, plain, shape
from core.job import Lane
from core.limits import MAX_PARTS, MAX_PROMPT, MAX_WEIGHT, NEGATIVE_WEIGHT, Weighted


@dataclass(frozen=True)
class Prompt:
    """A parsed prompt. ``None`` = not asked for. Sizes in px. A picture is a link, or ``<n>`` for the n-th
    one given along.

    parts: words with weights, negative ones too; empty where ``text`` is all there is. text: the words, of
    positive parts only. style_references may also be codes (digits) and "random". profile: "" = one's own
    favourites. unmet: as typed.
    """

    text: str = ""
    parts: Weighted = ()
    images: Weighted = ()
    negative: str = ""
    aspect_ratio: tuple[int, int] | None = None
    size: tuple[int, int] | None = None
    seed: int | None = None
    chaos: int | None = None
    stylize: int | None = None
    raw: bool = False
    weird: int | None = None
    exp: int | None = None
    stop: int | None = None
    tile: bool = False
    quality: float | None = None
    draft: bool = False
    hd: bool | None = None
    image_weight: float | None = None
    style_references: Weighted = ()
    style_weight: int | None = None
    character_references: Weighted = ()
    character_weight: int | None = None
    omni_references: Weighted = ()
    omni_weight: int | None = None
    profile: str | None = None
    loras: Weighted = ()
    model: str | None = None
    version: str | None = None
    steps: int | None = None
    cfg: float | None = None
    sampler: str | None = None
    strength: float | None = None
    repeat: int | None = None
    lane: Lane | None = None
    stealth: bool | None = None
    unmet: tuple[str, ...] = ()

    @property
    def pictures(self) -> tuple[str, ...]:
        """Every link and ``<n>`` in it, each once."""
        named = (*self.images, *self.style_references, *self.character_references, *self.omni_references)
        return tuple(dict.fromkeys(what for what, _ in named if not what.isdigit() and what != "random"))


_FLAG = re.compile(r"(?<!\S)(--|[\u2014\u2013])(?=[A-Za-z])([^\s=]+)=?")
_WEIGHT = re.compile(r"::(?:(-?(?:\d+(?:\.\d+)?|\.\d+))(?=[\s,]|$|::))?,?", re.ASCII)


def parse(source: str) -> Prompt:
    """Read a prompt without sets in braces. Of repeated flags the first wins, but ``--no``, references and
    LoRAs add up. PromptError names the flag, the value and what is allowed."""
    if len(source) > MAX_PROMPT:
        raise PromptError(f"The prompt has {len(source):,} characters; it takes up to {MAX_PROMPT:,}.")
    marks = find_flags(source)
    begins = [begin for begin, _, _ in marks] + [len(source)]
    found: dict[str, Any] = {}
    for (_, end, name), following in zip(marks, begins[1:], strict=True):
        _take(found, name, source[end:following])
    images, text, parts = _words(source[: begins[0]])
    if "size" in found and "aspect_ratio" in found:
        raise PromptError("`--size` and `--ar` exclude each other; keep one of them.")
    prompt = Prompt(text=text, parts=parts, images=images, **found)
    _check_sum(prompt)
    return prompt


def find_flags(source: str, own: Container[str] = ()) -> list[tuple[int, int, str]]:
    """(begin, end, name) of each ``--name`` in ``source``; ``own``: names besides the table's. A dash before
    any other word is a dash."""
    found = []
    for mark in _FLAG.finditer(shape(source)):
        name = mark[2].lower().rstrip(",")
        if mark[1] == "--" or name in BY_NAME or name in own or closest(name, BY_NAME, 0.75):
            found.append((mark.start(), mark.end(), name))
    return found


def _take(found: dict[str, Any], name: str, text: str) -> None:
    """Read one flag into ``found``."""
    flag = BY_NAME.get(name)
    if flag is None:
        raise PromptError(f"There is no `--{short(name)}`.{meant(name)}")
    value = " ".join(text.split())
    value = value if flag.field == "negative" else value.rstrip(" ,")
    result = _value(flag, name, value)
    if flag.field == "style" and result == "raw":
        found["raw"] = True
    elif flag.unmet or flag.field == "style":
        found["unmet"] = tuple(dict.fromkeys((*found.get("unmet", ()), f"--{name} {value}".strip())))
    elif flag.field == "negative":
        found["negative"] = f"{found['negative']}, {result}" if "negative" in found else result
    elif flag.many:
        found[flag.field] = (*found.get(flag.field, ()), *result)
    else:
        found.setdefault(flag.field, result)


def _value(flag: Flag, name: str, value: str) -> Any:
    if flag.read is None:
        if value:
            raise PromptError(f"`--{name}` takes no value, but `{short(value)}` follows it. Flags come last.")
        return flag.constant
    if not value:
        if flag.bare is None:
            raise PromptError(f"`--{name}` needs a value: {flag.help}.")
        return flag.bare
    return flag.read(name, value)


def _words(source: str) -> tuple[Weighted, str, Weighted]:
    """(pictures, text, parts) of what stands before the flags."""
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
    return tuple((words, weight) for words, weight in parts if words)


def _check_sum(prompt: Prompt) -> None:
    if any(abs(weight) > MAX_WEIGHT for _, weight in (*prompt.parts, *prompt.images)):
        raise PromptError(f"A weight is over {MAX_WEIGHT:g}.")
    if not prompt.parts:
        return
    total = sum(weight for _, weight in prompt.parts) - (NEGATIVE_WEIGHT if prompt.negative else 0)
    if total <= 0:
        raise PromptError(
            f"The weights add up to {decimal(round(total, 6))} (`--no` counts -{NEGATIVE_WEIGHT:g}); the sum"
            " must be over 0. Give what you want to see a higher weight."
        )


def format_prompt(prompt: Prompt) -> str:
    """Inverse of ``parse``: pictures, words, then each flag that is set, in the table's order."""
    pieces = [
        write_weighted(prompt.images),
        _format_parts(prompt.parts) if prompt.parts else escape(prompt.text),
    ]
    for flag in FLAGS:
        if flag.unmet or flag.field == "style":
            continue
        value = getattr(prompt, flag.field)
        if flag.read is None:
            pieces += [f"--{flag.name}"] if value is flag.constant else []
        elif flag.shows(value):
            pieces.append(f"--{flag.name} {flag.write(value)}".strip())
    return " ".join(piece for piece in (*pieces, *prompt.unmet) if piece)


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
