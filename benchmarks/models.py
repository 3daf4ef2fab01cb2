"""The models that are measured: the demo pack's, and tiny ones with random weights."""

from __future__ import annotations

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
