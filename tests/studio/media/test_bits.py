"""Masks as files: one form, and nothing else passes for it."""

import io
import random
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from core.errors import ImageError
from core.png import png_chunk
from studio.media import masks


def _mask(width: int, height: int, seed: int = 0) -> masks.Bits:
    pixels = np.random.default_rng(seed).integers(0, 2, (height, width), np.uint8)
    return masks.Bits(width, height, np.packbits(pixels, axis=1).tobytes())


@pytest.mark.parametrize(("width", "height"), [(16, 16), (17, 31), (64, 100), (131, 97), (1024, 768)])
def test_what_is_written_is_read_and_is_what_others_read(width: int, height: int) -> None:
    mask = _mask(width, height)
    data = masks.write_mask(mask)
    assert masks.read_mask(data) == mask
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.mode == "1" and picture.size == (width, height)
        pixels = np.asarray(picture)
    assert int(pixels.sum()) == mask.painted
    assert np.packbits(pixels, axis=1).tobytes() == mask.rows


def test_any_change_of_any_byte_is_seen() -> None:
    data, random_ = masks.write_mask(_mask(70, 40)), random.Random(3)
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 1 << random_.randrange(8)
        with pytest.raises(ImageError):
            masks.read_mask(bytes(changed))
    for end in range(len(data)):
        with pytest.raises(ImageError):
            masks.read_mask(data[:end])
    with pytest.raises(ImageError, match="follows its end"):
        masks.read_mask(data + b"x")


def _file(head: bytes, rows: bytes, *more: bytes) -> bytes:
    parts = (
        png_chunk(b"IHDR", head),
        *more,
        png_chunk(b"IDAT", zlib.compress(rows)),
        png_chunk(b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _head(*values: int) -> bytes:
    return struct.pack(">IIBBBBB", *values)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "isn't a PNG"),
        (b"GIF89a" + bytes(100), "isn't a PNG"),
        (_file(_head(16, 16, 8, 0, 0, 0, 0), bytes(17 * 16)), "one bit"),
        (_file(_head(16, 16, 1, 3, 0, 0, 0), bytes(3 * 16)), "one bit"),
        (_file(_head(16, 16, 1, 0, 0, 0, 1), bytes(3 * 16)), "one bit"),
        (_file(_head(8, 16, 1, 0, 0, 0, 0), bytes(2 * 16)), "16 to 4096"),
        (_file(_head(16, 4097, 1, 0, 0, 0, 0), bytes(3 * 4097)), "16 to 4096"),
        (_file(_head(16, 16, 1, 0, 0, 0, 0), bytes(3 * 15)), "more or fewer"),
        (_file(_head(16, 16, 1, 0, 0, 0, 0), bytes(3 * 17)), "more or fewer"),
        (_file(_head(16, 16, 1, 0, 0, 0, 0), b"\1\0\0" * 16), "filtered"),
        (_file(_head(17, 16, 1, 0, 0, 0, 0), b"\0\0\0\x01" * 16), "right edge"),
        (_file(_head(16, 16, 1, 0, 0, 0, 0), bytes(3 * 16), png_chunk(b"tEXt", b"a\0b")), "other parts"),
        (
            _file(
                _head(16, 16, 1, 0, 0, 0, 0), bytes(3 * 16), png_chunk(b"IHDR", _head(16, 16, 1, 0, 0, 0, 0))
            ),
            "other",
        ),
        (bytes(masks.MAX_BYTES + 1), "bytes; up to"),
    ],
)
def test_what_is_no_mask_of_ours_is_refused_and_told(data: bytes, why: str) -> None:
    with pytest.raises(ImageError, match=why):
        masks.read_mask(data)


def test_a_file_with_words_in_it_is_refused() -> None:
    info, out = PngImagePlugin.PngInfo(), io.BytesIO()
    info.add_text("Comment", "hello")
    Image.new("1", (32, 32)).save(out, "PNG", pnginfo=info)
    with pytest.raises(ImageError, match="other parts"):
        masks.read_mask(out.getvalue())


def test_a_bomb_is_given_up_before_it_grows() -> None:
    bomb = _file(_head(4096, 4096, 1, 0, 0, 0, 0), bytes(200_000_000))
    began = time.process_time()
    with pytest.raises(ImageError, match="more or fewer"):
        masks.read_mask(bomb)
    assert time.process_time() - began < 0.5  # a tenth of unpacking it all


def test_the_largest_noise_fits() -> None:
    mask = _mask(4096, 4096)
    data = masks.write_mask(mask)
    assert len(data) < masks.MAX_BYTES and masks.read_mask(data).painted == mask.painted
