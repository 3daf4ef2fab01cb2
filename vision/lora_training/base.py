"""The model that styles are learned on where the one that draws was distilled from it: its denoiser alone, as
it is or quantised (QLoRA, arXiv:2305.14314), beside whatever the drawing model's encoders have made."""

from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from vision import devices
from vision.diffusion.loras import Loras
from vision.diffusion.model import no_lora
from vision.weights import files

TRANSFORMER = "transformer"  # the part of a pipeline that is trained


class Base:
    """A denoiser in memory, with the parts of a pipeline that a training needs. kind: how it is held."""

    offload = "none"

    def __init__(self, name: str, kind: str, module: Any, scheduler: Any) -> None:
        self.name, self.kind, self.scheduler = name, kind, scheduler
        self.components = {TRANSFORMER: module}
        self.loras = Loras(self, name, no_lora)


def load_base(folder: Path, name: str, device: str, dtype: torch.dtype, kind: str) -> Base:
    """Load the transformer of the pipeline in ``folder``. kind: off, int8 or nf4. Raises ModelError for one
    that doesn't load."""
    index = files.read_json(folder / "model_index.json")
    config = None if kind == "off" else devices.quantization(diffusers, kind, dtype)
    with devices.refusing(f"{name} doesn't load", tells=True):
        module = getattr(diffusers, index[TRANSFORMER][1]).from_pretrained(
            folder / TRANSFORMER,
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            **({} if config is None else {"quantization_config": config}),
        )
        scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler")
    return Base(name, kind, module.to(device), scheduler)
