"""Each tiny chat model once a session."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.vision.chat import shapes
from vision.chat.talker import Talker
from vision.worker.main import quiet_libraries

CARD = {"system": "Look well."}  # short, since a token is a byte here
KEPT = 2**26


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Name → folder of a tiny chat model."""
    torch.set_num_threads(1)
    quiet_libraries()
    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name)
            shapes.save(name, made[name])
        return made[name]

    return folder


@pytest.fixture(scope="session")
def loaded(folder_of: Callable[[str], Path]) -> Callable[[str], Talker]:
    """Name → the model in memory, once."""
    made: dict[str, Talker] = {}

    def load(name: str) -> Talker:
        if name not in made:
            made[name] = shapes.loaded(name, folder_of(name), CARD)
        return made[name]

    return load


@pytest.fixture
def talker_of(loaded: Callable[[str], Talker]) -> Callable[[str], Talker]:
    """Name → the model, with nothing under way and nothing kept."""

    def fresh(name: str) -> Talker:
        return Talker(loaded(name).model, KEPT)

    return fresh
