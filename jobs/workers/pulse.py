"""How long a worker may be silent: signs of life, and what is normal between two of them. Pure."""

from __future__ import annotations

import asyncio
import statistics
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from jobs.executor import Outcome, Report
from jobs.films import is_film
from vision.protocol import LAST_STEP

COSTS_KEPT = 500  # whose slowest step is known


@dataclass(frozen=True)
class Timeouts:
    """Seconds without a sign of life before a worker is killed. A step: max(step, factor × the median step);
    for a film also ``slowest`` × the slowest step of such films, since a piece of it that is decoded may take
    many times what a step of drawing does.

    A sign from any of its jobs will do: a worker that has several may let one of them wait.
    """

    step: float = 30.0
    factor: float = 10.0
    slowest: float = 3.0
    film: float = 300.0  # a step of a film of a model and size of which none was finished yet
    loading: float = 600.0  # after a report of loading, and until the first sign after a job was handed over
    forgotten: float = 3600.0  # without a sign from one job while the others go on
    ready: float = 300.0  # imports, on a slow disk
    quit: float = LAST_STEP + 1.0  # a worker ends itself by then, its last step saved
    check: float = 1.0  # between two looks at the clock


@dataclass
class Running:
    """One run in a worker's hands, and its clock. Times are monotonic seconds. slowest: of its steps."""

    report: Report
    outcome: asyncio.Future[Outcome]
    since: float
    last_sign: float
    cost_key: str = ""
    steps: deque[float] = field(default_factory=lambda: deque(maxlen=50))  # seconds each
    slowest: float = 0.0

    def sign(self, now: float, *, step: bool) -> None:
        """Note a sign of life, which says that a step is done or that something loads."""
        if step:
            self.steps.append(now - self.last_sign)
            self.slowest = max(self.slowest, self.steps[-1])
        self.last_sign = now


class SlowestSteps:
    """The slowest step of films that were finished, by cost key."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def note(self, running: Running) -> None:
        """Note a run that was finished, so that every kind of its steps was seen."""
        if is_film(running.cost_key):
            before = self._seconds.pop(running.cost_key, 0.0)
            self._seconds[running.cost_key] = max(before, running.slowest)
            while len(self._seconds) > COSTS_KEPT:
                del self._seconds[next(iter(self._seconds))]

    def allowed(self, running: Running, timeouts: Timeouts) -> float:
        """Seconds that a step of this run may take; 0 = nothing is known that other jobs don't have."""
        if not is_film(running.cost_key):
            return 0.0
        known = self._seconds.get(running.cost_key)
        return timeouts.film if known is None else timeouts.slowest * known


@dataclass
class Pulse:
    """The latest sign of life of a worker, of whichever run. ``at``: monotonic seconds."""

    at: float = 0.0
    loads: bool = False

    def allowed(self, runs: Iterable[Running], timeouts: Timeouts, slowest: SlowestSteps) -> float:
        """Seconds of silence that are still normal. The low median: one slow first step must not stretch
        it."""
        runs = tuple(runs)
        medians = [statistics.median_low(running.steps) for running in runs if running.steps]
        if self.loads or not medians or any(running.since >= self.at for running in runs):
            return timeouts.loading
        films = max(slowest.allowed(running, timeouts) for running in runs)
        return max(timeouts.step, timeouts.factor * max(medians), films)
