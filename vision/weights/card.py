"""How one model likes to be used: its family's defaults, what its configuration files say, then its own
``atelier.json``. No torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from core.errors import ModelError
from vision.families.family import Family

FILE = "atelier.json"


@dataclass(frozen=True)
class Draft:
    """What ``--draft`` means for this model. lora: one for few steps that the host has set up, with its
    weight; sampler: the one it wants."""

    num_inference_steps: int
    guidance_scale: float
    lora: str = ""
    weight: float = 1.0
    sampler: str | None = None


@dataclass(frozen=True)
class OutpaintCard:
    """strength: of the inpainting, 0..1. max_area: of the canvas, in native areas.

    band: how much of the old picture is painted anew along extended edges, px at the model's scale; 0 =
    native / 24, at least 16.
    """

    strength: float = 0.92
    max_area: float = 1.5
    band: int = 0


@dataclass(frozen=True)
class StyleCard:
    """The house style, which ``--stylize`` scales and ``--raw`` leaves out. words: as they would stand in a
    prompt.

    lora: one that the host has set up; weight: of it at the usual ``--stylize 100``.
    """

    words: str = ""
    lora: str = ""
    weight: float = 0.8


@dataclass(frozen=True)
class Card:
    """Defaults and abilities of one image model. Sides in px.

    native_size: side of the square it was trained on. multiple: sides are whole multiples of it. max_area:
    largest picture, in native areas. output_scale: pictures are enlarged so many times after decoding.
    strength: of image-to-image, 0..1. variation: the same for "subtle" and "strong"; upscale: for "subtle"
    and "creative"; region: for the part of a picture that is painted anew; blend: from the pictures' mean.
    negative: "prompt", "true_cfg" or "none". sampler: one of the prompt grammar's, None = as shipped.
    cache_threshold: of First-Block-Cache, 0 = off: how much the first block's output may have changed since
    the last step for the others to be skipped.
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
    max_area: float = 4.0
    output_scale: int = 1
    sampler: str | None = None
    cache_threshold: float = 0.0
    outpaint: OutpaintCard = OutpaintCard()
    style: StyleCard = StyleCard()

    def __post_init__(self) -> None:
        for name, low, high in (
            ("native_size", 16, 4096),
            ("multiple", 1, 256),
            ("num_inference_steps", 1, 200),
            ("output_scale", 1, 8),
        ):
            if not low <= getattr(self, name) <= high:
                raise ModelError(f"{FILE}: {name} is {getattr(self, name)!r}; it takes {low} to {high}.")


def read(folder: Path) -> dict[str, Any]:
    """The folder's ``atelier.json`` as a dict, {} when there is none. ModelError when it isn't a JSON
    object."""
    path = folder / FILE
    if not path.is_file():
        return {}
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{FILE} of {folder.name} isn't valid JSON: {error}.") from error
    if not isinstance(data, dict):
        raise ModelError(f"{FILE} of {folder.name} isn't a JSON object.")
    return data


def image_card(family: Family, configs: Mapping[str, Mapping[str, Any]], own: Mapping[str, Any]) -> Card:
    """The card of an image model. ``configs``: configuration file's stem or folder → JSON. Entries that
    nobody knows are left alone."""
    entries: dict[str, Any] = {
        "native_size": family.native_size,
        "multiple": family.multiple,
        "num_inference_steps": family.num_inference_steps,
        "guidance_scale": family.guidance_scale,
        "draft": {"num_inference_steps": family.draft_steps, "guidance_scale": family.guidance_scale},
        "negative": family.negative,
        "samplers": family.samplers,
        **(family.defaults or {}),
    }
    for layer in (family.adjust(configs), own):
        for key, value in layer.items():
            entries[key] = {**entries.get(key, {}), **value} if isinstance(value, Mapping) else value
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
