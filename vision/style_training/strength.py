"""How strong a style is in its file: of a few strengths the weakest one at which what the model draws is as
near to the style's pictures, by the host's CLIP, as they are to each other, or most of the way there."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from PIL import Image

from core.errors import ModelError, OutOfMemory
from vision.model_store import Models
from vision.reporter import Reporter

log = logging.getLogger(__name__)

ENOUGH = 0.8  # of the way from what is drawn without the style to the style's own pictures


def chosen(
    pictures: Sequence[Image.Image],
    plain: Sequence[Image.Image],
    tries: Mapping[float, Sequence[Image.Image]],
    models: Models,
    reporter: Reporter,
) -> float:
    """Return the strength to keep: the one next to 1 where the host has no CLIP.

    pictures: of the style, two or more. plain: drawn without it. tries: the same drawn with it, by strength.
    """
    usual = min(tries, key=lambda strength: abs(strength - 1.0))
    if len(tries) == 1 or not plain or not models.config.models.get("clip"):
        return usual
    try:
        matcher = models.get("clip", reporter)
    except (ModelError, OutOfMemory) as error:
        log.warning("the strength of a style isn't chosen: %s", error)
        return usual
    seen = partial(reporter.batched, "clip", matcher.embed_image_lists)
    own = F.normalize(seen(list(pictures)).float(), dim=-1)  # (N, D)
    drawn = {strength: seen(list(shown)).float() for strength, shown in {0.0: plain, **tries}.items()}
    middle = F.normalize(own.mean(0), dim=0)
    near = {strength: float((F.normalize(one, dim=-1) @ middle).mean()) for strength, one in drawn.items()}
    return weakest(near, _among(own))


def weakest(near: Mapping[float, float], own: float) -> float:
    """Return the weakest strength that is near enough, the nearest one if none is. near: similarity to the
    style's pictures by strength; 0 = without. own: theirs to each other."""
    wanted = near[0.0] + ENOUGH * (own - near[0.0])
    strengths = sorted(strength for strength in near if strength)
    return next((one for one in strengths if near[one] >= wanted), max(strengths, key=lambda one: near[one]))


def _among(own: torch.Tensor) -> float:
    """Return the mean similarity of each picture to the middle of the others."""
    others = F.normalize(own.sum(0) - own, dim=-1)
    return float((own * others).sum(1).mean())


def scaled(weights: Mapping[str, torch.Tensor], strength: float) -> dict[str, torch.Tensor]:
    """Return a LoRA whose changes are ``strength`` times as large."""
    return {
        name: value * strength if name.endswith("lora_B.weight") else value for name, value in weights.items()
    }
