"""The queued jobs in memory, in the order of turns: who runs next, on which device, and what each member has
had of the devices. The rows are the truth; this is their index.

Order: jobs an admin moved to the front, then lanes turbo > fast > relax, inside a lane whoever has had least
of the devices: round robin, where all jobs take equally long. Waiting lifts a job by one lane per
``LIFT_SECONDS``, so nothing starves behind a busy better lane.

Start-time fair queueing (Goyal, Vin and Cheng, "Start-time Fair Queueing", SIGCOMM 1996, section 2). Each
line of jobs has a clock, which is where its latest job started. A member's next job starts at the clock, or
where their last one takes them to, whichever is later: so a video of twenty pictures lets the others have
twenty pictures each, and nobody saves up turns that they didn't take. The unit is the device seconds of a
median picture."""

from __future__ import annotations

import bisect
import heapq
import itertools
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import attrgetter
from types import MappingProxyType
from typing import NamedTuple

from sortedcontainers import SortedList

from core.job import Lane
from core.requests import Request
from core.requests.custom_models import TrainRequest
from core.requests.video import VideoRequest
from jobs.executors.base import host_of

LONG = (TrainRequest.kind, VideoRequest.kind)


def cost_key(request: Request) -> str:
    """Return kind|size|model: jobs with the same key take about the same time on the same device."""
    return "|".join((request.kind, request.size(), request.model_or_role()))


def kind_of(key: str) -> str:
    """Return the kind of requests that a cost key stands for."""
    return key.partition("|")[0]


def is_long(key: str) -> bool:
    """Return whether jobs with a cost key may take from minutes to a day."""
    return kind_of(key) in LONG


def model_of(key: str) -> str:
    """Return the model of a cost key: a name, or the role whose configured model will be used."""
    return key.split("|", 2)[2]


LIFT_SECONDS = 600.0
LOOK_AHEAD = 32  # jobs of the user whose turn it is, searched for one that fits the loaded model
MAX_PASSED_OVER = 3  # times a job may be passed over for the sake of a loaded model
Takes = Callable[["Waiting"], bool]
RANKS = {Lane.TURBO: 0, Lane.FAST: 1, Lane.RELAX: 2}


@dataclass
class Waiting:
    """A queued job as ordering sees it. ``since``: monotonic seconds. ``passed_over``: for a loaded model, so
    far.

    ``alone``: an earlier try failed, so nothing else may be on its device while it runs; never where it may
    take hours. ``suspect``: that
    was the loss of a worker with several jobs in hand, and no attempt was counted.

    ``refusals``: of machines that couldn't begin it: how often, and until when none of their devices gets it
    again, monotonic seconds. ``unfetched``: how often its model's files couldn't be had.
    """

    job_id: str
    seq: int
    user_id: int
    guild_id: int | None
    lane: Lane
    cost_key: str
    max_running: int
    since: float
    front: int | None = None
    passed_over: int = 0
    alone: bool = False
    suspect: bool = False
    refusals: dict[str, tuple[int, float]] = field(default_factory=dict)
    unfetched: int = 0

    def __post_init__(self) -> None:
        self.be_alone(wanted=self.alone)

    def be_alone(self, *, wanted: bool) -> None:
        """Have nothing else on its device from now on, if ``wanted`` and if that stops it for no hours."""
        self.alone = wanted and not is_long(self.cost_key)

    @property
    def model(self) -> str:
        """The model it needs: a name, or the role whose configured model will be used."""
        return model_of(self.cost_key)


@dataclass
class Group:
    """The waiting jobs of one user in one lane, oldest first: what takes turns. ``stamp``: what the user has
    had of the devices, in virtual time, 0 = nothing yet. ``rank``: 0 is best; the head's age counts for all,
    for it is what would run. ``lifted_at``: when that changes next, monotonic seconds."""

    user_id: int
    lane: Lane
    stamp: int = 0
    rank: int = 0
    lifted_at: float = math.inf
    jobs: list[Waiting] = field(default_factory=list, repr=False)

    @property
    def turn(self) -> tuple[int, int, int]:
        """Groups go by this, smallest first. No two are the same."""
        return self.rank, self.stamp, self.jobs[0].seq


def rank_of(lane: Lane, waited: float) -> int:
    """Return the lane's rank, lifted by one for each ``LIFT_SECONDS`` that a job has waited."""
    return max(0, RANKS[lane] - int(max(0.0, waited) // LIFT_SECONDS))


def lifted_at(rank: int, since: float, now: float) -> float:
    """Return when a job that waits ``since`` and has ``rank`` by now is lifted next."""
    then = since + LIFT_SECONDS * (1 + max(0.0, now - since) // LIFT_SECONDS)
    # rounding must not put it into the past
    return math.inf if not rank else then if then > now else now + 1.0


# ``groups`` are always sorted by turn, ``front`` by place.


def next_job(
    front: Iterable[Waiting],
    groups: Iterable[Group],
    running: Mapping[int, int],
    loaded: str | None,
    *,
    alone: bool = True,
    takes: Takes | None = None,
) -> Waiting | None:
    """Return the job to start on a device that has the model ``loaded``.

    Users at their limit of running jobs are passed over, and where the device can't be theirs ``alone``, so
    are jobs that need that. takes: whether the device does such a job; None = any.
    """
    for job in front:
        if (
            running.get(job.user_id, 0) < job.max_running
            and (alone or not job.alone)
            and (takes is None or takes(job))
        ):
            return job
    for group in groups:
        if running.get(group.user_id, 0) < group.jobs[0].max_running:
            fit: Sequence[Waiting] = group.jobs
            if takes is not None:
                taken = (job for job in group.jobs if takes(job) and (alone or not job.alone))
                fit = list(itertools.islice(taken, LOOK_AHEAD))
            fitting = fit_model(fit, loaded, alone=alone)
            if fitting is not None:
                return fitting
    return None


def fit_model(jobs: Sequence[Waiting], loaded: str | None, *, alone: bool = True) -> Waiting | None:
    """Return the first of a user's jobs in a lane, or an early one that needs no reload."""
    first = next((job for job in jobs if alone or not job.alone), None)
    if (
        first is None
        or first.alone
        or loaded is None
        or first.model == loaded
        or first.passed_over >= MAX_PASSED_OVER
    ):
        return first
    return next((job for job in jobs[:LOOK_AHEAD] if job.model == loaded and not job.alone), first)


MEMBERS_KEPT = 50_000


@dataclass(frozen=True)
class Had:
    """Where a member's last job takes them to. owed: its cost. rest: beside whole units, -1 to 1."""

    until: int = 0
    owed: int = 0
    rest: float = 0.0

    def after(self, begin: int, cost: int) -> Had:
        """Return what they have had once a job has started at ``begin``."""
        return Had(begin + cost, cost, self.rest)

    def settled(self, units: float) -> Had:
        """Return the same when a job took ``units`` more than was counted, or less. Whole ones count."""
        whole = int(self.rest + units)
        return Had(max(0, self.until + whole), max(0, self.owed + whole), self.rest + units - whole)


class VirtualTime:
    """Lines are told apart by any key: of the devices that all share, by rank; of a device that does one kind
    of work alone, by that. What is carried from one line to another is at most what the last job cost."""

    def __init__(self) -> None:
        self._clocks: defaultdict[Hashable, int] = defaultdict(int)
        self._had: dict[int, Had] = {}
        self._stamps: dict[int, dict[Hashable, int]] = {}

    def knows(self, user_id: int) -> bool:
        """Return whether anything is known of the member."""
        return user_id in self._had

    def had(self, user_id: int) -> Had:
        """Return what the member has had; nothing, when nothing is known."""
        return self._had.get(user_id, Had())

    def set(self, user_id: int, had: Had) -> None:
        """Note what the member has had. Those who had theirs longest ago are forgotten: their rows know."""
        self._had.pop(user_id, None)
        self._stamps.pop(user_id, None)
        self._had[user_id] = had
        if len(self._had) > MEMBERS_KEPT:
            oldest = next(iter(self._had))
            del self._had[oldest]
            self._stamps.pop(oldest, None)

    def clock(self, line: Hashable) -> int:
        """Return where the latest job of this line started."""
        return self._clocks[line]

    def stamp(self, user_id: int, line: Hashable) -> int:
        """Return a member's stamp in a line: the least goes next. Newcomers come before all others, once."""
        if user_id not in self._had:
            return 0
        stamps = self._stamps.setdefault(user_id, {})
        if line not in stamps:
            stamps[line] = self.stamp_of(self._had[user_id], line)
        return stamps[line]

    def stamp_of(self, had: Had, line: Hashable) -> int:
        """Return by what a member would stand in a line now who has had so much."""
        return min(had.until, self._clocks[line] + had.owed)

    def begin(self, stamp: int, line: Hashable) -> int:
        """Return when a member's next job starts, in virtual time."""
        return max(stamp, self._clocks[line])

    def advance(self, line: Hashable, begin: int) -> None:
        """Note that a job of this line has started, at ``begin``."""
        self._clocks[line] = max(self._clocks[line], begin)

    def resume(self, now: int) -> None:
        """Let all clocks stand at ``now``: after a start nobody is owed anything, and who was served longest
        ago goes first."""
        self._clocks = defaultdict(lambda: now)


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
        self.by_guild: Counter[int | None] = Counter()

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

    def before(self, job: Waiting) -> Iterator[Waiting]:
        """Yield the waiting jobs of the job's member that run before it, as they run."""
        groups = [self._groups[key] for lane in Lane if (key := (job.user_id, lane)) in self._groups]
        ranks = sorted({group.rank for group in groups})
        lines = ((group.jobs for group in groups if group.rank == rank) for rank in ranks)
        front = (other for other in self._front if other.user_id == job.user_id)
        line = itertools.chain(front, *(heapq.merge(*some, key=_SEQ) for some in lines))
        return itertools.takewhile(lambda other: other is not job, line)

    def add(self, job: Waiting, now: float) -> None:
        """Into its place by arrival: a job that failed half-way goes before those that came after it."""
        self._jobs[job.job_id] = job
        self.by_cost[job.cost_key] += 1
        self.by_lane[job.lane] += 1
        self.by_guild[job.guild_id] += 1
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
        self.by_guild[job.guild_id] -= 1
        if not self.by_cost[job.cost_key]:
            del self.by_cost[job.cost_key]
        if not self.by_guild[job.guild_id]:
            del self.by_guild[job.guild_id]
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
        for other in group.jobs[:LOOK_AHEAD] if group else ():
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
        return next_job(self._front, self._turns, running, loaded, alone=alone, takes=takes)

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
            self._places.put({user_id: self.keys_of(user_id) for user_id in now})
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
        for rank in range(len(RANKS)):
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

    def keys_of(self, user_id: int) -> list[Key]:
        """When a member's jobs start in virtual time, those of a better rank before the others."""
        had, keys = None, list[Key]()
        for job in self._front:
            if job.user_id == user_id:
                line = RANKS[job.lane]
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
        group.rank = rank_of(group.lane, now - since)
        group.stamp = self._time.stamp(group.user_id, group.rank)
        self._groups[group.user_id, group.lane] = group
        self._moved.add(group.user_id)
        bisect.insort(self._turns, group, key=_TURN)
        before, group.lifted_at = group.lifted_at, lifted_at(group.rank, since, now)
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
    return RANKS[job.lane] if job.front is not None else rank_of(job.lane, now - job.since)


NOBODY: Mapping[int, int] = MappingProxyType({})
CLEARED_WITHIN = 60.0  # seconds that a device takes nothing else for the sake of a job that must be alone
REFUSAL_PAUSES = (0.5, 3.0, 15.0, 30.0)  # seconds until a machine gets a job again that it couldn't begin
BROKEN_AFTER = 3  # jobs in a row that a machine couldn't begin; then it gets none for a while
BROKEN_PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)  # seconds


class Room(NamedTuple):
    """A device that works: its free slots, the jobs that are on it, and the role whose jobs alone it takes
    (empty = any that no device has for itself). people: how many of those each person has there."""

    free: int
    running: int
    only: str = ""
    people: Mapping[int, int] = NOBODY


class Placement:
    """Tells devices apart by name. rooms: devices that work; running: user → jobs on devices."""

    def __init__(self, waitlist: Waitlist) -> None:
        self._waitlist = waitlist
        self._loaded: dict[str, str] = {}  # device → model of its latest job
        # a job that must be alone, the device that takes nothing else until then, and since when
        self._clearing: tuple[str, str, float] | None = None
        self._refused_until = 0.0  # monotonic seconds; by then every job may go anywhere
        self._broken: dict[str, tuple[int, float]] = {}  # machine → jobs refused in a row, no more until

    @property
    def clearing_since(self) -> float | None:
        """Since when a device is being cleared, monotonic seconds; None while none is."""
        return None if self._clearing is None else self._clearing[2]

    def note_start(self, device: str, job: Waiting) -> None:
        """Note that ``job`` has started on ``device``."""
        self._loaded[device] = job.model
        if self._clearing is not None and self._clearing[0] == job.job_id:
            self._clearing = None

    def note_refusal(self, device: str, job: Waiting, now: float) -> tuple[int, float]:
        """Note that the machine of ``device`` couldn't begin ``job``: it gets that again after a pause,
        longer each time, and once it has refused several in a row, nothing meanwhile. Return how often it
        has refused this one, and the pause in seconds."""
        host = host_of(device)
        count = job.refusals.get(host, (0, 0.0))[0] + 1
        pause = REFUSAL_PAUSES[min(count, len(REFUSAL_PAUSES)) - 1]
        job.refusals[host] = count, now + pause
        self._refused_until = max(self._refused_until, now + pause)
        in_a_row = self._broken.get(host, (0, 0.0))[0] + 1
        rest = in_a_row - BROKEN_AFTER
        until = now + BROKEN_PAUSES[min(rest, len(BROKEN_PAUSES) - 1)] if rest >= 0 else 0.0
        self._broken[host] = in_a_row, until
        return count, max(pause, until - now)

    def note_begun(self, device: str) -> None:
        """Note that the machine of ``device`` has begun a job."""
        self._broken.pop(host_of(device), None)

    def note_loss(self, device: str) -> None:
        """Note that the worker of ``device`` died: nothing is loaded there any more."""
        self._loaded.pop(device, None)

    def choose(
        self, rooms: Mapping[str, Room], running: Mapping[int, int], now: float, fits: Takes | None = None
    ) -> tuple[str, Waiting] | None:
        """Return the next job and its device, or None. A device is cleared for a job that must be alone; the
        others go on meanwhile. fits: whether a job may start at all now, None = any."""
        own = frozenset(room.only for room in rooms.values() if room.only)
        if self._broken:
            rooms = {n: r for n, r in rooms.items() if self._broken.get(host_of(n), (0, 0.0))[1] <= now}
        if not own:
            return self._choose(rooms, running, now, fits)
        for name, room in rooms.items():
            if room.only and room.free > 0 and self._waitlist.wants(room.only):
                wanted = _both(_those_of(room.only), _not_refused({name: 0}, now))
                job = self._waitlist.next(room.people, None, now, takes=_both(wanted, fits))
                if job is not None:
                    return name, job
        takes = _both(lambda job: job.model not in own, fits)
        return self._choose({n: r for n, r in rooms.items() if not r.only}, running, now, takes)

    def _choose(
        self, rooms: Mapping[str, Room], running: Mapping[int, int], now: float, takes: Takes | None
    ) -> tuple[str, Waiting] | None:
        refusing = now < self._refused_until
        while True:
            free = {name: room.running for name, room in rooms.items() if room.free > 0}
            cleared = self._cleared_for(rooms, running, now, takes)
            if cleared is not None:
                job, device = cleared
                if free.pop(device, None) == 0:
                    return device, job
            if not free:
                return None
            welcome = _both(takes, _not_refused(free, now)) if refusing else takes
            first = self._waitlist.next(running, None, now, takes=welcome)
            if first is None:
                return None
            theirs = _willing(free, first, now)
            if not first.alone or 0 in theirs.values():
                break
            if cleared is not None:
                first = self._waitlist.next(running, None, now, takes=_both(welcome, _has_room(free, now)))
                if first is None:
                    return None
                theirs = _willing(free, first, now)
                break
            self._clearing = (first.job_id, min(theirs, key=theirs.__getitem__), now)  # and look again
        device = self._best(theirs, first)
        loaded, alone = self._loaded.get(device), free[device] == 0
        if refusing:
            takes = _both(takes, _not_refused({device: 0}, now))
        chosen = self._waitlist.next(running, loaded, now, alone=alone, takes=takes)
        return None if chosen is None else (device, chosen)

    def _cleared_for(
        self, rooms: Mapping[str, Room], running: Mapping[int, int], now: float, takes: Takes | None
    ) -> tuple[Waiting, str] | None:
        """The job for which a device is being cleared, while it may start there. What runs there may take
        hours: after CLEARED_WITHIN it shares the device."""
        if self._clearing is not None:
            job_id, device, since = self._clearing
            job = self._waitlist.get(job_id)
            may_run = job is not None and running.get(job.user_id, 0) < job.max_running
            if job is not None and now - since >= CLEARED_WITHIN:
                job.be_alone(wanted=False)
                may_run = False
            if job is not None and may_run and device in rooms and (takes is None or takes(job)):
                return job, device
            self._clearing = None
        return None

    def _best(self, free: Mapping[str, int], job: Waiting) -> str:
        """Where no other model has to go, then where the least goes on, then where the model is loaded."""
        best, found, model = (True, sys.maxsize, True), "", job.model
        for name, count in free.items():
            if job.alone and count:
                continue
            loaded = self._loaded.get(name)
            key = (loaded is not None and loaded != model, count, loaded != model)
            if not found or key < best:
                best, found = key, name
                if key == (False, 0, False):  # nothing is better
                    break
        return found


def _willing(free: Mapping[str, int], job: Waiting, now: float) -> Mapping[str, int]:
    """Return those devices whose machines haven't refused the job just now."""
    if not job.refusals:
        return free
    return {n: count for n, count in free.items() if job.refusals.get(host_of(n), (0, 0.0))[1] <= now}


def _not_refused(free: Mapping[str, int], now: float) -> Takes:
    return lambda job: bool(_willing(free, job, now))


def _has_room(free: Mapping[str, int], now: float) -> Takes:
    return lambda job: not job.alone or 0 in _willing(free, job, now).values()


def _those_of(role: str) -> Takes:
    return lambda job: job.model == role


def _both(first: Takes | None, second: Takes | None) -> Takes | None:
    if first is None or second is None:
        return first or second
    return lambda job: first(job) and second(job)
