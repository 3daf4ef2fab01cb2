"""Which objects are wholly in their picture."""

import pytest
from PIL import Image, ImageDraw

from vision.video.cutout import compose


@pytest.mark.parametrize(
    ("box", "cut_off"),
    [
        ((20, 20, 60, 60), False),
        ((0, 20, 40, 60), True),
        ((60, 20, 99, 60), True),
        ((20, 0, 60, 40), True),
        ((20, 60, 60, 99), True),
    ],
)
def test_an_object_at_the_edge_of_its_picture_is_cut_off(
    box: tuple[int, int, int, int], cut_off: bool
) -> None:
    mask = Image.new("L", (100, 100))
    ImageDraw.Draw(mask).rectangle(box, fill=255)
    assert compose.is_cut_off(mask) is cut_off
