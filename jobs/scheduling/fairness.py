"""Who runs next, what each member has had of the devices, and which jobs take about the same time on the
same device: pure counting over plain values.

Order: jobs an admin moved to the front, then lanes turbo > fast > relax, inside a lane whoever has had least
of the devices (``virtual_time``): round robin, where all jobs take equally long. Waiting lifts a job by one
lane per ``LIFT_SECONDS``, so nothing starves behind a busy better lane.

Start-time fair queueing (Goyal, Vin and Cheng, "Start-time Fair Queueing", SIGCOMM 1996, section 2). Each
line of jobs has a clock, which stands where its latest job started. A member's next job starts at the clock,
or where their last one takes them to, whichever is later: so a video of twenty pictures lets the others have
twenty pictures each, and nobody saves up turns that they didn't take. The unit is the device seconds of a
median picture."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from core.job import Lane
from core.requests import Request
from core.requests.custom_models import TrainRequest
from core.requests.video import VideoRequest

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
    again, monotonic seconds.
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
    """Return the first of one user's jobs in one lane, or an early one that needs no reload. Other users'
    turns are not touched."""
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
    """Where a member's last job takes them to. ``owed``: what it cost. ``rest``: what it took beside whole
    units, between -1 and 1."""

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
        """Return by what a member stands in a line until their next turn: the least goes next. Who hasn't
        been there lately comes before all others, once."""
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
