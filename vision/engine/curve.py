"""How long a pass takes, by its rows: measured in the course of real passes and in idle moments. Kept on
disk, with the overhead."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import statistics
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from vision.engine.overhead import Entry, Overhead

log = logging.getLogger(__name__)

LADDER = (1, 2, 4, 8, 16)  # rows that are measured in idle moments
KEPT = 9  # measurements of a number of rows, of which the median counts
ENOUGH = 3  # of them in this process, before a number of rows is left alone
LONGEST = 1.0  # seconds an idle moment may be used for: a job that comes meanwhile waits for its end


class Curve:
    """Seconds of a pass by rows, for one model, shape and device. before: rows → seconds, from an earlier
    process."""

    def __init__(self, before: Mapping[int, float] | None = None) -> None:
        self._before = dict(before or {})
        self._seen: dict[int, deque[float]] = {}
        self._points: list[tuple[int, float]] | None = None

    def note(self, rows: int, seconds: float) -> None:
        """A pass of ``rows`` took ``seconds``."""
        self._seen.setdefault(rows, deque(maxlen=KEPT)).append(seconds)
        self._before.pop(rows, None)
        self._points = None

    @property
    def points(self) -> list[tuple[int, float]]:
        """(rows, seconds) as measured, by rows; never falling: a wider pass isn't quicker, whatever the clock
        said."""
        if self._points is None:
            medians = {**self._before, **{rows: statistics.median(seen) for rows, seen in self._seen.items()}}
            self._points = []
            for rows, seconds in sorted(medians.items()):
                self._points.append((rows, max(seconds, self._points[-1][1] if self._points else 0.0)))
        return self._points

    def seconds(self, rows: int) -> float:
        """Of a pass of ``rows``: on straight lines between and beyond the points; 0 while nothing is known.

        With one point half of a pass is taken to be the same for any number of rows, so that jobs are joined
        once, and then it is known.
        """
        points = self.points
        if not points:
            return 0.0
        if len(points) == 1:
            n, seconds = points[0]
            return seconds * (0.5 + 0.5 * rows / n)
        right = next((i for i, (n, _) in enumerate(points) if n >= rows and i), len(points) - 1)
        (n0, t0), (n1, t1) = points[right - 1], points[right]
        return max(t0 + (t1 - t0) * (rows - n0) / (n1 - n0), points[0][1] * min(1.0, rows / points[0][0]))

    @property
    def widest(self) -> int:
        """The most rows that were measured."""
        return max((rows for rows, _ in self.points), default=0)

    def missing(self, most: int) -> int | None:
        """Rows worth measuring next in an idle moment, at most ``most``; None when enough is known or it
        would take too long."""
        for rows in LADDER:
            if rows > most or self.seconds(rows) > LONGEST:
                return None
            if len(self._seen.get(rows, ())) < ENOUGH:
                return rows
        return None


class Curves:
    """What is known of one device: the curves, by kind (model and shape), and the overhead. path: JSON file
    it is kept in, None = nowhere."""

    def __init__(self, path: Path | None = None) -> None:
        self._path, self._changed = path, False
        curves, overhead = _read(path) if path is not None else ({}, [])
        self._curves, self.overhead = (
            {kind: Curve(points) for kind, points in curves.items()},
            Overhead(overhead),
        )

    def of(self, kind: str) -> Curve:
        """The curve of ``kind``, empty at first."""
        return self._curves.setdefault(kind, Curve())

    def note(self, kind: str, rows: int, seconds: float) -> None:
        """See Curve.note."""
        self.of(kind).note(rows, seconds)
        self._changed = True

    def save(self) -> None:
        """Replace the file, all or nothing; workers of other devices have files of their own."""
        if self._path is None or not self._changed:
            return
        self._changed = False
        partial = self._path.with_suffix(f".{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            curves = {kind: curve.points for kind, curve in self._curves.items()}
            partial.write_text(json.dumps({"curves": curves, "overhead": self.overhead.entries}, indent=0))
            partial.replace(self._path)
        except OSError as error:
            log.warning("batch curves aren't kept: %s", error)
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)


def _read(path: Path) -> tuple[dict[str, dict[int, float]], list[Entry]]:
    """Points by kind, and the overhead; nothing when there is no file, or it can't be used: then all is
    measured again."""
    try:
        kept = json.loads(path.read_text())
        curves = {
            str(kind): {int(rows): float(seconds) for rows, seconds in points if seconds > 0}
            for kind, points in kept["curves"].items()
        }
        return curves, [
            (str(kind), int(rows), float(between), float(whole))
            for kind, rows, between, whole in kept["overhead"]
        ]
    except FileNotFoundError:
        return {}, []
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        log.warning("the kept batch curves can't be used: %s", error)
        return {}, []
