"""A photograph, and readers of photographs that say what a test wants them to."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from core.errors import ModelError
from core.profiles import DEMO, PACKAGED, ROOT
from vision.protocol import WorkerConfig
from vision.readers.photo import describe, models
from vision.readers.photo.models import CUTTER_SIDE, Compact, Cutter, Enlarger, FaceFinder
from vision.reporter import Reporter
from vision.store import Models
from vision.weights import packaged

# chelsea of scikit-image, by Stefan van der Walt, CC0
PHOTOGRAPH = Path(__file__).with_name("chelsea.jpg")
FETCHED = ROOT / "data" / "cache"  # where `make setup` puts the packages' models
DEMO_ROLES = {
    "image": "stable-diffusion",
    "clip": "clip",
    "caption": "captioner",
    "vit": "vit",
    "segment": "segmenter",
}


def photograph() -> Image.Image:
    return Image.open(PHOTOGRAPH).convert("RGB")


class PretendReader:
    """Sees a photograph of ``name`` wherever it is asked, or a drawing."""

    name = "efficientnet-lite0"

    def __init__(self, photographed: bool, name: str = "tiger cat") -> None:
        weights, _ = models.head(models.HEAD)
        self.features = weights * (100 if photographed else -100)
        self.chances = np.full(1000, 0.4 / 999, np.float32)
        self.chances[describe.names().index(name)] = 0.6

    def read_each(self, images: Any, before_slice: Any) -> list[tuple[np.ndarray, np.ndarray]]:
        return [(self.chances, self.features)] * len(images)


def disk(pixels: np.ndarray) -> np.ndarray:
    """What stands out is a disk in the middle."""
    y, x = np.mgrid[:CUTTER_SIDE, :CUTTER_SIDE] - CUTTER_SIDE / 2
    return (np.hypot(x, y) < CUTTER_SIDE / 4).astype(np.float32)[None, None]


def no_faces(pixels: np.ndarray) -> list[np.ndarray]:
    rows, columns = pixels.shape[2] // 4, pixels.shape[3] // 4
    return [np.zeros((1, channels, rows, columns), np.float32) for channels in (1, 2, 2, 10)]


class PhotoModels(Models):
    """The demo models, with pretended readers of photographs, or none that can be had."""

    def __init__(self, cache: Path, photographed: bool = True, *, there: bool = True, **roles: str) -> None:
        demo = {role: str(DEMO / folder) for role, folder in DEMO_ROLES.items()}
        super().__init__(WorkerConfig("cpu", demo | PACKAGED | roles, str(cache), cpu_threads=1))
        self.there = there
        torch.manual_seed(0)
        self.pretended: dict[str, Any] = {
            "photograph": PretendReader(photographed),
            "faces": FaceFinder(no_faces),
            "cutout": Cutter(disk),
            "enlarge": Enlarger(Compact().eval().requires_grad_(False)),
        }

    def get(self, role: str, reporter: Reporter | None = None) -> Any:
        if role not in PACKAGED:
            return super().get(role, reporter)
        if not self.there:
            raise ModelError(f"{role} couldn't be downloaded: the package index can't be reached.")
        return self.pretended[role]


@pytest.fixture(scope="session")
def real() -> Models:
    """The demo models and the real readers of photographs, where they were fetched."""
    if any(packaged.find_packaged(name, FETCHED) is None for name in packaged.MODELS):
        pytest.skip("`atelier fetch` hasn't put the readers of photographs into data/cache")
    demo = {role: str(DEMO / folder) for role, folder in DEMO_ROLES.items()}
    return Models(WorkerConfig("cpu", demo | PACKAGED, str(FETCHED), cpu_threads=1, allow_download=False))
