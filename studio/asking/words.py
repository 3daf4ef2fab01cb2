"""Words about requests and pictures that any door can show: pure functions to text in backticks at most.

Discord's markdown and its limits are left to ``bot/ui/messages.py``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from fractions import Fraction

from core.grammar.flags import why_unsupported
from core.grammar.prompt import Prompt, format_prompt
from core.limits import IMAGE_WEIGHT_CAP, MAX_ASPECT, STYLIZE_CAP
from core.requests import GenerateRequest, Request
from core.wording import prompt_of

# Unicode's categories of control, format (zero-width, bidirectional, tags), private, surrogate, unassigned
_INVISIBLE = ("Cc", "Cf", "Co", "Cs", "Cn")
# Letters that look like nothing, and the variation selectors
_BLANK = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {chr(c) for c in range(0xE0100, 0xE01F0)}
_LANDSCAPE = (Fraction(5, 4), Fraction(4, 3), Fraction(3, 2), Fraction(16, 9), Fraction(2), Fraction(21, 9))
COMMON = (Fraction(1), *_LANDSCAPE, *(1 / ratio for ratio in _LANDSCAPE))  # aspect ratios that people type
ROUNDED = 0.03  # how far a picture may be from the ratio that was asked: sides are whole blocks of pixels
SHORTER = (0.8, 0.6, 0.45, 0.3, 0.2)  # shares of a prompt's words that are kept


def visible(text: str) -> str:
    """Return ``text`` without control, bidirectional, zero-width and other invisible characters. Line breaks
    stay."""
    return "".join(
        c for c in text if c in "\n " or (unicodedata.category(c) not in _INVISIBLE and c not in _BLANK)
    )


def plain(text: str) -> str:
    """Return the visible characters of ``text`` on one line, with single spaces."""
    return " ".join(visible(" ".join(text.split())).split())


def code(text: str, limit: int = 100) -> str:
    """Return user text as inline code, with backticks replaced so that it can't end the span."""
    return f"`{plain(text)[:limit].replace('`', chr(39)) or ' '}`"


def ordinal(n: int) -> str:
    """Return "1st", "2nd", "3rd" …"""
    suffix = "th" if 10 <= n % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{suffix}"


def counted(number: int, noun: str) -> str:
    """Return "1 job", "2 jobs"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def duration(seconds: float) -> str:
    """Return "8 s", "3 min" or "2 h": one unit, for people."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{round(seconds / 3600)} h"


def prompt_text(request: GenerateRequest) -> str:
    """Return the prompt as its user would type it, without the values that the model chose."""
    return format_prompt(prompt_of(request))


def unsupported_notes(request: Request) -> list[str]:
    """Return sentences about what was understood but has no effect here."""
    if not isinstance(request, GenerateRequest):
        return []
    reasons: dict[str, list[str]] = {}
    for flag in request.unsupported:
        reasons.setdefault(why_unsupported(flag), []).append(code(flag))
    return [
        *_version_notes(request),
        *(
            f"{', '.join(flags)}: {why}. Everything else in the prompt was used."
            for why, flags in reasons.items()
        ),
        *_limit_notes(request),
        *_weight_notes(request),
    ]


def _version_notes(request: GenerateRequest) -> Iterator[str]:
    """Say that a version of Midjourney's was asked for and that the host has no model of that name."""
    if request.version and not request.model:
        flag = f"--{request.version}" if request.version.startswith("niji") else f"--v {request.version}"
        yield f"`{flag}` isn't installed here; the default model was used."


def _limit_notes(request: GenerateRequest) -> Iterator[str]:
    """Name the numbers that counted as the highest possible one."""
    values = (("stylize", request.stylize, STYLIZE_CAP), ("iw", request.image_weight, IMAGE_WEIGHT_CAP))
    for name, value, limit in values:
        if value is not None and value > limit:
            yield f"`--{name} {value:g}` counted as {limit}, the most here."


def _weight_notes(request: GenerateRequest) -> Iterator[str]:
    """Name the weights of pictures that the request doesn't have."""
    weights = (
        ("iw", request.image_weight, request.image_prompts, "image prompt"),
        ("cw", request.character_weight, request.character_references, "`--cref`"),
        ("sw", request.style_weight, (*request.style_references, *request.style_codes), "`--sref`"),
        ("ow", request.omni_weight, request.omni_references, "`--oref`"),
    )
    for name, value, pictures, what in weights:
        if value is not None and not pictures:
            yield f"`--{name}` had no effect: there is no {what}."


def shorter_prompts(scores: Sequence[tuple[str, float]]) -> list[str]:
    """Return up to five shorter prompts, each shorter than the one before. They consist of the words with the
    highest weights, in the prompt's order. ``scores``: (word, weight)."""
    order = sorted(range(len(scores)), key=lambda i: -scores[i][1])
    found: dict[str, None] = {}
    for share in SHORTER:
        kept = sorted(order[: max(1, round(share * len(scores)))])
        text = " ".join(scores[i][0] for i in kept).strip(" ,.;:")
        if text and len(kept) < len(scores):
            found.setdefault(text)
    return list(found)


def aspect_ratio(width: int, height: int) -> tuple[int, int] | None:
    """Return a picture's aspect ratio in small whole numbers, as close as /imagine can draw it; None for a
    square."""
    near = Fraction(width, height)
    common = min(COMMON, key=lambda ratio: abs(near / ratio - 1))
    if abs(near / common - 1) <= ROUNDED:
        return None if common == 1 else common.as_integer_ratio()
    near = min(
        max(Fraction(width, height).limit_denominator(20), Fraction(1, MAX_ASPECT)), Fraction(MAX_ASPECT)
    )
    return None if near == 1 else near.as_integer_ratio()


def caption_prompt(caption: str, aspect: tuple[int, int] | None) -> str:
    """Return the prompt to type for imagining ``caption`` in the aspect ratio of the picture that it
    describes."""
    return format_prompt(Prompt(text=caption, aspect_ratio=aspect))
