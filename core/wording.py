"""Turns a parsed prompt into the fields of a request, and a request back into the prompt, for messages,
windows and ``/show``.

Pictures have numbers in prompts, ``<1>`` for the first, and SHA-256 in requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from core.errors import PromptError
from core.grammar.flags import REFERENCES, Prompt, is_style_code
from core.grammar.spelling import short
from core.limits import MAX_SEED, Weighted
from core.parameters import Parameters, parameters
from core.requests import GenerateRequest

_SHARED = parameters(Parameters)
_OPEN = {item.name: item.default for item in fields(Prompt) if item.name not in ("text", "parts", "images")}


def fields_of(prompt: Prompt, pictures: Mapping[str, str] | None = None, *, code: int = 0) -> dict[str, Any]:
    """Return the fields of the request that a prompt asks for; without the seed where it names none.

    pictures: what the prompt calls a picture (link, ``<n>``) → SHA-256. code: the style code of the first
    ``--sref random``; others count on from there. Raises PromptError for a picture that isn't there.
    """
    found = pictures or {}
    given = {name: _asked(prompt, name) for name in _SHARED if name != "seed" or prompt.seed is not None}
    given |= {name: _named(getattr(prompt, name), found) for name in REFERENCES}
    images = _named(prompt.images, found)
    start = int(bool(images) and prompt.strength is not None)  # whether the first is what to start from
    width, height = prompt.size or (None, None)
    return given | {
        "prompt": prompt.text,
        "prompt_parts": prompt.parts,
        "width": width,
        "height": height,
        "style_codes": _codes(prompt.style_references, code),
        "image": images[0][0] if start else None,
        "image_prompts": images[start:],
    }


def prompt_of(request: GenerateRequest, *, seed: bool = False) -> Prompt:
    """Return the prompt as the request's author would type it, without what the model chose.

    ``<n>`` in it is the n-th of ``references``. seed: with ``--seed``.
    """
    numbers = {sha256: f"<{n}>" for n, sha256 in enumerate(references(request), 1)}
    given = {name: getattr(request, name) for name in _SHARED}
    given |= {name: _numbered(given[name], numbers) for name in REFERENCES}
    given["style_references"] += tuple((str(code), weight) for code, weight in request.style_codes)
    given["seed"] = request.seed if seed else None
    return Prompt(
        text=request.prompt,
        parts=request.prompt_parts,
        images=_numbered(_start(request) + request.image_prompts, numbers),
        size=(request.width, request.height) if request.width and request.height else None,
        **given,
    )


def references(request: GenerateRequest) -> tuple[str, ...]:
    """Return the SHA-256 of the pictures that the request's words can name, in the order of their numbers.

    The picture that it varies or extends isn't among them.
    """
    named = [*_start(request), *request.image_prompts]
    named += [pair for name in REFERENCES for pair in getattr(request, name)]
    return tuple(dict.fromkeys(sha256 for sha256, _ in named))


def numbered(pictures: tuple[str, ...]) -> dict[str, str]:
    """Return the pictures by their numbers: ``<n>`` → SHA-256."""
    return {f"<{n}>": sha256 for n, sha256 in enumerate(pictures, 1)}


def with_defaults(prompt: Prompt, defaults: Prompt) -> Prompt:
    """Return ``prompt`` with what it leaves open taken from ``defaults``.

    Of the defaults' own words only those after ``--no`` are used, besides the prompt's.
    """
    taken = {name: getattr(defaults, name) for name, value in _OPEN.items() if getattr(prompt, name) == value}
    if prompt.size or prompt.aspect_ratio:
        taken = {name: value for name, value in taken.items() if name not in ("size", "aspect_ratio")}
    unwanted = (prompt.negative_prompt, defaults.negative_prompt)
    return replace(prompt, **taken | {"negative_prompt": ", ".join(words for words in unwanted if words)})


def _asked(prompt: Prompt, name: str) -> Any:
    value = getattr(prompt, name)
    return None if value == _SHARED[name].unset else value


def _start(request: GenerateRequest) -> Weighted:
    """The picture that an /imagine starts from, as the first of its prompt."""
    return ((request.image, 1.0),) if request.kind == "imagine" and request.image else ()


def _codes(references: Weighted, first: int) -> tuple[tuple[int, float], ...]:
    codes = []
    for what, weight in references:
        if what == "random":
            codes.append((first % (MAX_SEED + 1), weight))
            first += 1
        elif what.isdigit():
            codes.append((int(what), weight))
    return tuple(codes)


def _named(weighted: Weighted, pictures: Mapping[str, str]) -> Weighted:
    """The pictures among ``weighted`` by their SHA-256."""
    named = tuple((what, weight) for what, weight in weighted if not is_style_code(what))
    for what, _ in named:
        if what not in pictures:
            known = ", ".join(name for name in pictures if name.startswith("<")) or "you attached none"
            raise PromptError(f"There is no picture `{short(what)}`: {known}.")
    return tuple((pictures[what], weight) for what, weight in named)


def _numbered(weighted: Weighted, numbers: Mapping[str, str]) -> Weighted:
    return tuple((numbers[sha256], weight) for sha256, weight in weighted)
