"""All objects of a picture with their outlines: the demo models' own segmenter on drawn scenes."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.errors import ModelError
from core.profiles import DEMO
from demo.drawing import Placed, draw_apart
from demo.world import Group, Scene
from vision.readers import segmentation
from vision.readers.segmentation import ALIKE, SEEN, Object, ObjectSegmenter, Picked, meant

BOAT, STAR = (0.27, 0.6), (0.75, 0.3)  # where they stand, shares of the sides


@pytest.fixture(scope="module")
def model() -> ObjectSegmenter:
    torch.set_num_threads(1)
    loaded = segmentation.load_segmenter(DEMO / "segmenter", "segmenter", {}, "cpu", torch.float32)
    assert isinstance(loaded, ObjectSegmenter)
    return loaded


def scene(style: str = "flat", size: tuple[int, int] = (384, 384)) -> tuple[Image.Image, np.ndarray]:
    """A red boat and a yellow star on blue, and which of them each pixel shows."""
    groups = (Group(1, "red", "boat", "medium"), Group(1, "yellow", "star", "medium"))
    placed = [Placed("boat", "red", *BOAT, 0.2, 0), Placed("star", "yellow", *STAR, 0.2, 1)]
    return draw_apart(Scene(groups, "left", "blue", style), random.Random(3), size, placed)


def overlap(mask: Image.Image, truth: np.ndarray) -> float:
    found = np.asarray(mask) > 127
    return float((found & truth).sum() / (found | truth).sum())


def at(picture: Image.Image, *spots: tuple[tuple[float, float], int]) -> list[tuple[float, float, int]]:
    return [(x * picture.width, y * picture.height, label) for (x, y), label in spots]


@pytest.mark.parametrize("style", ["flat", "pixel", "watercolor"])
def test_what_is_pointed_at_is_outlined(model: ObjectSegmenter, style: str) -> None:
    picture, owner = scene(style)
    for spot, obj in ((BOAT, 0), (STAR, 1)):
        picked = model.pick(picture, at(picture, (spot, 1)))
        assert picked.mask.size == picture.size and set(np.unique(picked.mask)) == {0, 255}
        assert overlap(picked.mask, owner == obj) > 0.85 and 0.5 < picked.score <= 1


def test_several_points_take_several_objects_and_a_minus_leaves_one_out(model: ObjectSegmenter) -> None:
    picture, owner = scene()
    assert overlap(model.pick(picture, at(picture, (BOAT, 1), (STAR, 1))).mask, owner >= 0) > 0.88
    one = model.pick(picture, at(picture, (BOAT, 1), (STAR, 1), (STAR, 0)))
    assert overlap(one.mask, owner == 0) > 0.88


def test_a_box_takes_what_lies_mostly_in_it(model: ObjectSegmenter) -> None:
    picture, owner = scene()
    half = (0.0, 0.0, picture.width / 2, float(picture.height))
    assert overlap(model.pick(picture, box=half).mask, owner == 0) > 0.88
    assert model.pick(picture, at(picture, (BOAT, 0)), half).mask.getbbox() is None


def test_a_point_on_the_ground_finds_nothing(model: ObjectSegmenter) -> None:
    picture, _ = scene()
    assert model.pick(picture, at(picture, ((0.5, 0.95), 1))) == Picked(Image.new("L", picture.size), 0.0)


@pytest.mark.parametrize("size", [(768, 384), (300, 500), (96, 96)])
def test_pictures_of_any_shape_and_size_are_seen(model: ObjectSegmenter, size: tuple[int, int]) -> None:
    picture, owner = scene(size=size)
    assert overlap(model.pick(picture, at(picture, (BOAT, 1))).mask, owner == 0) > 0.85


def test_a_block_of_pixel_art_is_taken_as_a_whole(model: ObjectSegmenter) -> None:
    picture, _ = scene("pixel")
    found = np.asarray(model.pick(picture, at(picture, (BOAT, 1), (STAR, 1))).mask) > 127
    assert set(np.unique(found.reshape(32, 12, 32, 12).sum((1, 3)))) == {0, 144}


def test_an_object_at_the_edge_of_a_picture_is_outlined(model: ObjectSegmenter) -> None:
    placed = [Placed("ball", "green", 0.05, 0.5, 0.2, 0)]
    ball = Scene((Group(1, "green", "ball", "medium"),), "left", "white", "flat")
    picture, owner = draw_apart(ball, random.Random(1), (256, 256), placed)
    assert overlap(model.pick(picture, [(20, 128, 1)]).mask, owner == 0) > 0.88


def test_a_picture_is_looked_at_once_and_few_are_kept(model: ObjectSegmenter, monkeypatch) -> None:
    looks, look = [], model._look
    monkeypatch.setattr(model, "_look", lambda *given: looks.append(given) or look(*given))
    picture, _ = scene()
    first = model.see(picture, "one")
    assert model.see(picture, "one") is first and len(looks) == 1
    for number in range(SEEN + 2):
        model.see(Image.new("RGB", (64, 64), "white"), f"picture {number}")
    assert len(model._seen) == SEEN and "one" not in model._seen


def test_a_bare_ground_has_no_objects(model: ObjectSegmenter) -> None:
    assert model.see(Image.new("RGB", (200, 120), (40, 100, 220))) == []


def test_the_object_that_fits_words_best_is_meant_with_those_like_it() -> None:
    piece = np.ones((1, 1), bool)
    boat, other, star = (Object(piece, (0, 0, 1, 1), label) for label in (7, 7, 1))
    objects = [boat, other, star]
    assert meant(objects, [0.3, 0.3 - 2 * ALIKE, 0.29], 0.1) == [boat]
    assert meant(objects, [0.3, 0.3 - ALIKE / 2, 0.29], 0.1) == [boat, other], "a star is no boat"
    assert meant(objects, [0.3, 0.2, 0.1], 0.31) == [], "the words fit the ground better"
    assert meant([], [], 0.0) == []


def test_the_pictures_that_words_are_compared_with_show_an_object_each_and_then_none(
    model: ObjectSegmenter,
) -> None:
    picture, owner = scene()
    boat, star, bare = model.shown(picture, sorted(model.see(picture), key=lambda obj: obj.box[0]))
    red, yellow = ((np.asarray(each).reshape(-1, 3).mean(0)) for each in (boat, star))
    assert red[1] < yellow[1] and max(boat.size) < picture.width
    blue = np.asarray(bare, int)
    assert (blue[..., 2] > blue[..., 0] + 60).all(), "the objects are painted over"


def test_a_segformer_without_a_class_for_the_ground_is_refused(folders: dict[str, Path]) -> None:
    loaded = segmentation.load_segmenter(folders["segformer"], "tiny", {}, "cpu", torch.float32)
    assert isinstance(loaded, ObjectSegmenter)
    loaded.model.config.id2label = {0: "wall", 1: "sky", 2: "tree"}
    with pytest.raises(ModelError, match="no class called “ground”"):
        ObjectSegmenter("tiny", loaded.model, loaded.processor)
