"""Which jobs are in the next pass: numbers in, numbers out. Knows how much each job has left, and how long
passes of one device take, as measured in the course of real jobs and in idle moments and kept on disk; no
tensors, no clock.

A newcomer's first step goes at once, so that there is something to see; then short jobs go first, because
that makes the mean wait shortest (shortest remaining processing time). A job that would end later than
PATIENCE times its own length goes before those, and among such jobs a second of waiting counts as much as a
second less to do. So where many wait jobs go nearly in the order of their coming, and the longest wait is no
longer than there. Others join the pass as far as that takes less time from those before them than it saves
those behind: where rows don't pay, as at large sizes, nobody does."""

import contextlib
import functools
import json
import logging
import os
import statistics
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 2.0
# jobs still to come, for each that waits, to whom the time counts that a wide pass saves; by simulation, of
# 0 to 3: with fewer the mean is longer on the demo pack's curve, with more the worst
COMING = 1.5

# share of the passes' time that side work may take: a twentieth, less what comes with it (cold caches)
SIDE_WORK_SHARE = 0.03
# share of the device's time that answers in words may take while anybody draws, so that a drawing lasts at
# most 1 / (1 - share) = 1.25 times as long
STREAM_SHARE = 0.2


@dataclass(frozen=True)
class Candidate:
    """A job whose next step could be in the next pass.

    key: only jobs with equal ones can share a pass. rows: of its step. steps_left: this one included. steps:
    in all. came: seconds on the same clock as ``now``. is_new: it had no pass yet.
    """

    key: Hashable
    rows: int
    steps_left: int
    steps: int
    came: float
    is_new: bool = False


def budget(pass_seconds: float, side_work_seconds: float) -> float:
    """Return the seconds by which side work may still delay a job whose passes last ``pass_seconds`` and that
    it has delayed by ``side_work_seconds``."""
    return SIDE_WORK_SHARE * pass_seconds - side_work_seconds


class TimeBudget:
    """Seconds that work may take beside the passes: ``share`` of those that are credited."""

    def __init__(self, share: float) -> None:
        self._share, self._credit = share, 0.0

    def credit(self, seconds: float, *, waiting: bool) -> None:
        """Credit the share of ``seconds`` of other work. Without ``waiting`` work it is not saved up."""
        credit = self._credit + self._share * seconds
        self._credit = credit if waiting else min(credit, 0.0)

    def debit(self, seconds: float) -> None:
        """Take off the ``seconds`` by which the work, or what comes with it, has delayed others."""
        self._credit -= seconds


class SideWorkBudget(TimeBudget):
    """Decides when side work (captions, labels) may run beside jobs with passes: SIDE_WORK_SHARE of the
    passes' time in all. A slice runs at once while it delays no job by more than SIDE_WORK_SHARE of the job's
    own length; else when side work has waited so long that the slice is SIDE_WORK_SHARE of the passes since.
    So short jobs are spared, and where there are only short jobs side work doesn't starve."""

    def __init__(self) -> None:
        super().__init__(SIDE_WORK_SHARE)
        self._usual: dict[str, float] = {}  # kind of slice → seconds for an item

    def allows(self, kind: str, count: int, budget: float) -> bool:
        """Return whether there is time for a slice of ``count`` items; ``budget``: of the poorest job."""
        return self._usual.get(kind, 0.0) * count <= max(budget, self._credit)

    def note(self, kind: str, count: int, seconds: float) -> None:
        """Take in that a slice of ``count`` items took ``seconds``."""
        self._usual[kind] = seconds / count


class StreamBudget(TimeBudget):
    """Decides when a slice of an answer that somebody reads while it is written (a token, or a piece of the
    question) may run beside drawings: STREAM_SHARE of the time in all. A slice goes as soon as the slices
    before it are paid for by the time of others, so that the first token comes right after the pass that was
    running when it was asked for."""

    def __init__(self) -> None:
        super().__init__(STREAM_SHARE / (1 - STREAM_SHARE))

    def allows(self) -> bool:
        """Return whether a slice may run now."""
        return self._credit >= 0


def choose(
    candidates: Sequence[Candidate],
    seconds: Callable[[Hashable, int], float],
    max_rows: Callable[[Hashable], int],
    now: float,
) -> list[int]:
    """Return the indices into ``candidates`` of the jobs in the next pass, at least one. candidates: in the
    order of their coming. seconds: (key, rows) → of a pass. max_rows: key → rows that fit into one pass."""
    seconds = functools.cache(seconds)

    def rank(i: int) -> tuple[bool, bool, float, int]:
        job = candidates[i]
        step = seconds(job.key, job.rows)
        left = job.steps_left * step
        is_late = now + left > job.came + PATIENCE * job.steps * step
        return not job.is_new, not is_late, job.came + left if is_late else left, i

    # 1. All jobs by their turn; the first leads.
    order = sorted(range(len(candidates)), key=rank)
    key, everybody = candidates[order[0]].key, (1 + COMING) * len(order)
    # 2. Those that can join it, the more the better. Each makes the pass longer for all before it, and spares
    # all behind it the pass it would have needed for itself. Several may be worth it where one alone is not.
    best, taken, rows, alone = 0, list[int](), 0, 0.0
    length = 0.0  # seconds of the pass of the best
    for before, i in enumerate(order):
        job = candidates[i]
        if job.key != key:
            continue
        if taken and rows + job.rows > max_rows(key):
            break
        taken, rows, alone = [*taken, i], rows + job.rows, alone + seconds(key, job.rows)
        longer = seconds(key, rows) - length
        if before * longer <= (everybody - before) * (alone - longer):
            best, length, alone = len(taken), seconds(key, rows), 0.0
    return taken[:best]


log = logging.getLogger(__name__)

IDLE_ROWS = (1, 2, 4, 8, 16)  # rows that are measured in idle moments
KEPT = 9  # measurements of one thing, of which the median counts
ENOUGH = 3  # of them in this process, before a number of rows is left alone
LONGEST_IDLE = 1.0  # seconds an idle moment may be used for: a job that comes meanwhile waits for its end


class Curve:
    """Seconds of a pass by rows, for one model, shape and device. before: rows → seconds, as known."""

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
        nothing is known. With one point half of a pass is taken to be the same for any number of rows, so
        that jobs are joined once, and then it is known."""
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
    """The curves of one device, by kind (model and shape). path: JSON file they are kept in, None = nowhere;
    workers of other devices have files of their own."""

    def __init__(self, path: Path | None = None) -> None:
        self._path, self._changed = path, False
        points = _read(path) if path is not None else {}
        self.curves = {kind: Curve(before) for kind, before in points.items()}

    def curve(self, kind: str) -> Curve:
        """Return the curve of ``kind``, empty at first."""
        return self.curves.setdefault(kind, Curve())

    def note_pass(self, kind: str, rows: int, seconds: float) -> None:
        """Take in that a pass of ``rows`` took ``seconds``."""
        self.curve(kind).note(rows, seconds)
        self._changed = True

    def save(self) -> None:
        """Replace the file as a whole if anything was learnt since; a failure is only logged."""
        if self._path is None or not self._changed:
            return
        self._changed = False
        partial = self._path.with_suffix(f".{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            curves = {kind: curve.points for kind, curve in self.curves.items()}
            partial.write_text(json.dumps({"curves": curves}, indent=0))
            partial.replace(self._path)
        except OSError as error:
            log.warning("durations aren't kept: %s", error)
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, dict[int, float]]:
    """Return points by kind; empty without a file that can be used: all is measured again."""
    try:
        return {
            str(kind): {int(rows): float(seconds) for rows, seconds in points if seconds > 0}
            for kind, points in json.loads(path.read_text())["curves"].items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        log.warning("the kept durations can't be used: %s", error)
        return {}
