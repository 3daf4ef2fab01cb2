"""Reports: figures that follow from what was counted, and pictures of them."""

import io

import numpy as np
import pytest
from PIL import Image

from core.profiles import can_train
from tests.vision.custom_models.conftest import needs_train

pytestmark = needs_train
if can_train():
    from vision.custom_models import figures, metrics

RIGHT = ["good"] * 6 + ["crack"] * 3 + ["stain"] * 3
SAID = ["good"] * 5 + ["crack"] + ["crack"] * 2 + ["good"] + ["stain"] * 3


def opened(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png)).convert("RGB")


def test_a_confusion_counts_what_was_said_of_what_was_right() -> None:
    report = metrics.names_report(RIGHT, SAID)
    assert report.labels == ("crack", "good", "stain")
    assert report.confusion.tolist() == [[2, 1, 0], [1, 5, 0], [0, 0, 3]]
    assert report.accuracy == metrics.Share(10, 12)
    crack = report.figures[0]
    assert (crack.precision, crack.recall) == (metrics.Share(2, 3), metrics.Share(2, 3))
    assert crack.f1 == pytest.approx(2 / 3)
    assert report.macro_f1 == pytest.approx((2 / 3 + 10 / 12 + 1) / 3)


def test_a_share_has_its_interval() -> None:
    """Clopper and Pearson: none of 12 means up to 26 %, the rule of three about 22 %."""
    low, high = metrics.Share(0, 12).interval
    assert (low, round(high, 3)) == (0.0, 0.265)
    low, high = metrics.Share(12, 12).interval
    assert (round(low, 3), high) == (0.735, 1.0)
    assert str(metrics.Share(14, 15)) == "14 of 15 (68-100 %)"
    assert str(metrics.Share(0, 0)) == "none of none"


def test_areas_are_those_of_the_order_and_told_only_with_both_kinds() -> None:
    strange, scores = [False, False, True, True], [0.1, 0.4, 0.35, 0.8]
    roc, precision_recall = metrics.curves(strange, scores)
    assert (roc.area, precision_recall.area) == (pytest.approx(0.75), pytest.approx(5 / 6))
    assert metrics.curves([False, False], [0.1, 0.2]) is None
    assert metrics.curves([True], [0.1]) is None


def test_alarms_and_found_defects_are_those_above_the_limit() -> None:
    assert metrics.share_above([0.5, 1.0, 1.2], 1.0) == metrics.Share(1, 3)
    assert metrics.share_above([0.5, 1.0, 1.2, 3], 1.0) == metrics.Share(2, 4)


def test_a_new_version_is_better_only_when_that_is_no_chance() -> None:
    old = [True] * 20 + [False] * 20
    assert metrics.compare(old, [True] * 38 + [False] * 2).startswith("better: 18 more right")
    assert metrics.compare([True] * 38 + [False] * 2, old).startswith("worse")
    assert metrics.compare(old, [True] * 22 + [False] * 18).startswith("no difference that 40 pictures")


def test_charts_are_pictures_that_show_what_they_are_of() -> None:
    report = metrics.names_report(["a $1 bolt", "nut"], ["a $1 bolt", "a $1 bolt"])
    drawn = [
        figures.confusion(report),
        figures.scores([0.4, 0.6, 0.9], [1.5, 8.0], 1.0),
        figures.curves(*metrics.curves([False, True], [0.1, 0.9])),
    ]
    for png in drawn:
        image = opened(png)
        assert image.width > 600
        assert len(set(image.resize((60, 40)).get_flattened_data())) > 8
    assert figures.scores([0.4], [], 1.0) == figures.scores([0.4], [], 1.0)
    assert figures.scores([0.4], [], 1.0) != figures.scores([0.9], [], 1.0)


def test_heat_of_a_good_part_does_not_glow_and_that_of_a_defect_does() -> None:
    image = Image.new("RGB", (320, 160), (90, 90, 90))
    cold, hot = np.full((16, 16), 0.95), np.full((16, 16), 0.5)
    hot[4:6, 8:12] = 2.5
    assert figures.overlay(image, cold).tobytes() == image.tobytes()
    assert figures.regions(cold, image.size) == []
    (region,) = figures.regions(hot, image.size)
    assert (region.left, region.top, region.right, region.bottom) == (0.5, 0.25, 0.75, 0.375)
    assert region.area == pytest.approx(8 / 256)
    assert region.ratio == 2.5
    red, green, _ = figures.overlay(image, hot).getpixel((200, 50))
    assert red > 120 > green
    assert figures.beside(image, hot, [region]).size == (648, 160)


def test_the_sheet_shows_the_surest_mistakes_first() -> None:
    found = figures.mistakes(
        list("abc"), ["good", "crack", "good"], ["crack", "crack", "stain"], [0.6, 1, 0.9]
    )
    assert [(one.sha256, one.said) for one in found] == [("c", "stain"), ("a", "crack")]
    tones = {"a": (200, 0, 0), "c": (0, 0, 200)}
    page = figures.mistake_sheet(found, lambda name: Image.new("RGB", (50, 100), tones[name]))
    first, second = (
        page.getpixel((figures.GAP + at * (figures.CELL + figures.GAP) + 96, 100)) for at in (0, 1)
    )
    assert (first, second) == (tones["c"], tones["a"])
    assert figures.mistake_sheet([], lambda name: None) is None
    long = [figures.Mistake("a", "x" * 80, "y", 1.0)]
    assert figures.mistake_sheet(long, lambda name: Image.new("RGB", (9, 9))) is not None
