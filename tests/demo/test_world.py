"""The drawn world and its captions: deterministic, readable back, and never drawing for training what is held
out."""

import random

import numpy as np
import pytest

from demo.captions import canonical, describe, parse
from demo.drawing import draw, layout, patches
from demo.world import (
    COLOURS,
    HELD_PAIRS,
    KINDS,
    OBJECTS,
    Group,
    Scene,
    compose,
    has_held_pair,
    held_out_scene,
    is_held_out,
    training_scene,
)

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
