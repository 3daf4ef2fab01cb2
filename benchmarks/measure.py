"""How objects are timed and compared: interleaved pairs, CPU time beside wall time, medians with their
spread, equality in the same run."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

ROUNDED = 0.1  # of 255, see mean_apart: the most that enlarging makes of the same picture rounded otherwise


class Unequal(AssertionError):
    """Two ways that must give the same gave something else; their times mean nothing."""


@dataclass(frozen=True)
class Cost:
    """Seconds. cpu: of all threads of this process, which other processes on the machine hardly change."""

    cpu: float
    wall: float


@dataclass(frozen=True)
class Goal:
    """``at_least`` or ``at_most``, whichever is set."""

    at_least: float | None = None
    at_most: float | None = None

    def met(self, value: float) -> bool:
        """Return whether ``value`` lies within the goal."""
        return (self.at_least is None or value >= self.at_least) and (
            self.at_most is None or value <= self.at_most
        )

    def __str__(self) -> str:
        return f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"


@dataclass(frozen=True)
class Figure:
    """One measured quantity, a value for each repeat. clock: "CPU", "wall" or "count", what its unit was
    counted on."""

    name: str
    values: tuple[float, ...]
    unit: str
    clock: str = "CPU"
    goal: Goal | None = None

    @property
    def median(self) -> float:
        """The median of the values."""
        return statistics.median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the greatest value."""
        return min(self.values), max(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the median meets the goal; None without one."""
        return None if self.goal is None else self.goal.met(self.median)


@dataclass(frozen=True)
class Check:
    """An equality that held in this run: the ``worst`` of ``count`` comparisons, and the most it may be."""

    what: str
    worst: float
    bound: float
    count: int


@dataclass(frozen=True)
class Chart:
    """What a row's chart shows: bars (name → a value for each repeat) or, with the name of an axis ``x``,
    lines (name → (x, y) points)."""

    unit: str
    series: Mapping[str, Sequence[Any]]
    x: str = ""
    log: bool = False


@dataclass(frozen=True)
class Result:
    """What a row found."""

    figures: tuple[Figure, ...]
    checks: tuple[Check, ...]
    chart: Chart
    notes: tuple[str, ...] = ()


def check(what: str, differences: Sequence[float], bound: float) -> Check:
    """Unequal when any of ``differences`` is over ``bound`` or not a number, or when there are none: nothing
    compared is nothing shown."""
    worst = max((float("inf") if np.isnan(d) else float(d) for d in differences), default=float("inf"))
    if worst > bound:
        raise Unequal(f"{what}: {worst:g} apart, {bound:g} allowed, in {len(differences)} comparisons")
    return Check(what, worst, bound, len(differences))


def apart(a: Any, b: Any) -> float:
    """Largest difference of two pictures or arrays, in their own unit; inf when they differ in shape."""
    left, right = np.asarray(a).astype(np.float64), np.asarray(b).astype(np.float64)
    return float(np.abs(left - right).max(initial=0.0)) if left.shape == right.shape else float("inf")


def mean_apart(a: Any, b: Any) -> float:
    """Mean difference of two pictures, of 255; inf when they differ in shape. Enlarging with a sharpened edge
    makes several levels of one that was rounded otherwise, so the largest says little there; another
    picture's mean is 10 and more."""
    left, right = np.asarray(a).astype(np.float64), np.asarray(b).astype(np.float64)
    return float(np.abs(left - right).mean()) if left.shape == right.shape else float("inf")


def timed(work: Callable[[], Any]) -> tuple[Any, Cost]:
    """(what ``work`` returns, what it cost)."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    return result, Cost(time.process_time() - cpu, time.perf_counter() - wall)


def interleaved(
    ways: Mapping[str, Callable[[], Any]], repeats: int, *, rounds: int = 1
) -> dict[str, list[Cost]]:
    """Each way once unmeasured, then ``repeats`` times, all ways in each repeat, in an order that changes:
    what befalls the machine befalls all.

    rounds: calls within one repeat, for what is too short to time; costs are per call.
    """
    for work in ways.values():
        work()
    costs: dict[str, list[Cost]] = {name: [] for name in ways}
    order = random.Random(0)
    for _ in range(repeats):
        for name in order.sample(list(ways), len(ways)):
            _, cost = timed(lambda work=ways[name]: [work() for _ in range(rounds)])
            costs[name].append(Cost(cost.cpu / rounds, cost.wall / rounds))
    return costs


def cpu_ms(costs: Sequence[Cost]) -> tuple[float, ...]:
    """Return the CPU time of each cost, in ms."""
    return tuple(1000 * cost.cpu for cost in costs)


def times_less(before: Sequence[float], after: Sequence[float]) -> tuple[float, ...]:
    """How many times smaller ``after`` is, repeat by repeat."""
    return tuple(b / a for b, a in zip(before, after, strict=True))


def quantile(values: Sequence[float], share: float) -> float:
    """Linear between the two nearest; ``share`` 0..1."""
    return float(np.quantile(np.asarray(values, np.float64), share))
