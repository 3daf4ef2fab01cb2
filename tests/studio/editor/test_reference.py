"""The rasteriser in plain Python paints the shared masks."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.studio.editor import reference

MASKS = json.loads((Path(__file__).parent / "masks.json").read_text(encoding="utf-8"))


def base_of(vector: dict) -> bytes | None:
    """Return a vector's mask before its strokes, one byte a pixel."""
    if vector["base"] is None:
        return None
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(vector["base"])))).astype(np.uint8).tobytes()


@pytest.mark.parametrize("vector", [pytest.param(vector, id=vector["name"]) for vector in MASKS])
def test_each_vector_comes_out(vector) -> None:
    bits = reference.replay(vector["width"], vector["height"], base_of(vector), vector["strokes"])
    assert (sum(bits), reference.digest(bits)) == (vector["painted"], vector["sha256"])


def test_a_capsule_is_what_lies_within_its_radius() -> None:
    """Exact arithmetic on the squares of distances agrees: no pixel is a matter of rounding."""
    width, height, (x0, y0), (x1, y1), r = 60, 50, (37, 41), (402, 333), 57
    bits = bytearray(width * height)
    reference.capsule(bits, width, height, (x0, y0), (x1, y1), r, 1)
    dx, dy = x1 - x0, y1 - y0
    for at, bit in enumerate(bits):
        ex, ey = 8 * (at % width) + 4 - x0, 8 * (at // width) + 4 - y0
        along, length2 = dx * ex + dy * ey, dx * dx + dy * dy
        if along <= 0:
            inside = ex * ex + ey * ey <= r * r
        elif along >= length2:
            inside = (ex - dx) ** 2 + (ey - dy) ** 2 <= r * r
        else:
            inside = (dx * ey - dy * ex) ** 2 <= r * r * length2
        assert bit == inside


def test_a_mask_as_a_picture_holds_the_same_bits() -> None:
    bits = reference.replay(67, 33, None, [{"tool": "rect", "value": 1, "box": [3, 4, 66, 20]}])
    picture = Image.open(io.BytesIO(reference.png(bits, 67, 33)))
    assert picture.mode == "1"
    assert np.asarray(picture).astype(np.uint8).tobytes() == bytes(bits)
