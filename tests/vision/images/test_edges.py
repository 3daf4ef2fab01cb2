"""Edges of pictures as a ControlNet takes them."""

import numpy as np
from PIL import Image, ImageDraw

from vision.images.ops import edges


def flags(image: Image.Image) -> np.ndarray:
    found = np.asarray(edges(image))
    assert found.shape == (image.height, image.width, 3) and set(np.unique(found)) <= {0, 255}
    assert (found[..., :1] == found).all()
    return found[..., 0] > 0


def test_a_square_has_four_thin_lines_where_its_sides_are() -> None:
    image = Image.new("RGB", (80, 60), "black")
    ImageDraw.Draw(image).rectangle((20, 15, 59, 44), fill="white")
    found = flags(image)
    assert found[30].sum() == 2 and found[:, 40].sum() == 2
    ys, xs = np.nonzero(found)
    assert abs(xs.min() - 20) <= 1 and abs(xs.max() - 59) <= 1
    assert abs(ys.min() - 15) <= 1 and abs(ys.max() - 44) <= 1
    assert not found[20:40, 25:55].any(), "nothing inside"


def test_a_slanted_line_is_whole_and_one_pixel_wide() -> None:
    image = Image.new("L", (100, 100))
    ImageDraw.Draw(image).polygon([(0, 99), (99, 0), (99, 99)], fill=255)
    found = flags(image)
    assert all(1 <= row.sum() <= 2 for row in found[5:95])
    ys, xs = np.nonzero(found[5:95])
    assert np.abs(xs + ys + 5 - 99).max() <= 2


def test_weak_edges_count_only_where_they_hang_together_with_strong_ones() -> None:
    """A step that fades from bright to faint along its length; and a faint one alone."""
    fading = np.zeros((64, 200), np.uint8)
    fading[32:] = np.linspace(200, 45, 200).astype(np.uint8)
    assert flags(Image.fromarray(fading))[31:34].any(0).all()
    faint = np.zeros((64, 200), np.uint8)
    faint[32:] = 45
    assert not flags(Image.fromarray(faint)).any()


def test_plain_and_tiny_pictures_have_no_edges() -> None:
    assert not flags(Image.new("RGB", (64, 64), (90, 90, 90))).any()
    assert not flags(Image.new("RGB", (1, 1))).any()
