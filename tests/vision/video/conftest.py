"""Tiny video models once a session, loaded by the code that loads a host's."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from proofs.vision.video import operations
from vision.video.model import VideoModel


@pytest.fixture(scope="session")
def video_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], VideoModel]:
    """Name of a tiny video model → the model."""
    import diffusers

    torch.set_num_threads(1)
    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    loaded: dict[str, VideoModel] = {}
    root: Path = tmp_path_factory.mktemp("videos")

    def get(name: str) -> VideoModel:
        if name not in loaded:
            loaded[name] = operations.load(name, root / name)
        return loaded[name]

    return get
