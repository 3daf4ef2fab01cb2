"""The models that are measured: the demo pack's, and tiny ones with random weights."""

from __future__ import annotations

import json
from pathlib import Path

from core.settings import ROOT
from vision.image_model import ImageModel
from vision.protocol import WorkerConfig
from vision.provider import Models
from vision.worker import quiet_libraries

DEMO = ROOT / "demo" / "models" / "stable-diffusion"


def image_model(folder: Path, cache: Path) -> ImageModel:
    """Loaded as a worker loads it, on the CPU, one thread."""
    quiet_libraries()
    return Models(WorkerConfig("cpu", {"image": str(folder)}, str(cache), cpu_threads=1, allow_download=False)).get("image")


def tiny_image_model(family: str, cache: Path, seed: int = 0) -> ImageModel:
    """A tiny model of ``family`` (a key of tests.tiny.IMAGE_MODELS) with seeded random weights, saved once in ``cache``."""
    import torch

    from tests import tiny

    folder = cache / f"tiny-{family}"
    if not folder.exists():
        quiet_libraries()
        torch.manual_seed(seed)
        tiny.IMAGE_MODELS[family]().save_pretrained(folder, safe_serialization=True)
        (folder / "atelier.json").write_text(json.dumps(tiny.CARD))
    return image_model(folder, cache)
