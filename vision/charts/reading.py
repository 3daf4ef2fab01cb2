"""A bar chart from picture to table: what looks like one has its text read, large enough, and is measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from PIL import Image

from core.results import Table, TextLine
from vision.charts import bar_chart
from vision.charts.bars import Bar, Coloured, colours_of, rectangles

READ_AT = 1100  # px of the longer side, up to which a chart is enlarged for its text to be read
STRIP = 0.25  # of the picture, from the left and from the bottom: where an axis has its labels
LEAST_BAR, LEAST_BARS = 0.0005, 0.015  # of the picture: one bar, and all that begin at one line
ReadText = Callable[[Image.Image], Sequence[TextLine]]
T = TypeVar("T")


def _here(work: Callable[[], T]) -> T:
    return work()


def read(
    image: Image.Image, read_text: ReadText, do: Callable[[Callable[[], Any]], Any] = _here
) -> Table | None:
    """Return the numbers of a bar chart, None where the picture is none, or can't be measured.

    image: RGB. read_text: returns the text in a picture, and takes most of the time; it isn't asked about
    what can be no bar chart. do: does work that takes some time.
    """
    if max(image.size) > bar_chart.LONGEST:
        image = image.copy()
        image.thumbnail((bar_chart.LONGEST, bar_chart.LONGEST))
    coloured = do(lambda: colours_of(image))
    if not do(lambda: _has_bars(coloured) or _has_bars(coloured.mirrored())):
        return None
    lines = _lines(image, (0, 0, *image.size), 2 if max(image.size) < READ_AT else 1, read_text)
    table = do(lambda: bar_chart.read(coloured, lines))
    if table is None:  # alone, labels are found that get lost beside larger text
        left = _lines(image, (0, 0, round(image.width * STRIP), image.height), 1, read_text)
        below = _lines(image, (0, round(image.height * (1 - STRIP)), *image.size), 1, read_text)
        table = do(lambda: bar_chart.read(coloured, _with(_with(lines, left), below)))
    return table


def _lines(
    image: Image.Image, part: tuple[int, int, int, int], times: int, read_text: ReadText
) -> list[TextLine]:
    """Return the text in a part of a picture, where it is in the whole."""
    cut = image if part == (0, 0, *image.size) else image.crop(part)
    if times > 1:
        cut = cut.resize((cut.width * times, cut.height * times), Image.Resampling.BICUBIC)
    return [_moved(line, 1 / times, part[0], part[1]) for line in read_text(cut)]


def _moved(line: TextLine, by: float, right: int, down: int) -> TextLine:
    a, b, c, d = ((x * by + right, y * by + down) for x, y in line.box)
    return replace(line, box=(a, b, c, d))


def _with(lines: Sequence[TextLine], more: Sequence[TextLine]) -> list[TextLine]:
    """Return lines with those of ``more`` that aren't among them."""
    return [*lines, *(line for line in more if not any(_overlap(line, other) for other in lines))]


def _overlap(one: TextLine, other: TextLine) -> bool:
    (a, b, c, d), (e, f, g, h) = one.bounds, other.bounds
    across, down = min(c, g) - max(a, e), min(d, h) - max(b, f)
    return across > 0 and down > 0 and across * down > 0.3 * min((c - a) * (d - b), (g - e) * (h - f))


def _has_bars(coloured: Coloured) -> bool:
    """Whether several rectangles of a width begin at one line."""
    height, width = coloured.which.shape
    borders = {coloured.most_in(0, 0, width, 3), coloured.most_in(0, height - 3, width, height)}
    least = LEAST_BAR * height * width
    large = [
        bar
        for bar in rectangles(coloured, sorted(borders))
        if bar.width >= 4 and bar.height * bar.width >= least and bar.width < 0.6 * width
    ]
    for bar in large:
        group = [other for other in large if _begin_together(bar, other)]
        if len(group) >= 2 and sum(one.height * one.width for one in group) >= LEAST_BARS * height * width:
            return True
    return False


def _begin_together(bar: Bar, other: Bar) -> bool:
    ends = (abs(bar.bottom - other.bottom), abs(bar.top - other.top))
    return min(ends) <= bar_chart.SAME and 0.75 <= bar.width / other.width <= 1.33
