"""Cutting an object out and moving it, on drawn pictures whose truth is known."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from vision.video.cutout import compose
from vision.video.cutout.compose import (
    Between,
    Camera,
    Moved,
    ThereAndBack,
    amounts,
    looped,
    outer,
    shares,
    whole,
)
from vision.video.cutout.motion import ACROSS, Motion

SIZE = (128, 96)
SKY, SEA, RED = (140, 190, 240), (30, 90, 170), (220, 40, 40)


def scene(box: tuple[int, int, int, int] = (50, 30, 80, 60)) -> tuple[Image.Image, Image.Image]:
    """A red square before a horizon, and its mask."""
    picture = Image.new("RGB", SIZE, SKY)
    ImageDraw.Draw(picture).rectangle([0, 48, *SIZE], fill=SEA)
    mask = Image.new("L", SIZE)
    for canvas, fill in ((picture, RED), (mask, 255)):
        ImageDraw.Draw(canvas).rectangle([box[0], box[1], box[2] - 1, box[3] - 1], fill=fill)
    return picture, mask


def layers(**more) -> compose.Layers:
    found = compose.cut_layers(*scene(**more))
    assert found is not None
    return found


def red(frame: Image.Image) -> np.ndarray:
    """Where the frame shows the square."""
    return np.linalg.norm(np.asarray(frame, float) - RED, axis=-1) < 60


def middle(frame: Image.Image) -> tuple[float, float]:
    ys, xs = np.nonzero(red(frame))
    return float(xs.mean()), float(ys.mean())


def test_the_ground_behind_an_object_goes_on_with_its_horizon() -> None:
    ground = layers().ground
    assert np.abs(ground[35, 65] - SKY).max() < 8
    assert np.abs(ground[57, 65] - SEA).max() < 8


def test_an_object_in_its_own_place_gives_the_picture_back() -> None:
    found = layers()
    frame = compose.draw_pose(found, compose.own_pose(found))
    assert np.abs(np.asarray(frame, float) - np.asarray(found.picture, float)).mean() < 0.6


def test_a_nearly_empty_mask_is_no_object() -> None:
    picture, _ = scene()
    assert compose.cut_layers(picture, Image.new("L", SIZE)) is None


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize(
    ("motion", "way"),
    [
        (Motion(across=-ACROSS), (-1, 0)),
        (Motion(across=ACROSS), (1, 0)),
        (Motion(down=-ACROSS), (0, -1)),
        (Motion(down=ACROSS), (0, 1)),
    ],
)
def test_an_object_goes_where_it_is_told(motion: Motion, way: tuple[int, int], fixed: bool) -> None:
    found = layers()
    shot = Moved(found, *compose.find_path(found, motion, fixed=fixed))
    (x0, y0), (x1, y1) = middle(shot.at(0.0)), middle(shot.at(1.0))
    assert np.sign([round((x1 - x0) / 9), round((y1 - y0) / 9)]).tolist() == list(way)
    if fixed:
        assert shot.at(0.0) is found.picture


def test_a_video_of_words_begins_where_the_object_has_room() -> None:
    found = layers(box=(4, 30, 34, 60))  # at the left edge
    first, last = compose.find_path(found, Motion(across=-ACROSS), fixed=False)
    assert first.x - last.x == pytest.approx(ACROSS * SIZE[0])
    assert last.x >= 15  # it is wholly there to the end


def test_an_object_at_the_edge_of_a_given_picture_leaves_it_a_little_at_most() -> None:
    first, last = compose.find_path(layers(box=(0, 30, 30, 60)), Motion(across=-ACROSS), fixed=True)
    assert 0 <= first.x - last.x <= compose.OUTSIDE * 40


@pytest.mark.parametrize(("growth", "larger"), [(0.9, True), (-0.9, False)])
def test_an_object_grows_and_shrinks(growth: float, larger: bool) -> None:
    found = layers()
    shot = Moved(found, *compose.find_path(found, Motion(growth=growth), fixed=False))
    before, after = red(shot.at(0.0)).sum(), red(shot.at(1.0)).sum()
    assert after > 1.35 * before if larger else after < 0.74 * before


@pytest.mark.parametrize("side", [20, 30, 60])
@pytest.mark.parametrize("growth", [0.9, -0.9, -2.0])
def test_objects_of_videos_of_words_stay_within_what_can_be_read(side: int, growth: float) -> None:
    found = layers(box=(40, 15, 40 + side, 15 + side))
    poses = compose.find_path(found, Motion(growth=growth), fixed=False)
    for pose in poses:
        assert compose.SMALLEST * 96 * 0.8 <= pose.scale * side <= compose.LARGEST * 96 * 1.01
    assert max(poses[0].scale / poses[1].scale, poses[1].scale / poses[0].scale) >= 2**compose.SEEN * 0.99


@pytest.mark.parametrize(("side", "growth"), [(20, -0.9), (84, 0.9)])
def test_the_smallest_still_shrinks_and_the_largest_grows_in_a_given_picture(
    side: int, growth: float
) -> None:
    found = layers(box=(10, 6, 10 + side, 6 + side))
    first, last = compose.find_path(found, Motion(growth=growth), fixed=True)
    assert first == compose.own_pose(found)
    assert np.log2(last.scale) == pytest.approx(np.copysign(compose.SEEN, growth), abs=0.01)


@pytest.mark.parametrize("motion", [Motion(), Motion(across=-ACROSS), Motion(turn=40.0)])
def test_in_all_videos_of_a_set_only_what_was_asked_for_happens(motion: Motion) -> None:
    every = [amounts(motion, number) for number in range(4)]
    assert every[0] == motion
    for one in every:
        assert np.sign([one.across, one.down, one.growth, one.turn]).tolist() == (
            np.sign([motion.across, motion.down, motion.growth, motion.turn]).tolist()
        )


def test_ground_with_a_grain_stays_where_it_is() -> None:
    picture, mask = scene()
    grain = np.random.default_rng(0).normal(0, 40, (12, 16, 3)).clip(-90, 90)
    waves = np.asarray(
        [Image.fromarray(grain[..., i].astype(np.float32)).resize(SIZE, Image.BICUBIC) for i in range(3)]
    ).transpose(1, 2, 0)
    clouded = Image.fromarray((np.asarray(picture) + waves).clip(0, 255).astype(np.uint8))
    clouded.paste(RED, (50, 30, 80, 60))
    found = compose.cut_layers(clouded, mask)
    assert found is not None
    outside = np.asarray(mask) == 0
    assert found.obj[..., 3][outside].sum() < 0.25 * found.obj[..., 3].sum()
    assert found.box == pytest.approx((50, 30, 80, 60), abs=3)


def test_night_falls_over_the_whole_frame() -> None:
    found = layers()
    shot = Moved(found, *compose.find_path(found, Motion(dusk=1.0), fixed=True))
    day, night = (np.asarray(shot.at(share), float).mean() for share in (0.0, 1.0))
    assert night < 0.7 * day


def test_the_way_between_two_pictures_keeps_both_and_carries_the_object() -> None:
    here, there = layers(), layers(box=(10, 30, 40, 60))
    way = Between(here.picture, there.picture, here, there)
    assert way.at(0.0) is here.picture
    assert way.at(1.0) is there.picture
    x, _ = middle(way.at(0.5))
    assert x == pytest.approx(44.5, abs=3)


def test_pictures_without_objects_fade_into_each_other() -> None:
    way = Between(Image.new("RGB", SIZE, "black"), Image.new("RGB", SIZE, "white"))
    means = [np.asarray(way.at(share)).mean() for share in shares(5)]
    assert means == sorted(means)


@pytest.mark.parametrize("motion", [Motion(across=ACROSS), Motion(turn=90.0), Motion(growth=0.5)])
def test_the_end_of_a_loop_leads_to_its_start(motion: Motion) -> None:
    found = layers()
    shot = looped(Moved(found, *compose.find_path(found, motion, fixed=True)))
    frames = [np.asarray(shot.at(share), float) for share in shares(24, open_end=True)]
    changes = [np.abs(a - b).mean() for a, b in zip(frames, frames[1:], strict=False)]
    assert np.abs(frames[-1] - frames[0]).mean() <= 1.3 * np.median(changes)
    assert max(changes) > 0


def test_a_camera_stays_in_its_picture() -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8))
    for motion in (Motion(across=1.0), Motion(down=-1.0, growth=2.0), Motion(growth=-2.0)):
        shot = ThereAndBack(Camera(picture, motion))
        assert {shot.at(share).size for share in shares(7)} == {SIZE}
    assert Camera(picture, Motion()).at(0.7) is picture


def test_what_turns_in_a_video_of_words_is_upright_in_the_middle_and_wholly_there() -> None:
    found = layers(box=(50, 3, 80, 33))
    first, last = compose.find_path(found, Motion(turn=40.0), fixed=False)
    assert (first.turn, last.turn) == (-20.0, 20.0)
    shot = Moved(found, first, last)
    for share in (0.0, 1.0):
        assert red(shot.at(share))[0].sum() <= 1, "no more than a corner touches the edge"
    assert red(shot.at(0.5)).sum() == pytest.approx(900, rel=0.1)
    fixed = compose.find_path(found, Motion(turn=40.0), fixed=True)
    assert [pose.turn for pose in fixed] == [0.0, 40.0]


def test_what_spins_begins_upright() -> None:
    first, last = compose.find_path(layers(), Motion(turn=360.0), fixed=False)
    assert (first.turn, last.turn) == (0.0, 360.0)


def test_an_object_that_shrinks_is_wholly_there_from_the_start() -> None:
    first, _ = compose.find_path(layers(box=(95, 30, 125, 60)), Motion(growth=-0.9), fixed=False)
    assert first.x + first.scale * 15 <= SIZE[0]


def test_an_object_that_the_edge_cuts_off_stays_at_the_edge() -> None:
    first, last = compose.find_path(layers(box=(98, 30, 128, 60)), Motion(turn=30.0), fixed=False)
    assert first.x == last.x == 113


def test_a_horizon_that_slopes_is_no_part_of_the_object() -> None:
    picture, mask = scene()
    sloping = Image.new("RGB", SIZE, SKY)
    ImageDraw.Draw(sloping).polygon([(0, 36), (SIZE[0], 60), (SIZE[0], 96), (0, 96)], fill=SEA)
    sloping.paste(RED, (50, 30, 80, 60))
    for ground in (picture, sloping):
        found = compose.cut_layers(ground, mask)
        assert found is not None
        outside = np.asarray(mask) == 0
        assert found.obj[..., 3][outside].sum() < 0.1 * found.obj[..., 3].sum()


def test_a_shadow_goes_with_its_object() -> None:
    picture, mask = scene(box=(50, 10, 80, 40))
    ImageDraw.Draw(picture).rectangle([52, 40, 78, 43], fill=(60, 70, 90))
    found = compose.cut_layers(picture, mask)
    assert found is not None
    assert found.obj[41, 65, 3] > 200


def test_what_moves_has_no_fringe_of_the_ground_that_it_left() -> None:
    """Its edges are half the old ground's, as drawn ones are; the new one is black."""
    picture, mask = (one.resize((512, 384), Image.Resampling.NEAREST) for one in scene())
    soft = mask.filter(ImageFilter.BoxBlur(1))
    picture = Image.composite(Image.new("RGB", picture.size, RED), Image.new("RGB", picture.size, SKY), soft)
    found = compose.cut_layers(picture, mask)
    assert found is not None
    dark = replace(found, ground=np.zeros_like(found.ground))
    own = compose.own_pose(dark)
    for pose in (replace(own, x=own.x - 40), replace(own, x=own.x - 40.5, turn=10.0)):
        blue = np.asarray(compose.draw_pose(dark, pose), float)[..., 2]
        assert blue.max() < RED[2] + 12


def test_what_moves_touches_its_place_and_where_it_was() -> None:
    found = layers()
    shot = Moved(found, *compose.find_path(found, Motion(across=ACROSS), fixed=True))
    touched = np.asarray(shot.touched(1.0)) > 127
    here, (x, y) = compose.own_pose(found), middle(shot.at(1.0))
    assert touched[round(here.y), round(here.x)]
    assert touched[round(y), round(x)]
    assert touched.mean() < 0.2
    assert Moved(found, shot.first, replace(shot.last, dusk=1.0)).touched(1.0) is None


def test_a_thin_object_of_the_grounds_own_colour_is_none() -> None:
    image, mask = Image.new("RGB", (128, 128), (90, 160, 230)), Image.new("L", (128, 128))
    ImageDraw.Draw(mask).line((10, 64, 118, 64), fill=255, width=2)
    assert compose.cut_layers(image, mask) is None
    ImageDraw.Draw(image).rectangle((40, 40, 80, 80), fill=(200, 30, 30))
    ImageDraw.Draw(mask).rectangle((40, 40, 80, 80), fill=255)
    found = compose.cut_layers(image, mask)
    assert found is not None and found.box[0] in range(38, 43)


@pytest.mark.parametrize("way", [-0.5, 0.5])
def test_an_object_that_has_left_a_video_in_part_comes_back_whole(way: float) -> None:
    found = layers()
    begun = Moved(found, *compose.find_path(found, Motion(across=way), fixed=True, outside=0.6))
    end = replace(begun, last=replace(begun.last, x=0.0 if way < 0 else float(SIZE[0]))).at(1.0)
    left = compose.cut_layers(end, Image.fromarray(red(end).astype(np.uint8) * 255))
    assert left is not None and red(end).sum() < 500, "a half of it has left"
    assert whole(found, found) is None, "nothing is missing"
    assert whole(left, left) is None, "the other frame doesn't show it either"
    both = whole(left, found)
    assert both is not None
    there, pose = both
    assert pose.x == pytest.approx(0 if way < 0 else SIZE[0], abs=2) and pose.y == pytest.approx(45, abs=1)
    assert outer(there, pose)[0 if way < 0 else 2] == pytest.approx(-15 if way < 0 else 143, abs=2)
    back = Moved(there, pose, replace(pose, x=64.0), pose)
    assert back.at(0.0) is end
    assert red(back.at(1.0)).sum() == pytest.approx(900, rel=0.1)


def test_what_goes_on_from_a_video_leads_over_from_what_its_end_shows() -> None:
    """The end shows the object darker than the frame that the whole of it is taken from."""
    found = layers()
    darker = np.asarray(found.picture, float) - 60 * red(found.picture)[..., None]
    end = Image.fromarray(darker.clip(0, 255).astype(np.uint8))
    pose = compose.own_pose(found)
    for shown, jump in ((pose, 2.0), (None, None)):
        shot = Moved(replace(found, picture=end), pose, replace(pose, x=pose.x + 25), shown)
        frames = [np.asarray(shot.at(share), float) for share in shares(26)]
        steps = [np.abs(after - before).mean() for before, after in itertools.pairwise(frames)]
        if jump is None:
            assert steps[0] > 3 * max(steps[1:]), "without it the video jumps"
        else:
            assert steps[0] < jump * np.median(steps), steps
            assert np.abs(frames[-1] - np.asarray(compose.draw_pose(found, shot.last), float)).max() == 0


def test_what_goes_on_from_a_video_never_leaves_the_picture() -> None:
    found = layers(box=(10, 30, 40, 60))
    left = [compose.find_path(found, Motion(across=-ACROSS), fixed=True, outside=o)[1].x for o in (0.25, 0.0)]
    assert left[0] < 15 < left[1]
