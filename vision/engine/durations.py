"""How long one device takes: for a pass, by its rows, and for what jobs do outside of their passes. Measured
in the course of real jobs and in idle moments, and kept on disk."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import statistics
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path

log = logging.getLogger(__name__)

IDLE_ROWS = (1, 2, 4, 8, 16)  # rows that are measured in idle moments
KEPT = 9  # measurements of one thing, of which the median counts
ENOUGH = 3  # of them in this process, before a number of rows is left alone
LONGEST_IDLE = 1.0  # seconds an idle moment may be used for: a job that comes meanwhile waits for its end

PassKind = tuple[str, int]  # kind and rows of a job's passes
Entry = tuple[str, int, float, float]  # both of PassKind, then the seconds ``between`` and ``outside``


class Curve:
    """Seconds of a pass by rows, for one model, shape and device. before: rows → seconds, from an earlier
    process."""

    def __init__(self, before: Mapping[int, float] | None = None) -> None:
        self._before = dict(before or {})
        self._seen: dict[int, deque[float]] = {}
        self._points: list[tuple[int, float]] | None = None

    def note(self, rows: int, seconds: float) -> None:
        """Take in that a pass of ``rows`` took ``seconds``."""
        self._seen.setdefault(rows, deque(maxlen=KEPT)).append(seconds)
        self._before.pop(rows, None)
        self._points = None

    @property
    def points(self) -> list[tuple[int, float]]:
        """(rows, seconds) as measured, by rows; seconds never fall, because a wider pass isn't quicker,
        whatever the clock said."""
        if self._points is None:
            medians = {**self._before, **{rows: statistics.median(seen) for rows, seen in self._seen.items()}}
            self._points = []
            for rows, seconds in sorted(medians.items()):
                self._points.append((rows, max(seconds, self._points[-1][1] if self._points else 0.0)))
        return self._points

    def seconds(self, rows: int) -> float:
        """Return the seconds of a pass of ``rows``, on straight lines between and beyond the points; 0 while
        nothing is known.

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
        """The most rows that were measured; 0 when none were."""
        return max((rows for rows, _ in self.points), default=0)

    def missing(self, max_rows: int) -> int | None:
        """Return the rows, at most ``max_rows``, worth measuring next in an idle moment; None when enough is
        known or it would take too long."""
        for rows in IDLE_ROWS:
            if rows > max_rows or self.seconds(rows) > LONGEST_IDLE:
                return None
            if len(self._seen.get(rows, ())) < ENOUGH:
                return rows
        return None


class DurationModel:
    """Everything known about the durations of one device. path: JSON file it is kept in, None = nowhere;
    workers of other devices have files of their own."""

    def __init__(self, path: Path | None = None) -> None:
        self._path, self._changed = path, False
        points, entries = _read(path) if path is not None else ({}, [])
        self._curves = {kind: Curve(before) for kind, before in points.items()}
        self._between = _Medians((kind, rows, between) for kind, rows, between, _ in entries)
        self._outside = _Medians((kind, rows, outside) for kind, rows, _, outside in entries)

    def curve(self, kind: str) -> Curve:
        """Return the curve of ``kind`` (model and shape), empty at first."""
        return self._curves.setdefault(kind, Curve())

    def note_pass(self, kind: str, rows: int, seconds: float) -> None:
        """Take in that a pass of ``rows`` took ``seconds``."""
        self.curve(kind).note(rows, seconds)
        self._changed = True

    def note_between(self, like: PassKind, seconds: float) -> None:
        """Take in the seconds from a job's pass to its next one."""
        self._between.note(like, seconds)

    def note_outside(self, like: PassKind, seconds: float) -> None:
        """Take in all that a job did before its first pass and after its last."""
        self._outside.note(like, seconds)

    def between(self, like: PassKind | None) -> float:
        """Return the seconds a job works between two passes; 0 while nothing is known."""
        return self._between.known.get(like, 0.0) if like is not None else 0.0

    def outside(self, like: PassKind | None) -> float:
        """Return the seconds a job works before its first pass and after its last; 0 while nothing is
        known."""
        return self._outside.known.get(like, 0.0) if like is not None else 0.0

    def save(self) -> None:
        """Replace the file as a whole if anything was learnt since; a failure is only logged."""
        if self._path is None or not self._changed:
            return
        self._changed = False
        partial = self._path.with_suffix(f".{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            curves = {kind: curve.points for kind, curve in self._curves.items()}
            partial.write_text(json.dumps({"curves": curves, "overhead": self._entries()}, indent=0))
            partial.replace(self._path)
        except OSError as error:
            log.warning("durations aren't kept: %s", error)
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)

    def _entries(self) -> list[Entry]:
        kinds = sorted(self._between.known.keys() | self._outside.known.keys())
        return [(*like, self.between(like), self.outside(like)) for like in kinds]


class _Medians:
    """Medians by PassKind, computed on write because they are read much more often."""

    def __init__(self, before: Iterable[tuple[str, int, float]] = ()) -> None:
        self.known: dict[PassKind, float] = {(kind, rows): seconds for kind, rows, seconds in before}
        self._seen: dict[PassKind, deque[float]] = {}

    def note(self, like: PassKind, seconds: float) -> None:
        seen = self._seen.setdefault(like, deque(maxlen=KEPT))
        seen.append(seconds)
        self.known[like] = statistics.median(seen)


def _read(path: Path) -> tuple[dict[str, dict[int, float]], list[Entry]]:
    """Return points by kind, and entries; both empty when there is no file or it can't be used, after which
    everything is measured again."""
    try:
        kept = json.loads(path.read_text())
        curves = {
            str(kind): {int(rows): float(seconds) for rows, seconds in points if seconds > 0}
            for kind, points in kept["curves"].items()
        }
        return curves, [
            (str(kind), int(rows), float(between), float(outside))
            for kind, rows, between, outside in kept["overhead"]
        ]
    except FileNotFoundError:
        return {}, []
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        log.warning("the kept durations can't be used: %s", error)
        return {}, []
