"""What is learned from: snapshots, near-duplicates and parts of them."""

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.vision.custom_models.conftest import needs_train
from vision.custom_models.dataset import groups, structure
from vision.custom_models.snapshot import TEST, Item, Snapshot, split

A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def test_a_snapshot_is_the_same_for_the_same_items_in_any_order() -> None:
    one = Snapshot.of([Item(B, "bad"), Item(A, "good")])
    other = Snapshot.of([Item(A, "good"), Item(B, "bad")])
    assert one.text() == other.text()
    assert one.sha256 == other.sha256
    assert Snapshot.read(one.text()) == one


def test_another_label_is_another_snapshot() -> None:
    assert Snapshot.of([Item(A, "good")]).sha256 != Snapshot.of([Item(A, "bad")]).sha256


def test_a_removed_picture_was_never_there() -> None:
    whole = Snapshot.of([Item(A, "good"), Item(B, "good")])
    assert whole.without([B]).sha256 == Snapshot.of([Item(A, "good")]).sha256


def test_unlabelled_pictures_are_in_no_part() -> None:
    snapshot = Snapshot.of([Item(A, "good"), Item(B), Item(C, "bad", part=TEST)])
    assert snapshot.counts() == {"train": {"good": 1}, "test": {"bad": 1}}


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([("x", "good")], "64 hexadecimal"),
        ([(A, "l" * 81)], "at most 80 characters"),
        ([(A, "good", "", "dev")], "part must be"),
        ([(A, "good"), (A, "bad")], "is there twice"),
        ([(f"{n:064x}", f"label {n}") for n in range(41)], "at most 40 labels, not 41"),
        ([(f"{n:064x}", "good") for n in range(2001)], "at most 2000 pictures, not 2001"),
    ],
)
def test_what_cannot_be_in_a_snapshot_is_told(items, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Snapshot.of([Item(*item) for item in items])


@pytest.mark.parametrize(
    "text", ["{}", "[]", '{"format": 2, "items": []}', '{"format": 1, "items": [["x"]]}', "no"]
)
def test_what_is_no_snapshot_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Snapshot.read(text)


def items(groups: int, shots: int, label: str = "good") -> list[Item]:
    return [
        Item(f"{label.encode().hex()[:4]}{group:030x}{shot:030x}", label, f"{label} {group}")
        for group in range(groups)
        for shot in range(shots)
    ]


def test_a_group_is_never_in_both_parts_and_each_label_has_its_share() -> None:
    found = split(items(20, 3) + items(12, 1, "crack"), seed=3)
    parts = defaultdict(set)
    for item in found.items:
        parts[item.group].add(item.part)
    assert all(len(part) == 1 for part in parts.values())
    assert found.counts()["test"] == {"crack": 3, "good": 15}


def test_a_split_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    some = items(20, 2)
    assert split(some, 1) == split(reversed(some), 1)
    assert split(some, 1) != split(some, 2)


def test_what_was_tested_on_stays_for_testing_when_pictures_come() -> None:
    before = split(items(12, 1), 1)
    frozen = {item.sha256 for item in before.part(TEST)}
    after = split(items(40, 1), 1, frozen)
    assert frozen < {item.sha256 for item in after.part(TEST)}


def test_two_groups_of_a_label_are_always_left_to_learn_from() -> None:
    assert split(items(2, 1), 1).part(TEST) == ()
    assert len(split(items(3, 1), 1, share=0.9).part(TEST)) == 1


@needs_train
def test_shots_of_one_part_are_grouped_and_parts_of_one_kind_are_not(part_of) -> None:
    """Three shots each of four circuit boards: moved a pixel, brighter, noisier."""
    rng = np.random.default_rng(0)
    shots = []
    for seed in range(4):
        pixels = np.asarray(part_of("circuit", seed), np.float32)
        for gain, shift in ((1.0, 0), (0.9, 1), (1.05, -1)):
            taken = np.roll(pixels, shift, 1) * gain + rng.normal(0, 2, pixels.shape)
            shots.append(Image.fromarray(taken.clip(0, 255).astype(np.uint8)))
    assert groups([structure(image) for image in shots]) == [0, 0, 0, 3, 3, 3, 6, 6, 6, 9, 9, 9]


@needs_train
def test_known_groups_stay_together_and_join_what_they_touch(part_of) -> None:
    structures = [structure(part_of("circuit", seed)) for seed in (0, 1, 0, 2)]
    assert groups(structures, ["a", "a", "", ""]) == [0, 0, 0, 3]
    assert groups([]) == []


def test_boxes_are_kept_in_a_snapshot_and_leave_others_as_they_were() -> None:
    plain = Item("0" * 64, "good")
    found = Snapshot.of([plain, Item("1" * 64, "scratch", boxes=((0.1, 0.2, 0.5, 0.25),))])
    assert Snapshot.read(found.text()) == found
    assert '["' + "0" * 64 + '","good","","train"]' in found.text()
    with pytest.raises(ValueError, match="goes from left to right"):
        Item("1" * 64, "scratch", boxes=((0.5, 0.2, 0.1, 0.25),))
    with pytest.raises(ValueError):
        Item("1" * 64, "scratch", boxes=((0.5, 0.2),))


@pytest.mark.parametrize("boxes", [(), ((0.1, 0.2, 0.5, 0.25),)])
def test_a_mask_is_kept_in_a_snapshot_by_its_hash(boxes: tuple) -> None:
    painted = Item("1" * 64, "scratch", boxes=boxes, mask="2" * 64)
    found = Snapshot.of([Item("0" * 64, "good"), painted])
    assert Snapshot.read(found.text()) == found
    assert Snapshot.of([Item("0" * 64, "good"), replace(painted, mask="")]).sha256 != found.sha256
    with pytest.raises(ValueError, match="mask must be 64 hexadecimal digits"):
        Item("1" * 64, "scratch", mask="painted")
