"""How one image model is best used: its family's defaults, what its configuration files say, then its own
``atelier.json``. Loads no torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from core.errors import ModelError
from vision.families.family import Family
from vision.weights.config_files import read_json

FILE = "atelier.json"


@dataclass(frozen=True)
class Draft:
    """What ``--draft`` means for this model.

    lora: the name of one for few steps, as the host has set it up; "" = none. weight: of that LoRA. sampler:
    the one it wants, None = the model's.
    """

    num_inference_steps: int
    guidance_scale: float
    lora: str = ""
    weight: float = 1.0
    sampler: str | None = None


@dataclass(frozen=True)
class OutpaintCard:
    """How this model extends a picture.

    strength: of the inpainting, 0..1. max_area: of the canvas, in native areas. band: how much of the old
    picture is painted again along extended edges, px at the model's scale; 0 = native / 24, at least 16.
    """

    strength: float = 0.92
    max_area: float = 1.5
    band: int = 0


@dataclass(frozen=True)
class StyleCard:
    """The house style, which ``--stylize`` scales and ``--raw`` leaves out.

    words: as they would stand in a prompt. lora: the name of one that the host has set up, "" = none. weight:
    of that LoRA at the usual ``--stylize 100``.
    """

    words: str = ""
    lora: str = ""
    weight: float = 0.8


@dataclass(frozen=True)
class Card:
    """Defaults and abilities of one image model. Sides are in px.

    native_size: side of the square it was trained on. multiple: sides are whole multiples of it. max_area:
    largest picture, in native areas. output_scale: factor by which pictures are enlarged after decoding.
    strength: of image-to-image, 0..1. variation: the same for "subtle" and "strong"; upscale: for "subtle"
    and "creative"; region: for the part of a picture that is painted again; blend: from the pictures' mean.
    image_guidance_scale: how close InstructPix2Pix keeps to the picture that it edits, 1 and more.
    relevance_threshold: how far latents must move before they count as meant by its words; what is not meant
    stays the picture's own; 0 = everything may change.
    negative, samplers: as in ``Family``. sampler: one of the prompt grammar's, None = as shipped.
    cache_threshold: First-Block-Cache skips the other blocks of a step when the first block's output has
    changed by less than this share since the last step; 0 = off. merged_lora: the name of a file in its
    folder ``lora``, which is added to its weights when they are loaded; "" = none. vocabulary: all the words
    that the model knows, with spaces between them; empty = any word may mean something to it.
    """

    native_size: int
    multiple: int
    num_inference_steps: int
    guidance_scale: float
    draft: Draft
    negative: str
    samplers: str
    true_cfg_scale: float = 4.0
    strength: float = 0.6
    variation: Mapping[str, float] = field(default_factory=lambda: {"subtle": 0.4, "strong": 0.75})
    upscale: Mapping[str, float] = field(default_factory=lambda: {"subtle": 0.25, "creative": 0.35})
    region: float = 1.0
    blend: float = 0.9
    image_guidance_scale: float = 1.5
    relevance_threshold: float = 0.0
    max_area: float = 4.0
    output_scale: int = 1
    sampler: str | None = None
    cache_threshold: float = 0.0
    outpaint: OutpaintCard = OutpaintCard()
    style: StyleCard = StyleCard()
    merged_lora: str = ""
    vocabulary: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        for name, low, high in (
            ("native_size", 16, 4096),
            ("multiple", 1, 256),
            ("num_inference_steps", 1, 200),
            ("output_scale", 1, 8),
        ):
            if not low <= getattr(self, name) <= high:
                raise ModelError(f"{FILE}: {name} is {getattr(self, name)!r}; it takes {low} to {high}.")
        if not isinstance(self.vocabulary, str):
            raise ModelError(f"{FILE}: vocabulary must be words with spaces between them.")
        if not isinstance(self.merged_lora, str) or self.merged_lora != os.path.basename(self.merged_lora):
            raise ModelError(f"{FILE}: merged_lora must be the name of a file in the model's folder lora.")


def read(folder: Path) -> dict[str, Any]:
    """Return the folder's ``atelier.json``, {} when there is none. Raises ModelError when it isn't a JSON
    object."""
    return read_json(folder / FILE)


def make(family: Family, configs: Mapping[str, Mapping[str, Any]], own: Mapping[str, Any]) -> Card:
    """Return the card of an image model: its family's defaults, then what its configuration says, then
    ``own``.

    configs: configuration file's folder or stem → JSON. own: the entries of ``atelier.json``; unknown ones
    are ignored. Raises ModelError for an entry of the wrong type or range.
    """
    entries = _layered(_defaults(family), family.adjust(configs), own)
    known = {f.name for f in fields(Card)}
    try:
        entries["draft"] = Draft(**entries["draft"])
        entries["outpaint"] = OutpaintCard(**entries.get("outpaint", {}))
        entries["style"] = StyleCard(**entries.get("style", {}))
        for entry, names in (("variation", ("subtle", "strong")), ("upscale", ("subtle", "creative"))):
            if entry in entries:
                entries[entry] = {name: float(entries[entry][name]) for name in names}
        return Card(**{k: v for k, v in entries.items() if k in known})
    except (TypeError, KeyError, ValueError) as error:
        raise ModelError(f"{FILE} can't be used: {error}.") from error


def _defaults(family: Family) -> dict[str, Any]:
    return {
        "native_size": family.native_size,
        "multiple": family.multiple,
        "num_inference_steps": family.num_inference_steps,
        "guidance_scale": family.guidance_scale,
        "draft": {"num_inference_steps": family.draft_steps, "guidance_scale": family.guidance_scale},
        "negative": family.negative,
        "samplers": family.samplers,
        **(family.defaults or {}),
    }


def _layered(entries: dict[str, Any], *layers: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``entries`` with each layer's over them; an entry that is itself an object is merged, not
    replaced."""
    for layer in layers:
        for key, value in layer.items():
            entries[key] = {**entries.get(key, {}), **value} if isinstance(value, Mapping) else value
    return entries
