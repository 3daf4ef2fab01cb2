"""Draws a table's numbers as bars with PIL, so that they can be compared with the chart that they were read
from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from core.results import Table
from vision.forms.cells import written
from vision.forms.tables import numeric
from vision.pictures.chart import BACKGROUND, BAR, BEST, FAINT, ROW, TEXT, fit

COLOURS = (BAR, BEST, "#fee75c", "#eb459e", "#ed4245", "#3ba5b5")
WIDTH, LEAST_HEIGHT, MOST_HEIGHT = 640, 420, 1000  # px
MARGIN, GAP = 20, 8
MOST_BARS = 30  # of rows; the rest is in the file
UPRIGHT_ROWS, UPRIGHT_LETTERS = 12, 11  # most of each with bars that stand
FONT, SMALL, TITLE = 16, 14, 18


@dataclass(frozen=True)
class _Area:
    """Where bars are drawn, px, and which values its ends stand for."""

    left: int
    top: int
    right: int
    bottom: int
    low: float
    high: float

    def x(self, value: float) -> int:
        """Return where a value is across."""
        return self.left + round((self.right - self.left) * (value - self.low) / (self.high - self.low))

    def y(self, value: float) -> int:
        """Return where a value is from the top."""
        return self.bottom - round((self.bottom - self.top) * (value - self.low) / (self.high - self.low))


def draw(table: Table) -> Image.Image | None:
    """Return the numbers of a table as bars, WIDTH px wide; None where it has none to draw."""
    places = numeric(table)[: len(COLOURS)]
    rows = table.rows[:MOST_BARS]
    series = [[row[place] for row in rows] for place in places]
    values = [value for column in series for value in column if isinstance(value, float)]
    if not values or len(rows) < 2:
        return None
    names = [written(row[0]) for row in rows]
    stands = len(rows) <= UPRIGHT_ROWS and max(map(len, names)) * len(rows) <= 6 * UPRIGHT_LETTERS
    height = LEAST_HEIGHT if stands else _tall(len(rows), len(places))
    image = Image.new("RGB", (WIDTH, height), BACKGROUND)
    pen = ImageDraw.Draw(image)
    top = _head(pen, table, places)
    ticks = _ticks(min(values), max(values))
    (_standing if stands else _lying)(pen, top, height, names, series, ticks)
    return image


def _tall(rows: int, columns: int) -> int:
    return min(MOST_HEIGHT, max(LEAST_HEIGHT, 110 + rows * max(20, 12 * columns)))


def _head(pen: ImageDraw.ImageDraw, table: Table, places: Sequence[int]) -> int:
    """Write the title and what the colours mean; return where that ends."""
    top = MARGIN
    if table.title:
        text, face = fit(table.title, WIDTH - 2 * MARGIN, TITLE, 0)
        pen.text((MARGIN, top), text, TEXT, face)
        top += TITLE + GAP
    if len(places) > 1:
        x, room = MARGIN, (WIDTH - 2 * MARGIN) // len(places)
        for colour, place in zip(COLOURS, places, strict=False):
            text, face = fit(table.columns[place] or f"column {place + 1}", room - 30, SMALL, place + 1)
            pen.rectangle((x, top + 2, x + 12, top + 14), colour)
            pen.text((x + 18, top), text, FAINT, face)
            x += room
        top += SMALL + GAP
    elif table.columns[places[0]]:
        text, face = fit(table.columns[places[0]], WIDTH - 2 * MARGIN, SMALL, 0)
        pen.text((MARGIN, top), text, FAINT, face)
        top += SMALL + GAP
    return top + GAP


def _ticks(least: float, most: float) -> list[float]:
    """Return about five round values that hold zero and all that is drawn."""
    least, most = min(least, 0.0), max(most, 0.0)
    span = (most - least) or 1.0
    rough = span / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * times for times in (1, 2, 2.5, 5, 10) if power * times >= rough * 0.999)
    first, last = math.floor(least / step + 1e-9), math.ceil(most / step - 1e-9)
    return [number * step for number in range(first, max(last, first + 1) + 1)]


def _standing(
    pen: ImageDraw.ImageDraw,
    top: int,
    height: int,
    names: Sequence[str],
    series: Sequence[Sequence[object]],
    ticks: Sequence[float],
) -> None:
    face = ImageFont.load_default(SMALL)
    marks = [written(round(tick, 10)) for tick in ticks]
    left = MARGIN + GAP + round(max(face.getlength(mark) for mark in marks))
    area = _Area(left, top + FONT, WIDTH - MARGIN, height - MARGIN - FONT - GAP, ticks[0], ticks[-1])
    for tick, mark in zip(ticks, marks, strict=True):
        y = area.y(tick)
        pen.line((area.left, y, area.right, y), FAINT if tick == 0 else ROW)
        pen.text((area.left - GAP, y), mark, FAINT, face, anchor="rm")
    room = (area.right - area.left) / len(names)
    for row, name in enumerate(names):
        middle = area.left + room * (row + 0.5)
        text, wide = fit(name, room - 4, SMALL, row + 1)
        pen.text((middle, area.bottom + GAP), text, TEXT, wide, anchor="ma")
        for place, (begin, end) in enumerate(_slots(middle, room, len(series))):
            value = series[place][row]
            if isinstance(value, float):
                y, zero = area.y(value), area.y(0)
                pen.rectangle((begin, min(y, zero), end, max(y, zero)), COLOURS[place])
                text = written(value)
                if face.getlength(text) <= room / len(series):
                    anchor, off = ("md", -3) if value >= 0 else ("ma", 3)
                    pen.text(((begin + end) / 2, y + off), text, TEXT, face, anchor=anchor)


def _lying(
    pen: ImageDraw.ImageDraw,
    top: int,
    height: int,
    names: Sequence[str],
    series: Sequence[Sequence[object]],
    ticks: Sequence[float],
) -> None:
    face = ImageFont.load_default(SMALL)
    fitted = [fit(name, 190, SMALL, row) for row, name in enumerate(names, 1)]
    left = MARGIN + GAP + round(max(wide.getlength(text) for text, wide in fitted))
    area = _Area(left, top, WIDTH - MARGIN - 56, height - MARGIN - FONT - GAP, ticks[0], ticks[-1])
    for tick in ticks:
        x = area.x(tick)
        pen.line((x, area.top, x, area.bottom), FAINT if tick == 0 else ROW)
        pen.text((x, area.bottom + GAP), written(round(tick, 10)), FAINT, face, anchor="ma")
    room = (area.bottom - area.top) / len(names)
    for row, (text, wide) in enumerate(fitted):
        middle = area.top + room * (row + 0.5)
        pen.text((area.left - GAP, middle), text, TEXT, wide, anchor="rm")
        for place, (begin, end) in enumerate(_slots(middle, room, len(series))):
            value = series[place][row]
            if isinstance(value, float):
                x, zero = area.x(value), area.x(0)
                pen.rectangle((min(x, zero), begin, max(x, zero), end), COLOURS[place])
                if end - begin >= SMALL - 4:
                    pen.text((max(x, zero) + 4, (begin + end) / 2), written(value), TEXT, face, anchor="lm")


def _slots(middle: float, room: float, count: int) -> list[tuple[float, float]]:
    """Return where the bars of a row begin and end, side by side around its middle."""
    whole = room * (0.62 if count == 1 else 0.8)
    width = whole / count
    begin = middle - whole / 2
    return [(begin + width * n, begin + width * (n + 1) - (1 if count > 1 else 0)) for n in range(count)]
