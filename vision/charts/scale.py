"""The scale of a chart's axis, from the numbers beside it: which value lies at which pixel."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.results import TextLine
from vision.forms.cells import number

Way = Literal["up", "across"]
LEAST = 2  # labels that agree
_LETTERS = str.maketrans({"O": "0", "o": "0", "l": "1", "I": "1", "S": "5"})
_GROUPED = re.compile(r"[1-9]\d{0,2}\.\d{3}")


@dataclass(frozen=True)
class Label:
    """A number beside an axis: its place along it (px), across it at both ends, and how high its letters
    are."""

    value: float
    place: float
    begin: float
    end: float
    height: float
    line: TextLine


@dataclass(frozen=True)
class Scale:
    """value = origin + slope · px. labels: those that agree, from the lowest value."""

    slope: float
    origin: float
    labels: tuple[Label, ...]
    unit: str = ""

    def value(self, place: float) -> float:
        """Return the value at a pixel."""
        return self.origin + self.slope * place

    def place(self, value: float) -> float:
        """Return where a value lies, px."""
        return (value - self.origin) / self.slope

    @property
    def range(self) -> float:
        """The difference between the highest label and the lowest."""
        return self.labels[-1].value - self.labels[0].value

    def with_zero_at(self, place: float) -> Scale:
        """Return the scale moved so that its zero lies at a pixel."""
        return Scale(self.slope, -self.slope * place, self.labels, self.unit)


def pieces(lines: Iterable[TextLine]) -> list[TextLine]:
    """Return lines with those of several words apart, too, by how much of the line each takes up."""
    found = []
    for line in lines:
        found.append(line)
        if len(line.text.split()) > 1:
            found += words_of(line)
    return found


def words_of(line: TextLine) -> list[TextLine]:
    """Return the words of a line as lines of their own."""
    a, b, c, d = (np.array(point) for point in line.box)
    length, made = max(1, len(line.text)), []
    for word in re.finditer(r"\S+", line.text):
        begin, end = word.start() / length, word.end() / length
        corners = (a + (b - a) * begin, a + (b - a) * end, d + (c - d) * end, d + (c - d) * begin)
        one, two, three, four = ((float(x), float(y)) for x, y in corners)
        made.append(TextLine(word[0], line.score, (one, two, three, four)))
    return made


def find(lines: Sequence[TextLine], way: Way) -> list[Scale]:
    """Return the scales that numbers in a column ("up") or a row ("across") could be, most labels first."""
    labels, units = _labels(pieces(lines), way)
    found: list[Scale] = []
    for edge in ("end", "begin", "middle"):
        for group in _aligned(labels, edge):
            scale = _fitted(group, way)
            if scale is not None and not any(
                scale.labels == other.labels or set(scale.labels) < set(other.labels) for other in found
            ):
                unit = next((units[id(label)] for label in scale.labels if units[id(label)]), "")
                found.append(Scale(scale.slope, scale.origin, scale.labels, unit))
    return sorted(found, key=lambda scale: -len(scale.labels))


def _labels(lines: Sequence[TextLine], way: Way) -> tuple[list[Label], dict[int, str]]:
    """Return all that could be numbers of an axis, and their units by identity."""
    numbers, units = [], {}
    for line in lines:
        left, top, right, bottom = line.bounds
        text = line.text.strip()
        if sum(c.isdigit() for c in text) * 2 >= len(text):
            text = text.translate(_LETTERS)
        known = number(text) or (number(text.rstrip(".,'-_|")) if text else None)
        if known is None or bottom - top > 2.5 * max(8.0, right - left):
            continue
        x, y = (left + right) / 2, (top + bottom) / 2
        place, begin, end = (y, left, right) if way == "up" else (x, top, bottom)
        label = Label(known[0], place, begin, end, bottom - top, line)
        units[id(label)] = known[1]
        numbers.append(label)
    return _thousands(numbers, units), units


def _thousands(labels: list[Label], units: dict[int, str]) -> list[Label]:
    """Return labels of which "1.000, 2.000" are thousands: one that goes by thousandths has a "0." too."""
    whole = [label for label in labels if _GROUPED.fullmatch(label.line.text.strip())]
    if len(whole) < 2 or any(re.match(r"0[.,]\d", label.line.text.strip()) for label in labels):
        return labels
    made = []
    for label in labels:
        if label in whole:
            new = Label(
                label.value * 1000, *(getattr(label, f) for f in ("place", "begin", "end", "height", "line"))
            )
            units[id(new)] = units[id(label)]
            label = new
        made.append(label)
    return made


def _aligned(labels: Sequence[Label], edge: str) -> list[list[Label]]:
    """Return groups of labels that share an edge, each label with all that lie near enough."""

    def at(label: Label) -> float:
        return (label.begin + label.end) / 2 if edge == "middle" else getattr(label, edge)

    groups = []
    for label in labels:
        near = [other for other in labels if abs(at(other) - at(label)) <= max(4.0, 0.5 * label.height)]
        if len(near) >= LEAST and near not in groups:
            groups.append(near)
    return groups


def _fitted(labels: Sequence[Label], way: Way) -> Scale | None:
    """Return the scale on which most of these labels lie: up means more, and to the right means more."""
    best: list[Label] = []
    for i, one in enumerate(labels):
        for other in labels[i + 1 :]:
            if one.value == other.value or abs(one.place - other.place) < one.height:
                continue
            slope = (other.value - one.value) / (other.place - one.place)
            if (slope > 0) is (way == "up"):
                continue
            agree = [
                label
                for label in labels
                if abs((label.value - one.value) / slope - (label.place - one.place))
                <= max(2.5, 0.3 * label.height)
            ]
            agree = list({label.value: label for label in agree}.values())
            if len(agree) > len(best):
                best = agree
    if len(best) < LEAST or not _is_regular(best):
        return None
    slope, origin = np.polyfit([label.place for label in best], [label.value for label in best], 1)
    return Scale(float(slope), float(origin), tuple(sorted(best, key=lambda label: label.value)))


def _is_regular(labels: Sequence[Label]) -> bool:
    """Whether values go up in whole steps, as axes do: some may have been missed between them."""
    values = sorted(label.value for label in labels)
    steps = np.diff(values)
    return bool(np.all(np.abs(steps / steps.min() - np.round(steps / steps.min())) < 0.02))
