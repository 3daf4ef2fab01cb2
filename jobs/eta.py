"""How long a job will take, by the median of the last runs with the same cost key, where waiting jobs stand
and when they will start, told to those who watch them.

Seconds are a device's, not the clock's: while n jobs share a device, each takes 1/n of every second. So a
queue's length in time comes out right however many jobs a worker runs at once."""

import asyncio
import contextlib
import math
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import median
from time import monotonic, thread_time

from core.events import Queued
from core.requests import ImagineRequest
from core.requests.images import OF_SHEETS
from core.requests.video import seconds_made
from jobs.admission import Limits, is_video, videos_at_once
from jobs.executors.base import Executor
from jobs.feed import ActiveJob, Feeds
from jobs.waitlist import Takes, Waiting, Waitlist, is_long, model_of

SAMPLES = 20  # per key: enough for a median, few enough to follow a change of card or model
MAX_KEYS = 500
A_SHEET = 4.0  # grids of pictures that a sheet of drafts takes as long as, on a processor
A_PICTURE = f"{ImagineRequest.kind}||"  # what others are measured by: an /imagine of any size and model


class Estimate:
    """Seconds by cost key (``kind|size|model``), else by kind and model, by kind, of anything that takes
    seconds; of a video as many seconds as others are long, of a sheet ``A_SHEET`` pictures."""

    def __init__(self) -> None:
        self.runs: dict[str, deque[float]] = {}
        self.medians: dict[str, float] = {}

    def add(self, cost_key: str, seconds: float) -> None:
        """Note that a job with ``cost_key`` took so many seconds of its device."""
        amount, rate = _rate(cost_key)
        taken = dict.fromkeys(_keys(cost_key), seconds) | ({rate: seconds / amount} if amount else {})
        for key, value in taken.items():
            runs = self.runs.pop(key, None) or deque(maxlen=SAMPLES)
            runs.append(value)
            self.runs[key] = runs  # the newest key is last
            self.medians[key] = median(runs)
        while len(self.runs) > MAX_KEYS:
            oldest = next(iter(self.runs))
            del self.runs[oldest], self.medians[oldest]

    def seconds(self, cost_key: str) -> float | None:
        """None while nothing was measured, or nothing like what may take minutes."""
        amount, rate = _rate(cost_key)
        if amount and cost_key not in self.medians and rate in self.medians:
            return amount * self.medians[rate]
        found = next((self.medians[key] for key in _keys(cost_key) if key in self.medians), None)
        if found is None and is_sheet(cost_key):
            a_picture = self.seconds(f"{A_PICTURE}{model_of(cost_key)}")
            return None if a_picture is None else A_SHEET * a_picture
        return found

    def cost(self, cost_key: str) -> int:
        """Return how many median pictures' time a job takes, 1 at least, and while nothing was measured."""
        seconds = self.seconds(cost_key)
        pictures = None if seconds is None else self.pictures(seconds)
        return 1 if pictures is None else max(1, round(pictures))

    def pictures(self, seconds: float) -> float | None:
        """Return how many median pictures take so many seconds of a device, None while none was measured."""
        a_picture = self.medians.get(A_PICTURE)
        return seconds / a_picture if a_picture else None


class Shares:
    """Device seconds that each running job has taken, without loading models. ``now``: monotonic seconds."""

    def __init__(self) -> None:
        # device → job → what it took by its last sign of life, what the device had spent by then
        self._taken = defaultdict[str, dict[str, tuple[float, float]]](dict)
        self._spent: defaultdict[str, float] = defaultdict(float)  # by one job that had been there all along
        self._since: dict[str, float] = {}

    def begin(self, device: str, job_id: str, now: float) -> None:
        """Note that a job shares ``device`` from now on."""
        self._spend(device, now)
        self._taken[device][job_id] = 0.0, self._spent[device]

    def sign(self, device: str, job_id: str, now: float, *, loads: bool) -> None:
        """Note a job's sign of life. loads: a model was loaded for it since the one before."""
        if job_id in self._taken[device]:
            self._spend(device, now)
            taken, before = self._taken[device][job_id]
            spent = self._spent[device]
            self._taken[device][job_id] = taken if loads else taken + spent - before, spent

    def end(self, device: str, job_id: str, now: float) -> float:
        """Device seconds of the job, from its beginning to now; 0 where it has none."""
        self._spend(device, now)
        taken, before = self._taken[device].pop(job_id, (0.0, self._spent[device]))
        return taken + self._spent[device] - before

    def beside(self, device: str) -> int:
        """Jobs that share the device now."""
        return len(self._taken[device])

    def _spend(self, device: str, now: float) -> None:
        if self._taken[device]:
            self._spent[device] += (now - self._since[device]) / len(self._taken[device])
        self._since[device] = now


def until_start(place: int, left: Sequence[float], ahead: float, devices: int) -> float:
    """Seconds until the job at ``place`` (1 is next) starts. ``left``: for each slot the seconds until it is
    free, shortest first.
    ``ahead``: device seconds of the first ``place - len(left)`` waiting jobs, which end before it starts."""
    return left[min(place, len(left)) - 1] + ahead / devices


class Line:
    """Waiting jobs one behind another, before slots that are free in ``left`` seconds, shortest first."""

    def __init__(self, left: Sequence[float], devices: int) -> None:
        self._left, self._devices = left, devices
        self._costs: list[float] = []
        self._ahead = 0.0

    def next(self, seconds: float) -> float:
        """Seconds until the next one starts, which takes ``seconds`` of a device."""
        self._costs.append(seconds)
        place = len(self._costs)
        self._ahead += self._costs[place - len(self._left) - 1] if place > len(self._left) else 0.0
        return until_start(place, self._left, self._ahead, self._devices)

    def start_behind(self, costs: Sequence[float], place: int, average: float) -> float:
        """Seconds until ``place`` starts. costs: seconds of the first before it; average: of each other."""
        ended = max(0, place - len(self._left))  # before it starts
        ahead = sum(costs[:ended]) + average * max(0, ended - len(costs))
        return until_start(place, self._left, ahead, self._devices)


def is_sheet(cost_key: str) -> bool:
    """Return whether jobs with this cost key draw a sheet of drafts."""
    return cost_key.split("|", 2)[1].startswith(OF_SHEETS)


def _keys(cost_key: str) -> tuple[str, ...]:
    kind, _, model = cost_key.split("|", 2)
    if is_sheet(cost_key):  # it says nothing of pictures, and they of it only this
        return cost_key, f"{OF_SHEETS}||{model}", f"{OF_SHEETS}||"
    alike = cost_key, f"{kind}||{model}", f"{kind}||"
    return alike if is_long(cost_key) else (*alike, "||")


def _rate(cost_key: str) -> tuple[float, str]:
    """Return the seconds that videos with this cost key show, and the key of what one of those takes; 0 for
    what is no video."""
    return seconds_made(cost_key) if is_video(cost_key) else 0.0, f"second|{model_of(cost_key)}"


ANNOUNCE_GAP = 0.25  # s between two rounds of telling positions
LOOK_IS_DEAR = 0.0005  # processor s that a look at what runs may take before it is kept for others who ask
LOOK_SHARE = 0.02  # of a core, for looks that are kept
COUNT_DOWN = 5.0  # s: how far the time until a start is off, at least, before it is told again
EXACT_POSITIONS = 20  # further back, a position is told again when it has moved by a tenth
COSTS_HOLD = 10.0  # s between two looks at whether jobs take longer or shorter than was thought
EXACT_TIMES = 200  # further back, what is ahead is taken for average when somebody asks
CHUNK = 8  # jobs told between two breaths of the event loop: 0.2 ms, for which all that goes on waits


@dataclass(frozen=True)
class Floor:
    """own: the roles that have a device for themselves. devices: how many all other jobs share. left: for
    each slot of those the seconds until it is free, shortest first. running: jobs by member. starting: no
    device is ready, and one is being started. until: monotonic seconds for which it is kept."""

    own: frozenset[str]
    devices: int
    left: Sequence[float]
    running: Mapping[int, list[ActiveJob]]
    starting: bool
    until: float


class Positions:
    """Reckons from the waiting list and what runs; changes neither."""

    def __init__(
        self,
        waitlist: Waitlist,
        running: Mapping[str, ActiveJob],
        feeds: Feeds,
        executor: Executor,
        estimate: Estimate,
        limits: Limits,
    ) -> None:
        self.waitlist, self.running, self.feeds, self.executor = waitlist, running, feeds, executor
        self.estimate, self.shares = estimate, Shares()
        self._limits = limits
        self._costs_known = -COSTS_HOLD  # monotonic
        self._moved = asyncio.Event()
        self._looked: Floor | None = None
        self.told: dict[str, Queued] = {}  # job → what was told last

    def _floor(self) -> Floor:
        """Look at the devices and at what runs, once for all the places that follow from it."""
        began = thread_time()
        devices, running = self.executor.devices, defaultdict[int, list[ActiveJob]](list)
        for live in self.running.values():
            running[live.waiting.user_id].append(live)
        own = frozenset(device.only for device in devices if device.only)
        shared = [device for device in devices if not device.only] if own else devices
        slots = sum(device.slots for device in shared) or 1
        left = sorted(self._left(live) for live in self.running.values() if live.waiting.model not in own)
        left = [0.0] * (slots - len(left)) + left[:slots]
        took = thread_time() - began
        until = monotonic() + took / LOOK_SHARE if took > LOOK_IS_DEAR else 0.0
        states = {device.state for device in devices}
        starting = "starting" in states and "ready" not in states
        self._looked = Floor(own, len(shared) or 1, left, running, starting, until)
        return self._looked

    def note_moved(self) -> None:
        """Positions may have changed: tell them in the next round."""
        self._moved.set()

    def forget(self, job_id: str) -> None:
        """The job doesn't wait any more."""
        self.told.pop(job_id, None)

    def announce(self, job_id: str) -> Queued | None:
        """Tell one job where it stands, now."""
        event = self.position(job_id)
        if event is not None:
            self.told[job_id] = event
            self.feeds[job_id].publish(event)
        return event

    def look(self) -> Floor:
        """Return what devices do now, or did a moment ago where looking takes long."""
        looked = self._looked
        return looked if looked is not None and monotonic() < looked.until else self._floor()

    def position(self, job_id: str, floor: Floor | None = None) -> Queued | None:
        """Where a waiting job stands, None when it isn't waiting. floor: what devices do, by ``look``."""
        waiting = self.waitlist.get(job_id)
        if waiting is None:
            return None
        floor = floor or self.look()
        if waiting.model in floor.own:
            line = (other for other in self.waitlist.order(monotonic()) if other.model == waiting.model)
            place = 1 + next(n for n, other in enumerate(line) if other is waiting)
        else:
            place = self.waitlist.position(waiting, monotonic())
        eta, held = self._eta_of(waiting, place, floor), self.waitlist.paused
        return Queued(place, None if floor.starting else eta, held, starting=floor.starting)

    def _eta_of(self, waiting: Waiting, place: int, floor: Floor) -> float | None:
        """Seconds until the job at ``place`` starts. Its member's limits count, too."""
        if waiting.model in floor.own or self.waitlist.paused or (average := self._average()) is None:
            return None
        ahead = islice(self.waitlist.order(monotonic(), whole=False), min(place - 1, EXACT_TIMES))
        everybody = Line(floor.left, floor.devices)
        start = everybody.start_behind(self._costs(ahead, average), place, average)
        before = list(self.waitlist.before(waiting))
        line = self.line_of(waiting, floor)
        starts = [line.start_behind(self._costs(before, average), len(before) + 1, average)]
        if is_video(waiting.cost_key):
            videos = [other for other in before if is_video(other.cost_key)]
            line = self.videos_of(waiting, floor)
            starts.append(line.start_behind(self._costs(videos, average), len(videos) + 1, average))
        return _told(max(start, *starts))

    def _average(self) -> float | None:
        """Seconds of a waiting job of known duration, None when there is none."""
        total = known = 0.0
        for key, count in self.waitlist.by_cost.items():
            seconds = self.estimate.seconds(key)
            if seconds is not None:
                total, known = total + count * seconds, known + count
        return total / known if known else None

    def _costs(self, jobs: Iterable[Waiting], average: float) -> list[float]:
        return [self.expected(job, average) for job in jobs]

    def expected(self, job: Waiting, otherwise: float) -> float:
        """Return the seconds that a job will take; endless while nothing like it was measured and it may take
        minutes, else ``otherwise``."""
        seconds = self.estimate.seconds(job.cost_key)
        return seconds if seconds is not None else math.inf if is_long(job.cost_key) else otherwise

    def line_of(self, waiting: Waiting, floor: Floor) -> Line:
        """The line before the slots that the job's member may have at once."""
        return self._own_line(waiting, waiting.max_running, floor, lambda job: job.model not in floor.own)

    def videos_of(self, waiting: Waiting, floor: Floor) -> Line:
        """The line before the videos that the job's member may have at once."""
        most = videos_at_once(self._limits, waiting)
        return self._own_line(waiting, most, floor, lambda job: is_video(job.cost_key))

    def _own_line(self, waiting: Waiting, most: int, floor: Floor, alike: Takes) -> Line:
        others = floor.running.get(waiting.user_id, ())
        left = sorted(self._left(live) for live in others if alike(live.waiting))
        slots = max(1, most)  # 0: rows from before such members were refused
        return Line(([0.0] * (slots - len(left)) + left)[:slots], min(slots, floor.devices))

    def _left(self, live: ActiveJob) -> float:
        """Return ``remaining``; endless where nobody knows and it may take minutes."""
        seconds = self.remaining(live)
        return seconds if seconds is not None else math.inf if is_long(live.waiting.cost_key) else 0.0

    def remaining(self, live: ActiveJob) -> float | None:
        """Seconds until a running job ends: by its own pace once it has one, else by those before it."""
        elapsed = 0.0 if not live.handed else monotonic() - live.working_since
        progress = live.progress
        if progress is not None and progress.step >= 2 and not live.text:  # nobody knows an answer's length
            return elapsed / progress.step * max(0, progress.total - progress.step)
        expected = self.estimate.seconds(live.waiting.cost_key)
        beside = max(1, self.shares.beside(live.device))  # it may wait for its files still
        return None if expected is None else max(0.0, expected * beside - elapsed)

    async def announce_for_ever(self) -> None:
        """Tell positions when they have moved, and times as they run down, in rounds with pauses between."""
        while True:
            counting = bool(self.waitlist) and not self.waitlist.paused
            with contextlib.suppress(TimeoutError):  # Python 3.11's wait_for may swallow a cancel
                async with asyncio.timeout(COUNT_DOWN if counting else None):
                    await self._moved.wait()
            self._moved.clear()
            began = monotonic()
            await self.announce_all()
            await asyncio.sleep(max(ANNOUNCE_GAP, 10 * (monotonic() - began)))

    async def announce_all(self) -> None:
        """Tell each waiting job where it stands, if that has changed."""
        if monotonic() >= self._costs_known + COSTS_HOLD:
            self._costs_known = monotonic()
            self.waitlist.note_costs()
        self.waitlist.lift(monotonic())
        left = True
        while left:
            left = self.waitlist.reckon()
            await asyncio.sleep(0)
        going = _Round(self, self._floor())
        for lot in self.waitlist.in_lots(CHUNK):
            for waiting in lot:
                if waiting.job_id not in self.waitlist:  # it has left since places were reckoned
                    continue
                event, before = going.place(waiting), self.told.get(waiting.job_id)
                if before is not None and not _worth_telling(before, event):
                    continue
                self.told[waiting.job_id] = event
                if (feed := self.feeds.get(waiting.job_id)) is not None:
                    feed.publish(event)
            await asyncio.sleep(0)


class _Round:
    """Goes along all that wait, as they will start."""

    def __init__(self, positions: Positions, floor: Floor) -> None:
        self._positions, self._floor = positions, floor
        self._places = Counter[str]()  # by the role that has a device for itself, "" for all others
        self._everybody = Line(floor.left, floor.devices)
        self._members, self._videos = dict[int, Line](), dict[int, Line]()

    def place(self, waiting: Waiting) -> Queued:
        """Return where the next one stands."""
        floor, positions, user_id = self._floor, self._positions, waiting.user_id
        line = waiting.model if waiting.model in floor.own else ""
        self._places[line] += 1
        seconds = positions.estimate.seconds(waiting.cost_key)
        if user_id not in self._members:
            self._members[user_id] = positions.line_of(waiting, floor)
        lines = [] if line else [self._everybody, self._members[user_id]]
        if is_video(waiting.cost_key):
            if user_id not in self._videos:
                self._videos[user_id] = positions.videos_of(waiting, floor)
            lines.append(self._videos[user_id])
        takes = positions.expected(waiting, 0.0)
        eta = max((one.next(takes) for one in lines), default=0.0)
        held = positions.waitlist.paused
        unknown = seconds is None or held or bool(line) or floor.starting
        return Queued(self._places[line], None if unknown else _told(eta), held, starting=floor.starting)


def _told(eta: float) -> float | None:
    """Return what is told of it: nothing behind what nobody knows the end of."""
    return eta if math.isfinite(eta) else None


def _worth_telling(before: Queued, now: Queued) -> bool:
    if before.starting != now.starting:
        return True
    if before.position <= EXACT_POSITIONS or now.position <= EXACT_POSITIONS:
        moved = before.position != now.position
    else:
        moved = abs(before.position - now.position) * 10 >= before.position
    if before.eta is None or now.eta is None:
        return moved or before.held != now.held or (before.eta is None) != (now.eta is None)
    return moved or abs(before.eta - now.eta) >= max(COUNT_DOWN, before.eta / 5)
