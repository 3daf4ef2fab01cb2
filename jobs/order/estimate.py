"""How long a job will take, from how long such jobs took: the median of the last runs with the same cost key.

Seconds are a device's, not the clock's: while n jobs share a device, each takes 1/n of every second. So a
queue's length in time comes out right however many jobs a worker runs at once.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from statistics import median

from core.requests import ImagineRequest

SAMPLES = 20  # per key: enough for a median, few enough to follow a change of card or model
MAX_KEYS = 500
A_PICTURE = (
    f"{ImagineRequest.kind}||"  # what others are measured by: one /imagine, whatever its size and model
)


class Estimate:
    """Seconds by cost key (``kind|size|model``); what was never seen falls back to its kind and model, its
    kind, anything."""

    def __init__(self) -> None:
        self._runs: dict[str, deque[float]] = {}
        self._medians: dict[str, float] = {}

    def add(self, cost_key: str, seconds: float) -> None:
        """Note that a job with ``cost_key`` took so many seconds of its device."""
        for key in _keys(cost_key):
            runs = self._runs.pop(key, None) or deque(maxlen=SAMPLES)
            runs.append(seconds)
            self._runs[key] = runs  # the newest key is last
            self._medians[key] = median(runs)
        while len(self._runs) > MAX_KEYS:
            oldest = next(iter(self._runs))
            del self._runs[oldest], self._medians[oldest]

    def seconds(self, cost_key: str) -> float | None:
        """None while nothing was measured."""
        return next((self._medians[key] for key in _keys(cost_key) if key in self._medians), None)

    def cost(self, cost_key: str) -> int:
        """Return how many times a median picture's seconds a job takes, 1 at least; 1 while nothing was
        measured."""
        seconds = self.seconds(cost_key)
        pictures = None if seconds is None else self.pictures(seconds)
        return 1 if pictures is None else max(1, round(pictures))

    def pictures(self, seconds: float) -> float | None:
        """Return how many median pictures take so many seconds of a device, None while none was measured."""
        a_picture = self._medians.get(A_PICTURE)
        return seconds / a_picture if a_picture else None


class Shares:
    """How many seconds of its device each running job has taken, models that were loaded for it left out.
    ``now``: monotonic seconds."""

    def __init__(self) -> None:
        self._taken: defaultdict[str, dict[str, tuple[float, float]]] = defaultdict(
            dict
        )  # device → job → what it took by its last sign of life, what the device had spent by then
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
        """Seconds until the one at ``place`` starts. ``costs``: seconds of the first of those before it;
        ``average``: of each of the others."""
        ended = max(0, place - len(self._left))  # before it starts
        ahead = sum(costs[:ended]) + average * max(0, ended - len(costs))
        return until_start(place, self._left, ahead, self._devices)


def _keys(cost_key: str) -> tuple[str, ...]:
    kind, _, model = cost_key.split("|", 2)
    return cost_key, f"{kind}||{model}", f"{kind}||", "||"
