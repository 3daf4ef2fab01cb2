"""How strong a style is in its file: of a few strengths the weakest one at which nearly everything that the
model draws comes nearer to the style's pictures, by the host's CLIP, and still shows what was asked for."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from PIL import Image

from core.errors import ModelError, OutOfMemory
from vision.model_store import Models
from vision.reporter import Reporter

log = logging.getLogger(__name__)

STEADY = 1.5  # times its deviation the mean gain is: of a normal distribution, 93 % come nearer
FAITHFUL = 0.8  # of the likeness of pictures and prompts without the style, which is the least to be kept


@dataclass(frozen=True)
class Seen:
    """What CLIP sees of drawings at one strength. steady: how much nearer they come to the style's pictures
    than those without it, mean by deviation. faithful: how like their prompts they are, as a share of those
    without it."""

    steady: float
    faithful: float


def can_be_chosen(models: Models) -> bool:
    """Return whether the host has set up a CLIP."""
    return bool(models.config.models.get("clip"))


def chosen(
    pictures: Sequence[Image.Image],
    prompts: Sequence[str],
    tries: Mapping[float, Sequence[Image.Image]],
    usual: float,
    models: Models,
    reporter: Reporter,
) -> float:
    """Return the strength to keep: ``usual`` where no CLIP can be had.

    pictures: of the style. tries: drawings of ``prompts``, by strength; 0 = without it.
    """
    try:
        matcher = models.get("clip", reporter)
    except (ModelError, OutOfMemory) as error:
        log.warning("the strength of a style isn't chosen: %s", error)
        return usual

    look = partial(reporter.batched, "clip", matcher.embed_image_lists)
    own, before = (
        look(list(pictures)).float(),
        look(list(tries[0.0])).float(),
    )  # (N, D), (P, D) of unit length
    asked = reporter.batched("clip", matcher.embed_text_lists, list(prompts)).float().to(own)  # (P, D)
    middle = F.normalize(own.mean(0), dim=0)
    seen = {}
    for strength in sorted(tries)[1:]:
        after = look(list(tries[strength])).float()
        gain = (after - before) @ middle
        like, was = (float((one * asked).sum(1).mean()) for one in (after, before))
        steady = float(gain.mean() / gain.std().clamp(min=1e-6))
        seen[strength] = Seen(steady, like / was if was > 0 else 1.0)
    log.info("a style by its strengths: %s", seen)
    return best(seen)


def best(seen: Mapping[float, Seen]) -> float:
    """Return the weakest strength that is steady; where none is, the strongest that is faithful; never one
    that isn't faithful, but for the weakest of all."""
    weakest = min(seen)
    faithful = [one for one in sorted(seen) if seen[one].faithful >= FAITHFUL] or [weakest]
    return next((one for one in faithful if seen[one].steady >= STEADY), faithful[-1])


def scaled(weights: Mapping[str, torch.Tensor], strength: float) -> dict[str, torch.Tensor]:
    """Return a LoRA whose changes are ``strength`` times as large."""
    return {
        name: value * strength if name.endswith("lora_B.weight") else value for name, value in weights.items()
    }
