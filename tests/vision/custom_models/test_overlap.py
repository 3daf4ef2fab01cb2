"""Pictures that show some of the same places: found, left out together, and told."""

from dataclasses import replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from tests.vision.custom_models.conftest import Pile, needs_train, pile
from tests.vision.custom_models.memory_store import MemoryStore
from vision.custom_models.anomaly import features
from vision.custom_models.anomaly.detector import Inspector
from vision.custom_models.anomaly.train import Settings, train_inspection
from vision.custom_models.dataset import Apart, chains, overlapping, settle, structure
from vision.custom_models.features import Extractor
from vision.custom_models.report import of_inspection
from vision.custom_models.snapshot import TEST, TRAIN, split
from vision.custom_models.steps import exhausted


def ground() -> np.ndarray:
    """A wide surface of grains, (200, 1000)."""
    grains = np.random.default_rng(0).normal(0, 1, (200, 1000))
    for _ in range(2):
        grains = (
            grains + np.roll(grains, 1, 0) + np.roll(grains, 1, 1) + np.roll(grains, (1, 1), (0, 1))
        ) / 4
    return 128 + 60 * grains / grains.std()


def cut(whole: np.ndarray, left: int, top: int = 0, seed: int = 0) -> Image.Image:
    """A piece (128, 128) with noise and a light of its own."""
    rng = np.random.default_rng((seed, left, top))
    piece = whole[top : top + 128, left : left + 128] * rng.uniform(0.9, 1.1) + rng.normal(0, 3, (128, 128))
    return Image.fromarray(piece.clip(0, 255).astype(np.uint8)).convert("RGB")


def overlaps(images: list[Image.Image]) -> list[set[int]]:
    return exhausted(overlapping([structure(image).coarse for image in images]))


@needs_train
def test_pieces_of_a_surface_that_share_a_place_are_found_and_others_are_not() -> None:
    whole = ground()
    images = [cut(whole, left, top) for left, top in ((0, 0), (90, 20), (180, 5), (700, 60), (440, 0))]
    assert overlaps(images) == [{1}, {0, 2}, {1}, set(), set()]
    assert chains(overlaps(images)) == [0, 0, 0, 3, 4]


def test_parts_that_lie_alike_share_no_place(part_of) -> None:
    for part in ("keypad", "lattice"):
        assert overlaps([part_of(part, seed) for seed in range(3)]) == [set()] * 3, part


def test_a_picture_is_told_by_none_that_it_overlaps_and_places_are_counted_once() -> None:
    apart = Apart.of([0, 1, 2, 3, 3, 4], [{1}, {0, 2}, {1}, set(), set(), set()])
    assert apart.without == tuple(map(frozenset, ({0, 1}, {0, 1, 2}, {1, 2}, {3, 4}, {3, 4}, {5})))
    assert len(set(apart.places)) == 4
    assert apart.shared == 3
    alone = Apart.of(range(4), [{1, 2, 3}, {0, 2, 3}, {0, 1, 3}, {0, 1, 2}])
    assert set(alone.places) == {0}
    assert alone.without == tuple(frozenset([at]) for at in range(4))


def test_a_bank_tells_a_picture_by_none_that_overlaps_it() -> None:
    torch.manual_seed(0)
    wide = torch.randn(5, 4, 6, 16)
    maps = torch.cat([wide[..., :12], wide[..., 4:]])  # number 5 + n has two thirds of number n
    apart = Apart.of(range(10), [{(at + 5) % 10} for at in range(10)])
    seen, unseen = (
        exhausted(features.fitting_bank(maps, 0, without)).strange.mean() for without in ((), apart.without)
    )
    assert unseen > 1.5 * seen


@needs_train
def test_pictures_that_overlap_are_not_tested_on_each_other() -> None:
    whole = ground()
    places = [(0, 0), (60, 0), (120, 0), (300, 60), (440, 60), (580, 60), (720, 60)]
    images = [cut(whole, *place) for place in places]
    some = pile([(image, "good") for image in images])
    linked = {item.sha256 for item in some.snapshot.items if some.images[item.sha256] in images[:3]}
    for seed in range(2):
        found = exhausted(settle(some.snapshot, some.open, seed))
        assert len({item.part for item in found.items if item.sha256 in linked}) == 1
        assert found.part(TEST)
        assert not any(item.group for item in found.items)
    one = min(linked)
    before = [replace(item, part=TEST if item.sha256 == one else TRAIN) for item in some.snapshot.items]
    kept = split(before, 0, [one], chains={sha: "chain" for sha in linked})
    parts = {item.sha256: item.part for item in kept.items}
    assert parts[one] == TEST, "what was tested on stays"
    assert len({parts[sha] for sha in linked - {one}}) == 1


class _Grains(nn.Module):
    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        cells = F.pixel_unshuffle(F.avg_pool2d(pixels.mean(1, keepdim=True), 2), 4)
        return cells, cells.mean((2, 3))


def learned(lefts: list[int]) -> tuple[Inspector, Pile]:
    whole = ground()
    some = pile([(cut(whole, left), "good") for left in lefts])
    grains = Extractor("grains", 64, _Grains(), "MIT")
    return exhausted(
        train_inspection(some.snapshot, some.open, [grains], Settings("free"), MemoryStore())
    ), some


@needs_train
def test_an_inspection_of_pictures_that_overlap_counts_their_places_and_says_so() -> None:
    for lefts, promise, words in (
        ([0, 90, 600, 700], [1, 3], "4 of 4 good pictures overlap others, so that they count as 2 places"),
        ([0, 20, 40, 60], [1, 1], "there is no guarantee for new places"),
    ):
        inspector, some = learned(lefts)
        assert (inspector.card["overlapping"], inspector.card["promise"]) == (4, promise)
        report = of_inspection(inspector, [], some.open)
        assert words in report.sentence
        assert "one good part" not in report.sentence


@needs_train
def test_pictures_that_all_look_like_one_part_are_said_to_give_only_a_guess() -> None:
    inspector, some = learned([0, 90, 600, 700])
    alike = dict(inspector.card, overlapping=0, good_groups=[0] * len(inspector.card["good_groups"]))
    report = of_inspection(Inspector(alike, inspector.tensors), [], some.open)
    assert "All 4 good pictures look like one part, so the limit is only a guess." in report.sentence
    assert "one good part" not in report.sentence
