"""The judge of form on drawings that are right and on drawings that are wrong in a known way; the width of
edges on edges of a known width."""

import functools
import random
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from demo import judge
from demo.drawing import Placed, draw
from demo.judge import canny_edge_width, edge_width
from demo.world import OBJECTS, Group, Scene

pytestmark = pytest.mark.training


def asked(name, style="flat", background="yellow"):
    return Scene((Group(1, "red", name, "large"),), "center", background, style)


def drawn(name, style="flat", background="yellow", things=None):
    things = things or [Placed(name, "red", 0.45, 0.55, 0.3, 0)]
    return draw(asked(name, style, background), random.Random(0), (256, 256), things)


@functools.cache
def flat(name):
    return drawn(name)


@pytest.mark.parametrize("name", OBJECTS)
def test_a_drawing_fits_its_own_outline_and_no_other_drawings(name):
    scene = asked(name)
    assert judge.look(flat(name), scene).fits(scene)
    for other in OBJECTS:
        if other != name:
            assert not judge.look(flat(other), scene).fits(scene)


@pytest.mark.parametrize("style", ["outline", "pixel", "watercolor"])
def test_styles_and_places_keep_the_form(style):
    scene = asked("heart", style, "night")
    assert judge.look(drawn("heart", style, "night"), scene).fits(scene)


def test_two_things_are_two_parts():
    things = [Placed("ball", "red", x, 0.5, 0.2, 0) for x in (0.25, 0.75)]
    seen = judge.look(drawn("ball", things=things), asked("ball"))
    assert seen.parts == 2 and not seen.fits(asked("ball"))


def test_a_hole_is_seen():
    picture = drawn("ball")
    behind = picture.getpixel((2, 140))
    ImageDraw.Draw(picture).ellipse([75, 100, 155, 180], fill=behind)
    assert judge.look(picture, asked("ball")).holes > judge.HOLE


def test_a_star_of_six_points_is_not_well_formed():
    picture = drawn("star", things=[Placed("ball", "red", 0.5, 0.5, 0.02, 0)])
    angles = np.arange(12) * np.pi / 6
    points = [(128 + r * np.sin(a), 128 - r * np.cos(a)) for a, r in zip(angles, (80, 44) * 6, strict=True)]
    ImageDraw.Draw(picture).polygon(points, fill=(222, 44, 46))
    seen = judge.look(picture, asked("star"))
    assert seen.points == 6 and not seen.fits(asked("star"))


def test_bare_ground_is_nothing():
    empty = draw(Scene((), "any", "yellow", "flat"), random.Random(0))
    assert judge.look(empty, asked("ball")) == judge.NOTHING


def test_pieces_are_joined_through_bends():
    mask = np.array([[1, 0, 1, 0], [1, 0, 1, 0], [1, 1, 1, 0], [0, 0, 0, 1]], bool)
    labels = judge.pieces(mask)
    assert len(np.unique(labels[mask])) == 2 and labels[0, 0] == labels[0, 2] != labels[3, 3]


def test_an_edge_as_wide_as_its_ramp():
    ramp = np.clip(np.arange(128) - 60, 0, 8) * 25.0  # 200 levels over 8 px
    picture = Image.fromarray(np.tile(ramp, (128, 1)).astype(np.uint8)).convert("RGB")
    assert edge_width(picture) == pytest.approx(8)
    assert edge_width(picture.filter(ImageFilter.GaussianBlur(3))) > 9


def test_soft_slopes_beside_a_small_steep_thing_widen_the_steepest_steps_and_not_cannys_edges():
    ramp = np.clip(np.arange(512) - 100, 0, 60) * 3.0
    ground = np.tile(ramp, (512, 1))
    ground[300:312, 400:412] = 40.0  # 48 px of edges, of the 5,243 steepest
    picture = Image.fromarray(ground.astype(np.uint8)).convert("RGB")
    assert canny_edge_width(picture) < 2 < edge_width(picture)
    assert np.isnan(canny_edge_width(Image.new("RGB", (64, 64), "teal")))


def test_the_share_of_the_drawings_rate_is_a_row_of_its_own(tmp_path):
    rows = pytest.importorskip("demo.evaluate.images")
    report = pytest.importorskip("demo.evaluate").Report(tmp_path / "report.json")
    scenes = [asked(name) for name in ("boat", "star", "ball", "heart")]
    made = [*(flat(name) for name in ("boat", "star", "ball")), Image.new("RGB", (128, 128), "white")]
    pack = SimpleNamespace(singles=lambda n: (scenes, None, made), decoded=lambda pictures: pictures)
    rows.form_rows(pack, report, 4)
    row = report.rows["form, imagine: well formed, share of the drawings'"]
    assert row == {"value": 0.75, "bar": 0.92, "reached": False, "at_least": True}
    assert not report.rows["form, imagine: one part"]["reached"]
