"""The editor's rasteriser: strokes over bytes, 0 or 1 a pixel, to the bit as
tests/studio/editor/reference.py defines it.

Coordinates and radii are whole numbers of 1/8 px. It runs in the painter's process, which alone loads numpy.
"""

import base64
import math
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]  # (height, width), 0 or 1
Whole = NDArray[np.int64]
ROWS_AT_ONCE = 500_000  # of capsules, in memory
DENSE = 200  # pixels of its box that a span stands for: with fewer, all are set in one pass over the box


def replay(bits: Pixels, strokes: Iterable[Mapping[str, Any]]) -> Pixels:
    """Return ``bits`` after ``strokes``, which a document has been checked for. ``bits`` is changed."""
    for stroke in strokes:
        bits = _TOOLS[stroke["tool"]](bits, stroke)
    return bits


def points(stroke: Mapping[str, Any]) -> Whole:
    """Return (n, 2): a stroke's points."""
    deltas = np.frombuffer(base64.b64decode(stroke["xy"]), "<i2").reshape(-1, 2)
    return np.concatenate([[stroke["at"]], deltas]).astype(np.int64).cumsum(axis=0)


def _brush(bits: Pixels, stroke: Mapping[str, Any]) -> Pixels:
    """Set a disc at the first point and a capsule to each other; what covers what doesn't matter."""
    ends = points(stroke).astype(np.float64)
    starts = np.concatenate([ends[:1], ends[:-1]])
    radii = np.broadcast_to(np.array(stroke["r"], np.float64), len(ends))
    height = len(bits)
    top = np.maximum(0, np.ceil((np.minimum(starts[:, 1], ends[:, 1]) - radii - 4) / 8))
    bottom = np.minimum(height - 1, np.floor((np.maximum(starts[:, 1], ends[:, 1]) + radii - 4) / 8))
    heights = np.maximum(0, bottom - top + 1).astype(np.int64)
    # Of capsules that have about ROWS_AT_ONCE rows together
    marks = np.searchsorted(np.cumsum(heights), np.arange(0, heights.sum(), ROWS_AT_ONCE))
    for begin, end in pairwise(sorted({0, *marks.tolist(), len(heights)})):
        some = slice(begin, end)
        which = np.repeat(np.arange(begin, end), heights[some])
        inside = np.arange(len(which)) - np.repeat(np.cumsum(heights[some]) - heights[some], heights[some])
        rows = top[which] + inside
        first, last = _capsules(starts[which], ends[which], radii[which], 8 * rows + 4)
        _fill(bits, rows, first, last, stroke["value"])
    return bits


def _capsules(starts: Any, ends: Any, r: Any, cy: Any) -> tuple[Any, Any]:
    """Return the first and the last pixel of rows of capsules; the first comes after the last where a row has
    none. starts, ends: (n, 2), of each row's capsule. cy: the middle of each row."""
    lo, hi = np.full(len(cy), np.inf), np.full(len(cy), -np.inf)
    for px, py in (starts.T, ends.T):
        h = r * r - (cy - py) * (cy - py)
        w = np.sqrt(np.maximum(h, 0))
        np.minimum(lo, px - w, out=lo, where=h >= 0)
        np.maximum(hi, px + w, out=hi, where=h >= 0)
    (x0, y0), (dx, dy) = starts.T, (ends - starts).T
    a, b = _between(cy - y0, dx, dy, r)
    np.minimum(lo, x0 + a, out=lo, where=a <= b)
    np.maximum(hi, x0 + b, out=hi, where=a <= b)
    return np.ceil((lo - 4) / 8), np.floor((hi - 4) / 8)


def _between(ey: Any, dx: Any, dy: Any, r: Any) -> tuple[Any, Any]:
    """Return from where to where, along x from the first end, rows ``ey`` below it lie between the two ends
    and within ``r`` of the line; the first comes after the second where they don't."""
    len2 = dx * dx + dy * dy
    reach = r * np.sqrt(len2)
    with np.errstate(divide="ignore", invalid="ignore"):
        c1, c2 = (dx * ey - reach) / dy, (dx * ey + reach) / dy
        d1, d2 = (-dy * ey) / dx, (len2 - dy * ey) / dx
    level = np.where(np.abs(dx * ey) > reach, np.inf, -np.inf)
    steep = np.where((dy * ey < 0) | (dy * ey > len2), np.inf, -np.inf)
    a = np.maximum(np.where(dy != 0, np.minimum(c1, c2), level), np.where(dx != 0, np.minimum(d1, d2), steep))
    b = np.minimum(
        np.where(dy != 0, np.maximum(c1, c2), np.inf), np.where(dx != 0, np.maximum(d1, d2), np.inf)
    )
    a[len2 == 0], b[len2 == 0] = np.inf, -np.inf  # a disc alone
    return a, b


def _fill(bits: Pixels, rows: Any, first: Any, last: Any, value: int) -> None:
    """Set the pixels ``first`` to ``last`` of each of ``rows``, as far as they are there."""
    first, last = np.maximum(first, 0), np.minimum(last, bits.shape[1] - 1)
    there = first <= last
    y, begin, end = (values[there].astype(np.int64) for values in (rows, first, last))
    if not len(y):
        return
    top, left = int(y.min()), int(begin.min())
    part = bits[top : int(y.max()) + 1, left : int(end.max()) + 1]
    if len(y) * DENSE < part.size:
        for row, one, other in zip(y.tolist(), begin.tolist(), end.tolist(), strict=True):
            bits[row, one : other + 1] = value
        return
    width = part.shape[1] + 1
    steps = np.zeros(part.shape[0] * width, np.int32)  # +1 where a span begins, -1 behind its end
    np.add.at(steps, (y - top) * width + begin - left, 1)
    np.add.at(steps, (y - top) * width + end + 1 - left, -1)
    depth = np.cumsum(steps.reshape(-1, width)[:, :-1], axis=1, dtype=np.int32)
    np.copyto(part, np.uint8(value), where=depth > 0)


def _lasso(bits: Pixels, stroke: Mapping[str, Any]) -> Pixels:
    corners = points(stroke)
    crossed = [
        _crossings(edge, len(bits))
        for edge in np.hstack([corners, np.roll(corners, -1, axis=0)]).tolist()
        if edge[1] != edge[3]
    ]
    rows = np.concatenate([rows for rows, _ in crossed] or [np.empty(0)]).astype(np.int64)
    xs = np.concatenate([xs for _, xs in crossed] or [np.empty(0)])
    order = np.lexsort((xs, rows))
    rows, xs = rows[order], xs[order]  # an even number in each row: the polygon is closed
    first, last = np.ceil((xs[::2] - 4) / 8), np.ceil((xs[1::2] - 4) / 8) - 1
    _fill(bits, rows[::2], first, last, stroke["value"])
    return bits


def _crossings(edge: list[int], height: int) -> tuple[Any, Any]:
    """Return the rows that an edge crosses, and where: those with (y0 <= cy) != (y1 <= cy)."""
    x0, y0, x1, y1 = edge
    low, high = min(y0, y1), max(y0, y1)
    rows = np.arange(max(0, -((4 - low) // 8)), min(height - 1, (high - 5) // 8) + 1)
    cy = 8 * rows.astype(np.float64) + 4
    return rows, x0 + ((cy - y0) * (x1 - x0)) / (y1 - y0)


def _rect(bits: Pixels, stroke: Mapping[str, Any]) -> Pixels:
    left, top, right, bottom = (max(0, edge) for edge in stroke["box"])
    bits[top:bottom, left:right] = stroke["value"]
    return bits


def _invert(bits: Pixels, _: Mapping[str, Any]) -> Pixels:
    bits ^= 1
    return bits


def grown(bits: Pixels, px: int) -> Pixels:
    """Return ``bits`` with every pixel that has a set one at most ``px`` away, centre to centre."""
    marked = np.flatnonzero(bits.any(axis=1))
    if not len(marked):
        return bits
    top, bottom = max(0, marked[0] - px), min(len(bits), marked[-1] + px + 1)
    near, out = _across(bits[top:bottom]), bits.copy()
    part = out[top:bottom]
    for dy in range(min(px, len(part) - 1) + 1):
        reached = near <= math.isqrt(px * px - dy * dy)
        part[dy:] |= reached[: len(part) - dy]
        part[: len(part) - dy] |= reached[dy:]
    return out


def _across(bits: Pixels) -> NDArray[np.int16]:
    """Return how far each pixel is from the nearest set one of its own row, in px; far more than any row for
    none."""
    far, places = 16_000, np.arange(bits.shape[1], dtype=np.int16)
    left = np.where(bits, places, np.int16(-far))
    np.maximum.accumulate(left, axis=1, out=left)
    right = np.where(bits, places, np.int16(far))[:, ::-1]
    right = np.minimum.accumulate(right, axis=1)[:, ::-1]
    return np.minimum(places - left, right - places)


_TOOLS: dict[str, Callable[[Pixels, Mapping[str, Any]], Pixels]] = {
    "brush": _brush,
    "lasso": _lasso,
    "rect": _rect,
    "invert": _invert,
    "grow": lambda bits, stroke: grown(bits, stroke["px"]),
    "shrink": lambda bits, stroke: _invert(grown(_invert(bits, stroke), stroke["px"]), stroke),
}
