"""Projects as a worker is handed them: files by their hashes, and a job's folder with a snapshot."""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from core.requests.custom_models import BundleRequest, InspectRequest, TrainRequest
from vision.custom_models.snapshot import Item, Snapshot

PROJECT = "abcdefghjkmn"


@dataclass
class Given:
    """Pictures of a project in ``folder``."""

    folder: Path
    paths: dict[str, str] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)

    def add(self, image: Image.Image, label: str | None = None, **values: Any) -> str:
        """Keep a picture, as an item where it has a label, and return its SHA-256."""
        held = io.BytesIO()
        image.save(held, "PNG")
        return self._keep(held.getvalue(), "png", label, **values)

    def _keep(self, data: bytes, suffix: str, label: str | None, **values: Any) -> str:
        sha256 = hashlib.sha256(data).hexdigest()
        path = self.folder / f"{sha256}.{suffix}"
        path.write_bytes(data)
        self.paths[sha256] = str(path)
        if label is not None:
            self.items.append(Item(sha256, label, **values))
        return sha256

    def keep_model(self, path: str) -> str:
        """Keep a model's file as the store does, and return its SHA-256."""
        return self._keep(Path(path).read_bytes(), "safetensors", None)

    def job(self, name: str) -> Path:
        """Return a job's folder with the snapshot, as the queue makes it."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        (folder / "snapshot.json").write_text(Snapshot.of(self.items).text())
        return folder


def train(task: str = "anomaly", **values: Any) -> TrainRequest:
    return TrainRequest(project=PROJECT, task=task, **values)


def inspect(artefact: str, *images: str, task: str = "anomaly", **values: Any) -> InspectRequest:
    return InspectRequest(project=PROJECT, task=task, version=1, artefact=artefact, images=images, **values)


def bundle(artefact: str, *images: str, task: str = "anomaly", **values: Any) -> BundleRequest:
    return BundleRequest(
        project=PROJECT, task=task, version=1, artefact=artefact, images=images, name="dials", **values
    )


@pytest.fixture(scope="session")
def given_dials(part_of: Callable, tmp_path_factory: pytest.TempPathFactory) -> Given:
    """Eight good dials, and four that lack a piece."""
    given = Given(tmp_path_factory.mktemp("dials"))
    for seed in range(8):
        given.add(part_of("dial", seed), "good", part="test" if seed > 5 else "train")
    for seed in range(4):
        given.add(part_of("dial", 100 + seed, "missing"), "missing", part="test" if seed > 2 else "train")
    return given
