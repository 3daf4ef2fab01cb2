"""What capabilities find and make besides pictures: tables and boxes of an answer, a trained model and its
verdicts, and lines of text with the order in which they are read."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Cell = float | str | None  # of a table; None = nothing was there to be read


@dataclass(frozen=True)
class Table:
    """What was read from a chart or a table. columns: names of all columns, the first that of what the rows
    are called. rows: each with a cell for every column."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...] = field(repr=False)
    title: str = ""


@dataclass(frozen=True)
class Box:
    """Where an object is in a picture: shares (0..1) of its width and height from the left and the top."""

    label: str
    left: float
    top: float
    right: float
    bottom: float


TRAIN, TEST = "train", "test"  # parts: learned from, kept for testing


@dataclass(frozen=True)
class LearnedFrom:
    """A picture as a training took it. label: "" = none. group: name of the shots of one thing that it is one
    of, "" = not known. part: TRAIN or TEST."""

    sha256: str
    label: str = ""
    group: str = ""
    part: str = TRAIN


@dataclass(frozen=True)
class Learned:
    """A version of a project's model that a worker has learned.

    path: of its file (safetensors) in the job's folder. items: what it learned from and was tested on, with
    the groups and parts that were used. threshold: by which an inspection or a detector judges, None where
    there is none.
    promise: the share of good parts that is stopped at most, None where nothing is promised. metrics: figures
    as JSON takes them; they name no picture. charts: names of the output's pictures, in their order, such as
    "confusion"; the output's grid is the report as one picture. sentence: what was learned, for people.
    """

    path: str
    items: tuple[LearnedFrom, ...] = field(repr=False)
    threshold: float | None = None
    promise: float | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    charts: tuple[str, ...] = ()
    sentence: str = ""


@dataclass(frozen=True)
class Region:
    """Where something strange is, or an object: a box in 0..1 of the picture's sides, the share of the
    picture that it covers, and how strange it is there, or how sure, in limits. label, score: of an
    object."""

    left: float
    top: float
    right: float
    bottom: float
    area: float
    ratio: float
    label: str = ""
    score: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """What a version says of a picture.

    score: of an inspection how strange it is, of a classifier the best label's probability, of a detector
    that of the surest object. limit: that it judged by, 0 for a classifier. strange: over an inspection's
    limit; none of a classifier's labels. label: the likeliest kind of defect, the label, or how many things
    of which labels; "" = none. names: labels with probabilities, best first. regions: what is strange,
    or all objects that were found, the surest first. rank:
    how many of the ``good`` held-out parts were stranger. sentence: the verdict as people read it.
    """

    sha256: str
    score: float
    strange: bool
    sentence: str
    label: str = ""
    limit: float = 0.0
    names: tuple[tuple[str, float], ...] = ()
    regions: tuple[Region, ...] = ()
    rank: int = 0
    good: int = 0


Point = tuple[float, float]
SAME_ROW = 0.5  # of the lower line's height: how far their middles may be apart for two lines to be one row
ALIKE = 0.06  # px down for each to the right: how far apart slopes are that count as one
FINE, FINE_STEPS = 0.004, 6  # how finely, and how far on each side, slopes are tried
LAST = 4  # rows that a line is compared with
GAP = 2  # spaces between the lines of a row
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class TextLine:
    """A line of text. score: 0..1. box: corners in px, clockwise from where the text begins at the top."""

    text: str = field(repr=False)
    score: float
    box: tuple[Point, Point, Point, Point]

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """The upright rectangle around the box: left, top, right, bottom, px."""
        across, down = [x for x, _ in self.box], [y for _, y in self.box]
        return min(across), min(down), max(across), max(down)

    def stored(self) -> list[Any]:
        """Return the line for JSON: its text, its score, and eight numbers for its corners."""
        corners = [round(value, 1) for point in self.box for value in point]
        return [self.text, round(self.score, 4), corners]


def line_from_stored(stored: Sequence[Any]) -> TextLine:
    """Return the line that ``stored`` made. Raises ValueError for anything else."""
    text, score, corners = stored
    a, b, c, d = ((float(corners[i]), float(corners[i + 1])) for i in range(0, 8, 2))
    return TextLine(str(text), float(score), (a, b, c, d))


def lines_in_rows(lines: Iterable[TextLine]) -> list[list[TextLine]]:
    """Return lines in the order in which they are read: rows from the top, each from the left. Lines that
    slope are turned upright first, by that slope near their own with which they form the fewest rows."""
    if not (lines := list(lines)):
        return []
    near = _slope(lines)
    tried = (_rows(lines, near + step * FINE) for step in sorted(range(-FINE_STEPS, FINE_STEPS + 1), key=abs))
    return min(tried, key=len)


def _rows(lines: Sequence[TextLine], slope: float) -> list[list[TextLine]]:
    """Return the rows of lines that slope."""
    rows: list[list[tuple[float, float, TextLine]]] = []
    placed = []
    for line in lines:  # the middle of each once it is turned upright
        x, y = (sum(values) / 4 for values in zip(*line.box, strict=True))
        placed.append((x + slope * y, y - slope * x, line))
    for x, y, line in sorted(placed, key=lambda each: each[1]):
        for row in reversed(rows[-LAST:]):
            _, other, last = row[-1]
            if abs(y - other) <= SAME_ROW * min(line_height(line), line_height(last)):
                row.append((x, y, line))
                break
        else:
            rows.append([(x, y, line)])
    return [[line for _, _, line in sorted(row, key=lambda each: each[0])] for row in rows]


def text_of_lines(lines: Iterable[TextLine]) -> str:
    """Return what the lines say, a row a line, in the order in which they are read."""
    return "\n".join((" " * GAP).join(line.text for line in row) for row in lines_in_rows(lines))


def lines_as_json(lines: Iterable[TextLine], size: tuple[int, int], reader: str) -> str:
    """Return a file that holds all that is known of the lines. size: of the picture, width and height, px."""
    rows = [
        [{"text": line.text, "score": round(line.score, 4), "box": line.stored()[2]} for line in row]
        for row in lines_in_rows(lines)
    ]
    found = {"reader": reader, "width": size[0], "height": size[1], "rows": rows}
    return json.dumps(found, ensure_ascii=False, indent=1)


def count_words(lines: Iterable[TextLine]) -> int:
    """Return how many words the lines have."""
    return sum(len(_WORD.findall(line.text)) for line in lines)


def line_height(line: TextLine) -> float:
    """Return how high a line's letters stand, px: the length of the box's side."""
    (ax, ay), _, _, (dx, dy) = line.box
    return max(1.0, ((dx - ax) ** 2 + (dy - ay) ** 2) ** 0.5)


def _slope(lines: Sequence[TextLine]) -> float:
    """Return how far lines go down for each px to the right: the mean of those near the median."""
    known = []
    for line in lines:
        (ax, ay), (bx, by), (cx, cy), (dx, dy) = line.box
        across, down = bx - ax + cx - dx, by - ay + cy - dy
        if across > 2 * abs(down):  # not upright
            known.append((down / across, across, down))
    known.sort()
    half, reached = sum(across for _, across, _ in known) / 2, 0.0
    for middle, length, _ in known:
        reached += length
        if reached >= half:
            alike = [(across, down) for slope, across, down in known if abs(slope - middle) < ALIKE]
            return sum(down for _, down in alike) / sum(across for across, _ in alike)
    return 0.0
