"""Pictures as part of a prompt: image prompts, style, character and omni references. What a model makes of
them, and what is said about it.

A model with references of its own (FLUX.2), or with an IP-Adapter, sees the pictures. Any other begins to
draw at their mean: the nearest thing to being told them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from core.limits import IMAGE_WEIGHT_CAP
from core.requests import GenerateRequest
from vision.drawing import parameters

LEAST_SIDE, LONGEST = 64, 8.0  # px and aspect that FLUX.2 takes


@dataclass(frozen=True)
class Given:
    """One picture of a request. flag: how it was given. weight: against the others. pull: 0..1, how near the
    result is to be."""

    flag: str
    image: Image.Image
    weight: float
    pull: float


def given(request: GenerateRequest, images: Mapping[str, Image.Image]) -> list[Given]:
    """The request's pictures that count, strongest first."""
    return sorted(_each(request, images), key=lambda one: -one.weight * one.pull)


def _each(request: GenerateRequest, images: Mapping[str, Image.Image]) -> Iterator[Given]:
    character = 1.0 if request.character_weight is None else request.character_weight / 100
    kinds = (
        ("an image prompt", request.image_prompts, pull(request.image_weight)),
        ("--sref", request.style_references, 0.1 * parameters.amount(request.style_weight)),
        ("--cref", request.character_references, 0.1 + 0.2 * character),
        ("--oref", request.omni_references, 0.3 * parameters.amount(request.omni_weight)),
    )
    for flag, weighted, pulls in kinds:
        yield from (
            Given(flag, images[sha256], weight, pulls)
            for sha256, weight in weighted
            if weight > 0 and pulls > 0
        )


def pull(image_weight: float | None) -> float:
    """``--iw`` 0 to 3 → 0 to 0.6; 1 is usual, more than 3 counts as 3."""
    return 0.2 * (1.0 if image_weight is None else min(image_weight, IMAGE_WEIGHT_CAP))


def start(pictures: list[Given], size: tuple[int, int]) -> tuple[Image.Image, float]:
    """(where to begin, strength): the weighted mean of the pictures cut to ``size``; the strongest pull
    counts."""
    total = sum(one.weight * one.pull for one in pictures)
    fitted = [
        np.asarray(ImageOps.fit(one.image, size, Image.Resampling.LANCZOS), np.float32)
        * (one.weight * one.pull / total)
        for one in pictures
    ]
    mean = np.sum(fitted, 0).round().clip(0, 255).astype(np.uint8)
    return Image.fromarray(mean), 1 - max(one.pull for one in pictures)


def references(pictures: list[Given], most: int) -> tuple[Image.Image, ...]:
    """The pictures as a model with references takes them: the strongest ``most``, large enough, not too
    long."""
    return tuple(_acceptable(one.image) for one in pictures[:most])


def _acceptable(image: Image.Image) -> Image.Image:
    width, height = image.size
    width, height = min(width, int(height * LONGEST)), min(height, int(width * LONGEST))
    cut = ImageOps.fit(image, (width, height)) if (width, height) != image.size else image
    scale = max(1.0, LEAST_SIDE / min(cut.size))
    return (
        cut
        if scale == 1
        else cut.resize((round(cut.width * scale), round(cut.height * scale)), Image.Resampling.LANCZOS)
    )


def lost(request: GenerateRequest) -> list[str]:
    """Sentences for pictures that can't be kept away from."""
    against = [weight for _, weight in request.image_prompts if weight < 0]
    return ["Image prompts with a negative weight had no effect."] if against else []


def adapted(pictures: list[Given], name: str, scale: float) -> str:
    """What was done with the pictures by an IP-Adapter."""
    several = " All count alike." if len({one.weight * one.pull for one in pictures}) > 1 else ""
    return (
        f"{name} was shown the picture{'s' if len(pictures) > 1 else ''} ({_flags(pictures)}) by IP-Adapter,"
        f" at scale {scale:.2g}.{several}"
    )


def _flags(pictures: list[Given]) -> str:
    return ", ".join(
        f"`{flag}`" if flag.startswith("--") else flag for flag in dict.fromkeys(one.flag for one in pictures)
    )


def told(pictures: list[Given], name: str, *, sees: int, strength: float | None = None) -> str:
    """What was done with the pictures. sees: how many the model takes as references, 0 = none."""
    flags = _flags(pictures)
    if sees:
        left = f" Only the first {sees} were." if len(pictures) > sees else ""
        return (
            f"{name} was shown the picture{'s' if len(pictures) > 1 else ''} ({flags}) as references; weights"
            f" count as their order.{left}"
        )
    what = "the picture" if len(pictures) == 1 else "the mean of the pictures"
    began = f"drawing began at {what}, at strength {strength:.2g}"
    return (
        f"{name} can't be shown pictures ({flags}): {began}. Layout and colours come along, not style alone."
    )
