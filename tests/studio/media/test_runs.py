"""Masks as COCO has them: runs of pixels, packed runs, and polygons."""

import random

import pytest

from studio.media import masks
from studio.media.masks import Bits, stride


def _mask(seed: int, width: int, height: int) -> Bits:
    rng = random.Random(seed)
    rows = []
    for _ in range(height):
        value = rng.getrandbits(width) & rng.getrandbits(width)
        rows.append((value << (-width % 8)).to_bytes(stride(width), "big"))
    return Bits(width, height, b"".join(rows))


def _pixel(mask: Bits, x: int, y: int) -> int:
    return mask.rows[y * stride(mask.width) + x // 8] >> (7 - x % 8) & 1


@pytest.mark.parametrize(("width", "height"), [(16, 16), (17, 23), (64, 31)])
def test_a_mask_comes_back_from_its_runs(width: int, height: int) -> None:
    for seed in range(8):
        mask = _mask(seed, width, height)
        counts = masks.runs_of(mask, width, height)
        assert masks.mask_of(counts, width, height) == mask
        assert sum(counts) == width * height and masks.area(counts) == mask.painted
        inside = [(x, y) for x in range(width) for y in range(height) if _pixel(mask, x, y)]
        xs, ys = [x for x, _ in inside], [y for _, y in inside]
        assert masks.bounds(counts, height) == (min(xs), min(ys), max(xs) + 1, max(ys) + 1)
    assert masks.bounds((width * height,), height) is None


def test_runs_go_down_the_columns_beginning_with_what_is_not_marked() -> None:
    mask = Bits(16, 16, bytes([0x80, 0] * 3 + [0] * 26))  # three pixels below each other at the left
    assert masks.runs_of(mask, 16, 16) == (0, 3, 253)
    assert masks.runs_of(mask, 32, 32) == (0, 6, 26, 6, 986), "stretched"


def test_what_several_masks_mark_is_marked_once() -> None:
    assert masks.together([(2, 3, 5), (4, 2, 4), (0, 1, 9)], 10) == (0, 1, 1, 4, 4)
    assert masks.together([(10,)], 10) == (10,)


def test_a_polygon_marks_the_pixels_whose_centres_lie_in_it() -> None:
    square = masks.of_polygons([[2, 1, 6, 1, 6, 4, 2, 4]], 16, 16)
    assert masks.bounds(square, 16) == (2, 1, 6, 4) and masks.area(square) == 12
    hollow = masks.of_polygons([[0, 0, 16, 0, 16, 16, 0, 16], [-50, -50, -40, -50, -40, -40]], 16, 16)
    assert masks.area(hollow) == 256
    assert 112 <= masks.area(masks.of_polygons([[0, 0, 16, 0, 0, 16]], 16, 16)) <= 136
    assert masks.of_polygons([[1, 1]], 16, 16) == (256,)


@pytest.mark.parametrize(
    ("text", "counts"),  # by the rules of pycocotools' rleToString
    [("", ()), ("5", (5,)), ("52203", (5, 2, 2, 2, 5)), ("o1", (63,)), ("PPb1", (51200,))],
)
def test_packed_runs_are_unpacked(text: str, counts: tuple[int, ...]) -> None:
    assert masks.unpacked(text) == counts


def test_what_is_no_mask_is_refused() -> None:
    for text in ("\x00", "p", "o", "oooooooooooooooooooooo"):
        with pytest.raises(ValueError, match="damaged"):
            masks.unpacked(text)
    for counts in [(5,), (300,), (-1, 257)]:
        with pytest.raises(ValueError, match="don't fill"):
            masks.mask_of(counts, 16, 16)
