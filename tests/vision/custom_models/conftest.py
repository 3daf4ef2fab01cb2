"""Small pictures and inspections for tests, and the extra they need."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from PIL import Image

from core.profiles import can_train
from tests.vision.custom_models import parts
from vision.custom_models.snapshot import Item, Snapshot

needs_train = pytest.mark.skipif(not can_train(), reason="the extra `train` is not installed")


@dataclass(frozen=True)
class Pile:
    """Pictures by their names, with labels."""

    images: dict[str, Image.Image]
    snapshot: Snapshot

    def open(self, sha256: str) -> Image.Image:
        return self.images[sha256]


def pile(pictures: list[tuple[Image.Image, str]]) -> Pile:
    images, items = {}, []
    for image, label in pictures:
        sha = hashlib.sha256(image.tobytes()).hexdigest()
        images[sha] = image
        items.append(Item(sha, label))
    return Pile(images, Snapshot.of(items))


@pytest.fixture(scope="session")
def part_of() -> Callable[..., Image.Image]:
    """(part, seed, defect) → a picture, drawn once."""
    drawn: dict[tuple, Image.Image] = {}

    def draw(part: str, seed: int, defect: str | None = None) -> Image.Image:
        key = (part, seed, defect)
        if key not in drawn:
            drawn[key] = parts.picture(*key)[0]
        return drawn[key]

    return draw


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
