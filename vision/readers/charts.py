"""Reads a bar chart, from its coloured rectangles and the text in it to a table: standing or lying bars, one
series or several side by side. One thing because every step measures the same bars against the same axis.

What can't be told with two labels of an axis that agree isn't read at all. Places are as in a chart whose
bars stand; a lying one is mirrored, see ``Written.of``."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from PIL import Image

from core.errors import ModelError, UserError
from core.events import Output
from core.requests import AskRequest
from core.results import Table, TextLine, lines_in_rows
from vision.chat.output_parser import NotInForm, make_table, number, talk_pictures
from vision.images import encode
from vision.protocol import Measure, Measured, Talk
from vision.readers import ocr
from vision.reporter import Reporter
from vision.store import Models

NEAR = 36  # largest difference of a channel between pixels of one colour
LEAST_SHARE = 0.0004  # of the pixels, for a colour
MOST_COLOURS = 24
LEAST_SIDE = 3  # px
FILLED = 0.8  # of a rectangle
OUTLINE = 4  # px; thicker is no outline
AROUND = 5  # px beside an end, in which it is blurred
FAR = 4, 7  # px from a bar's side: there, something else has to be
Pixels = np.ndarray


@dataclass(frozen=True)
class Sides:
    """Where something lies, px; right and bottom are just outside."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """Across."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Down."""
        return self.bottom - self.top

    @property
    def area(self) -> float:
        """In px squared."""
        return self.width * self.height

    @property
    def x(self) -> float:
        """The middle across."""
        return (self.left + self.right) / 2

    @property
    def y(self) -> float:
        """The middle down."""
        return (self.top + self.bottom) / 2


@dataclass(frozen=True)
class Bar(Sides):
    """A rectangle of one colour, which is known by its number."""

    colour: int

    def end(self, base: float) -> float:
        """Return the end of a standing bar that isn't at ``base``, the line where bars begin."""
        return self.top if abs(self.bottom - base) <= abs(self.top - base) else self.bottom

    def is_at(self, place: float) -> bool:
        """Return whether one of its ends is at ``place``."""
        return min(abs(self.top - place), abs(self.bottom - place)) <= SAME

    def ending(self, base: float, end: float) -> Bar:
        """Return it with another end than at ``base``."""
        return replace(self, top=end) if self.end(base) == self.top else replace(self, bottom=end)


@dataclass(frozen=True)
class Coloured:
    """A picture by its main colours. colours: (n, 3). which: (H, W) number of each pixel's colour, -1 =
    none of them. pixels: (H, W, 3) of the picture itself."""

    colours: Pixels
    which: Pixels
    pixels: Pixels

    def mirrored(self) -> Coloured:
        """Return it with rows as columns."""
        return Coloured(self.colours, self.which.T, self.pixels.transpose(1, 0, 2))

    def _part(self, left: float, top: float, right: float, bottom: float) -> Pixels:
        return self.which[max(0, int(top)) : max(0, int(bottom)), max(0, int(left)) : max(0, int(right))]

    def share_in(self, colour: int, left: float, top: float, right: float, bottom: float) -> float:
        """Return how much of a part has a colour, 0..1."""
        part = self._part(left, top, right, bottom)
        return float((part == colour).mean()) if part.size else 0.0

    def most_in(self, left: float, top: float, right: float, bottom: float) -> int:
        """Return the most common colour in a part, -1 where there is none."""
        part = self._part(left, top, right, bottom)
        found = part[part >= 0]
        return int(np.bincount(found).argmax()) if found.size else -1


def colours_of(image: Image.Image) -> Coloured:
    """Return a picture (RGB) by its main colours."""
    import cv2

    pixels = cv2.medianBlur(np.ascontiguousarray(np.asarray(image)), 3)
    fine = pixels.astype(np.int32) // 8  # 32 shades of each channel: what follows is done once for each
    fine = (fine[..., 0] * 1024 + fine[..., 1] * 32 + fine[..., 2]).ravel()
    counts = np.bincount(fine, minlength=32**3)
    shades = np.stack(np.unravel_index(np.arange(32**3), (32, 32, 32)), 1) * 8 + 3.5
    coarse = (shades // 16).astype(np.int32) @ np.array([256, 16, 1], np.int32)
    together = np.bincount(coarse, counts, 4096)
    sums = np.stack([np.bincount(coarse, counts * shades[:, c], 4096) for c in range(3)], 1)
    centres: list[Pixels] = []
    for place in np.argsort(-together):
        if together[place] < LEAST_SHARE * len(fine) or len(centres) == MOST_COLOURS:
            break
        mean = sums[place] / together[place]
        if all(np.abs(mean - centre).max() > NEAR * 0.8 for centre in centres):
            centres.append(mean)
    colours = np.array(centres)
    apart = np.abs(shades[:, None] - colours[None]).max(2)  # (32768, n)
    number = np.where(apart.min(1) < NEAR, apart.argmin(1), -1).astype(np.int16)
    which = number[fine]
    return Coloured(colours, which.reshape(pixels.shape[:2]), np.asarray(image))


def rectangles(coloured: Coloured) -> list[Bar]:
    """Return the rectangles of every colour but those of the background, at the upper and lower border."""
    import cv2

    height, width = coloured.which.shape
    background = {coloured.most_in(0, 0, width, 3), coloured.most_in(0, height - 3, width, height)}
    found = []
    for colour in sorted(set(range(len(coloured.colours))) - background):
        mask = (coloured.which == colour).astype(np.uint8)
        for how in (cv2.MORPH_CLOSE, cv2.MORPH_OPEN):  # lines across a bar, then lines from bar to bar
            mask = cv2.morphologyEx(mask, how, np.ones((3, 3), np.uint8))
        count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
        for part in range(1, count):
            left, top, width, height, area = (int(value) for value in stats[part])
            if min(width, height) < LEAST_SIDE or area < FILLED * 0.8 * width * height:
                continue
            inside = labels[top : top + height, left : left + width] == part
            sides = _tight(inside)
            if sides is None:
                continue
            x0, y0, x1, y1 = sides
            if inside[y0:y1, x0:x1].mean() >= FILLED and min(x1 - x0, y1 - y0) >= LEAST_SIDE:
                found.append(Bar(left + x0, top + y0, left + x1, top + y1, colour))
    return found


def _tight(inside: Pixels) -> tuple[int, int, int, int] | None:
    """Return the part of a shape in which rows and columns are mostly filled: left, top, right, bottom."""
    rows, columns = np.flatnonzero(inside.mean(1) > 0.6), np.flatnonzero(inside.mean(0) > 0.6)
    if not len(rows) or not len(columns):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def ends_there(coloured: Coloured, bar: Bar, base: float) -> bool:
    """Whether a standing bar's colour ends where it does, at its free end and on both sides: what goes on
    beyond a thin line is a background that lines cut into pieces."""
    end, (left, right) = bar.end(base), _middle(bar.left, bar.right)
    step = -1 if end == bar.top else 1
    above, below = sorted((end + step * FAR[0], end + step * FAR[1]))
    top, bottom = _middle(bar.top, bar.bottom)
    beyond = (
        coloured.share_in(bar.colour, left, above, right, below),
        coloured.share_in(bar.colour, bar.left - FAR[1], top, bar.left - FAR[0], bottom),
        coloured.share_in(bar.colour, bar.right + FAR[0], top, bar.right + FAR[1], bottom),
    )
    return max(beyond) < 0.5


def outline(coloured: Coloured, bar: Bar, base: float) -> float:
    """Return how thick the line is that is drawn around a standing bar, px."""
    end, (left, right) = bar.end(base), _middle(bar.left, bar.right)
    step = -1 if end == bar.top else 1
    above, below = sorted((end + step * FAR[0], end + step * FAR[1]))
    beyond = coloured.most_in(left, above, right, below)
    for thick in range(OUTLINE):
        row = int(end) + step * thick - (step < 0)
        if not 0 <= row < len(coloured.which):
            return 0
        line = coloured.which[row, left:right]
        if np.isin(line, (bar.colour, beyond)).mean() > 0.3:
            return thick
    return 0


def edge(coloured: Coloured, bar: Bar, end: float) -> float:
    """Return a standing bar's end to a fraction of a pixel, by how much of its colour pixels there have."""
    up = end == bar.top
    left, right = _middle(bar.left, bar.right)
    reach = int(min(AROUND, max(2, bar.height / 2)))
    first, last = max(0, int(end) - reach), min(len(coloured.pixels), int(end) + reach)
    rows = coloured.pixels[first:last, left:right].mean(1, dtype=np.float32)  # (rows, 3)
    if len(rows) < 4:
        return end
    inner, outer = (rows[-1], rows[0]) if up else (rows[0], rows[-1])
    apart = float(((outer - inner) ** 2).sum())
    if apart < NEAR**2:
        return end
    own = 1 - np.clip(((rows - inner) @ (outer - inner)) / apart, 0, 1)  # how much of each is the bar's
    found = last - float(own.sum()) if up else first + float(own.sum())
    return found if abs(found - end) <= 2.5 else end


def _middle(begin: float, end: float) -> tuple[int, int]:
    room = (end - begin) * 0.2
    return int(begin + room), max(int(begin + room) + 1, int(end - room))


Way = Literal["up", "across"]
LEAST = 2  # labels that agree
_LETTERS = str.maketrans({"O": "0", "o": "0", "l": "1", "I": "1", "S": "5"})
_GROUPED = re.compile(r"[1-9]\d{0,2}\.\d{3}")


@dataclass(frozen=True)
class Label:
    """A number beside an axis: place along it, begin and end across it, and height of its letters, px."""

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


def pieces(lines: Iterable[TextLine]) -> list[TextLine]:
    """Return lines with those of several words apart, too, by how much of the line each takes up."""
    found = []
    for line in lines:
        found.append(line)
        if len(line.text.split()) > 1:
            found += line_words(line)
    return found


def line_words(line: TextLine) -> list[TextLine]:
    """Return the words of a line as lines of their own."""
    a, b, c, d = (np.array(point) for point in line.box)
    length, made = max(1, len(line.text)), []
    for word in re.finditer(r"\S+", line.text):
        begin, end = word.start() / length, word.end() / length
        corners = (a + (b - a) * begin, a + (b - a) * end, d + (c - d) * end, d + (c - d) * begin)
        one, two, three, four = ((float(x), float(y)) for x, y in corners)
        made.append(TextLine(word[0], line.score, (one, two, three, four)))
    return made


def find_scales(lines: Sequence[TextLine], way: Way) -> list[Scale]:
    """Return the scales that numbers in a column ("up") or a row ("across") could be, most labels first."""
    labels, found = _labels(pieces(lines), way), list[Scale]()
    for edge in ("end", "begin", "middle"):
        for group in _aligned(labels, edge):
            scale = _fitted(group, way)
            if scale and not any(set(scale.labels) <= set(other.labels) for other in found):
                found.append(scale)
    return sorted(found, key=lambda scale: -len(scale.labels))


def _labels(lines: Sequence[TextLine], way: Way) -> list[Label]:
    """Return all that could be numbers of an axis."""
    numbers = list[Label]()
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
        numbers.append(Label(known[0], place, begin, end, bottom - top, line))
    # "1.000, 2.000" are thousands: an axis that goes by thousandths has a "0." too
    whole = [label for label in numbers if _GROUPED.fullmatch(label.line.text.strip())]
    if len(whole) < 2 or any(re.match(r"0[.,]\d", label.line.text.strip()) for label in numbers):
        return numbers
    return [replace(label, value=label.value * 1000) if label in whole else label for label in numbers]


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


@dataclass(frozen=True)
class Written(Sides):
    """A line of text, and as it was found."""

    text: str
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
        sides = (left, top, right, bottom) if way == "up" else (top, left, bottom, right)
        return cls(*sides, text, line, size)


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
    is_wide = text.width >= 1.5 * room and text.height <= 2 * text.size
    if growth > 0 or len(text.text.split()) < 2 or not is_wide:
        return [text]
    return [Written.of(word, "up") for word in line_words(text.line)]


def legend(
    texts: Sequence[Written],
    rectangles: Sequence[Bar],
    bars: Sequence[Bar],
    series: Sequence[int],
    growth: int,
) -> dict[int, str]:
    """Return what colours mean: the text beside a small patch of each."""
    own, found = {id(bar) for bar in bars}, dict[int, str]()
    sides = {(bar.left, bar.right) for bar in bars}
    patches = [
        patch
        for patch in rectangles
        if patch.colour in series and id(patch) not in own and (patch.left, patch.right) not in sides
    ]
    lines = [(text.line.text.strip(), text.line.bounds) for text in texts]
    for patch in patches:
        top, right, bottom = patch.top, patch.right, patch.bottom
        if growth > 0:  # it is mirrored
            top, right, bottom = patch.left, patch.bottom, patch.right
        middle, high = (top + bottom) / 2, bottom - top
        near = [
            (begin, text)
            for text, (begin, above, _, below) in lines
            if abs((above + below) / 2 - middle) <= 0.6 * (below - above)
            and -0.5 * high <= begin - right <= 2.5 * max(high, below - above)
            and high <= 2.5 * (below - above)
        ]
        if near and patch.colour not in found:
            found[patch.colour] = min(near, key=lambda one: one[0])[1]
    return found


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


def unit_of(texts: Sequence[Written], axis: Scale, base: float, growth: int, labels: Labels) -> str:
    """Return what the numbers of the axis are: the text along it, beyond its labels."""
    begin, end = min(label.begin for label in axis.labels), max(label.end for label in axis.labels)
    for text in texts:
        if not any(c.isalpha() for c in text.text):
            continue
        if growth < 0 and text.right <= begin + 2 and not _across(text.line):
            return text.text
        if growth > 0 and text.left >= end - 2 and _across(text.line):
            return text.text
    return ""


def _across(line: TextLine) -> bool:
    left, top, right, bottom = line.bounds
    return right - left > bottom - top


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
    """Bars that begin at one line. growth: -1 where they grow up, 1 where they lie."""

    scale: Scale
    base: float
    bars: tuple[Bar, ...]
    growth: int
    texts: tuple[Written, ...]
    rectangles: tuple[Bar, ...]


def read_bars(coloured: Coloured, lines: Sequence[TextLine]) -> Table | None:
    """Return the numbers of a bar chart, None where it is none that can be measured. coloured: a picture of
    at most LONGEST px. lines: the text in it."""
    ways = [(way, scales) for way in WAYS if (scales := find_scales(lines, way)[:3])]
    found: list[_Found] = []
    for way, scales in ways:
        turned = coloured if way == "up" else coloured.mirrored()
        texts = [Written.of(line, way) for line in lines]
        found += [bars for one in scales if (bars := _bars(turned, one, texts, -1 if way == "up" else 1))]
    if not found:
        return None
    best = max(found, key=lambda one: sum(bar.area for bar in one.bars))
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
    every = rectangles(coloured)
    known = [bar for bar in every if not (bar.width > 0.6 * width and bar.height > 0.6 * height)]
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
    bars = [bar for bar in inside if bar.is_at(base) and bar.height > 1]
    bars = _alike([bar for bar in bars if ends_there(coloured, bar, base)])
    if not 2 <= len(bars) <= MOST_BARS:
        return None
    if sum(bar.area for bar in bars) < MOSTLY * sum(bar.area for bar in inside):
        return None  # what else is drawn there isn't understood
    if any(_stands_on(other, bar, base) for bar in bars for other in inside):
        return None  # what is stacked isn't measured
    thick = float(np.median([outline(coloured, bar, base) for bar in bars]))
    begins = [bar.bottom if bar.end(base) == bar.top else bar.top for bar in bars]
    base = float(np.median(begins)) - growth * thick / 2
    for at, bar in enumerate(bars):
        end = bar.end(base)
        beyond = end - thick / 2 if end == bar.top else end + thick / 2
        bars[at] = bar.ending(base, beyond if thick else edge(coloured, bar, end))
    if abs(axis.value(base)) <= AT_ZERO * axis.range:
        axis = replace(axis, origin=-axis.slope * base)
    if len(axis.labels) < 3 and axis.value(base) != 0:
        return None  # two labels always agree: the bars have to begin at zero then
    lengths = [abs(bar.end(base) - base) for bar in bars]
    if len(bars) > 2 and max(lengths) - min(lengths) <= 1:
        return None  # stripes of a table
    return _Found(axis, base, tuple(sorted(bars, key=lambda bar: bar.x)), growth, tuple(texts), tuple(known))


def _base(bars: Sequence[Bar], axis: Scale, growth: int) -> float | None:
    """Return where bars begin: the line at which most have an end, of several the nearest to zero."""
    ends = [end for bar in bars for end in (bar.top, bar.bottom)]
    if not ends:
        return None
    zero = axis.place(0) if axis.labels[0].value <= 0 else axis.labels[0].place

    def votes(place: float) -> float:
        return sum(bar.width for bar in bars if bar.is_at(place)) / (1 + abs(place - zero) / 40)

    return max(ends, key=votes)


def _alike(bars: Sequence[Bar]) -> list[Bar]:
    """Return the bars that are about as wide as most are, without those inside of others."""
    if not bars:
        return []
    by_width = sorted(bars, key=lambda bar: bar.width)
    areas = np.cumsum([bar.area for bar in by_width])
    # of the middle of all that is coloured
    usual = by_width[int(np.searchsorted(areas, areas[-1] / 2))].width
    kept = [bar for bar in bars if 0.6 * usual <= bar.width <= 1.5 * usual]
    return [bar for bar in kept if not any(_covers(other, bar) for other in kept if other is not bar)]


def _covers(one: Bar, other: Bar) -> bool:
    """Whether a bar stands in place of another: that is inside of it, or but a blurred edge of it."""
    same = one.left - 2 <= other.left and other.right <= one.right + 2
    common = min(one.right, other.right) - max(one.left, other.left)
    edge = other.height <= BLURRED < one.height and common > 0.5 * other.width
    return (same or edge) and (one.height, id(one)) > (other.height, id(other))


def _stands_on(other: Bar, bar: Bar, base: float) -> bool:
    end = bar.end(base)
    begins = abs((other.bottom if end == bar.top else other.top) - end) <= SAME
    alike = abs(other.left - bar.left) <= SAME and abs(other.right - bar.right) <= SAME
    return begins and alike and other.height > 2 * SAME


# Its numbers and their names


def _table(found: _Found) -> Table:
    bars, axis = found.bars, found.scale
    values = [_value(found, bar) for bar in bars]
    labels = along(found.texts, [bar.x for bar in bars], found.base, found.growth, axis)
    series = list(dict.fromkeys(bar.colour for bar in bars))
    if len(series) == 1 or len(series) == len(bars) or len(labels.places) == len(bars) or _even(bars):
        groups = [[place] for place in range(len(bars))]
        series = []
    else:
        groups = _grouped(bars, series, labels.places)
    called = _called(labels, [float(np.mean([bars[i].x for i in group])) for group in groups])
    told = legend(found.texts, found.rectangles, bars, series, found.growth)
    rows: list[list[object]] = []
    for name, group in zip(called, groups, strict=True):
        if not series:
            rows.append([name, values[group[0]]])
            continue
        by_colour = {bars[i].colour: values[i] for i in group}
        rows.append([name, *(by_colour.get(colour, 0.0) for colour in series)])
    unit = unit_of(found.texts, axis, found.base, found.growth, labels)
    columns = [told.get(colour, f"series {n}") for n, colour in enumerate(series, 1)] or [unit or "value"]
    if series and unit:
        columns = [f"{column} ({unit})" for column in columns]
    return make_table(title(found.texts, found.bars, labels), ["", *columns], rows)


def _value(found: _Found, bar: Bar) -> float:
    """Return what a bar stands for: the number that is written at its end where that is as long, else what
    its length is on the axis, as exactly as a pixel tells."""
    axis, end = found.scale, bar.end(found.base)
    measured = axis.value(end)
    room = 2.2 * axis.labels[0].height
    for text in found.texts:
        apart = min(abs(text.bottom - end), abs(text.top - end))
        near = bar.left - 4 <= text.x <= bar.right + 4 and apart <= room
        if near and (told := number(text.text)) and abs(told[0] - measured) <= TOLD * axis.range:
            return told[0]
    digits = -math.floor(math.log10(abs(axis.slope))) if axis.slope else 0
    return round(measured, digits)


def _even(bars: Sequence[Bar]) -> bool:
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


def _called(labels: Labels, centres: Sequence[float]) -> list[str]:
    step = min((b - a for a, b in zip(centres, centres[1:], strict=False)), default=100.0)
    called = []
    for number_, centre in enumerate(centres, 1):
        near = [i for i, place in enumerate(labels.places) if abs(place - centre) <= 0.6 * step]
        best = min(near, key=lambda i: abs(labels.places[i] - centre), default=None)
        called.append(labels.texts[best] if best is not None else str(number_))
    return called


READ_AT = 1100  # px of the longer side, up to which a chart is enlarged for its text to be read
STRIP = 0.25  # of the picture, from the left and from the bottom: where an axis has its labels
LEAST_BAR, LEAST_BARS = 0.0005, 0.015  # of the picture: one bar, and all that begin at one line
ReadText = Callable[[Image.Image], Sequence[TextLine]]


def read_chart(
    image: Image.Image, read_text: ReadText, do: Callable[[Callable[[], Any]], Any] = lambda work: work()
) -> Table | None:
    """Return the numbers of a bar chart, None where the picture is none, or can't be measured.

    image: RGB. read_text: returns the text in a picture, and takes most of the time; it isn't asked about
    what can be no bar chart. do: does work that takes some time.
    """
    if max(image.size) > LONGEST:
        image = image.copy()
        image.thumbnail((LONGEST, LONGEST))
    coloured = do(lambda: colours_of(image))
    if not do(lambda: _has_bars(coloured) or _has_bars(coloured.mirrored())):
        return None
    lines = _lines(image, (0, 0, *image.size), 2 if max(image.size) < READ_AT else 1, read_text)
    table = do(lambda: read_bars(coloured, lines))
    if table is None:  # alone, labels are found that get lost beside larger text
        left = _lines(image, (0, 0, round(image.width * STRIP), image.height), 1, read_text)
        below = _lines(image, (0, round(image.height * (1 - STRIP)), *image.size), 1, read_text)
        table = do(lambda: read_bars(coloured, _with(_with(lines, left), below)))
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
    return [*lines, *(line for line in more if not any(_overlap(line, other) for other in lines))]


def _overlap(one: TextLine, other: TextLine) -> bool:
    (a, b, c, d), (e, f, g, h) = one.bounds, other.bounds
    across, down = min(c, g) - max(a, e), min(d, h) - max(b, f)
    return across > 0 and down > 0 and across * down > 0.3 * min((c - a) * (d - b), (g - e) * (h - f))


def _has_bars(coloured: Coloured) -> bool:
    """Whether several rectangles of a width begin at one line."""
    height, width = coloured.which.shape
    least = LEAST_BAR * height * width
    every = rectangles(coloured)
    large = [bar for bar in every if 4 <= bar.width < 0.6 * width and bar.area >= least]
    for bar in large:
        alike = [other for other in large if 0.75 <= bar.width / other.width <= 1.33]
        group = [one for one in alike if min(abs(bar.bottom - one.bottom), abs(bar.top - one.top)) <= SAME]
        if len(group) >= 2 and sum(one.area for one in group) >= LEAST_BARS * height * width:
            return True
    return False


FORMS = ("table", "text")
NO_BARS = "This isn't a bar chart that can be measured by its axis, and no chat model is set up to read it."


def read_instead(
    request: AskRequest, talk: Talk, paths: dict[str, str], models: Models, reporter: Reporter
) -> Output | None:
    """Return an answer that needs no chat model, None where one has to be asked: also where somebody wants
    other words. Raises UserError where there is none to be asked."""
    names = [name for name in talk_pictures(talk) if name in paths]
    has_model = bool(models.config.models.get("ask"))
    if talk.answer in FORMS and names and not (request.temperature and has_model):
        if talk.answer == "text" or len(names) == 1:
            files = [paths[name] for name in names]
            found = [measure(Measure("", file, talk.answer), models, reporter) for file in files]
            known = [one for one in found if one is not None]
            if known and len(known) == len(found):
                return reporter.in_thread(lambda: ocr.measured_output(talk.answer, known, files))
    if not has_model and talk.answer in FORMS:
        raise UserError(NO_BARS)
    return None


def measure(question: Measure, models: Models, reporter: Reporter) -> Measured | None:
    """Return what can be told of a picture, None where that is nothing, or nothing here reads text. Raises
    ImageError for a picture that can't be read."""
    if not models.config.models.get("ocr"):
        return None
    try:
        reader = models.get("ocr", reporter)
    except ModelError:
        return None
    image = reporter.in_thread(lambda: encode.open_picture(question.path))
    if question.form == "table":
        table = read_chart(image, lambda part: reader.read(part, reporter), reporter.in_thread)
        return None if table is None else Measured(image.size, reader.name, table=table)
    lines = tuple(line for row in lines_in_rows(reader.read(image, reporter)) for line in row)
    return Measured(image.size, reader.name, lines=lines)
