"""How far a picture's canvas grows, and which part of it is meant: px from zooms, shapes and fields."""

from __future__ import annotations

import re

from core.errors import UserError
from studio.asking.new_job import Source
from studio.asking.words import code

PANS = {"left": "left", "right": "right", "up": "top", "down": "bottom"}  # direction → side that grows
PAN_SHARE = 0.5  # of the picture's side is added by a pan
GRID = 4  # fields a side of the numbered grid for Vary (Region)
_ASPECT = re.compile(r"(\d{1,5})[:x](\d{1,5})")
_ZOOM_FLAG = re.compile(r"(?:^|\s)(?:--|[\u2014\u2013])zoom[\s=]+(\S+)", re.IGNORECASE)
_ZOOM = re.compile(r"[12](?:[.,]\d{1,3})?")


def cell_box(source: Source, cell: int) -> tuple[int, int, int, int]:
    """Return (left, top, right, bottom) in px of field ``cell`` (from 1, row by row) of the numbered grid.

    Raises UserError for a number that no field has.
    """
    if not 1 <= cell <= GRID * GRID:
        raise UserError(f"There is no field {cell}; they go from 1 to {GRID * GRID}.")
    down, across = divmod(cell - 1, GRID)
    xs, ys = ([round(side * i / GRID) for i in range(GRID + 1)] for side in (source.width, source.height))
    return xs[across], ys[down], xs[across + 1], ys[down + 1]


def zoom_sides(source: Source, zoom: float) -> dict[str, int]:
    """Return the px to add on each side for a canvas that is ``zoom`` times as wide and as high."""
    across, down = round(source.width * (zoom - 1)), round(source.height * (zoom - 1))
    return {"left": across // 2, "right": across - across // 2, "top": down // 2, "bottom": down - down // 2}


def direction_sides(source: Source, direction: str) -> dict[str, int]:
    """Return the px to add for left, right, up, down or all: half of the picture's own side."""
    if direction == "all":
        return zoom_sides(source, 1 + PAN_SHARE)
    length = source.width if direction in ("left", "right") else source.height
    return {PANS[direction]: round(length * PAN_SHARE)}


def aspect_sides(source: Source, aspect: tuple[int, int]) -> dict[str, int]:
    """Return the px to add, half on each of two sides, to reach ``aspect`` (w, h).

    Raises UserError when the picture has that shape already.
    """
    target = aspect[0] / aspect[1]
    across = max(0, round(source.height * target) - source.width)
    down = max(0, round(source.width / target) - source.height)
    if across < 2 and down < 2:
        raise UserError(
            f"The picture has that shape already ({source.width}×{source.height}); nothing to add."
        )
    if across >= down:
        return {"left": across // 2, "right": across - across // 2}
    return {"top": down // 2, "bottom": down - down // 2}


def custom_sides(source: Source, zoom: float, aspect: tuple[int, int] | None) -> dict[str, int]:
    """Return the px to add for a canvas ``zoom`` times as large, then made wider or higher to ``aspect``."""
    sides = zoom_sides(source, zoom)
    if aspect is None:
        return sides
    zoomed = Source(
        "", source.width + sides["left"] + sides["right"], source.height + sides["top"] + sides["bottom"]
    )
    try:
        more = aspect_sides(zoomed, aspect)
    except UserError:
        more = {}
    return {side: px + more.get(side, 0) for side, px in sides.items()}


def split_zoom(text: str) -> tuple[str, str]:
    """Return the words and what stands behind ``--zoom`` among them, as Midjourney's window takes it."""
    match = _ZOOM_FLAG.search(text)
    return (text[: match.start()] + text[match.end() :], match[1]) if match else (text, "")


def read_zoom(text: str) -> float:
    """Return the factor of a typed zoom. Raises UserError, which names the value and the allowed range."""
    zoom = float(text.replace(",", ".")) if _ZOOM.fullmatch(text) else 0.0
    if not 1 <= zoom <= 2:
        raise UserError(f"`zoom` is {code(text, 20)}; it takes a number from 1 to 2.")
    return zoom


def read_aspect(text: str | None) -> tuple[int, int] | None:
    """Return (w, h) of "16:9", None for nothing. Raises UserError, which names the value and the range."""
    if not text or not text.strip():
        return None
    match = _ASPECT.fullmatch(text.strip())
    w, h = (int(match[1]), int(match[2])) if match else (0, 0)
    if not w or not h or max(w / h, h / w) > 4:
        raise UserError(f"`aspect` is {code(text, 20)}; write it like 16:9, from 1:4 to 4:1.")
    return w, h


def read_cells(text: str | None) -> tuple[int, ...]:
    """Return numbers of fields, from "1 2 5" or "1,2,5"; none for nothing. Raises UserError for others."""
    numbers = re.split(r"[\s,;]+", text.strip()) if text else []
    if not all(number.isdigit() and 1 <= int(number) <= GRID**2 for number in numbers):
        raise UserError(f"`fields` takes numbers from 1 to {GRID**2}, such as 1 2 5.")
    return tuple(sorted({int(number) for number in numbers}))
