"""The queued jobs in memory, kept in the order of turns and by the place at which each starts if nothing
changes. The rows are the truth; this is their index."""

from __future__ import annotations

import bisect
import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter

from sortedcontainers import SortedList

from core.job import Lane
from jobs.scheduling import fairness
from jobs.scheduling.fairness import Group, Had, Takes, VirtualTime, Waiting, model_of

Key = tuple[int, int, int, Waiting]  # rank, start in virtual time, number: no two are the same before the job


class Places:
    """Sorted keys, put in by member. A list in one piece would be moved or sorted anew for each change: with
    200,000 jobs that held the event loop for 20 ms."""

    def __init__(self) -> None:
        self._keys: SortedList[Key] = SortedList()
        self._of_member: dict[int, Sequence[Key]] = {}
        self._of_job: dict[str, Key] = {}

    def __iter__(self) -> Iterator[Waiting]:
        return (key[3] for key in self._keys)

    def in_lots(self, size: int) -> Iterator[Sequence[Waiting]]:
        """Yield all jobs, ``size`` at a time; what changes meanwhile behind the last is seen. A copy of them
        all would be looked through by the garbage collector, which takes 20 ms with 200,000."""
        last: Key | None = None
        while lot := list(islice(self._keys.irange(last, inclusive=(last is None, True)), size)):
            yield [key[3] for key in lot]
            last = lot[-1]

    def place(self, job_id: str) -> int:
        """Return the place of a job that is there, 0 is first."""
        return self._keys.bisect_left(self._of_job[job_id])

    def put(self, changed: Mapping[int, Sequence[Key]]) -> None:
        """Put in all the jobs of some members, instead of those that they had there."""
        gone: list[Key] = []
        come: list[Key] = []
        for user_id, keys in changed.items():
            before = self._of_member.pop(user_id, ())
            if keys:
                self._of_member[user_id] = keys
            old, new = _differing(before, keys)
            gone += old
            come += new
        for key in gone:
            del self._of_job[key[3].job_id]
            self._keys.remove(key)
        for key in come:
            self._of_job[key[3].job_id] = key
        self._keys.update(come)


def _differing(before: Sequence[Key], now: Sequence[Key]) -> tuple[Sequence[Key], Sequence[Key]]:
    """Leave out what both have at their ends: mostly the first job has started, or one more has come."""
    most = min(len(before), len(now))
    head = next((n for n in range(most) if before[n] != now[n]), most)
    rest = most - head
    tail = next((n for n in range(rest) if before[-1 - n] != now[-1 - n]), rest)
    return before[head : len(before) - tail], now[head : len(now) - tail]


AT_ONCE = 50  # members whose places are brought up to date in one turn of the event loop
_SEQ, _TURN = attrgetter("seq"), attrgetter("turn")


@dataclass(frozen=True)
class Turn:
    """A member's turn: what they had had of the devices before it, and with it."""

    before: Had
    had: Had

    @property
    def cost(self) -> int:
        """What the job was counted as."""
        return self.had.owed


class Waitlist:
    """Add, remove, and ask for order, position and the next job, none of which walks through all the jobs or
    members. cost_of: by cost key, how many median pictures' seconds a job takes of its device, 1 or more."""

    def __init__(self, cost_of: Callable[[str], int] = lambda cost_key: 1) -> None:
        self._cost_of = cost_of
        self._costs: dict[str, int] = {}  # as places are reckoned with
        self._jobs: dict[str, Waiting] = {}
        self._groups: dict[tuple[int, Lane], Group] = {}
        self._turns: list[Group] = []  # sorted
        self._front: list[Waiting] = []
        self._time = VirtualTime()
        self._places = Places()
        self._moved: set[int] = set()  # members whose places are out of date
        self._reckoned: dict[int, int] = {}  # rank → its clock as places were reckoned with
        self._lifts: list[tuple[float, int, Group]] = []  # a heap; entries may be out of date
        self._numbers = itertools.count()
        self.paused = False  # nothing of it is started
        self.by_cost: Counter[str] = Counter()
        self.by_lane: Counter[Lane] = Counter()

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
        groups = [self._groups[user_id, lane] for lane in Lane if (user_id, lane) in self._groups]
        return [job for group in groups for job in group.jobs] + [
            job for job in self._front if job.user_id == user_id
        ]

    def own_line(self, user_id: int) -> list[Waiting]:
        """Return the waiting jobs of one member as they run."""

        def turn(job: Waiting) -> tuple[bool, int, int, int]:
            rank = self._groups[job.user_id, job.lane].rank if job.front is None else 0
            return job.front is None, -(job.front or 0), rank, job.seq

        return sorted(self.of_user(user_id), key=turn)

    def add(self, job: Waiting, now: float) -> None:
        """Into its place by arrival: a job that failed half-way goes before those that came after it."""
        self._jobs[job.job_id] = job
        self.by_cost[job.cost_key] += 1
        self.by_lane[job.lane] += 1
        if job.front is not None:
            bisect.insort(self._front, job, key=lambda other: (-(other.front or 0), other.seq))
            self._moved.add(job.user_id)
            return
        group = self._groups.get((job.user_id, job.lane))
        if group is not None and group.jobs[0].seq < job.seq:  # its turn stays what it is
            bisect.insort(group.jobs, job, key=_SEQ)
            self._moved.add(job.user_id)
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
        self.by_lane[job.lane] -= 1
        if not self.by_cost[job.cost_key]:
            del self.by_cost[job.cost_key]
        if job.front is not None:
            self._front.remove(job)
            self._moved.add(job.user_id)
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

    def resume(self, now: int) -> None:
        """Begin at ``now``, the latest that any member's row says they have had."""
        self._time.resume(now)

    def had(self, user_id: int) -> int:
        """Return what the member has had of the devices, in virtual time; 0 when nothing is known of them."""
        return self._time.had(user_id).until

    def know(self, user_id: int, had: int, now: float) -> None:
        """A member's row says what they have had. Whoever adds a job tells it, so members who had theirs long
        ago can be forgotten; what is known already isn't changed."""
        if not self._time.knows(user_id):
            self._set_had(user_id, Had(had), now)

    def note_start(self, job: Waiting, now: float, own: str = "") -> Turn:
        """``job``, removed already, starts: its elders in the group were passed over. Return its member's
        turn. ``own``: the role of the device, where that does nothing else."""
        before = self._time.had(job.user_id)
        # in virtual time: when the job starts, and what its member has had then
        line = own or _rank_of(job, now)
        begin = self._time.begin(self._time.stamp(job.user_id, line), line)
        had = before.after(begin, self._cost_of(job.cost_key))
        if job.front is None:
            self._time.advance(line, begin)
        self._set_had(job.user_id, had, now)
        group = self._groups.get((job.user_id, job.lane))
        for other in group.jobs[: fairness.LOOK_AHEAD] if group else ():
            if other.seq < job.seq:
                other.passed_over += 1
        return Turn(before, had)

    def take_back(self, job: Waiting, turn: Turn, now: float) -> None:
        """``job`` has not started after all: its member hasn't had this turn."""
        had = self._time.had(job.user_id)
        before = turn.before if had == turn.had else had.settled(-turn.cost)  # they have had others since
        self._set_had(job.user_id, before, now)

    def note_end(self, job: Waiting, units: float, now: float) -> None:
        """``job`` took ``units`` more than was counted at its start, or less."""
        self._set_had(job.user_id, self._time.had(job.user_id).settled(units), now)

    def note_costs(self) -> None:
        """Reckon with what is known by now of how long jobs take."""
        changed = {key for key in self.by_cost if self._costs.get(key) != self._cost_of(key)}
        self._costs = {key: self._cost_of(key) for key in self.by_cost}
        if changed:
            self._moved |= {job.user_id for job in self._jobs.values() if job.cost_key in changed}

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
        self.lift(now)
        return fairness.next_job(self._front, self._turns, running, loaded, alone=alone, takes=takes)

    def wants(self, role: str) -> bool:
        """Return whether any job waits for the model of ``role``."""
        return any(model_of(key) == role for key in self.by_cost)

    def order(self, now: float, *, whole: bool = True) -> Iterator[Waiting]:
        """Yield all waiting jobs as they would start if nothing changed. whole: else those of some members
        may be missing, or stand where they stood, while ``reckon`` has more to do."""
        self.lift(now)
        while self.reckon() and whole:
            pass
        return itertools.chain(self._front, self._places)

    def in_lots(self, size: int) -> Iterator[Sequence[Waiting]]:
        """Yield the same, as far as places are reckoned, some at a time. The list may change between two
        lots: each is of its own moment, and goes on behind the last of the one before."""
        if self._front:
            yield list(self._front)
        yield from self._places.in_lots(size)

    def position(self, job: Waiting, now: float) -> int:
        """1 runs next: the place of ``job`` in ``order``, as far as that is reckoned."""
        self.lift(now)
        if job.front is not None:
            return 1 + next(place for place, other in enumerate(self._front) if other is job)
        self.reckon(job.user_id)
        return len(self._front) + self._places.place(job.job_id) + 1

    def reckon(self, *first: int) -> bool:
        """Bring the places of some members up to date, these ``first``; return whether any are left. After a
        start with a crowd, all of them at once would hold up the event loop."""
        self._note_late()
        if len(self._moved) <= AT_ONCE:
            now, self._moved = self._moved, set()
        else:
            now = {*itertools.islice(self._moved, AT_ONCE), *(self._moved & set(first))}
            self._moved -= now
        if now:
            self._places.put({user_id: self._keys_of(user_id) for user_id in now})
        return bool(self._moved)

    # Inside

    def _set_had(self, user_id: int, had: Had, now: float) -> None:
        self._time.set(user_id, had)
        self._moved.add(user_id)
        for lane in Lane:
            group = self._take_out(user_id, lane)
            if group is not None:
                self._put_in(group, now)

    def _note_late(self) -> None:
        """Places are out of date, beside those of members who had a turn or whose jobs have changed, of those
        whom a clock has passed by: their next job begins with it."""
        for rank in range(len(fairness.RANKS)):
            clock = self._time.clock(rank)
            if clock != self._reckoned.get(rank):
                self._reckoned[rank] = clock
                begin = bisect.bisect_left(self._turns, (rank, -1, 0), key=_TURN)
                end = bisect.bisect_left(self._turns, (rank, clock, 0), key=_TURN)
                for late in itertools.islice(self._turns, begin, end):
                    others = ((late.user_id, lane) in self._groups for lane in Lane if lane is not late.lane)
                    if len(late.jobs) > 1 or any(others):  # its member has more than one job waiting
                        self._moved.add(late.user_id)
                self._moved |= {job.user_id for job in self._front}

    def _keys_of(self, user_id: int) -> list[Key]:
        """When a member's jobs start in virtual time, those of a better rank before the others."""
        had, keys = None, list[Key]()
        for job in self._front:
            if job.user_id == user_id:
                line = fairness.RANKS[job.lane]
                begin = self._time.begin(self._stamp(user_id, had, line), line)
                had = Had(begin + self._cost(job), self._cost(job))
        groups = [self._groups[user_id, lane] for lane in Lane if (user_id, lane) in self._groups]
        for rank in sorted({group.rank for group in groups}):
            jobs = [group.jobs for group in groups if group.rank == rank]
            clock, at = self._time.clock(rank), self._stamp(user_id, had, rank)
            for job in heapq.merge(*jobs, key=_SEQ) if len(jobs) > 1 else jobs[0]:
                keys.append((rank, at, job.seq, job))
                cost = self._cost(job)
                at = (at if at > clock else clock) + cost
                had = Had(at, cost)
        return keys

    def _stamp(self, user_id: int, had: Had | None, line: int) -> int:
        """By what a member stands in a line; ``had``: once they have had so much."""
        return self._time.stamp(user_id, line) if had is None else self._time.stamp_of(had, line)

    def _cost(self, job: Waiting) -> int:
        cost = self._costs.get(job.cost_key)
        if cost is None:
            cost = self._costs[job.cost_key] = self._cost_of(job.cost_key)
        return cost

    def _take_out(self, user_id: int, lane: Lane) -> Group | None:
        group = self._groups.pop((user_id, lane), None)
        if group is not None:
            del self._turns[bisect.bisect_left(self._turns, group.turn, key=_TURN)]
            self._moved.add(user_id)
        return group

    def _put_in(self, group: Group, now: float) -> None:
        since = group.jobs[0].since
        group.rank = fairness.rank_of(group.lane, now - since)
        group.stamp = self._time.stamp(group.user_id, group.rank)
        self._groups[group.user_id, group.lane] = group
        self._moved.add(group.user_id)
        bisect.insort(self._turns, group, key=_TURN)
        before, group.lifted_at = group.lifted_at, fairness.lifted_at(group.rank, since, now)
        if group.lifted_at != before and group.rank:
            heapq.heappush(self._lifts, (group.lifted_at, next(self._numbers), group))

    def lift(self, now: float) -> None:
        """Age lifts a group without anything else happening to it."""
        while self._lifts and self._lifts[0][0] <= now:
            _, _, group = heapq.heappop(self._lifts)
            if self._groups.get((group.user_id, group.lane)) is group:
                self._take_out(group.user_id, group.lane)
                self._put_in(group, now)


def _rank_of(job: Waiting, now: float) -> int:
    """The rank of a job that starts now. What was moved to the front didn't come there by waiting."""
    return fairness.RANKS[job.lane] if job.front is not None else fairness.rank_of(job.lane, now - job.since)
