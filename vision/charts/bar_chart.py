"""Reads a bar chart: standing or lying bars, one series or several side by side. What can't be told with two
labels of an axis that agree isn't read at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.results import Table, TextLine
from vision.charts import names, scale
from vision.charts.bars import Bar, Coloured, edge, ends_there, longer, outline, rectangles
from vision.charts.names import Written
from vision.charts.scale import Scale, Way
from vision.forms.cells import number
from vision.forms.tables import NotInForm, make

LONGEST = 2000  # px of the longer side at which a chart is measured
MOST_BARS = 200
AT_ZERO = 0.03  # of an axis: so near to zero the bars' beginning is taken for it
BEYOND = 2.2  # steps between labels: so far over the last that was read a bar may end
TOLD = 0.03  # of an axis, between a bar's end and the number that is written there
MOSTLY = 0.6  # of all that is coloured there are bars
SAME = 3.0  # px
BLURRED = 4.0  # px, the most that a blurred edge is wide
WAYS: tuple[Way, ...] = ("up", "across")


@dataclass(frozen=True)
class _Found:
    """Bars that begin at one line. ways: 1 for each that grows in the axis' direction, -1 else."""

    scale: Scale
    base: float
    bars: tuple[Bar, ...]
    growth: int
    texts: tuple[Written, ...]
    rectangles: tuple[Bar, ...]


def read(coloured: Coloured, lines: Sequence[TextLine]) -> Table | None:
    """Return the numbers of a bar chart, None where it is none that can be measured. coloured: a picture of
    at most LONGEST px. lines: the text in it."""
    ways = [(way, scales) for way in WAYS if (scales := scale.find(lines, way)[:3])]
    found: list[_Found] = []
    for way, scales in ways:
        turned = coloured if way == "up" else coloured.mirrored()
        texts = [Written.of(line, way) for line in lines]
        found += [bars for one in scales if (bars := _bars(turned, one, texts, -1 if way == "up" else 1))]
    if not found:
        return None
    best = max(found, key=lambda one: sum(bar.width * bar.height for bar in one.bars))
    try:
        return _table(best)
    except NotInForm:
        return None


# Bars. From here on everything is as in a chart whose bars stand: a lying one is mirrored, and grows down.


def _bars(coloured: Coloured, axis: Scale, texts: Sequence[Written], growth: int) -> _Found | None:
    """Return the bars that are measured by an axis, None where there are none."""
    ends = [label.place for label in axis.labels]
    low, high = (max(ends), min(ends)) if growth < 0 else (min(ends), max(ends))
    height, width = coloured.which.shape
    begin, end = min(label.begin for label in axis.labels), max(label.end for label in axis.labels)
    left, right = (end - 4, float(width)) if begin < width - end else (0.0, begin + 4)
    borders = {coloured.most_in(0, 0, width, 3), coloured.most_in(0, height - 3, width, height)}
    known = [
        bar
        for bar in rectangles(coloured, sorted(borders))
        if not (bar.width > 0.6 * width and bar.height > 0.6 * height)
    ]
    room = abs(high - low) / (len(axis.labels) - 1) * BEYOND
    inside = [
        bar
        for bar in known
        if left < bar.left
        and bar.right < right
        and min(low, high) - room <= bar.top
        and bar.bottom <= max(low, high) + room
        and bar.width < 0.6 * (right - left)
    ]
    base = _base(inside, axis, growth)
    if base is None:
        return None
    bars = [
        bar for bar in inside if min(abs(bar.top - base), abs(bar.bottom - base)) <= SAME and bar.height > 1
    ]
    bars = _alike([bar for bar in bars if ends_there(coloured, bar, base)])
    if not 2 <= len(bars) <= MOST_BARS:
        return None
    if sum(map(_area, bars)) < MOSTLY * sum(map(_area, inside)):
        return None  # what else is drawn there isn't understood
    if any(_stands_on(other, bar, base) for bar in bars for other in inside):
        return None  # what is stacked isn't measured
    thick = float(np.median([outline(coloured, bar, base) for bar in bars]))
    base = float(np.median([_begin(bar, base) for bar in bars])) - growth * thick / 2
    bars = [longer(bar, base, thick / 2) for bar in bars] if thick else _exact(coloured, bars, base)
    axis = axis.with_zero_at(base) if abs(axis.value(base)) <= AT_ZERO * axis.range else axis
    if len(axis.labels) < 3 and axis.value(base) != 0:
        return None  # two labels always agree: the bars have to begin at zero then
    lengths = [abs(bar.end(base) - base) for bar in bars]
    if len(bars) > 2 and max(lengths) - min(lengths) <= 1:
        return None  # stripes of a table
    return _Found(axis, base, tuple(sorted(bars, key=lambda bar: bar.x)), growth, tuple(texts), tuple(known))


def _base(bars: Sequence[Bar], axis: Scale, growth: int) -> float | None:
    """Return where bars begin: the line at which most of them have an end, the one nearest to zero if several
    have as many."""
    ends = [end for bar in bars for end in (bar.top, bar.bottom)]
    if not ends:
        return None
    zero = axis.place(0) if axis.labels[0].value <= 0 else axis.labels[0].place

    def votes(place: float) -> float:
        return sum(
            bar.width for bar in bars if min(abs(bar.top - place), abs(bar.bottom - place)) <= SAME
        ) / (1 + abs(place - zero) / 40)

    return max(ends, key=votes)


def _alike(bars: Sequence[Bar]) -> list[Bar]:
    """Return the bars that are about as wide as most are, without those inside of others."""
    if not bars:
        return []
    by_width = sorted(bars, key=lambda bar: bar.width)
    areas = np.cumsum([bar.width * bar.height for bar in by_width])
    usual = by_width[
        int(np.searchsorted(areas, areas[-1] / 2))
    ].width  # of the middle of all that is coloured
    kept = [bar for bar in bars if 0.6 * usual <= bar.width <= 1.5 * usual]
    return [bar for bar in kept if not any(_covers(other, bar) for other in kept if other is not bar)]


def _area(bar: Bar) -> float:
    return bar.width * bar.height


def _covers(one: Bar, other: Bar) -> bool:
    """Whether a bar stands in place of another: that is inside of it, or but a blurred edge of it."""
    same = one.left - 2 <= other.left and other.right <= one.right + 2
    common = min(one.right, other.right) - max(one.left, other.left)
    edge = other.height <= BLURRED < one.height and common > 0.5 * other.width
    return (same or edge) and (one.height, id(one)) > (other.height, id(other))


def _stands_on(other: Bar, bar: Bar, base: float) -> bool:
    """Whether a rectangle goes on where a bar ends."""
    end = bar.end(base)
    begins = abs((other.bottom if end == bar.top else other.top) - end) <= SAME
    alike = abs(other.left - bar.left) <= SAME and abs(other.right - bar.right) <= SAME
    return begins and alike and other.height > 2 * SAME


def _exact(coloured: Coloured, bars: Sequence[Bar], base: float) -> list[Bar]:
    """Return bars with their free ends to a fraction of a pixel."""
    made = []
    for bar in bars:
        end = bar.end(base)
        exact = edge(coloured, bar, end)
        made.append(replace(bar, top=exact) if end == bar.top else replace(bar, bottom=exact))
    return made


def _begin(bar: Bar, base: float) -> float:
    return bar.bottom if bar.end(base) == bar.top else bar.top


# Its numbers and their names


def _table(found: _Found) -> Table:
    bars, axis = found.bars, found.scale
    values = [_value(found, bar) for bar in bars]
    labels = names.along(found.texts, [bar.x for bar in bars], found.base, found.growth, axis)
    series = list(dict.fromkeys(bar.colour for bar in bars))
    if len(series) == 1 or len(series) == len(bars) or len(labels.places) == len(bars) or _even(bars):
        groups = [[place] for place in range(len(bars))]
        series = []
    else:
        groups = _grouped(bars, series, labels.places)
    called = _called(labels, [float(np.mean([bars[i].x for i in group])) for group in groups])
    told = names.legend(found.texts, found.rectangles, bars, series)
    rows: list[list[object]] = []
    for name, group in zip(called, groups, strict=True):
        if not series:
            rows.append([name, values[group[0]]])
            continue
        by_colour = {bars[i].colour: values[i] for i in group}
        rows.append([name, *(by_colour.get(colour, 0.0) for colour in series)])
    unit = names.unit(found.texts, axis, found.base, found.growth, labels)
    columns = [told.get(colour, f"series {n}") for n, colour in enumerate(series, 1)] or [unit or "value"]
    if series and unit:
        columns = [f"{column} ({unit})" for column in columns]
    return make(names.title(found.texts, found.bars, labels), ["", *columns], rows)


def _value(found: _Found, bar: Bar) -> float:
    """Return what a bar stands for: the number that is written at its end where that is as long, else what
    its length is on the axis, as exactly as a pixel tells."""
    axis, end = found.scale, bar.end(found.base)
    measured = axis.value(end)
    room = 2.2 * axis.labels[0].height
    for text in found.texts:
        near = (
            bar.left - 4 <= text.x <= bar.right + 4
            and min(abs(text.bottom - end), abs(text.top - end)) <= room
        )
        if near and (told := number(text.text)) and abs(told[0] - measured) <= TOLD * axis.range:
            return told[0]
    digits = -math.floor(math.log10(abs(axis.slope))) if axis.slope else 0
    return round(measured, digits)


def _even(bars: Sequence[Bar]) -> bool:
    """Whether bars stand at equal distances, as those of one series do."""
    steps = np.diff([bar.x for bar in bars])
    return len(steps) > 1 and bool(steps.max() <= 1.12 * steps.min()) and steps.min() > 1.13 * bars[0].width


def _grouped(bars: Sequence[Bar], series: Sequence[int], places: Sequence[float]) -> list[list[int]]:
    """Return bars by what stands side by side: by the names below them, else by their colours in order."""
    if len(places) >= 2:
        nearest: dict[float, list[int]] = {place: [] for place in places}
        for index, bar in enumerate(bars):
            nearest[min(places, key=lambda place: abs(place - bar.x))].append(index)
        groups = [group for group in nearest.values() if group]
        if all(len({bars[i].colour for i in group}) == len(group) for group in groups):
            return groups
    groups = [[]]
    for index, bar in enumerate(bars):
        last = bars[groups[-1][-1]] if groups[-1] else None
        if last is not None and (
            series.index(bar.colour) <= series.index(last.colour) or bar.left - last.right > 0.5 * bar.width
        ):
            groups.append([])
        groups[-1].append(index)
    return groups


def _called(labels: names.Labels, centres: Sequence[float]) -> list[str]:
    """Return a name for each group of bars."""
    step = min((b - a for a, b in zip(centres, centres[1:], strict=False)), default=100.0)
    called = []
    for number_, centre in enumerate(centres, 1):
        near = [i for i, place in enumerate(labels.places) if abs(place - centre) <= 0.6 * step]
        best = min(near, key=lambda i: abs(labels.places[i] - centre), default=None)
        called.append(labels.texts[best] if best is not None else str(number_))
    return called
