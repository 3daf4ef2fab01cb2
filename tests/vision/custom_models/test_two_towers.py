"""Classifiers that see with two towers: chosen where both are needed, found again by name, and one head."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from core.errors import ModelError
from tests.vision.custom_models.conftest import Pile, needs_train, pile
from tests.vision.custom_models.memory_store import MemoryStore
from vision.custom_models.classification import Classifier, train_classifier
from vision.custom_models.features import BOTH, Extractor, find_extractor, pair, vectors
from vision.custom_models.steps import exhausted

KINDS = {"red smooth": (190, 0), "red rough": (190, 30), "blue smooth": (60, 0), "blue rough": (60, 30)}


class _Colour(nn.Module):
    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        return pixels, pixels.mean((2, 3))


class _Grain(nn.Module):
    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        rough = (pixels[..., 1:] - pixels[..., :-1]).abs().mean((1, 2, 3))
        return pixels, torch.stack([rough, rough.square()], 1)


COLOUR, GRAIN = Extractor("colour", 32, _Colour(), "MIT"), Extractor("grain", 32, _Grain(), "MIT")
KNOWN = {one.name: one for one in (COLOUR, GRAIN)}


def shown(kind: str, seed: int) -> Image.Image:
    """A square of a colour, smooth or rough, in any light."""
    (red, rough), lots = KINDS[kind], np.random.default_rng(seed)
    light = lots.normal(0, 30, 3)
    found = np.array((red, 120, 250 - red)) + light + lots.normal(0, 3 + rough, (32, 32, 1))
    return Image.fromarray(found.clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def kinds() -> Pile:
    return pile([(shown(kind, 10 * n + k), kind) for k, kind in enumerate(KINDS) for n in range(8)])


@pytest.fixture(scope="module")
def model(kinds: Pile) -> Classifier:
    torch.set_num_threads(1)
    return exhausted(train_classifier(kinds.snapshot, kinds.open, [COLOUR, GRAIN], MemoryStore()))


@needs_train
def test_two_towers_are_chosen_where_each_sees_half_of_what_tells_labels_apart(
    kinds: Pile, model: Classifier
) -> None:
    tried = model.card["tried"]
    name = model.card["extractor"]
    assert set(name.split(BOTH)) == {"colour", "grain"}
    assert tried[name] < min(tried["colour"], tried["grain"]) - 0.1
    both = find_extractor(name, KNOWN.get)
    asked = [(kind, shown(kind, 500 + n)) for n in range(5) for kind in KINDS]
    again = Classifier.unpack(model.pack())
    hits = sum(again.classify(image, both).chances[0][0] == kind for kind, image in asked)
    assert hits >= 17, "of 20; either alone can't tell more than half"
    assert (
        exhausted(train_classifier(kinds.snapshot, kinds.open, [COLOUR, GRAIN], MemoryStore())).pack()
        == model.pack()
    )


@needs_train
def test_a_second_tower_that_adds_nothing_is_left_out(kinds: Pile) -> None:
    twice = Extractor("colour again", 32, _Colour(), "")
    found = exhausted(train_classifier(kinds.snapshot, kinds.open, [COLOUR, twice], MemoryStore()))
    assert found.card["extractor"] == "colour" and len(found.card["tried"]) == 3


@needs_train
def test_towers_that_see_different_sides_are_never_together(kinds: Pile) -> None:
    other = Extractor("grain", 16, _Grain(), "MIT")
    assert (
        len(
            exhausted(train_classifier(kinds.snapshot, kinds.open, [COLOUR, other], MemoryStore())).card[
                "tried"
            ]
        )
        == 2
    )


@needs_train
def test_what_is_strange_to_both_is_none_of_these_and_another_tower_is_refused(model: Classifier) -> None:
    both = find_extractor(model.card["extractor"], KNOWN.get)
    strange = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))
    assert model.classify(strange, both).unknown
    assert not model.classify(shown("red smooth", 900), both).unknown
    with pytest.raises(ModelError, match="train it again"):
        model.classify(strange, COLOUR)
    with pytest.raises(KeyError):
        find_extractor(model.card["extractor"], {COLOUR.name: COLOUR}.get)


def test_what_both_pool_stands_one_behind_the_other() -> None:
    pixels = torch.rand(2, 3, 32, 32)
    both = pair(COLOUR, GRAIN).module
    right = torch.cat([vectors(COLOUR.module, pixels), vectors(GRAIN.module, pixels)], 1)
    torch.testing.assert_close(vectors(both, pixels), right, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(both(pixels)[1], right, atol=1e-5, rtol=1e-5)
