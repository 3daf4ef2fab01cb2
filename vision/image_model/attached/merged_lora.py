"""The LoRA that belongs to a model: a file in its folder ``lora`` that its card names (``merged_lora``). It
is added to the weights once, when they are loaded, so that drawing with it costs nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from core.errors import ModelError
from vision.weights import contents

FOLDER = contents.MERGED  # beside the parts of a pipeline: fetched with them from a hub
# How diffusers' save_lora_weights ends the names of a denoiser's matrices, and where it keeps rank and alpha.
DOWN, UP = ".lora_A.weight", ".lora_B.weight"
METADATA = "lora_adapter_metadata"


def merge(pipe: Any, folder: Path, name: str) -> None:
    """Add alpha / rank · up · down (Hu et al., arXiv:2106.09685, eq. 3) to each weight of ``pipe`` that the
    LoRA ``name`` of the model in ``folder`` changes.

    Its file is one that diffusers' save_lora_weights wrote for a denoiser. Its dtype may be any: float8 takes
    half of float16's bytes. Raises ModelError when the file can't be read or doesn't fit, and when the
    weights are quantised.
    """
    file = folder / FOLDER / name
    try:
        with safe_open(file, framework="pt") as opened:
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}
            scales = _scales(json.loads((opened.metadata() or {}).get(METADATA, "{}")))
    except (OSError, SafetensorError, ValueError) as error:
        raise ModelError(f"The LoRA {file.name}, which atelier.json names, can't be read.") from error
    layers = {name.removesuffix(DOWN) for name in tensors if name.endswith(DOWN)}
    if not layers or set(tensors) != {layer + end for layer in layers for end in (DOWN, UP)}:
        raise ModelError(
            f"{file.name} isn't a LoRA of a denoiser as diffusers' save_lora_weights writes them; no other"
            " can be merged."
        )
    for layer in sorted(layers):
        part, _, module = layer.partition(".")
        weight = _weight(pipe, part, module, file)
        down, up = (tensors[layer + end].to(weight.device).float().flatten(1) for end in (DOWN, UP))
        if (up.shape[0], down.shape[1], up.shape[1]) != (*weight.flatten(1).shape, down.shape[0]):
            raise ModelError(f"The LoRA {file.name} doesn't fit {layer}: it is of another model.")
        weight += (scales.get(part, 1.0) * (up @ down)).view(weight.shape).to(weight.dtype)


def _scales(metadata: dict[str, Any]) -> dict[str, float]:
    """Return part → alpha / rank. Raises ValueError where layers have their own."""
    if any(value for name, value in metadata.items() if name.endswith("alpha_pattern")):
        raise ValueError("an alpha for some layers alone")
    parts = [name.removesuffix(".lora_alpha") for name in metadata if name.endswith(".lora_alpha")]
    return {part: metadata[f"{part}.lora_alpha"] / metadata[f"{part}.r"] for part in parts}


def _weight(pipe: Any, part: str, name: str, file: Path) -> torch.Tensor:
    try:
        weight: torch.Tensor = pipe.components[part].get_submodule(name).weight.detach()
    except (KeyError, AttributeError) as error:
        raise ModelError(f"The LoRA {file.name} doesn't fit: this model has no {part}.{name}.") from error
    if type(weight) is not torch.Tensor or not weight.is_floating_point():
        raise ModelError(
            f"The LoRA {file.name} can't be added to quantised weights; set QUANTIZE=off, or leave"
            " merged_lora out of atelier.json."
        )
    return weight
