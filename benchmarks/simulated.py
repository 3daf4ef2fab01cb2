"""Four ways to serve the same trace on a device of which only the curve is known (seconds of a pass by rows):
one job at a time, batches of whole requests, the step batching of other servers, and Atelier's engine.

Nothing is drawn and no clock is read: the same seed gives the same figures on any machine. The engine's rule
is the product's own, ``batches.choose``.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from benchmarks.measure import quantile
from vision.engine.batches import Candidate, Curve, choose

CAP = 8  # jobs at once, of all ways but one by one: a worker's slots
MAX_ROWS = 64
PEOPLE = 6


@dataclass(frozen=True)
class Device:
    """points: (rows, seconds) of a pass. rows: of one job's step. rest: seconds of a job's work outside of
    its passes, which nobody shares."""

    points: tuple[tuple[int, float], ...]
    rows: int = 1
    rest: float = 0.0

    def step(self, jobs: int = 1) -> float:
        """Return the seconds of a pass of so many jobs."""
        return _seconds(self.points, jobs * self.rows)


@cache
def _seconds(points: tuple[tuple[int, float], ...], rows: int) -> float:
    return Curve(dict(points)).seconds(rows)


@dataclass(eq=False)
class Job:
    """at: seconds. kind: jobs with another one never share a pass. left: steps. first, end: seconds, of its
    first step and its picture."""

    at: float
    steps: int
    kind: int
    guidance: float
    left: int = 0
    first: float = 0.0
    end: float = 0.0


@dataclass(frozen=True)
class Mix:
    """steps: (number, weight). Each of six people has one of ``kinds`` and one of ``guidances``."""

    steps: Sequence[tuple[int, float]]
    kinds: Sequence[int] = (0,)
    guidances: Sequence[float] = (3.0,)


def trace(device: Device, mix: Mix, load: float, count: int, seed: int, together: int = 1) -> list[Job]:
    """``count`` jobs that come by chance (exponential gaps), ``together`` at a time. load: their work, one by
    one, by the time in which they come; 0: all come at once."""
    chance, at, jobs = random.Random(seed), 0.0, list[Job]()
    habits = [(chance.choice(mix.kinds), chance.choice(mix.guidances)) for _ in range(PEOPLE)]
    numbers, weights = zip(*mix.steps, strict=True)
    for number in range(count):
        at += 0.0 if number % together else chance.expovariate(1.0)
        kind, guidance = chance.choice(habits)
        jobs.append(Job(at, chance.choices(numbers, weights)[0], kind, guidance))
    work = sum(job.steps * device.step() + device.rest for job in jobs)
    stretch = work / (load * at) if load else 0.0
    for job in jobs:
        job.at, job.left = job.at * stretch, job.steps
    return jobs


Server = Callable[[Device, list[Job]], None]


def one_by_one(device: Device, jobs: list[Job]) -> None:
    """In the order of their coming."""
    _calls(device, jobs, 1)


def request_batches(device: Device, jobs: list[Job]) -> None:
    """The oldest waiting job, with those of the same steps, kind and guidance that wait, in one call."""
    _calls(device, jobs, CAP)


def _calls(device: Device, jobs: list[Job], cap: int) -> None:
    waiting, now = list(jobs), 0.0
    while waiting:
        now, oldest = max(now, waiting[0].at), waiting[0]
        alike = [
            job
            for job in waiting
            if job.at <= now
            and (job.steps, job.kind, job.guidance) == (oldest.steps, oldest.kind, oldest.guidance)
        ][:cap]
        for job in alike:
            waiting.remove(job)
            job.first = now + device.step(len(alike))
        now += oldest.steps * device.step(len(alike)) + device.rest * len(alike)
        for job in alike:
            job.end = now


def step_batches(device: Device, jobs: list[Job]) -> None:
    """The rule of vLLM-Omni (its documentation, "Continuous Batching for Step-Wise Diffusion") and, as far as
    it is described, of SGLang's continuous batching. Jobs are let in between steps, in the order of their
    coming; one that can't share passes with those inside, for its kind or guidance, blocks all later ones;
    all inside are in every pass."""
    coming, inside, now = list(jobs), list[Job](), 0.0
    while coming or inside:
        if not inside:
            now = max(now, coming[0].at)
        while coming and coming[0].at <= now and len(inside) < CAP:
            if inside and (inside[0].kind, inside[0].guidance) != (coming[0].kind, coming[0].guidance):
                break
            inside.append(coming.pop(0))
        now = _pass(device, inside, now)
        inside = [job for job in inside if job.left]


def engine(device: Device, jobs: list[Job]) -> None:
    """Atelier's; what doesn't fit into the worker's slots waits in the order of its coming."""
    coming, inside, now = list(jobs), list[tuple[Job, float]](), 0.0
    while coming or inside:
        if not inside:
            now = max(now, coming[0].at)
        while coming and coming[0].at <= now and len(inside) < CAP:
            inside.append((coming.pop(0), now))
        chosen = choose(
            [
                Candidate(job.kind, device.rows, job.left, job.steps, came, not job.first)
                for job, came in inside
            ],
            lambda _, rows: _seconds(device.points, rows),
            lambda _: MAX_ROWS,
            now,
        )
        now = _pass(device, [inside[i][0] for i in chosen], now)
        inside = [(job, came) for job, came in inside if job.left]


def _pass(device: Device, jobs: Sequence[Job], now: float) -> float:
    """When a pass of ``jobs`` that begins ``now`` is over, and what those do that end in it."""
    now += device.step(len(jobs))
    for job in jobs:
        job.first, job.left = job.first or now, job.left - 1
        if not job.left:
            now = job.end = now + device.rest
    return now


WAYS: dict[str, Server] = {
    "one by one": one_by_one,
    "request batches": request_batches,
    "step batches": step_batches,
    "engine": engine,
}


def serve(way: Server, device: Device, jobs: list[Job]) -> dict[str, float]:
    """Seconds that people wait when ``jobs`` are served in this way, and the jobs a second."""
    way(device, jobs)
    waits = [job.end - job.at for job in jobs]
    return {
        "first step": statistics.mean(job.first - job.at for job in jobs),
        "mean": statistics.mean(waits),
        "p95": quantile(waits, 0.95),
        "worst": max(waits),
        "throughput": len(jobs) / max(job.end for job in jobs),
    }


def bound(device: Device, jobs: Sequence[Job]) -> float:
    """Mean seconds below which nobody can serve ``jobs``, who knows all that will come included: the greater
    of each job's own steps alone, and of the jobs one after another, shortest first, on a device that always
    works as fast as its best pass, whatever comes with whom."""
    best = min(seconds / rows for rows, seconds in device.points) * device.rows
    alone = statistics.mean(job.steps * device.step() + device.rest for job in jobs)
    left, now, waits = list[list[float]](), 0.0, list[float]()
    coming = sorted((job.at, job.steps * best + device.rest) for job in jobs)
    while coming or left:
        if not left:
            now = max(now, coming[0][0])
        while coming and coming[0][0] <= now:
            at, work = coming.pop(0)
            left.append([work, at])
        shortest = min(left)
        until = min(now + shortest[0], coming[0][0] if coming else float("inf"))
        shortest[0] -= until - now
        now = until
        if shortest[0] <= 1e-9:
            left.remove(shortest)
            waits.append(now - shortest[1])
    return max(alone, statistics.mean(waits))


def compare(
    make: Callable[[int], list[Job]], device: Device, seeds: Sequence[int]
) -> dict[str, list[dict[str, float]]]:
    """What the engine is better by than each other way, a trace a seed: how many times sooner, or more a
    second."""
    better: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS if way != "engine"}
    for seed in seeds:
        ours = serve(engine, device, make(seed))
        for way, found in better.items():
            theirs = serve(WAYS[way], device, make(seed))
            found.append({name: _gain(name, theirs, ours) for name in ours})
    return better


def _gain(name: str, theirs: Mapping[str, float], ours: Mapping[str, float]) -> float:
    return ours[name] / theirs[name] if name == "throughput" else theirs[name] / ours[name]
