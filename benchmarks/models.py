"""What is measured with: the demo pack's models and tiny ones with random weights, seeded pictures to encode
that are neither noise nor empty, and a job whose latents are kept and that may be stopped after some steps.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from core.errors import JobCancelled
from core.settings import ROOT
from vision.diffusion.generate import generate
from vision.diffusion.model import ImageModel
from vision.diffusion.parameters import Generation
from vision.engine.engine import Engine
from vision.protocol import WorkerConfig
from vision.reporter import Reporter
from vision.store import Models
from vision.worker.main import quiet_libraries

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
    """A tiny model of ``family`` (a key of ``tiny.IMAGE_MODELS``) with seeded random weights, saved once in
    ``cache``."""
    import torch

    from tests.support import tiny

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

    from tests.support import tiny

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


def drawing(side: int) -> np.ndarray:
    """(side, side, 3) uint8: the demo models' contact sheet, flat colours with edges."""
    with Image.open(ROOT / "docs" / "evidence" / "demo-contact-sheet.webp") as sheet:
        return np.asarray(sheet.convert("RGB").resize((side, side), Image.Resampling.LANCZOS))


def photo(side: int, seed: int = 0) -> np.ndarray:
    """(side, side, 3) uint8: amplitude falling as 1/f^1.6 as in photographs (Field 1987 found about 1/f²  in
    power), with sensor noise."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = 1
    shaped = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(3, side, side))) * frequency**-1.6, (side, side))
    pixels = shaped / shaped.std() * 50 + 128 + rng.normal(0, 2, shaped.shape)
    return pixels.clip(0, 255).astype(np.uint8).transpose(1, 2, 0)


def decoded(pixels: np.ndarray) -> torch.Tensor:
    """(1, 3, H, W), -1..1: what a decoder would have given for ``pixels``, a little between the 8-bit
    levels."""
    noise = torch.rand(pixels.shape, generator=torch.Generator().manual_seed(1)) - 0.5
    levels = torch.from_numpy(pixels.copy()).float() + 0.9 * noise
    return (levels / 127.5 - 1).permute(2, 0, 1)[None].contiguous()


class Life(Reporter):
    """Stopped after ``last`` steps, if that is set. latents: as they come to the decoder, (1, C, h, w);
    picture: (H, W, 3)."""

    def __init__(self, generation: Generation, last: int | None = None) -> None:
        self.generation, self.last, self.steps = generation, last, 0
        self.latents: torch.Tensor | None = None
        self.picture: np.ndarray | None = None
        self.error: BaseException | None = None

    def step(self, step: int, total: int, preview: Callable[[], bytes | None] | None = None) -> None:
        """Count the step and tell the engine how many are left."""
        self.steps += 1
        self.fiber.set_progress(step, total)

    def check(self) -> None:
        """Raise JobCancelled once ``last`` steps are done."""
        if self.last is not None and self.steps >= self.last:
            raise JobCancelled("trace")


def begin(engine: Engine, model: ImageModel, life: Life) -> None:
    """Run ``life`` in an engine."""

    def unpack(pipe: Any, latents: Any, height: int, width: int) -> Any:
        life.latents = model.family.unpack(pipe, latents, height, width)
        return life.latents

    watched = _with_family(model, replace(model.family, unpack=unpack))

    def work(fiber: Any) -> Any:
        life.fiber = fiber
        return generate(watched, life.generation, life)

    def done(result: Any, error: BaseException | None) -> None:
        life.error = error
        life.picture = None if result is None else np.asarray(result.images[0])

    engine.begin("trace", work, check=life.check, done=done)


def _with_family(model: ImageModel, family: Any) -> ImageModel:
    """The same weights, locks and pipelines, with the family's hook that this job is watched through."""
    twin = object.__new__(type(model))
    vars(twin).update(vars(model), family=family)
    return twin
