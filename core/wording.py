"""Turns a parsed prompt into the fields of a request, and a request back into the prompt, for messages,
windows and ``/show``.

Pictures have numbers in prompts, ``<1>`` for the first, and SHA-256 in requests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from core.errors import PromptError
from core.grammar.films import FilmParameters
from core.grammar.flags import FILM_ONLY, FILMS_HAVE, REFERENCES, SUPPORTED, Prompt, is_style_code
from core.grammar.spelling import short
from core.limits import MAX_SEED, Weighted
from core.parameters import Parameters, parameters
from core.requests import GenerateRequest
from core.requests.video import VideoRequest, usual_clips

_SHARED, _FILM = parameters(Parameters), parameters(FilmParameters)
_HD, _SD = 720, 480  # px of a film's shorter side that --hd and --sd ask for
_NOT_FOR_FILMS = tuple(name for name in (*_SHARED, "profile") if name not in FILMS_HAVE)
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
        "unsupported": (*prompt.unsupported, *_typed(prompt, ("video", *FILM_ONLY))),
    }


def film_fields_of(
    prompt: Prompt, pictures: Mapping[str, str] | None = None, operation: str = "new"
) -> dict[str, Any]:
    """Return the same for a film that is made by ``operation``. What has no effect on films is kept as
    unsupported.

    Raises PromptError for a picture that isn't there, and for several to start from.
    """
    found = pictures or {}
    given = {name: _asked(prompt, name) for name in FILMS_HAVE if name != "seed" or prompt.seed is not None}
    given |= {name: getattr(prompt, name) for name in _FILM}
    if prompt.hd is not None and prompt.resolution is None:
        given["resolution"] = _HD if prompt.hd else _SD
    images = _named(prompt.images, found)
    if len(images) > 1:
        raise PromptError(
            f"There are {len(images)} pictures; a film starts from one. Name its last one with `--end <2>`."
        )
    end = _named(((prompt.end, 1.0),) if prompt.end else (), found)
    width, height = prompt.size or (None, None)
    return given | {
        "hd": None,
        "prompt": prompt.text,
        "prompt_parts": prompt.parts,
        "width": width,
        "height": height,
        "image": images[0][0] if images else None,
        "end_image": end[0][0] if end else None,
        "num_images": prompt.clips or usual_clips(given["resolution"], operation),
        "unsupported": (*prompt.unsupported, *_typed(prompt, _NOT_FOR_FILMS)),
    }


def _typed(prompt: Prompt, names: Sequence[str]) -> tuple[str, ...]:
    """Return the flags of a prompt that set these fields, as they are typed."""
    named = [(flag, getattr(prompt, flag.field)) for flag in SUPPORTED if flag.field in names]
    return tuple(flag.typed(value) for flag, value in named if flag.value.writes(value))


def prompt_of(request: GenerateRequest, *, seed: bool = False) -> Prompt:
    """Return the prompt as the request's author would type it, without what the model chose.

    ``<n>`` in it is the n-th of ``references``. seed: with ``--seed``.
    """
    numbers = {sha256: f"<{n}>" for n, sha256 in enumerate(references(request), 1)}
    given = {name: getattr(request, name) for name in _SHARED}
    given |= {name: _numbered(given[name], numbers) for name in REFERENCES}
    given["style_references"] += tuple((str(code), weight) for code, weight in request.style_codes)
    given["seed"] = request.seed if seed else None
    if isinstance(request, VideoRequest):
        given |= {name: getattr(request, name) for name in _FILM}
        usual = request.num_images == usual_clips(request.resolution, request.operation)
        given["clips"] = None if usual else request.num_images
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
