"""Masks as files: PNG of one bit a pixel, white = painted, in the one form that docs/editor.md allows.

Read and written without a picture library: there is one chunk of pixels, no palette, no text, no filter.
https://www.w3.org/TR/png-3/
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field

from core.errors import ImageError
from core.png import PNG_SIGNATURE, png_chunk

MIN_SIDE, MAX_SIDE = 16, 4096  # px
MAX_BYTES = 2_200_000  # what 4096 × 4096 px of noise take, and a little
_HEAD = struct.Struct(">IIBBBBB")  # width, height, depth, colour, compression, filter, interlace
_LENGTH = struct.Struct(">I4s")


@dataclass(frozen=True)
class Bits:
    """A mask. rows: ``height`` rows of whole bytes, 8 pixels each, the leftmost in the highest bit."""

    width: int
    height: int
    rows: bytes = field(repr=False)

    @property
    def painted(self) -> int:
        """How many pixels are 1."""
        return int.from_bytes(self.rows, "little").bit_count()


def stride(width: int) -> int:
    """Return the bytes of a row."""
    return (width + 7) // 8


def write(mask: Bits) -> bytes:
    """Return the mask as a file."""
    length = stride(mask.width)
    rows = (mask.rows[at : at + length] for at in range(0, len(mask.rows), length))
    head = _HEAD.pack(mask.width, mask.height, 1, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 6)
    return PNG_SIGNATURE + png_chunk(b"IHDR", head) + png_chunk(b"IDAT", pixels) + png_chunk(b"IEND", b"")


def read(data: bytes) -> Bits:
    """Return the mask that a file holds. Raises ImageError for any other file, however little it differs;
    one that would grow is given up at once."""
    width, height, pixels = _parts(data)
    length = stride(width) + 1
    inflate = zlib.decompressobj()
    try:
        rows = inflate.decompress(pixels, length * height + 1)
    except zlib.error as error:
        raise _other("its pixels can't be unpacked") from error
    if len(rows) != length * height or not inflate.eof or inflate.unused_data:
        raise _other("it has more or fewer pixels than it says")
    if any(rows[::length]):
        raise _other("its rows are filtered")
    spare = (1 << (-width % 8)) - 1
    if spare and any(last & spare for last in rows[length - 1 :: length]):
        raise _other("there is something beyond its right edge")
    whole = b"".join(rows[at + 1 : at + length] for at in range(0, len(rows), length))
    return Bits(width, height, whole)


def _parts(data: bytes) -> tuple[int, int, bytes]:
    """Return width, height and packed pixels of a file whose chunks are what they have to be."""
    if len(data) > MAX_BYTES:
        raise ImageError(f"A mask has {len(data):,} bytes; up to {MAX_BYTES:,} fit.")
    if not data.startswith(PNG_SIGNATURE):
        raise _other("it is no PNG")
    chunks = _chunks(data)
    kinds = [kind for kind, _ in chunks]
    if kinds[:1] != [b"IHDR"] or kinds[-1:] != [b"IEND"] or set(kinds[1:-1]) != {b"IDAT"} or chunks[-1][1]:
        raise _other("it has other parts than IHDR, IDAT and IEND")
    head = chunks[0][1]
    if len(head) != _HEAD.size or head[8:] != b"\1\0\0\0\0":
        raise _other("it hasn't one bit of grey a pixel")
    width, height, *_ = _HEAD.unpack(head)
    if not (MIN_SIDE <= width <= MAX_SIDE and MIN_SIDE <= height <= MAX_SIDE):
        raise ImageError(f"A mask has {width}×{height} px; {MIN_SIDE} to {MAX_SIDE} px a side are taken.")
    return width, height, b"".join(body for _, body in chunks[1:-1])


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Return (kind, body) of each chunk. Raises ImageError for a damaged one, or something after the last."""
    found: list[tuple[bytes, bytes]] = []
    at = len(PNG_SIGNATURE)
    while at < len(data):
        if at + 12 > len(data) or (found and found[-1][0] == b"IEND"):
            raise _other("it is cut off, or something follows its end")
        length, kind = _LENGTH.unpack_from(data, at)
        body = data[at + 8 : at + 8 + length]
        if len(body) != length or data[at : at + 12 + length] != png_chunk(kind, body):
            raise _other("it is damaged")
        found.append((kind, body))
        at += 12 + length
    return found


def _other(why: str) -> ImageError:
    return ImageError(f"That isn't a mask: {why}. Masks are PNG files of one bit a pixel, white = painted.")
