"""Masks that are taken as they are: exactly the picture's size, nothing guessed, nothing scaled."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from studio.media import media_process
from tests.security.hostile import encode


def taken(mask: Image.Image, original: Image.Image, command: str = "exact-mask"):
    data = encode(mask, "PNG")
    header, body = media_process.answer_request(data + encode(original, "PNG"), command, size=len(data))
    return header, np.asarray(Image.open(io.BytesIO(body)).convert("L")) if body else None


def night(width: int = 256, height: int = 192) -> Image.Image:
    """A dark picture with a bright moon: what made guesses go wrong."""
    picture = Image.new("RGB", (width, height), (4, 4, 10))
    ImageDraw.Draw(picture).ellipse((150, 20, 200, 70), fill=(250, 250, 240))
    return picture


def square(size: tuple[int, int], box=(20, 100, 60, 140), mode: str = "L") -> Image.Image:
    mask = Image.new(mode, size)
    ImageDraw.Draw(mask).rectangle(box, fill=255 if mode != "RGB" else (255, 255, 255))
    return mask


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "P"])
def test_the_part_is_what_is_white_and_nothing_else(mode: str) -> None:
    mask = square((256, 192))
    header, paint = taken(mask.convert(mode), night())
    assert np.array_equal(paint, np.asarray(mask)) and header["width"] == 256
    _, guessed = taken(mask.convert(mode), night(), "mask")
    assert not np.array_equal(guessed, np.asarray(mask)), "guessing adds the moon, or the test shows nothing"


def test_one_pixel_is_a_mask_and_a_large_one_is_not_scaled() -> None:
    mask = Image.new("L", (3000, 2000))
    mask.putpixel((2999, 7), 255)
    _, paint = taken(mask, Image.new("RGB", mask.size, "white"))
    assert paint.shape == (2000, 3000) and paint.sum() == 255 and paint[7, 2999] == 255


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (square((255, 192)), "has 255×192 px; a mask of this picture has 256×192 px"),
        (square((256, 192)).convert("RGBA"), "is transparent"),
        (square((256, 192)).convert("LA"), "is transparent"),
        (Image.new("L", (256, 192)), "marks nothing"),
    ],
)
def test_what_is_no_such_mask_is_told(mask: Image.Image, words: str) -> None:
    header, paint = taken(mask, night())
    assert words in str(header["error"]) and paint is None
