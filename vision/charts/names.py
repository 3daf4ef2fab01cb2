"""What the parts of a bar chart are called: the names below its bars, its legend, its title and its unit.

Places are as in a chart whose bars stand; a lying one is mirrored, see ``Written.of``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.results import TextLine
from vision.charts.bars import Bar
from vision.charts.scale import Scale, Way, words_of


@dataclass(frozen=True)
class Written:
    """A line of text: its sides, whether it runs along the bars' row, and as it was found."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    line: TextLine
    size: float  # of its letters, px

    @classmethod
    def of(cls, line: TextLine, way: Way) -> Written:
        """Return a line where it is in a chart whose bars stand."""
        left, top, right, bottom = line.bounds
        (ax, ay), (bx, by), _, (dx, dy) = line.box
        size = min(float(np.hypot(dx - ax, dy - ay)), float(np.hypot(bx - ax, by - ay)))
        text = line.text.strip()
        text = text.strip("-–—_|~ ") or text  # a mark of the axis beside it isn't part of a name
        if way == "up":
            return cls(text, left, top, right, bottom, line, size)
        return cls(text, top, left, bottom, right, line, size)

    @property
    def x(self) -> float:
        """The middle across."""
        return (self.left + self.right) / 2

    @property
    def y(self) -> float:
        """The middle down."""
        return (self.top + self.bottom) / 2


@dataclass(frozen=True)
class Labels:
    """Names along the row of bars: where, what, and the lines that they were."""

    places: tuple[float, ...]
    texts: tuple[str, ...]
    lines: tuple[TextLine, ...] = ()


def along(texts: Sequence[Written], bars: Sequence[float], base: float, growth: int, axis: Scale) -> Labels:
    """Return the names of bars, or of groups of them: the row of texts that is nearest to their beginning, on
    the side to which they don't grow. bars: their middles."""
    of_axis = {id(label.line) for label in axis.labels}
    reach = (min(bars), max(bars))
    room = (reach[1] - reach[0]) / max(1, len(bars) - 1)
    below = [
        text
        for text in texts
        if id(text.line) not in of_axis
        and (text.top - base if growth < 0 else base - text.bottom) > -0.5 * text.size
        and reach[0] - room <= text.x <= reach[1] + room
    ]
    if not below:
        return Labels((), ())
    near = [text.top if growth < 0 else -text.bottom for text in below]
    first = min(near)
    size = float(np.median([text.size for text in below]))
    row = [text for text, place in zip(below, near, strict=True) if place - first <= 0.9 * size]
    row = [part for text in row for part in _parted(text, growth, room)]
    row.sort(key=lambda text: (text.x, text.top))
    merged: list[tuple[float, str, TextLine]] = []
    for text in row:
        if merged and growth > 0 and abs(text.x - merged[-1][0]) < 0.5 * text.size:  # one name, found as two
            place, before, line = merged.pop()
            merged.append((place, f"{before} {text.text}", line))
        else:
            merged.append((text.x, text.text, text.line))
    return Labels(*(tuple(values) for values in zip(*merged, strict=True)))


def _parted(text: Written, growth: int, room: float) -> list[Written]:
    """Return the words of a line that lies below several bars, each where it stands."""
    words = text.text.split()
    if (
        growth > 0
        or len(words) < 2
        or text.right - text.left < 1.5 * room
        or text.bottom - text.top > 2 * text.size
    ):
        return [text]
    return [Written.of(word, "up") for word in words_of(text.line)]


def legend(
    texts: Sequence[Written], rectangles: Sequence[Bar], bars: Sequence[Bar], series: Sequence[int]
) -> dict[int, str]:
    """Return what colours mean: the text beside a small patch of each."""
    own, found = {id(bar) for bar in bars}, dict[int, str]()
    sides = {(bar.left, bar.right) for bar in bars}
    patches = [
        patch
        for patch in rectangles
        if patch.colour in series and id(patch) not in own and (patch.left, patch.right) not in sides
    ]
    lines = [Seen.of(text.line) for text in texts]
    mirrored = (
        bool(texts) and texts[0].left == texts[0].line.bounds[1] and texts[0].left != texts[0].line.bounds[0]
    )
    for patch in patches:
        left, top, right, bottom = (
            (patch.top, patch.left, patch.bottom, patch.right)
            if mirrored
            else (patch.left, patch.top, patch.right, patch.bottom)
        )
        middle, high = (top + bottom) / 2, bottom - top
        near = [
            line
            for line in lines
            if abs(line.middle - middle) <= 0.6 * line.high
            and -0.5 * high <= line.left - right <= 2.5 * max(high, line.high)
            and high <= 2.5 * line.high
        ]
        if near and patch.colour not in found:
            found[patch.colour] = min(near, key=lambda line: line.left).text
    return found


@dataclass(frozen=True)
class Seen:
    """A text as it stands in the picture."""

    text: str
    left: float
    middle: float
    high: float

    @classmethod
    def of(cls, line: TextLine) -> Seen:
        """Return where a line is."""
        left, top, _, bottom = line.bounds
        return cls(line.text.strip(), left, (top + bottom) / 2, bottom - top)


def title(texts: Sequence[Written], bars: Sequence[Bar], labels: Labels) -> str:
    """Return the text at the top of the picture, if it stands over everything else."""
    known = {id(line) for line in labels.lines}
    lines = [text.line for text in texts if id(text.line) not in known]
    upright = [line for line in lines if _across(line) and any(c.isalpha() for c in line.text)]
    if not upright:
        return ""
    top = min(upright, key=lambda line: line.bounds[1])
    largest = max(line.bounds[3] - line.bounds[1] for line in upright)
    others = [line.bounds[1] for line in lines if line is not top]
    stands_alone = not others or top.bounds[3] <= min(others) + 0.5 * largest
    return top.text.strip() if stands_alone and top.bounds[3] - top.bounds[1] >= 0.8 * largest else ""


def unit(texts: Sequence[Written], axis: Scale, base: float, growth: int, labels: Labels) -> str:
    """Return what the numbers of the axis are: the text along it, beyond its labels."""
    edge = (
        min(label.begin for label in axis.labels) if growth < 0 else max(label.end for label in axis.labels)
    )
    for text in texts:
        if not any(c.isalpha() for c in text.text):
            continue
        if growth < 0 and text.right <= edge + 2 and not _across(text.line):
            return text.text
        if growth > 0 and text.left >= edge - 2 and _across(text.line):
            return text.text
    return ""


def _across(line: TextLine) -> bool:
    left, top, right, bottom = line.bounds
    return right - left > bottom - top
