"""Tiles: all of a picture, no seams, colours kept."""

import numpy as np
import pytest
from PIL import Image

from tests.support import tiny
from vision.images import ops


@pytest.mark.parametrize("size", [(64, 64), (128, 128), (200, 64), (136, 312), (72, 64)])
def test_what_is_cut_and_joined_is_the_picture(size: tuple[int, int]) -> None:
    image, plan = tiny.picture(*size), ops.plan_tiles(size, 64, 8)
    parts = plan.cut(image)
    assert all(part.size == plan.tile for part in parts)
    assert np.abs(np.asarray(plan.join(parts), int) - np.asarray(image, int)).max() <= 1


@pytest.mark.parametrize("length", range(64, 400, 8))
def test_neighbours_overlap_and_reach_both_ends(length: int) -> None:
    xs = sorted({x for x, _ in ops.plan_tiles((length, 64), 64, 8).places})
    assert xs[0] == 0 and xs[-1] + 64 == max(length, 64)
    assert all(b - a <= 64 * (1 - ops.OVERLAP) + 1 for a, b in zip(xs, xs[1:], strict=False))


def test_tiles_that_differ_fade_into_each_other() -> None:
    plan = ops.plan_tiles((128, 64), 64, 8)
    parts = [Image.new("RGB", plan.tile, (60 * i,) * 3) for i in range(len(plan.places))]
    row = np.asarray(plan.join(parts), int)[32, :, 0]
    assert np.abs(np.diff(row)).max() <= 60 / (64 * ops.OVERLAP) + 2, "a hard seam would be a step of 60"


def test_padding_repeats_the_edge() -> None:
    image = ops.padded(tiny.picture(61, 40), 8)
    assert image.size == (64, 40)
    a = np.asarray(image)
    assert (a[:, 60:61] == a[:, 61:]).all()


def test_a_drift_of_colour_is_taken_back_and_detail_kept() -> None:
    like = Image.new("RGB", (64, 64), (100, 150, 200))
    drifted = Image.new("RGB", (64, 64), (112, 141, 200))
    drifted.putpixel((32, 32), (255, 255, 255))
    a = np.asarray(ops.recoloured(drifted, like, 6), int)
    assert np.abs(a[:10, :10] - (100, 150, 200)).max() <= 1
    assert a[32, 32].min() > 230
