"""The queued jobs in memory, kept in the order of turns. The rows are the truth; this is their index."""

from __future__ import annotations

import bisect
import heapq
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from operator import attrgetter

from core.job import Lane
from jobs.order import fairness
from jobs.order.cost import model_of
from jobs.order.fairness import Group, Takes, Waiting

TURNS_KEPT = 10_000  # members
_SEQ, _TURN = attrgetter("seq"), attrgetter("turn")


class _Tally:
    """How many groups there are of each rank and length, and in what order, so that a place is counted and
    not walked to."""

    def __init__(self) -> None:
        self._turns: defaultdict[tuple[int, int], list[tuple[int, int, int]]] = defaultdict(
            list
        )  # (rank, length) → turns, sorted

    def add(self, group: Group) -> None:
        bisect.insort(self._turns[group.rank, len(group.jobs)], group.turn)

    def remove(self, group: Group) -> None:
        """Take a job out and return it, None when it wasn't there."""
        key = group.rank, len(group.jobs)
        turns = self._turns[key]
        del turns[bisect.bisect_left(turns, group.turn)]
        if not turns:
            del self._turns[key]

    def ahead(self, group: Group, round_: int) -> int:
        """How many jobs run before the one of ``group`` that has ``round_`` elder ones there: of better ranks
        all, of the same rank as many of each group, and one more of those whose turn comes earlier."""
        count = 0
        for (rank, length), turns in self._turns.items():
            if rank < group.rank:
                count += length * len(turns)
            elif rank == group.rank:
                count += min(length, round_) * len(turns)
                count += bisect.bisect_left(turns, group.turn) if length > round_ else 0
        return count


class Waitlist:
    """Add, remove, and ask for order, position and the next job, none of which walks through all the jobs or
    members."""

    def __init__(self) -> None:
        self._jobs: dict[str, Waiting] = {}
        self._groups: dict[tuple[int, Lane], Group] = {}
        self._turns: list[Group] = []  # sorted
        self._front: list[Waiting] = []
        self._served: dict[int, int] = {}
        self._tally = _Tally()
        self._lifts: list[tuple[float, int, Group]] = []  # a heap; entries may be out of date
        self._numbers = itertools.count()
        self.by_cost: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._jobs

    def __iter__(self) -> Iterator[Waiting]:
        return iter(self._jobs.values())

    def get(self, job_id: str) -> Waiting | None:
        """Return a waiting job, None when it isn't waiting."""
        return self._jobs.get(job_id)

    def of_user(self, user_id: int) -> list[Waiting]:
        """Return the waiting jobs of one member, by lane."""
        own = [
            job
            for lane in Lane
            if (user_id, lane) in self._groups
            for job in self._groups[user_id, lane].jobs
        ]
        return own + [job for job in self._front if job.user_id == user_id]

    def own_place(self, job: Waiting) -> int:
        """1 is next: the place of ``job`` among its member's own."""

        def turn(other: Waiting) -> tuple[bool, int, int, int]:
            rank = self._groups[other.user_id, other.lane].rank if other.front is None else 0
            return other.front is None, -(other.front or 0), rank, other.seq

        mine = turn(job)
        return 1 + sum(turn(other) < mine for other in self.of_user(job.user_id))

    def add(self, job: Waiting, now: float) -> None:
        """Into its place by arrival: a job that failed half-way goes before those that came after it."""
        self._jobs[job.job_id] = job
        self.by_cost[job.cost_key] += 1
        if job.front is not None:
            bisect.insort(self._front, job, key=lambda other: (-(other.front or 0), other.seq))
            return
        group = self._take_out(job.user_id, job.lane) or Group(job.user_id, job.lane)
        bisect.insort(group.jobs, job, key=_SEQ)
        self._put_in(group, now)

    def remove(self, job_id: str, now: float) -> Waiting | None:
        """Take a job out and return it, None when it wasn't there."""
        job = self._jobs.pop(job_id, None)
        if job is None:
            return None
        self.by_cost[job.cost_key] -= 1
        if not self.by_cost[job.cost_key]:
            del self.by_cost[job.cost_key]
        if job.front is not None:
            self._front.remove(job)
            return job
        group = self._take_out(job.user_id, job.lane)
        assert group is not None
        del group.jobs[bisect.bisect_left(group.jobs, job.seq, key=_SEQ)]
        if group.jobs:
            self._put_in(group, now)
        return job

    def move_to_front(self, job_id: str, place: int, now: float) -> None:
        """Put a waiting job before all others. ``place``: higher goes first."""
        job = self.remove(job_id, now)
        if job is not None:
            job.front = place
            self.add(job, now)

    def served(self, user_id: int) -> int:
        """Return the number of the user's latest turn, 0 when they had none."""
        return self._served.get(user_id, 0)

    def set_served(self, user_id: int, turn: int, now: float) -> None:
        """The user's latest turn was number ``turn``. Their row has it too, and whoever adds a job tells it
        again, so the turns of those who had theirs long ago can be forgotten."""
        self._served.pop(user_id, None)
        self._served[user_id] = turn
        if len(self._served) > TURNS_KEPT:
            del self._served[next(iter(self._served))]
        for lane in Lane:
            group = self._take_out(user_id, lane)
            if group is not None:
                self._put_in(group, now)

    def note_start(self, job: Waiting, turn: int, now: float) -> None:
        """``job``, removed already, has started as number ``turn``: its elders in the group were passed
        over."""
        self.set_served(job.user_id, turn, now)
        group = self._groups.get((job.user_id, job.lane))
        for other in group.jobs[: fairness.LOOK_AHEAD] if group else ():
            if other.seq < job.seq:
                other.passed_over += 1

    def next(
        self,
        running: Mapping[int, int],
        loaded: str | None,
        now: float,
        *,
        alone: bool = True,
        takes: Takes | None = None,
    ) -> Waiting | None:
        """The job to start on a device that has the model ``loaded``; it stays in the list. None: nobody may
        start.
        ``alone``: whether nothing else is on that device. ``takes``: whether it does such a job, None =
        any."""
        self._refresh(now)
        return fairness.next_job(self._front, self._turns, running, loaded, alone=alone, takes=takes)

    def wants(self, role: str) -> bool:
        """Return whether any job waits for the model of ``role``."""
        return any(model_of(key) == role for key in self.by_cost)

    def order(self, now: float) -> Iterator[Waiting]:
        """Yield all waiting jobs as they would start if nothing changed."""
        self._refresh(now)
        return fairness.order(self._front, self._turns)

    def position(self, job: Waiting, now: float) -> int:
        """1 runs next: the place of ``job`` in ``order``."""
        self._refresh(now)
        if job.front is not None:
            return 1 + next(place for place, other in enumerate(self._front) if other is job)
        group = self._groups[job.user_id, job.lane]
        return (
            len(self._front) + self._tally.ahead(group, bisect.bisect_left(group.jobs, job.seq, key=_SEQ)) + 1
        )

    def _take_out(self, user_id: int, lane: Lane) -> Group | None:
        group = self._groups.pop((user_id, lane), None)
        if group is not None:
            del self._turns[bisect.bisect_left(self._turns, group.turn, key=_TURN)]
            self._tally.remove(group)
        return group

    def _put_in(self, group: Group, now: float) -> None:
        since = group.jobs[0].since
        group.served = self._served.get(group.user_id, 0)
        group.rank = fairness.rank_of(group.lane, now - since)
        self._groups[group.user_id, group.lane] = group
        bisect.insort(self._turns, group, key=_TURN)
        self._tally.add(group)
        before, group.lifted_at = group.lifted_at, fairness.lifted_at(group.rank, since, now)
        if group.lifted_at != before and group.rank:
            heapq.heappush(self._lifts, (group.lifted_at, next(self._numbers), group))

    def _refresh(self, now: float) -> None:
        """Age lifts a group without anything else happening to it."""
        while self._lifts and self._lifts[0][0] <= now:
            _, _, group = heapq.heappop(self._lifts)
            if self._groups.get((group.user_id, group.lane)) is group:
                self._take_out(group.user_id, group.lane)
                self._put_in(group, now)
