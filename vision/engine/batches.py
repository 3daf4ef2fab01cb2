"""Which jobs are in the next pass: numbers in, numbers out. Knows how much each job has left, and how long
passes of one device take, as measured in the course of real jobs and in idle moments and kept on disk; no
tensors, no clock.

A newcomer's first step goes at once, so that there is something to see; then short jobs go first, because
that makes the mean wait shortest (shortest remaining processing time), and of jobs alike the one that came
first. Others join the batch while that is worth it. No job ends later than PATIENCE times what first come,
first served would have given, where a delay of UNNOTICED counts as nothing: a pass after which that couldn't
be kept any more gives way to the jobs that are due first, in as wide a pass as their due dates allow."""

import contextlib
import functools
import json
import logging
import os
import statistics
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 2.0
MARGIN = 0.8  # of PATIENCE is planned with: no two passes take the same time
# seconds that a job of any length may take longer: a picture after 0.7 s instead of 0.2 hurts nobody
UNNOTICED = 0.5

# share of the passes' time that side work may take: a twentieth, less what comes with it (cold caches)
SIDE_WORK_SHARE = 0.03
# share of the device's time that answers in words may take while anybody draws, so that a drawing lasts at
# most 1 / (1 - share) = 1.25 times as long
STREAM_SHARE = 0.2


@dataclass(frozen=True)
class Candidate:
    """A job whose next step could be in the next pass.

    key: only jobs with equal ones can share a pass. rows: of its step. steps_left: this one included. due_at:
    seconds on the same clock as ``now``. is_new: it had no pass yet. between: seconds of its own work after
    each pass. after: seconds of its own work when its passes are over, above all decoding. alike: jobs with
    equal ones have the same to do from their first step to their last; None = like no other.
    """

    key: Hashable
    rows: int
    steps_left: int
    due_at: float = float("inf")
    is_new: bool = False
    between: float = 0.0
    after: float = 0.0
    alike: Hashable = None


class DueDates:
    """Derives each job's due date from when first come, first served would have ended it."""

    def __init__(self) -> None:
        self._end = 0.0

    def due_at(self, now: float, work: float, *, idle: bool = False) -> float:
        """Return when a job that comes ``now`` with ``work`` seconds to do is due. idle: nothing else was
        waiting, so accumulated estimation errors are reset."""
        self._end = (now if idle else max(self._end, now)) + work
        in_turn = self._end - now
        return now + max(PATIENCE * MARGIN * in_turn, in_turn + UNNOTICED)


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
    plan = _Plan(candidates, seconds, max_rows, now)
    # 1. The quickest job and those that may join it, if that makes nobody late.
    quickest = plan.batch(plan.quickest_first())
    if plan.lateness(quickest) < 0:
        return quickest
    # 2. Else the jobs due first: as many as make nobody late, or as make the worst least late.
    in_turn = plan.batch(plan.by_due_date)
    lateness, count = plan.least_late(in_turn)
    # 3. If someone is late anyway, as many more as PATIENCE still covers.
    if lateness >= 0:
        count = plan.widened(in_turn, count)
    return in_turn[:count]


class _Plan:
    """What ``choose`` compares. Jobs are indices into ``candidates``."""

    def __init__(
        self,
        candidates: Sequence[Candidate],
        seconds: Callable[[Hashable, int], float],
        max_rows: Callable[[Hashable], int],
        now: float,
    ) -> None:
        self.candidates, self.max_rows, self.now = candidates, max_rows, now
        self.seconds = functools.cache(seconds)
        self.step = [self.seconds(job.key, job.rows) + job.between for job in candidates]  # unbatched
        self.work = [
            job.steps_left * step + job.after for job, step in zip(candidates, self.step, strict=True)
        ]
        self.due_at = _monotone_due_dates(candidates)
        self.by_due_date = sorted(range(len(candidates)), key=lambda i: (self.due_at[i], i))

    def quickest_first(self) -> list[int]:
        """All jobs: a newcomer, else the one with the least work, of jobs alike the earliest; then the one
        due first, because run alone later it would delay all others; then the rest by their work. What is
        left after the passes is estimated for each job from what it did before them. Taken as it is, a job
        that was quick there would go behind all those alike that come later."""
        jobs, least = self.candidates, dict[Hashable, float]()
        for job in jobs:
            least[job.alike] = min(job.after, least.get(job.alike, float("inf")))
        after = [job.after if job.alike is None else least[job.alike] for job in jobs]
        work = [job.steps_left * step + rest for job, step, rest in zip(jobs, self.step, after, strict=True)]
        order = sorted(range(len(jobs)), key=lambda i: (not jobs[i].is_new, work[i], i))
        order[1:] = sorted(order[1:], key=lambda i: i != self.by_due_date[0])
        return order

    def batch(self, order: Sequence[int]) -> list[int]:
        """The first of ``order`` and those after it that share its pass."""
        key = self.candidates[order[0]].key
        same = [i for i in order if self.candidates[i].key == key]
        rows = [self.candidates[i].rows for i in same]
        size = _batch_size(
            rows, len(self.candidates), lambda rows: self.seconds(key, rows), self.max_rows(key)
        )
        return same[:size]

    def lateness(self, chosen: Sequence[int]) -> float:
        """Seconds by which the worst job is past its due date if, after a pass of ``chosen``, each goes
        unbatched in the order of due dates."""
        jobs, done, worst = self.candidates, set(chosen), float("-inf")
        end = self.now + self.seconds(jobs[chosen[0]].key, sum(jobs[i].rows for i in chosen))
        end += sum(jobs[i].between for i in chosen)
        # before those that are due first
        end += sum(jobs[i].after for i in chosen if jobs[i].steps_left == 1)
        for i in self.by_due_date:
            if i not in done:
                end += self.work[i]
            elif jobs[i].steps_left > 1:
                end += self.work[i] - self.step[i]
            worst = max(worst, end - self.due_at[i])
        return worst

    def least_late(self, in_turn: Sequence[int]) -> tuple[float, int]:
        """(lateness, count) for as many of ``in_turn`` as make nobody late; else for the count with the least
        lateness."""
        least = float("inf"), 0
        for count in range(len(in_turn), 0, -1):
            least = min(least, (self.lateness(in_turn[:count]), count))
            if least[0] < 0:
                break
        return least

    def widened(self, in_turn: Sequence[int], count: int) -> int:
        """``count``, and as many more of ``in_turn`` as keep the pass within 1 / MARGIN of the first's."""
        rows, key = [self.candidates[i].rows for i in in_turn], self.candidates[in_turn[0]].key
        most = self.seconds(key, rows[0])
        while count < len(in_turn) and MARGIN * self.seconds(key, sum(rows[: count + 1])) <= most:
            count += 1
        return count


def _monotone_due_dates(candidates: Sequence[Candidate]) -> list[float]:
    """Return the due dates, of jobs alike none later than that of one that came after it. A date is a
    multiple of a job's own time in the line, so a later job can be due first. First come, first served keeps
    the earlier dates, too: there the job ends before the one whose date it takes."""
    least: dict[Hashable, float] = {}
    due_dates = [job.due_at for job in candidates]
    for i, job in reversed(list(enumerate(candidates))):
        if job.alike is not None:
            due_dates[i] = least[job.alike] = min(job.due_at, least.get(job.alike, float("inf")))
    return due_dates


def _batch_size(rows: Sequence[int], jobs: int, seconds: Callable[[int], float], max_rows: int) -> int:
    """How many of the jobs with ``rows``, in their order, are in one pass; ``jobs`` wait in all.

    One more makes the pass longer for those in it, and spares everybody behind it the pass it would have
    needed for itself. It joins when that is less time in sum. So while a wider pass costs next to nothing all
    join, and where it costs as much as two passes nobody does; in between, the more the more jobs wait.
    Several may be worth it where one alone is not.
    """
    taken, total = 1, rows[0]
    best, width = taken, total
    while taken < len(rows) and total + rows[taken] <= max_rows:
        total, taken = total + rows[taken], taken + 1
        longer = seconds(total) - seconds(width)
        spared = sum(seconds(n) for n in rows[best:taken]) - longer
        if best * longer <= (jobs - best) * spared:
            best, width = taken, total
    return best


log = logging.getLogger(__name__)

IDLE_ROWS = (1, 2, 4, 8, 16)  # rows that are measured in idle moments
KEPT = 9  # measurements of one thing, of which the median counts
ENOUGH = 3  # of them in this process, before a number of rows is left alone
LONGEST_IDLE = 1.0  # seconds an idle moment may be used for: a job that comes meanwhile waits for its end

PassKind = tuple[str, int]  # kind and rows of a job's passes
Entry = tuple[str, int, float, float]  # both of PassKind, then the seconds ``between`` and ``outside``


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
    """Everything known about the durations of one device. path: JSON file it is kept in, None = nowhere;
    workers of other devices have files of their own. between: of a job's work from a pass to its next one.
    outside: of all that it does before its first pass and after its last."""

    def __init__(self, path: Path | None = None) -> None:
        self._path, self._changed = path, False
        points, entries = _read(path) if path is not None else ({}, [])
        self._curves = {kind: Curve(before) for kind, before in points.items()}
        self.between = Medians((kind, rows, between) for kind, rows, between, _ in entries)
        self.outside = Medians((kind, rows, outside) for kind, rows, _, outside in entries)

    def curve(self, kind: str) -> Curve:
        """Return the curve of ``kind`` (model and shape), empty at first."""
        return self._curves.setdefault(kind, Curve())

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
            curves = {kind: curve.points for kind, curve in self._curves.items()}
            kinds = sorted(self.between.known.keys() | self.outside.known.keys())
            entries: list[Entry] = [(*like, self.between.of(like), self.outside.of(like)) for like in kinds]
            partial.write_text(json.dumps({"curves": curves, "overhead": entries}, indent=0))
            partial.replace(self._path)
        except OSError as error:
            log.warning("durations aren't kept: %s", error)
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)


class Medians:
    """Medians by PassKind, computed on write because they are read much more often."""

    def __init__(self, before: Iterable[tuple[str, int, float]]) -> None:
        self.known: dict[PassKind, float] = {(kind, rows): seconds for kind, rows, seconds in before}
        self._seen: dict[PassKind, deque[float]] = {}

    def note(self, like: PassKind, seconds: float) -> None:
        """Take in that a job of this kind took ``seconds``."""
        seen = self._seen.setdefault(like, deque(maxlen=KEPT))
        seen.append(seconds)
        self.known[like] = statistics.median(seen)

    def of(self, like: PassKind | None) -> float:
        """Return the seconds of a job of this kind; 0 while nothing is known."""
        return 0.0 if like is None else self.known.get(like, 0.0)


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
