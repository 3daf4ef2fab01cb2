"""Masks as files, as runs of pixels and out of polygons, without a picture library.

A file is a PNG of one bit a pixel, white = painted, in the one form that is taken: one chunk of
pixels, no palette, no text, no filter (https://www.w3.org/TR/png-3/). Runs go column by column and begin
with pixels that aren't marked, as in COCO's files; they and their packed form are pycocotools'
(``common/maskApi.c``)."""

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

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


def write_mask(mask: Bits) -> bytes:
    """Return the mask as a file."""
    length = stride(mask.width)
    rows = (mask.rows[at : at + length] for at in range(0, len(mask.rows), length))
    head = _HEAD.pack(mask.width, mask.height, 1, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 6)
    return PNG_SIGNATURE + png_chunk(b"IHDR", head) + png_chunk(b"IDAT", pixels) + png_chunk(b"IEND", b"")


def read_mask(data: bytes) -> Bits:
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
        raise _other("it isn't a PNG")
    chunks = _chunks(data)
    kinds = [kind for kind, _ in chunks]
    if kinds[:1] != [b"IHDR"] or kinds[-1:] != [b"IEND"] or set(kinds[1:-1]) != {b"IDAT"} or chunks[-1][1]:
        raise _other("it has other parts than IHDR, IDAT and IEND")
    head = chunks[0][1]
    if len(head) != _HEAD.size or head[8:] != b"\1\0\0\0\0":
        raise _other("it hasn't one bit of grey a pixel")
    width, height, *_ = _HEAD.unpack(head)
    if not (MIN_SIDE <= width <= MAX_SIDE and MIN_SIDE <= height <= MAX_SIDE):
        raise ImageError(f"A mask has {width}×{height} px; {MIN_SIDE} to {MAX_SIDE} px a side are allowed.")
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


MOST = 1_000_000  # runs of a mask
_PIXELS = [bytes(byte >> bit & 1 for bit in range(7, -1, -1)) for byte in range(256)]
_DIGITS = bytes([ord("0"), ord("1"), *range(2, 256)])


def runs_of(mask: Bits, width: int, height: int) -> tuple[int, ...]:
    """Return the runs of a mask that is stretched over ``width`` × ``height`` px."""
    # A byte a pixel, column by column
    length = stride(mask.width)
    rows = (mask.rows[at : at + length] for at in range(0, len(mask.rows), length))
    whole = b"".join(b"".join(_PIXELS[byte] for byte in row)[: mask.width] for row in rows)
    columns = [whole[x :: mask.width] for x in range(mask.width)]
    if (mask.width, mask.height) != (width, height):
        wanted = itemgetter(*(y * mask.height // height for y in range(height)))
        columns = [bytes(wanted(columns[x * mask.width // width])) for x in range(width)]
    pixels, found, at, value = b"".join(columns), list[int](), 0, 0
    while at < len(pixels):
        end = pixels.find(b"\0" if value else b"\1", at)
        end = len(pixels) if end < 0 else end
        found.append(end - at)
        at, value = end, 1 - value
    return tuple(found)


def mask_of(counts: Sequence[int], width: int, height: int) -> Bits:
    """Return the mask that runs make. Raises ValueError unless they fill ``width`` × ``height`` px."""
    if min(counts, default=0) < 0 or sum(counts) != width * height:
        raise ValueError(f"the runs of a mask don't fill its {width}×{height} px")
    pixels = b"".join((b"\1" if place % 2 else b"\0") * count for place, count in enumerate(counts))
    length, spare = stride(width), -width % 8
    rows = bytearray()
    for y in range(height):
        row = pixels[y::height].translate(_DIGITS)
        rows += (int(row, 2) << spare).to_bytes(length, "big")
    return Bits(width, height, bytes(rows))


def bounds(counts: Sequence[int], height: int) -> tuple[int, int, int, int] | None:
    """Return left, top, right and bottom (excluded) of what is marked, in px; None for nothing."""
    left, top, right, bottom = 1 << 62, height, 0, 0
    for start, end in _marked(counts):
        left, right = min(left, start // height), max(right, (end - 1) // height + 1)
        across = start // height != (end - 1) // height  # from one column into the next
        top = 0 if across else min(top, start % height)
        bottom = height if across else max(bottom, (end - 1) % height + 1)
    return (left, top, right, bottom) if right else None


def area(counts: Sequence[int]) -> int:
    """Return how many pixels are marked."""
    return sum(counts[1::2])


def _marked(counts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield from where to where (excluded) pixels are marked."""
    at = 0
    for place, count in enumerate(counts):
        if place % 2 and count:
            yield at, at + count
        at += count


def _counts(parts: Sequence[tuple[int, int]], size: int) -> tuple[int, ...]:
    """Return the runs of marked parts, which may overlap, of ``size`` px."""
    found, at = list[int](), 0
    for start, end in sorted(parts):
        if found and start <= at:
            found[-1] += max(0, end - at)
        else:
            found += [start - at, end - start]
        at = max(at, end)
    return tuple([*found, size - at] if at < size else found)


def together(masks: Sequence[Sequence[int]], size: int) -> tuple[int, ...]:
    """Return the runs of what any of several masks of ``size`` px marks."""
    return _counts([part for counts in masks for part in _marked(counts)], size)


def of_polygons(polygons: Sequence[Sequence[float]], width: int, height: int) -> tuple[int, ...]:
    """Return the runs of polygons, each x, y, x, y … in px: of every pixel whose centre lies in one. Raises
    ValueError for too many."""
    parts: list[tuple[int, int]] = []
    for points in polygons:
        xs, ys = points[0::2], points[1::2]
        for x in range(max(0, int(min(xs, default=0)) - 1), min(width, int(max(xs, default=0)) + 2)):
            crossings = sorted(_crossings(xs, ys, x + 0.5))
            for low, high in zip(crossings[0::2], crossings[1::2], strict=False):
                top, bottom = max(0, _first(low)), min(height, _first(high))
                if top < bottom:
                    parts.append((x * height + top, x * height + bottom))
            if len(parts) > MOST:
                raise ValueError(f"a mask has more than {MOST:,} runs")
    return _counts(parts, width * height)


def _crossings(xs: Sequence[float], ys: Sequence[float], at: float) -> Iterator[float]:
    for place in range(len(xs)):
        x0, y0, x1, y1 = xs[place - 1], ys[place - 1], xs[place], ys[place]
        if (x0 <= at) != (x1 <= at):
            yield y0 + (at - x0) * (y1 - y0) / (x1 - x0)


def _first(edge: float) -> int:
    """Return the first pixel whose centre lies at or after an edge."""
    return int(-(-(edge - 0.5) // 1))


def unpacked(text: str) -> tuple[int, ...]:
    """Return the runs of COCO's packed form. Raises ValueError for another text."""
    found: list[int] = []
    at = 0
    while at < len(text):
        value, shift, more = 0, 0, True
        while more:
            if at >= len(text) or not 48 <= (code := ord(text[at])) < 112 or shift > 60:
                raise ValueError("the packed runs of a mask are damaged")
            code -= 48
            value |= (code & 0x1F) << shift
            more, shift, at = bool(code & 0x20), shift + 5, at + 1
            if not more and code & 0x10:
                value -= 1 << shift
        found.append(value + found[-2] if len(found) > 2 else value)
        if len(found) > MOST:
            raise ValueError(f"a mask has more than {MOST:,} runs")
    return tuple(found)
