"""Who is in the next pass: numbers in, numbers out. Knows how long passes take and how much each job has
left; no tensors, no clock.

A newcomer's first step at once, so that there is something to see; then short jobs first, because that makes
the mean wait shortest (shortest remaining processing time). Others ride along while that is worth it. Nobody
comes later than PATIENCE times what first come, first served would have given, and UNNOTICED counts as
nothing: a pass after which that couldn't be kept any more gives way to those due first, in as wide a pass as
their dates allow.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

PATIENCE = 2.0
MARGIN = 0.8  # of PATIENCE is planned with: no two passes take the same time
# seconds that a job may take longer, be it ever so short: a picture after 0.7 s instead of 0.2 hurts nobody
UNNOTICED = 0.5

# share of the time of passes that work without passes may take: a twentieth, less what comes with it (cold
# caches)
GUESTS = 0.03


@dataclass(frozen=True)
class Waiting:
    """A job whose next step could be in the next pass. key: only equal ones can share. rows: of its step.
    left: steps, this one included.

    due: when it must be done, at the latest; seconds on the same clock as ``now``. new: it had no pass yet.
    between: seconds of its own work after each pass. rest: seconds of its work when its passes are over,
    decoding above all.
    """

    key: Hashable
    rows: int
    left: int
    due: float = float("inf")
    new: bool = False
    between: float = 0.0
    rest: float = 0.0


class Turns:
    """What first come, first served would have given: each job's due date follows from those that came before
    it."""

    def __init__(self) -> None:
        self._end = 0.0

    def due(self, now: float, work: float, *, idle: bool = False) -> float:
        """For a job that comes now with ``work`` seconds to do; ``idle``: to nobody else, so errors of what
        came before end here."""
        self._end = (now if idle else max(self._end, now)) + work
        turn = self._end - now
        return now + max(PATIENCE * MARGIN * turn, turn + UNNOTICED)


def room(length: float, hosted: float) -> float:
    """Seconds that guests may still take from a job whose passes last ``length``, after ``hosted``."""
    return GUESTS * length - hosted


class Guests:
    """Work without passes (captions, labels) beside jobs with: GUESTS of the passes' time in all.

    A piece goes at once while no job is made longer by more than GUESTS of its own length; else when guests
    have waited so long that it is GUESTS of the passes since. So short jobs are spared, and where there are
    only short ones no guest starves.
    """

    def __init__(self) -> None:
        self._credit = 0.0
        self._usual: dict[str, float] = {}  # kind of work → seconds of a piece

    def host(self, seconds: float, *, asked: bool) -> None:
        """A pass, with what belongs to it, took so long; ``asked``: a guest waits. Nothing is saved up for
        guests to come."""
        credit = self._credit + GUESTS * seconds
        self._credit = credit if asked else min(credit, 0.0)

    def may(self, kind: str, count: int, room: float) -> bool:
        """Whether there is time for ``count`` pieces; ``room``: of the job that has least."""
        return self._usual.get(kind, 0.0) * count <= max(room, self._credit)

    def learn(self, kind: str, count: int, seconds: float) -> None:
        """``count`` pieces took so long."""
        self._usual[kind] = seconds / count

    def spent(self, seconds: float) -> None:
        """So long a job with passes was held up: by pieces, or by what comes with them."""
        self._credit -= seconds


def choose(
    waiting: Sequence[Waiting],
    seconds: Callable[[Hashable, int], float],
    most: Callable[[Hashable], int],
    now: float,
) -> list[int]:
    """Indices into ``waiting`` of the jobs in the next pass, at least one. seconds: of a pass by key and
    rows. most: rows that fit, by key."""
    seconds = functools.cache(seconds)
    alone = [seconds(job.key, job.rows) + job.between for job in waiting]
    work = [job.left * step + job.rest for job, step in zip(waiting, alone, strict=True)]
    by_due = sorted(range(len(waiting)), key=lambda i: waiting[i].due)

    def company(order: list[int]) -> list[int]:
        """Those of ``order`` that share the pass with its first."""
        key = waiting[order[0]].key
        same = [i for i in order if waiting[i].key == key]
        return same[
            : _riders(
                [waiting[i].rows for i in same], len(waiting), lambda rows: seconds(key, rows), most(key)
            )
        ]

    def late(chosen: list[int]) -> float:
        """Seconds by which the worst is past its due date, if after ``chosen`` each goes alone, in the order
        of due dates."""
        done, worst = set(chosen), float("-inf")
        end = (
            now
            + seconds(waiting[chosen[0]].key, sum(waiting[i].rows for i in chosen))
            + sum(waiting[i].between for i in chosen)
        )
        end += sum(
            waiting[i].rest for i in chosen if waiting[i].left == 1
        )  # at once, before all that are due first
        for i in by_due:
            if i not in done:
                end += work[i]
            elif waiting[i].left > 1:
                end += work[i] - alone[i]
            worst = max(worst, end - waiting[i].due)
        return worst

    order = sorted(range(len(waiting)), key=lambda i: (not waiting[i].new, work[i], i))
    order[1:] = sorted(
        order[1:], key=lambda i: i != by_due[0]
    )  # rides along before all others: alone, later, it would hold everybody up
    quickest = company(order)
    if late(quickest) < 0:
        return quickest
    in_turn = company(by_due)
    least = float("inf"), 0
    for n in range(len(in_turn), 0, -1):
        least = min(least, (late(in_turn[:n]), n))
        if least[0] < 0:
            break
    lateness, n = least
    rows, key = [waiting[i].rows for i in in_turn], waiting[in_turn[0]].key
    while (
        lateness >= 0
        and n < len(in_turn)
        and MARGIN * seconds(key, sum(rows[: n + 1])) <= seconds(key, rows[0])
    ):
        n += 1  # it can't be helped, but this much of PATIENCE is left
    return in_turn[:n]


def _riders(rows: list[int], jobs: int, seconds: Callable[[int], float], most: int) -> int:
    """How many of those with ``rows``, in their order, are in one pass; of ``jobs`` that wait in all.

    One more makes the pass longer for those in it, and spares everybody behind it the pass it would have
    needed for itself. It rides along when that is less time in sum. So while a wider pass costs next to
    nothing all ride, and where it costs as much as two passes nobody does; in between, the more the more jobs
    wait. Several may be worth it where one alone is not.
    """
    taken, total = 1, rows[0]
    best, width = taken, total
    while taken < len(rows) and total + rows[taken] <= most:
        total, taken = total + rows[taken], taken + 1
        longer = seconds(total) - seconds(width)
        spared = sum(seconds(n) for n in rows[best:taken]) - longer
        if best * longer <= (jobs - best) * spared:
            best, width = taken, total
    return best
