"""The editor's rasteriser in plain Python: what every other must equal, to the bit. Coordinates and radii are
whole numbers of 1/8 px; the centre of pixel (x, y) lies at (8x + 4, 8y + 4)."""

import base64
import hashlib
import math
import struct
import zlib
from itertools import pairwise
from typing import Any

Point = tuple[int, int]  # in 1/8 px


def replay(width: int, height: int, base: bytes | None, strokes: list[dict[str, Any]]) -> bytearray:
    """Return width × height bytes, row by row, 1 = painted. base: the mask before the strokes."""
    bits = bytearray(base if base is not None else width * height)
    for stroke in strokes:
        tool, value = stroke["tool"], stroke.get("value")
        if tool == "brush":
            brush(bits, width, height, points_of(stroke), stroke["r"], value)
        elif tool == "lasso":
            lasso(bits, width, height, points_of(stroke), value)
        elif tool == "rect":
            rect(bits, width, height, stroke["box"], value)
        elif tool == "invert":
            bits[:] = bytes(1 - bit for bit in bits)
        elif tool == "grow":
            bits[:] = grown(bits, width, height, stroke["px"])
        else:
            assert tool == "shrink"
            outside = bytes(1 - bit for bit in bits)
            bits[:] = bytes(1 - bit for bit in grown(outside, width, height, stroke["px"]))
    return bits


def points_of(stroke: dict[str, Any]) -> list[Point]:
    """Return a stroke's points: the first as it stands, each other by its difference from the one before."""
    x, y = stroke["at"]
    points = [(x, y)]
    for dx, dy in struct.iter_unpack("<hh", base64.b64decode(stroke["xy"], validate=True)):
        x, y = x + dx, y + dy
        points.append((x, y))
    return points


def brush(bits, width: int, height: int, points: list[Point], radii: list[int], value: int) -> None:
    """Set a disc at the first point, then a capsule to each other with that point's radius."""
    rs = radii if len(radii) > 1 else radii * len(points)
    capsule(bits, width, height, points[0], points[0], rs[0], value)
    for (before, point), r in zip(pairwise(points), rs[1:], strict=True):
        capsule(bits, width, height, before, point, r, value)


def capsule(bits, width: int, height: int, start: Point, end: Point, r: int, value: int) -> None:
    """Set every pixel whose centre lies within ``r`` of the segment from ``start`` to ``end``."""
    (x0, y0), (x1, y1) = start, end
    dx, dy = x1 - x0, y1 - y0
    len2 = dx * dx + dy * dy
    reach = r * math.sqrt(len2)
    top = max(0, math.ceil((min(y0, y1) - r - 4) / 8))
    bottom = min(height - 1, math.floor((max(y0, y1) + r - 4) / 8))
    for y in range(top, bottom + 1):
        cy = 8 * y + 4
        lo, hi = math.inf, -math.inf
        for px, py in (start, end):
            h = r * r - (cy - py) * (cy - py)
            if h >= 0:
                w = math.sqrt(h)
                lo, hi = min(lo, px - w), max(hi, px + w)
        if len2 > 0:
            ey = cy - y0
            a, b = -math.inf, math.inf
            if dy != 0:
                c1, c2 = (dx * ey - reach) / dy, (dx * ey + reach) / dy
                a, b = min(c1, c2), max(c1, c2)
            elif abs(dx * ey) > reach:
                a, b = 1.0, 0.0
            if dx != 0:
                d1, d2 = (-dy * ey) / dx, (len2 - dy * ey) / dx
                a, b = max(a, min(d1, d2)), min(b, max(d1, d2))
            elif not 0 <= dy * ey <= len2:
                a, b = 1.0, 0.0
            if a <= b:
                lo, hi = min(lo, x0 + a), max(hi, x0 + b)
        if lo <= hi:
            span(bits, width, y, math.ceil((lo - 4) / 8), math.floor((hi - 4) / 8), value)


def span(bits, width: int, y: int, first: int, last: int, value: int) -> None:
    """Set the pixels ``first`` to ``last`` of row ``y``, as far as they are there."""
    first, last = max(0, first), min(width - 1, last)
    if first <= last:
        bits[y * width + first : y * width + last + 1] = bytes([value]) * (last + 1 - first)


def lasso(bits, width: int, height: int, points: list[Point], value: int) -> None:
    """Set every pixel whose centre lies inside of the closed polygon, by the even-odd rule."""
    edges = list(zip(points, points[1:] + points[:1], strict=True))
    for y in range(height):
        cy = 8 * y + 4
        crossed = sorted(
            x0 + ((cy - y0) * (x1 - x0)) / (y1 - y0)
            for (x0, y0), (x1, y1) in edges
            if (y0 <= cy) != (y1 <= cy)
        )
        for left, right in zip(crossed[::2], crossed[1::2], strict=True):
            span(bits, width, y, math.ceil((left - 4) / 8), math.ceil((right - 4) / 8) - 1, value)


def rect(bits, width: int, height: int, box: list[int], value: int) -> None:
    """Set the pixels from (left, top) up to and without (right, bottom)."""
    left, top, right, bottom = box
    for y in range(max(0, top), min(height, bottom)):
        span(bits, width, y, left, right - 1, value)


def grown(bits, width: int, height: int, px: int) -> bytearray:
    """Return ``bits`` with every pixel that has a set one at most ``px`` away, centre to centre."""
    out = bytearray(bits)
    for dy in range(-px, px + 1):
        reach = math.isqrt(px * px - dy * dy)
        for y in range(max(0, -dy), min(height, height - dy)):
            row = bits[y * width : (y + 1) * width]
            for x, bit in enumerate(row):
                if bit:
                    span(out, width, y + dy, x - reach, x + reach, 1)
    return out


def png(bits, width: int, height: int) -> bytes:
    """Return the mask as a PNG of one bit a pixel, white = painted."""
    rows = b"".join(b"\0" + _packed(bits[y * width : (y + 1) * width]) for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = (b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def _packed(row) -> bytes:
    padded = bytes(row) + bytes(-len(row) % 8)
    return bytes(
        sum(bit << (7 - i) for i, bit in enumerate(padded[at : at + 8])) for at in range(0, len(padded), 8)
    )


def digest(bits) -> str:
    """Return the SHA-256 of the bytes, one for a pixel."""
    return hashlib.sha256(bytes(bits)).hexdigest()
