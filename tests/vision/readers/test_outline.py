"""Outlines of objects whose place is known roughly."""

import random

import numpy as np
from PIL import Image, ImageDraw

from demo.drawing import draw, layout
from demo.evaluate.images import held_out
from vision.readers.segmentation import outlined


def rough(size: tuple[int, int], box: tuple[int, int, int, int]) -> Image.Image:
    mask = Image.new("L", size)
    mask.paste(255, box)
    return mask


def overlap(one: Image.Image | np.ndarray, other: Image.Image | np.ndarray) -> float:
    a, b = np.asarray(one) > 0, np.asarray(other) > 0
    return float((a & b).sum() / max(1, (a | b).sum()))


def scene(size: tuple[int, int] = (240, 180)) -> tuple[Image.Image, Image.Image]:
    """A ball with a hole of the ground's colour painted into it, over a sky that fades and a sea."""
    down = np.linspace(0, 1, size[1])[:, None, None]
    sky = (np.array((120, 180, 250)) * (1 - down) + np.array((220, 235, 255)) * down).repeat(size[0], 1)
    sky[2 * size[1] // 3 :] = (20, 70, 140)
    picture, truth = Image.fromarray(sky.astype(np.uint8)), Image.new("L", size)
    for canvas, fill, hole in ((picture, (220, 60, 30), tuple(map(int, sky[90, 0]))), (truth, 255, 255)):
        pen = ImageDraw.Draw(canvas)
        pen.ellipse((80, 50, 160, 130), fill=fill)
        pen.ellipse((110, 80, 125, 95), fill=hole)
        pen.rectangle((5, 5, 25, 25), fill=fill if canvas is picture else 0)  # another thing
    return picture, truth


def test_an_object_is_cut_out_of_a_ground_that_changes_with_its_holes_filled() -> None:
    picture, truth = scene()
    found = outlined(picture, rough(picture.size, (70, 60, 150, 140)))
    assert overlap(found, truth) > 0.95
    assert not np.asarray(found)[:30, :30].any(), "the other thing is left alone"


def test_what_stands_beside_an_object_is_none_of_its_ground() -> None:
    picture = scene()[0]
    ImageDraw.Draw(picture).ellipse((185, 60, 235, 120), fill=(220, 60, 30))  # of the same colour
    alone, beside = rough(picture.size, (75, 45, 165, 135)), rough(picture.size, (180, 55, 240, 125))
    truth = scene()[1]
    assert overlap(outlined(picture, alone), truth) < 0.9
    assert overlap(outlined(picture, alone, [beside]), truth) > 0.95


def test_where_nothing_stands_out_the_rough_place_stays() -> None:
    place = rough((120, 90), (20, 20, 60, 60))
    assert outlined(Image.new("RGB", (120, 90), "white"), place) is place
    assert outlined(Image.new("RGB", (120, 90), "white"), Image.new("L", (120, 90))).getbbox() is None
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    assert overlap(outlined(Image.fromarray(noise), place), place) > 0.1


def test_large_pictures_get_a_mask_of_their_size() -> None:
    picture, truth = scene()
    large = picture.resize((1200, 900), Image.Resampling.BICUBIC)
    found = outlined(large, rough(large.size, (350, 300, 750, 700)))
    assert found.size == large.size and set(np.unique(np.asarray(found))) == {0, 255}
    assert (
        overlap(found, truth.resize(large.size, Image.Resampling.BICUBIC).point(lambda v: v > 127 and 255))
        > 0.94
    )


def test_single_objects_of_the_demo_world_are_cut_out_of_a_place_that_is_a_square() -> None:
    """Where one knows what was drawn: the picture without the object is the ground."""
    found = []
    for one, _ in held_out(40, {"single": 1}, "outlines"):
        if one.style in ("outline", "watercolor"):
            continue  # a line's inside is ground, and wet paper is all of its own
        chance = random.Random(repr(one))
        placed = layout(one, chance)
        state = chance.getstate()
        with_it = draw(one, chance, placed=placed)
        chance.setstate(state)
        without = draw(one, chance, placed=[])
        apart = np.abs(np.asarray(with_it, int) - np.asarray(without, int)).max(-1) > 24
        [obj] = placed
        w, h = with_it.size
        box = (
            int(w * (obj.x - obj.half)),
            int(h * (obj.y - obj.half)),
            int(w * (obj.x + obj.half)),
            int(h * (obj.y + obj.half)),
        )
        found.append(overlap(outlined(with_it, rough(with_it.size, box)), apart))
    assert len(found) > 12 and np.median(found) > 0.9, sorted(found)
