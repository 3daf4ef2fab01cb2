"""The prompt grammar: words first, then ``--flags``. Pure: text in, a frozen ``Prompt`` or a ``PromptError`` out.

One table, ``FLAGS``, holds names, aliases, values and help; the parser, the formatter and the help page read it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.errors import PromptError
from core.job import Lane
from core.requests import MAX_PROMPT, MAX_SEED, MAX_SIDE, MIN_SIDE


@dataclass(frozen=True)
class Prompt:
    """A parsed prompt. ``None`` = not asked for. Sizes in px; ``quality`` multiplies the number of steps."""

    text: str = ""
    negative: str = ""
    aspect_ratio: tuple[int, int] | None = None
    size: tuple[int, int] | None = None
    seed: int | None = None
    steps: int | None = None
    cfg: float | None = None
    sampler: str | None = None
    strength: float | None = None
    draft: bool = False
    lane: Lane | None = None


SAMPLERS = ("ddim", "ddpm", "deis", "dpm++", "dpm++sde", "euler", "euler_a", "heun", "lcm", "pndm", "unipc")


def _number(low: float, high: float, convert: Callable[[str], Any] = int) -> Callable[[str, str], Any]:
    def read(flag: str, value: str) -> Any:
        try:
            number = convert(value)
        except ValueError:
            number = None
        if number is None or not low <= number <= high:
            whole = "a whole number" if convert is int else "a number"
            raise PromptError(f"`--{flag}` is `{_short(value)}`; it takes {whole} from {low:g} to {high:.10g}.")
        return number

    return read


def _pair(separators: str, low: int, high: int, example: str) -> Callable[[str, str], tuple[int, int]]:
    shape = re.compile(rf"(\d{{1,5}})[{separators}](\d{{1,5}})")

    def read(flag: str, value: str) -> tuple[int, int]:
        match = shape.fullmatch(value.lower())
        if not match or not all(low <= int(n) <= high for n in match.groups()):
            raise PromptError(f"`--{flag}` is `{_short(value)}`; write it like `--{flag} {example}`, with {low} to {high}.")
        return int(match[1]), int(match[2])

    return read


def _aspect(flag: str, value: str) -> tuple[int, int]:
    w, h = _pair(":x", 1, 10_000, "3:2")(flag, value)
    if max(w / h, h / w) > 4:
        raise PromptError(f"`--{flag}` is `{w}:{h}`; it takes 1:4 to 4:1.")
    return w, h


def _choice(*allowed: str) -> Callable[[str, str], str]:
    def read(flag: str, value: str) -> str:
        if value.lower() not in allowed:
            close = difflib.get_close_matches(value.lower(), allowed, 1)
            hint = f" Did you mean `{close[0]}`?" if close else ""
            raise PromptError(f"`--{flag}` is `{_short(value)}`; it takes {', '.join(allowed)}.{hint}")
        return value.lower()

    return read


def _words(flag: str, value: str) -> str:
    return value


@dataclass(frozen=True)
class Flag:
    """One ``--name``. ``read`` turns the text behind it into a value; None = it takes no value."""

    name: str
    field: str
    help: str
    aliases: tuple[str, ...] = ()
    read: Callable[[str, str], Any] | None = None
    constant: Any = True
    write: Callable[[Any], str] = str


FLAGS: tuple[Flag, ...] = (
    Flag("ar", "aspect_ratio", "shape, width:height, 1:4 to 4:1", ("aspect",), _aspect, write=lambda v: f"{v[0]}:{v[1]}"),
    Flag("size", "size", f"size in px, {MIN_SIDE} to {MAX_SIDE} a side", (), _pair("x", MIN_SIDE, MAX_SIDE, "768x512"),
         write=lambda v: f"{v[0]}x{v[1]}"),
    Flag("seed", "seed", "same seed and words, same picture", (), _number(0, MAX_SEED)),
    Flag("no", "negative", "what must not be there", (), _words),
    Flag("steps", "steps", "denoising steps, 1 to 100", (), _number(1, 100)),
    Flag("cfg", "cfg", "how strictly the words are followed, 0 to 30", ("guidance",), _number(0, 30, float), write="{:g}".format),
    Flag("sampler", "sampler", "one of " + ", ".join(SAMPLERS), (), _choice(*SAMPLERS)),
    Flag("strength", "strength", "how far to move from the given picture, 0 to 1", (), _number(0, 1, float), write="{:g}".format),
    Flag("draft", "draft", "fewer steps, quicker and rougher"),
    Flag("turbo", "lane", "first in the queue", constant=Lane.TURBO),
    Flag("fast", "lane", "the normal queue", constant=Lane.FAST),
    Flag("relax", "lane", "when nobody else waits", constant=Lane.RELAX),
)
_BY_NAME = {name: flag for flag in FLAGS for name in (flag.name, *flag.aliases)}
_NOT_YET = {  # names that Midjourney's users know and that mean nothing here so far
    "chaos", "c", "quality", "q", "stop", "stylize", "s", "style", "raw", "tile", "iw", "repeat", "r", "weird", "w", "niji",
    "version", "v", "sref", "sw", "sv", "cref", "cw", "oref", "ow", "hd", "sd", "public", "stealth", "video", "motion",
    "loop", "profile", "p", "exp", "lora", "model",
}
_SPLIT = re.compile(r"(?:^|(?<=\s))(?:--|[\u2014\u2013])(?=[A-Za-z])")


def parse(source: str) -> Prompt:
    """Read ``words --flag value …``. An em dash counts as ``--``; names in any case; of repeated flags the first wins,
    but ``--no`` adds up. PromptError names the flag, the value and what is allowed."""
    if len(source) > MAX_PROMPT:
        raise PromptError(f"The prompt has {len(source):,} characters; it takes up to {MAX_PROMPT:,}.")
    words, *flags = _SPLIT.split(source)
    found: dict[str, Any] = {}
    for part in flags:
        name, _, value = part.strip().partition(" ")
        flag, value = _lookup(name), " ".join(value.split())
        if flag.read is None:
            if value:
                raise PromptError(f"`--{name.lower()}` takes no value, but `{_short(value)}` follows it. Flags come last.")
            found.setdefault(flag.field, flag.constant)
        elif not value:
            raise PromptError(f"`--{name.lower()}` needs a value: {flag.help}.")
        elif flag.field == "negative":
            found["negative"] = f"{found['negative']}, {value}" if "negative" in found else value
        else:
            found.setdefault(flag.field, flag.read(name.lower(), value))
    if "size" in found and "aspect_ratio" in found:
        raise PromptError("`--size` and `--ar` exclude each other; keep one of them.")
    return Prompt(text=" ".join(words.split()), **found)


def _lookup(name: str) -> Flag:
    key = name.lower()
    if key in _BY_NAME:
        return _BY_NAME[key]
    if key in _NOT_YET:
        raise PromptError(f"`--{key}` isn't supported yet. Known here: {', '.join('--' + f.name for f in FLAGS)}.")
    close = difflib.get_close_matches(key, _BY_NAME, 1)
    hint = f" Did you mean `--{close[0]}`?" if close else f" Known here: {', '.join('--' + f.name for f in FLAGS)}."
    raise PromptError(f"There is no `--{_short(key)}`.{hint}")


def format_prompt(prompt: Prompt) -> str:
    """Inverse of ``parse``: the words, then each flag that is set, in the table's order."""
    parts = [prompt.text] if prompt.text else []
    for flag in FLAGS:
        value = getattr(prompt, flag.field)
        if flag.read is None:
            parts += [f"--{flag.name}"] if value is flag.constant else []
        elif value not in (None, ""):
            parts.append(f"--{flag.name} {flag.write(value)}")
    return " ".join(parts)


def _short(text: str) -> str:
    text = text.replace("`", "'")
    return text if len(text) <= 40 else text[:39] + "…"
