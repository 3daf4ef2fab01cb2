"""What of a result is laid over a picture; every other pixel stays."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from vision.edits.instruction import read_instruction
from vision.edits.layers import (
    Found,
    Objects,
    Reader,
    by_difference,
    cut_object,
    pasted,
    pasted_apart,
    recoloured,
    tinted,
    with_added,
    without,
)
from vision.edits.several import laid_beside, laid_instead, side_with_room
from vision.images.ops import pieces

SIDE = 256
BOX = (90, 100, 150, 160)


def drawing(colour: str | None, box=BOX, ground=(200, 180, 150)) -> Image.Image:
    """A disc on a ground that goes from left to right."""
    across = np.linspace(0, 40, SIDE)[None, :, None].repeat(SIDE, 0)
    image = Image.fromarray((np.array(ground) + across).clip(0, 255).astype(np.uint8))
    if colour:
        ImageDraw.Draw(image).ellipse(box, fill=colour, outline="black", width=3)
    return image


def disc(box=BOX) -> Found:
    mask = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(mask).ellipse(box, fill=255)
    return Found(mask, (box[0], box[1], box[2] + 1, box[3] + 1), "ball")


def apart(one: Image.Image, other: Image.Image) -> np.ndarray:
    return np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).max(-1)


def outside(reach: int = 16) -> np.ndarray:
    flags = np.ones((SIDE, SIDE), bool)
    flags[BOX[1] - reach : BOX[3] + reach, BOX[0] - reach : BOX[2] + reach] = False
    return flags


def test_only_what_truly_differs_is_laid_over_a_picture() -> None:
    old, noise = drawing("red"), np.random.default_rng(0).normal(0, 3, (SIDE, SIDE, 3))
    new = Image.fromarray((np.asarray(drawing("blue"), np.float32) + 6 + noise).clip(0, 255).astype(np.uint8))
    made = by_difference(old, new)
    assert apart(made, old)[outside()].max() == 0
    assert np.abs(np.asarray(made)[130, 120].astype(int) - (0, 0, 255)).max() < 24
    large = old.resize((700, 700), Image.Resampling.LANCZOS)
    laid = by_difference(large, new)
    assert laid.size == (700, 700) and apart(laid, large)[:200].max() == 0


def test_another_picture_is_taken_whole_and_the_same_one_not_at_all() -> None:
    old = drawing("red")
    other = Image.fromarray(255 - np.asarray(old))
    assert by_difference(old, other) is other
    assert apart(by_difference(old, old), old).max() == 0


def test_an_object_takes_the_colours_that_the_model_gave_it_and_keeps_its_lines() -> None:
    old, crooked = drawing("red"), drawing("blue", (92, 103, 148, 158))
    made = recoloured(old, crooked, disc())
    assert apart(made, old)[outside(8)].max() == 0
    pixels = np.asarray(made).astype(int)
    assert np.abs(pixels[130, 120] - (0, 0, 255)).max() < 60
    assert pixels[130, 91].max() < 90, "its outline is as dark as it was"


def test_the_ground_goes_on_where_an_object_was() -> None:
    made = without(drawing("red"), [disc()])
    assert apart(made, drawing(None)).max() <= 6


def test_the_ground_alone_goes_on_and_what_stands_beside_it_stays() -> None:
    beside, both = (156, 100, 216, 160), drawing("red")
    ImageDraw.Draw(both).ellipse(beside, fill="lime", outline="black", width=3)
    made = without(both, [disc()], [disc(beside)])
    assert apart(made, drawing(None))[:, :152].max() <= 12, "nothing of its neighbour's colours"
    assert apart(made, both)[100:160, 160:212].max() == 0


def test_an_object_that_would_touch_another_is_laid_apart_from_it() -> None:
    old, new = drawing("red"), drawing("blue", (120, 100, 180, 160))
    made = pasted_apart(old, new, disc((120, 100, 180, 160)), [disc()])
    moved = np.nonzero(apart(made, old) > 24)
    assert moved[1].min() > BOX[2] + 2 and apart(made, old)[:, : BOX[2]].max() == 0
    far = pasted_apart(old, drawing("blue", (190, 100, 250, 160)), disc((190, 100, 250, 160)), [disc()])
    assert np.nonzero(apart(far, old) > 24)[1].min() in range(187, 194), "it stays where it has room"


def test_where_nothing_has_room_an_object_covers_little_of_the_others() -> None:
    old, new, large = drawing("red", (20, 20, 254, 254)), drawing("blue"), disc((20, 20, 254, 254))
    made = np.nonzero(apart(pasted_apart(old, new, disc(), [large]), old) > 24)
    assert all(axis.min() < 40 or axis.max() > 216 for axis in made), "in a corner"


def laid(words: str, there: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Around a disc that words add to a picture in which one is at a place."""
    old, one = (
        drawing("red", there),
        Found(disc(there).mask, (*there[:2], there[2] + 1, there[3] + 1), "ball"),
    )
    sky = "sky" in words
    rows, columns = np.nonzero(apart(with_added(old, drawing("blue"), [disc()], [one], sky=sky), old) > 24)
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


def test_what_comes_stands_beside_the_others_and_is_no_larger() -> None:
    left, top, right, bottom = laid("add a ball", (20, 180, 60, 220))
    assert left > 60 and abs(bottom - 220) < 6, "on the ground line of what is there, not in the air"
    assert 40 < right - left < 66
    left, top, right, bottom = laid("add a ball", (90, 130, 160, 200))
    assert (left > 160 or right < 90) and abs(bottom - 200) < 8, "smaller rather than above the other"
    left, top, right, bottom = laid("add a ball", (90, 30, 160, 100))
    assert bottom > 0.6 * SIDE and right - left > 60, "below what is high up, on the ground, and as large"
    left, top, right, bottom = laid("a ball in the sky", (90, 150, 150, 210))
    assert bottom < 0.5 * SIDE and top >= 4, "in the sky, and whole"


def test_two_that_come_stand_apart() -> None:
    old, new = drawing("red", (20, 180, 60, 220)), drawing("blue")
    one = disc((20, 180, 60, 220))
    made = apart(with_added(old, new, [disc(), disc()], [one], sky=False), old) > 24
    assert len(list(pieces(made, made))) == 2


def test_a_shadow_is_a_shadow_on_another_ground_too() -> None:
    old = drawing(None, ground=(40, 150, 70))
    ImageDraw.Draw(old).ellipse((84, 150, 156, 168), fill=(28, 105, 49))
    ImageDraw.Draw(old).ellipse(BOX, fill="red", outline="black", width=3)
    mask = disc().mask.copy()
    ImageDraw.Draw(mask).ellipse((84, 150, 156, 168), fill=255)
    one = Found(mask, (84, 100, 157, 169), "ball")
    made = np.asarray(pasted(drawing(None, ground=(200, 190, 190)), old, one)).astype(int)
    under = made[166, 100:140]
    assert (under[:, 1] - under[:, 0]).max() < 12, "nothing green"


def test_a_photographed_object_takes_a_colour_with_its_own_light_and_what_is_grey_stays() -> None:
    old = drawing("red")
    draw = ImageDraw.Draw(old)
    draw.rectangle((112, 106, 128, 116), fill=(120, 0, 0))
    draw.rectangle((112, 122, 128, 138), fill=(128, 128, 128))
    made = tinted(old, disc(), (30, 90, 210))
    assert apart(made, old)[outside(6)].max() == 0
    paint, shadow, grey = (np.asarray(made)[y, 120].astype(int) for y in (150, 111, 130))
    assert paint.argmax() == 2 and paint[2] > paint[0] + 60
    assert shadow.argmax() == 2 and shadow.sum() < paint.sum(), "a shadow stays darker"
    assert np.abs(grey - 128).max() <= 2
    white = np.asarray(tinted(old, disc(), (255, 255, 255)))[150, 120]
    assert white.min() > 180


def test_without_what_should_come_nothing_is_laid() -> None:
    old, reader = drawing("red"), Reader(Segments(), None)  # type: ignore[arg-type]
    objects = Objects(old, read_instruction("add a blue ball"), reader, (disc(),), (), None)
    assert objects.lay(drawing("blue"), alone=True) is None, "nothing was found in what was drawn"


def test_what_the_model_has_painted_over_keeps_its_own_colour() -> None:
    old, new = drawing("red"), drawing("blue")
    ImageDraw.Draw(old).ellipse((112, 122, 128, 138), fill="yellow")
    pixels = np.asarray(recoloured(old, new, disc())).astype(int)
    assert np.abs(pixels[110, 120] - (0, 0, 255)).max() < 60
    assert np.abs(pixels[130, 120] - (255, 255, 0)).max() < 60


def test_an_object_is_cut_out_and_pasted_without_its_ground() -> None:
    old, new = drawing(None, ground=(40, 90, 40)), drawing("red")
    made = pasted(old, new, disc())
    assert apart(made, drawing("red", ground=(40, 90, 40))).max() <= 40
    assert apart(made, old)[outside(6)].max() == 0


def test_an_object_is_laid_where_there_is_room_and_in_the_place_of_another() -> None:
    picture, cut = drawing("red"), cut_object(drawing("blue"), disc())
    assert side_with_room(picture.size, BOX, "") == ("right", pytest.approx(106 / 256))
    made = laid_beside(picture, cut, BOX, "")
    moved = np.nonzero(apart(made, picture) > 24)
    assert moved[1].min() > BOX[2] and abs(int(moved[0].max()) - BOX[3]) <= 3, "on its ground line"
    left = np.nonzero(apart(laid_beside(picture, cut, BOX, "left"), picture) > 24)
    assert left[1].max() < BOX[0]
    instead = laid_instead(picture, cut, disc())
    assert np.abs(np.asarray(instead)[130, 120].astype(int) - (0, 0, 255)).max() < 24
    assert apart(instead, picture)[outside(24)].max() == 0


class Segments:
    """Finds no objects at all."""

    def see(self, image: Image.Image) -> list:
        return []


def test_a_model_that_draws_all_anew_is_noticed() -> None:
    old, reader = drawing("red"), Reader(Segments(), None)  # type: ignore[arg-type]
    objects = Objects(old, read_instruction("make the ball blue"), reader, (disc(),), (disc(),), None)
    there = drawing("blue")
    assert not objects.redraws([there], [there])
    elsewhere = drawing("blue", ground=(190, 180, 150))
    assert objects.redraws([elsewhere], [elsewhere])
    assert apart(objects.lay(elsewhere) or elsewhere, old)[outside(8)].max() == 0


def test_what_a_model_leaves_in_its_old_colour_is_painted_in_the_one_that_is_asked() -> None:
    old, reader = drawing("red"), Reader(Segments(), None)  # type: ignore[arg-type]
    ImageDraw.Draw(old).ellipse((112, 122, 128, 138), fill="yellow")
    objects = Objects(old, read_instruction("make the ball purple"), reader, (disc(),), (disc(),), None)
    pixels = np.asarray(objects.lay(old)).astype(int)
    assert np.abs(pixels[110, 120] - (128, 0, 128)).max() < 40
    assert np.abs(pixels[130, 120] - (255, 255, 0)).max() < 60, "what has another colour keeps it"


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("ball on the right", [2]),
        ("left ball", [0]),
        ("one at the bottom", [1]),
        ("topmost object", [2]),
        ("upper star", [3]),
        ("star on the left", [3]),
        ("balls", [0, 1, 2]),
    ],
)
def test_of_several_alike_the_side_tells_which_is_meant(words: str, meant: list[int]) -> None:
    boxes = (10, 80, 50, 120), (100, 180, 140, 220), (200, 20, 240, 60)
    star = replace(disc((90, 60, 130, 100)), label="star")
    there = [*map(disc, boxes), star]
    found = Reader(Segments(), None).named(drawing(None), there, words)  # type: ignore[arg-type]
    assert [there.index(one) for one in found] == meant


class Fits:
    """A matcher for which the first picture fits all words best, and each further one less."""

    def embed_images(self, images: list[Image.Image]) -> torch.Tensor:
        return torch.tensor([[1 - 0.1 * number] for number in range(len(images))])

    def embed_texts(self, texts: list[str]) -> torch.Tensor:
        return torch.ones(len(texts), 1)


@pytest.mark.parametrize(
    ("words", "second", "meant"),
    [
        ("balls", "blue", 2),  # all of them, whatever their colours
        ("orbs", "red", 2),
        ("scarlet orbs", "red", 2),
        ("scarlet orbs", "blue", 1),
        ("orb", "red", 1),
        ("goldfish", "red", 2),  # one or several
        ("them", "blue", 2),
    ],
)
def test_a_plural_means_all_that_have_one_colour(words: str, second: str, meant: int) -> None:
    places = (10, 80, 70, 140), (150, 80, 210, 140)
    image = drawing(None)
    for place, colour in zip(places, ("red", second), strict=True):
        ImageDraw.Draw(image).ellipse(place, fill=colour)
    there = [*map(disc, places)]
    assert len(Reader(Segments(), Fits()).named(image, there, words)) == meant  # type: ignore[arg-type]


class Looks:
    """A matcher for which every picture looks like one text."""

    def __init__(self, like: str) -> None:
        self.like = like

    def embed_images(self, images: list[Image.Image]) -> np.ndarray:
        return np.ones((len(images), 1))

    def embed_texts(self, texts: list[str]) -> np.ndarray:
        return np.array([[float(text == self.like)] for text in texts])


def test_of_the_colours_that_an_object_shows_it_has_the_one_that_it_looks_like() -> None:
    image = drawing("purple")
    assert Reader(Segments(), None).colour(image, disc()) == "purple"
    ImageDraw.Draw(image).rectangle((BOX[0], 125, BOX[2], BOX[3]), fill="white")
    assert Reader(Segments(), None).colour(image, disc()) == "white"
    assert Reader(Segments(), Looks("a white ball")).colour(image, disc()) == "white"
    assert Reader(Segments(), Looks("a green ball")).colour(image, disc()) in ("purple", "white")
