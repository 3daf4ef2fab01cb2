"""The models that are measured: the demo pack's, and tiny ones with random weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from core.settings import ROOT
from vision.image_model.model import ImageModel
from vision.model_store import Models
from vision.protocol import WorkerConfig
from vision.startup import quiet_libraries

DEMO = ROOT / "demo" / "models" / "stable-diffusion"


def image_model(folder: Path, cache: Path, loras: Mapping[str, Path] | None = None) -> ImageModel:
    """Loaded as a worker loads it, on the CPU, one thread. loras: what the host has set up."""
    quiet_libraries()
    named = {name: str(path) for name, path in (loras or {}).items()}
    return Models(
        WorkerConfig(
            "cpu", {"image": str(folder)}, str(cache), cpu_threads=1, allow_download=False, loras=named
        )
    ).get("image")


def tiny_image_model(
    family: str, cache: Path, seed: int = 0, loras: Mapping[str, Path] | None = None
) -> ImageModel:
    """A tiny model of ``family`` (a key of tests.tiny.IMAGE_MODELS) with seeded random weights, saved once in
    ``cache``."""
    import torch

    from tests import tiny

    folder = cache / f"tiny-{family}"
    if not folder.exists():
        quiet_libraries()
        torch.manual_seed(seed)
        tiny.IMAGE_MODELS[family]().save_pretrained(folder, safe_serialization=True)
        (folder / "atelier.json").write_text(json.dumps(tiny.CARD))
    return image_model(folder, cache, loras)


def random_loras(family: str, cache: Path, count: int) -> dict[str, Path]:
    """``count`` LoRAs of rank 4 for the UNet's attention of a tiny ``family``, as files that diffusers
    writes: name → file."""
    import torch
    from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model

    from tests import tiny

    files = {}
    for number in range(count):
        torch.manual_seed(1000 + number)
        pipe = tiny.IMAGE_MODELS[family]()
        config = LoraConfig(
            r=4, lora_alpha=4, target_modules=["to_q", "to_k", "to_v", "to_out.0"], init_lora_weights=False
        )
        inject_adapter_in_model(config, pipe.unet)
        state = {name: 0.5 * value for name, value in get_peft_model_state_dict(pipe.unet).items()}
        files[f"style{number}"] = cache / f"style{number}.safetensors"
        type(pipe).save_lora_weights(cache, unet_lora_layers=state, weight_name=files[f"style{number}"].name)
    return files
