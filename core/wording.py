"""Between a prompt as typed and the fields of a request: which flag becomes which field, and back, for
messages, windows and ``/show``.

Pictures have numbers in words, ``<1>`` the first, and SHA-256 in requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from core.errors import PromptError
from core.grammar.flags import short
from core.grammar.prompt import Prompt
from core.limits import MAX_SEED, Weighted
from core.requests import GenerateRequest

_SAME = (  # fields with the same name and meaning in both
    "seed",
    "aspect_ratio",
    "stylize",
    "raw",
    "stop",
    "tile",
    "quality",
    "draft",
    "image_weight",
    "style_weight",
    "character_weight",
    "omni_weight",
    "loras",
    "model",
    "version",
    "sampler",
    "strength",
    "unmet",
)
_ZERO = ("chaos", "weird", "exp")  # None in a prompt, 0 in a request
_SETTINGS = {
    f.name: f.default
    for f in fields(Prompt)
    if f.name not in ("text", "parts", "images", "negative", "size", "seed", "repeat")
}


def fields_of(prompt: Prompt, pictures: Mapping[str, str] | None = None, *, code: int = 0) -> dict[str, Any]:
    """A request's fields. pictures: what the prompt calls a picture (link, ``<n>``) → SHA-256; PromptError
    for one that isn't there. code: of the first ``--sref random``; others count on. The seed is left out
    where the prompt names none."""
    found = pictures or {}
    width, height = prompt.size or (None, None)
    codes = _codes(prompt.style_references, code)
    styles = tuple((what, weight) for what, weight in prompt.style_references if not _is_code(what))
    images = _named(prompt.images, found)
    begin = int(bool(images) and prompt.strength is not None)  # the picture to start from
    same = {name: getattr(prompt, name) for name in _SAME if name != "seed" or prompt.seed is not None}
    return (
        same
        | {name: getattr(prompt, name) or 0 for name in _ZERO}
        | {
            "prompt": prompt.text,
            "prompt_parts": prompt.parts,
            "negative_prompt": prompt.negative,
            "width": width,
            "height": height,
            "num_inference_steps": prompt.steps,
            "guidance_scale": prompt.cfg,
            "hd": bool(prompt.hd),
            "style_codes": codes,
            "image": images[0][0] if begin else None,
            "image_prompts": images[begin:],
            "style_references": _named(styles, found),
            "character_references": _named(prompt.character_references, found),
            "omni_references": _named(prompt.omni_references, found),
        }
    )


def prompt_of(request: GenerateRequest, *, seed: bool = False) -> Prompt:
    """The prompt as its author would type it, without what the model chose. ``<n>`` is the n-th of
    ``references``."""
    numbers = {sha256: f"<{n}>" for n, sha256 in enumerate(references(request), 1)}
    size = (request.width, request.height) if request.width and request.height else None
    start = ((numbers[request.image], 1.0),) if request.kind == "imagine" and request.image else ()
    same = {name: getattr(request, name) for name in _SAME if name != "seed"}
    return Prompt(
        text=request.prompt,
        parts=request.prompt_parts,
        negative=request.negative_prompt,
        size=size,
        steps=request.num_inference_steps,
        cfg=request.guidance_scale,
        hd=request.hd or None,
        images=start + _numbered(request.image_prompts, numbers),
        style_references=_numbered(request.style_references, numbers)
        + tuple((str(code), weight) for code, weight in request.style_codes),
        character_references=_numbered(request.character_references, numbers),
        omni_references=_numbered(request.omni_references, numbers),
        seed=request.seed if seed else None,
        **{name: getattr(request, name) or None for name in _ZERO},
        **same,
    )


def references(request: GenerateRequest) -> tuple[str, ...]:
    """SHA-256 of the pictures that its words can name, in the order of their numbers. The one it varies or
    extends isn't among them."""
    start = ((request.image, 1.0),) if request.kind == "imagine" and request.image else ()
    named = (
        *start,
        *request.image_prompts,
        *request.style_references,
        *request.character_references,
        *request.omni_references,
    )
    return tuple(dict.fromkeys(sha256 for sha256, _ in named))


def numbered(pictures: tuple[str, ...]) -> dict[str, str]:
    """``<n>`` → SHA-256."""
    return {f"<{n}>": sha256 for n, sha256 in enumerate(pictures, 1)}


def with_defaults(prompt: Prompt, defaults: Prompt) -> Prompt:
    """``prompt``, and where it says nothing, what ``defaults`` says. Words and pictures of ``defaults`` are
    left out but what it doesn't want."""
    taken = {
        name: getattr(defaults, name) for name, empty in _SETTINGS.items() if getattr(prompt, name) == empty
    }
    if prompt.size is not None:
        taken.pop("aspect_ratio", None)
    size = defaults.size if prompt.size is None and prompt.aspect_ratio is None else prompt.size
    if size is not None and prompt.size is None:
        taken.pop("aspect_ratio", None)
    negative = ", ".join(words for words in (prompt.negative, defaults.negative) if words)
    return replace(
        prompt,
        negative=negative,
        size=size,
        seed=defaults.seed if prompt.seed is None else prompt.seed,
        repeat=defaults.repeat if prompt.repeat is None else prompt.repeat,
        **taken,
    )


def _is_code(what: str) -> bool:
    return what.isdigit() or what == "random"


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
    for what, _ in weighted:
        if what not in pictures:
            known = ", ".join(name for name in pictures if name.startswith("<")) or "none is given along"
            raise PromptError(f"There is no picture `{short(what)}`: {known}.")
    return tuple((pictures[what], weight) for what, weight in weighted)


def _numbered(weighted: Weighted, numbers: Mapping[str, str]) -> Weighted:
    return tuple((numbers[sha256], weight) for sha256, weight in weighted)
