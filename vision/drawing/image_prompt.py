"""Pictures as part of a prompt: image prompts, style, character and omni references. Decides what a model
gets of them, and notes it for the person.

A model with references of its own (FLUX.2), or with an IP-Adapter, is shown the pictures. Any other begins to
draw at their mean, the nearest thing to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from core.limits import IMAGE_WEIGHT_CAP
from core.requests import GenerateRequest
from vision.drawing import parameters

MIN_SIDE, MAX_ASPECT = 64, 8.0  # px and aspect that FLUX.2 takes


@dataclass(frozen=True)
class ReferencePicture:
    """One picture of a request. flag: how it was given. weight: against the others. influence: 0..1, how near
    the result should be to it."""

    flag: str
    image: Image.Image
    weight: float
    influence: float


def reference_pictures(request: GenerateRequest, images: Mapping[str, Image.Image]) -> list[ReferencePicture]:
    """Return the request's pictures that count, strongest first. images: SHA-256 → picture."""
    return sorted(_each(request, images), key=lambda one: -one.weight * one.influence)


def _each(request: GenerateRequest, images: Mapping[str, Image.Image]) -> Iterator[ReferencePicture]:
    character = 1.0 if request.character_weight is None else request.character_weight / 100
    kinds = (
        ("an image prompt", request.image_prompts, influence(request.image_weight)),
        ("--sref", request.style_references, 0.1 * parameters.weight_factor(request.style_weight)),
        ("--cref", request.character_references, 0.1 + 0.2 * character),
        ("--oref", request.omni_references, 0.3 * parameters.weight_factor(request.omni_weight)),
    )
    for flag, weighted, amount in kinds:
        yield from (
            ReferencePicture(flag, images[sha256], weight, amount)
            for sha256, weight in weighted
            if weight > 0 and amount > 0
        )


def influence(image_weight: float | None) -> float:
    """Convert ``--iw`` 0 to 3 to an influence of 0 to 0.6; 1 is usual, more than 3 counts as 3."""
    return 0.2 * (1.0 if image_weight is None else min(image_weight, IMAGE_WEIGHT_CAP))


def mean(pictures: list[ReferencePicture], size: tuple[int, int]) -> tuple[Image.Image, float]:
    """Return the weighted mean of the pictures, cut to ``size`` (w, h), and the strength to begin at it with,
    which follows from the largest influence."""
    total = sum(one.weight * one.influence for one in pictures)
    fitted = [
        np.asarray(ImageOps.fit(one.image, size, Image.Resampling.LANCZOS), np.float32)
        * (one.weight * one.influence / total)
        for one in pictures
    ]
    mean = np.sum(fitted, 0).round().clip(0, 255).astype(np.uint8)
    return Image.fromarray(mean), 1 - max(one.influence for one in pictures)


def references(pictures: list[ReferencePicture], count: int) -> tuple[Image.Image, ...]:
    """Return the strongest ``count`` pictures as a model with references takes them: cut to MAX_ASPECT and
    enlarged to MIN_SIDE."""
    return tuple(_acceptable(one.image) for one in pictures[:count])


def _acceptable(image: Image.Image) -> Image.Image:
    width, height = image.size
    width, height = min(width, int(height * MAX_ASPECT)), min(height, int(width * MAX_ASPECT))
    cut = ImageOps.fit(image, (width, height)) if (width, height) != image.size else image
    scale = max(1.0, MIN_SIDE / min(cut.size))
    return (
        cut
        if scale == 1
        else cut.resize((round(cut.width * scale), round(cut.height * scale)), Image.Resampling.LANCZOS)
    )


def ignored_pictures_notes(request: GenerateRequest) -> list[str]:
    """Return notes about pictures with negative weights, which no model can keep away from."""
    against = [weight for _, weight in request.image_prompts if weight < 0]
    return ["Image prompts with a negative weight had no effect."] if against else []


def ip_adapter_note(pictures: list[ReferencePicture], name: str, scale: float) -> str:
    """Return a note that the model ``name`` was shown the pictures by its IP-Adapter at ``scale``."""
    several = " All count alike." if len({one.weight * one.influence for one in pictures}) > 1 else ""
    return (
        f"{name} was shown the picture{'s' if len(pictures) > 1 else ''} ({_flags(pictures)}) by IP-Adapter,"
        f" at scale {scale:.2g}.{several}"
    )


def _flags(pictures: list[ReferencePicture]) -> str:
    return ", ".join(
        f"`{flag}`" if flag.startswith("--") else flag for flag in dict.fromkeys(one.flag for one in pictures)
    )


def references_note(pictures: list[ReferencePicture], name: str, count: int) -> str:
    """Return a note that the model ``name``, which takes ``count`` references, was shown the pictures."""
    left = f" Only the first {count} were." if len(pictures) > count else ""
    return (
        f"{name} was shown the picture{'s' if len(pictures) > 1 else ''} ({_flags(pictures)}) as references;"
        f" weights count as their order.{left}"
    )


def mean_note(pictures: list[ReferencePicture], name: str, strength: float) -> str:
    """Return a note that the model ``name`` began to draw at the pictures' mean, with ``strength``."""
    what = "the picture" if len(pictures) == 1 else "the mean of the pictures"
    return (
        f"{name} can't look at pictures ({_flags(pictures)}): drawing began at {what}, at strength"
        f" {strength:.2g}. Layout and colours come along, not style alone."
    )
