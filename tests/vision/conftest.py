"""Tiny models once a session, and small ways to run a capability on them."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from PIL import Image

from core.errors import JobCancelled
from core.events import Output
from core.requests import Request
from tests.support import tiny
from vision.capabilities import capability
from vision.protocol import WorkerConfig
from vision.reporter import Reporter
from vision.store import Models

SHA = "a" * 64


class Recorder(Reporter):
    """Keeps what it is told; stops the job after ``stop_after`` steps."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.steps: list[tuple[int, int]] = []
        self.loads: list[tuple[str, float | None]] = []
        self.previews: list[bytes] = []
        self.boxes: list[tuple[int, int, int, int]] = []
        self.stop_after = stop_after

    def place(self, box: tuple[int, int, int, int]) -> None:
        self.boxes.append(box)

    def loading(self, model: str, fraction: float | None, **fetching: object) -> None:
        self.loads.append((model, fraction))

    def step(self, step: int, total: int, preview: Callable[[], bytes | None] | None = None) -> None:
        self.steps.append((step, total))
        if preview is not None:
            self.previews.append(preview())

    def check(self) -> None:
        if self.stop_after is not None and len(self.steps) >= self.stop_after:
            raise JobCancelled("stopped by the test")


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Name → folder of every tiny model; the first of the processes that share the tests writes them."""
    import diffusers
    import transformers

    os.environ["HF_HUB_OFFLINE"] = "1"
    torch.set_num_threads(1)
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "tiny"
    with FileLock(f"{root}.lock"):
        if not (whole := root / "whole").exists():
            tiny.build(root)
            whole.touch()
    return {name: root / name for name in (*tiny.IMAGE_MODELS, *tiny.READERS)}


@pytest.fixture(scope="session")
def models_of(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Models]:
    """role=name of a tiny model → Models; the same one for the same names."""
    made: dict[tuple, Models] = {}

    def make(**names: str) -> Models:
        key = tuple(sorted(names.items()))
        if key not in made:
            specs = {role: str(folders[name]) for role, name in names.items()}
            made[key] = cpu_models(specs, tmp_path_factory.mktemp("cache"), cpu_threads=1)
        return made[key]

    return make


def cpu_models(specs: Mapping[str, object], cache: Path, **options: Any) -> Models:
    """Models on the processor. specs: role → model. options: further fields of ``WorkerConfig``."""
    return Models(
        WorkerConfig("cpu", {role: str(spec) for role, spec in specs.items()}, str(cache), **options)
    )


def ask(
    models: Models, request: Request, image: Image.Image | None = None, reporter: Reporter | None = None
) -> Output:
    """Run ``request``; ``image`` stands for every picture it names."""
    return capability(request.kind)(
        request, dict.fromkeys(request.pictures, image), models, reporter or Reporter()
    )
