"""Masks as runs of pixels, column by column and beginning with those that aren't marked, as COCO's files have
them; and polygons as masks. Pure functions.

The format, and its packed form in a text, is pycocotools' (``common/maskApi.c``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import itemgetter

from studio.pictures.bits import Bits, stride

MOST = 1_000_000  # runs of a mask
_PIXELS = [bytes(byte >> bit & 1 for bit in range(7, -1, -1)) for byte in range(256)]
_DIGITS = bytes([ord("0"), ord("1"), *range(2, 256)])


def of(mask: Bits, width: int, height: int) -> tuple[int, ...]:
    """Return the runs of a mask that is stretched over ``width`` × ``height`` px."""
    columns = _columns(mask)
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


def _columns(mask: Bits) -> list[bytes]:
    """Return a byte a pixel, column by column."""
    length = stride(mask.width)
    rows = (mask.rows[at : at + length] for at in range(0, len(mask.rows), length))
    pixels = b"".join(b"".join(_PIXELS[byte] for byte in row)[: mask.width] for row in rows)
    return [pixels[x :: mask.width] for x in range(mask.width)]


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
