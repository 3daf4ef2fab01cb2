"""The drawn world and its captions: deterministic, readable back, and never drawing for training what is held
out."""

import random

import numpy as np
import pytest
from PIL import Image, ImageFilter

from demo.drawing import Placed, draw, draw_apart, layout, patches
from demo.world import (
    COLOURS,
    HELD_PAIRS,
    KINDS,
    OBJECTS,
    Group,
    Scene,
    canonical,
    compose,
    describe,
    has_held_pair,
    held_out_scene,
    is_held_out,
    parse,
    training_scene,
)

pytestmark = pytest.mark.training

MIX = {"large": 1, "single": 1, "several": 1, "pair": 1, "empty": 1}


def scenes(count, seed=0):
    rng = random.Random(seed)
    return [compose(rng, KINDS[i % len(KINDS)]) for i in range(count)]


@pytest.mark.parametrize("size", [(128, 128), (176, 96), (104, 160)])
def test_the_same_scene_and_seed_give_the_same_pixels(size):
    for scene in scenes(20):
        first, second = (np.asarray(draw(scene, random.Random(7), size)) for _ in range(2))
        assert first.shape == (size[1], size[0], 3)
        assert (first == second).all()


def test_every_object_stands_inside_its_picture():
    rng = random.Random(0)
    for scene in scenes(300):
        for width, height in ((128, 128), (176, 96)):
            for thing in layout(scene, rng, (width, height)):
                reach = thing.half * min(width, height)
                assert reach <= thing.x * width <= width - reach
                assert reach <= thing.y * height <= height - reach


def test_every_object_owns_a_patch_that_shows_it():
    rng = random.Random(0)
    for scene in scenes(200):
        placed = layout(scene, rng)
        assert set(patches(placed, 16, 16).ravel()) - {-1} == set(range(len(placed)))


def test_a_picture_that_is_drawn_apart_is_the_same_picture():
    for number, scene in enumerate(scenes(40)):
        rng, again = random.Random(number), random.Random(number)
        placed = layout(scene, rng)
        layout(scene, again)
        picture, owner = draw_apart(scene, rng, (128, 128), placed)
        assert picture.tobytes() == draw(scene, again, placed=placed).tobytes()
        assert owner.shape == (128, 128) and owner.max() < len(placed)
        for index, thing in enumerate(placed):
            ys, xs = np.nonzero(owner == index)
            assert len(ys) and abs(ys.mean() / 128 - thing.y) < 0.1 and abs(xs.mean() / 128 - thing.x) < 0.1


@pytest.mark.parametrize("style", ["flat", "outline", "pixel"])
@pytest.mark.parametrize("thing", OBJECTS)
def test_a_thing_owns_the_pixels_that_it_changes(thing, style):
    placed = [Placed(thing, "purple", 0.5, 0.5, 0.3, 0)]
    scene = Scene((Group(1, "purple", thing, "large"),), "center", "snow", style)
    picture, owner = draw_apart(scene, random.Random(5), (128, 128), placed)
    bare, _ = draw_apart(Scene((), "any", "snow", style), random.Random(5), (128, 128), [])
    changed = np.abs(np.asarray(picture, int) - np.asarray(bare, int)).max(-1) > 40
    rim = 9 if style == "pixel" else 5  # a block of 4 px that a thing touches shows a little of it
    near = np.asarray(Image.fromarray(owner == 0).filter(ImageFilter.MaxFilter(rim)), bool)
    assert not (changed & ~near).any(), "nothing of it lies outside"
    if style != "outline":  # whose inside shows the ground
        inside = ~np.asarray(Image.fromarray(owner != 0).filter(ImageFilter.MaxFilter(9)), bool)
        assert (changed & inside).sum() > 0.6 * inside.sum(), "and not much else inside"


def test_all_pairs_of_object_and_colour_look_different():
    pictures = {}
    for thing in OBJECTS:
        for colour in COLOURS:
            scene = Scene((Group(1, colour, thing, "large"),), "center", "sky", "flat")
            pictures[thing, colour] = np.asarray(draw(scene, random.Random(1)), np.int16)
    keys = list(pictures)
    for i, a in enumerate(keys):
        for b in keys[i + 1 :]:
            assert np.abs(pictures[a] - pictures[b]).mean() > 0.5, (a, b)


def test_a_canonical_caption_reads_back_as_its_scene():
    for scene in scenes(2000):
        reading = parse(canonical(scene))
        assert reading.groups == tuple((g.count, g.colour, g.object) for g in scene.groups)
        assert (reading.background, reading.style) == (scene.background, scene.style)
        assert reading.relation == (scene.place if len(scene.groups) == 2 else None)


@pytest.mark.parametrize(
    "text", ["", ",", "a", "an elephant on a trampoline", "red red red on a background", "猫 🐈"]
)
def test_parse_never_fails(text):
    assert parse(text).background is None


def test_a_caption_says_what_it_claims_to_say():
    rng = random.Random(3)
    for scene in scenes(1000, seed=3):
        caption = describe(scene, rng, noise=0, drop=0.3)
        named = {word.group for word in caption.words if word.role == "object"}
        coloured = {word.group for word in caption.words if word.role == "colour"}
        assert named == set(range(len(scene.groups)))
        assert coloured == {i for i, told in enumerate(caption.colour_told) if told}


def test_training_never_draws_what_is_held_out():
    rng = random.Random(0)
    drawn = {training_scene(rng, MIX) for _ in range(20_000)}
    assert not any(is_held_out(scene) or has_held_pair(scene) for scene in drawn)
    held = {held_out_scene(rng, kind) for kind in ("large", "single", "several", "pair") for _ in range(100)}
    assert not drawn & held


def test_held_pairs_are_drawn_for_all_but_the_generator():
    rng = random.Random(0)
    seen = {pair for _ in range(3000) for pair in training_scene(rng, MIX, held_pairs=True).pairs}
    assert HELD_PAIRS <= seen
    assert has_held_pair(held_out_scene(rng, "single", pairs="held"))


@pytest.mark.parametrize(
    "build",
    [
        lambda: Group(5, "red", "cat", "small"),
        lambda: Group(1, "mauve", "cat", "small"),
        lambda: Scene((), "above", "snow", "flat"),
        lambda: Scene((Group(1, "red", "cat", "small"),), "any", "mars", "flat"),
    ],
)
def test_a_scene_outside_the_world_is_refused(build):
    with pytest.raises(ValueError):
        build()
