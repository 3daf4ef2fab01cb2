"""How far a canvas grows, and what typed zooms, shapes and fields mean."""

import pytest

from core.errors import UserError
from studio.new_job import (
    Source,
    aspect_sides,
    cell_box,
    custom_sides,
    direction_sides,
    read_aspect,
    read_cells,
    read_zoom,
    split_zoom,
    zoom_sides,
)


def test_sides_add_up_to_the_asked_canvas() -> None:
    source = Source("0" * 64, 101, 53)
    sides = zoom_sides(source, 1.5)
    assert (sides["left"] + sides["right"], sides["top"] + sides["bottom"]) == (50, 26)
    assert direction_sides(source, "up") == {"top": 26}
    assert aspect_sides(Source("0" * 64, 100, 100), (16, 9)) == {"left": 39, "right": 39}
    with pytest.raises(UserError):
        aspect_sides(Source("0" * 64, 160, 90), (16, 9))


def test_a_canvas_grows_first_and_then_changes_its_shape() -> None:
    assert custom_sides(Source("0" * 64, 100, 100), 1.5, (2, 1)) == {
        "left": 100,
        "right": 100,
        "top": 25,
        "bottom": 25,
    }
    assert not any(custom_sides(Source("0" * 64, 100, 100), 1, (1, 1)).values())


def test_the_fields_cover_the_picture_once() -> None:
    source = Source("0" * 64, 101, 53)
    boxes = [cell_box(source, cell) for cell in range(1, 17)]
    assert sum((right - left) * (bottom - top) for left, top, right, bottom in boxes) == 101 * 53
    for wrong in (0, 17):
        with pytest.raises(UserError, match="from 1 to 16"):
            cell_box(source, wrong)


def test_what_is_typed_is_read_or_refused() -> None:
    assert split_zoom("a house --zoom 1.5 in snow") == ("a house in snow", "1.5")
    assert split_zoom("a house") == ("a house", "")
    assert (read_zoom("1,5"), read_aspect("16:9")) == (1.5, (16, 9))
    assert (read_aspect(" "), read_cells("5, 1 2 1")) == (None, (1, 2, 5))
    for read, text in ((read_zoom, "3"), (read_zoom, "a"), (read_aspect, "9:1"), (read_cells, "17")):
        with pytest.raises(UserError, match="it takes|write it like|takes numbers"):
            read(text)
