"""Where batching helps: small latents, offered load 0.9 of what one job at a time can serve."""

from __future__ import annotations

import statistics

from benchmarks import serving
from benchmarks.measure import Chart, Figure, Goal, Result, quantile
from benchmarks.models import tiny_image_model
from benchmarks.rows import Options
from benchmarks.serving import CpuClock, Served, Server
from benchmarks.traces import Ask, Mix, poisson

TITLE = "Small latents at load 0.9: first step, mean and 95th percentile"
AGAINST = "(a) the diffusers pipeline, one job at a time in the order of arrival; (b) request-level batches of up to 8"
MIX = Mix(steps=((20, 1.0),), guidances=(5.0,), side=64)
LOAD, JOBS = 0.9, 120
SAME = 2  # of 255: pictures of the two ways


def measure(options: Options) -> Result:
    """The same trace three times for each seed, on the tiny Stable Diffusion at 64 px."""
    model, runs = tiny_image_model("stable-diffusion", options.folder), []
    ways = {"one by one": serving.one_by_one, "request batches": serving.request_batches, "engine": serving.engine}
    for seed in range(options.repeats):
        trace = loaded(model, MIX, LOAD, round(JOBS * options.scale), seed)
        runs.append(serve_all(model, trace, ways))
    figures = [
        Figure("first step, engine against (a)", ratios(runs, "one by one", lambda s: statistics.mean(x.wait for x in s)), "× lower", goal=Goal(20)),
        Figure("mean, engine against (a)", ratios(runs, "one by one", mean_latency), "× lower", goal=Goal(2.5)),
        Figure("p95, engine against (a)", ratios(runs, "one by one", p95_latency), "× lower", goal=Goal(3)),
        Figure("first step, engine against (b)", ratios(runs, "request batches", lambda s: statistics.mean(x.wait for x in s)), "× lower"),
        Figure("mean, engine against (b)", ratios(runs, "request batches", mean_latency), "× lower"),
        Figure("p95, engine against (b)", ratios(runs, "request batches", p95_latency), "× lower"),
        Figure("load of (a) as it came out", tuple(busy_share(run["one by one"]) for run in runs), ""),
    ]
    series = {name: tuple(mean_latency(run[name]) for run in runs) for name in ways}
    return Result(tuple(figures), (serving.same_pictures(runs, SAME),), Chart("bars", "Mean latency, " + TITLE[:25].lower(), "CPU s", series))


def loaded(model, mix: Mix, load: float, count: int, seed: int) -> list[Ask]:
    """A trace whose rate is ``load`` of what (a) can serve, measured just before."""
    sample = poisson(mix, max(4, count // 20), 1.0, 1000 + seed)
    return poisson(mix, count, load / serving.service_time(model, sample), seed)


def serve_all(model, trace: list[Ask], ways: dict[str, Server]) -> dict[str, list[Served]]:
    return {name: serve(model, trace, CpuClock()) for name, serve in ways.items()}


def ratios(runs, against: str, of) -> tuple[float, ...]:
    return tuple(of(run[against]) / of(run["engine"]) for run in runs)


def mean_latency(served: list[Served]) -> float:
    return statistics.mean(one.latency for one in served)


def p95_latency(served: list[Served]) -> float:
    return quantile([one.latency for one in served], 0.95)


def busy_share(served: list[Served]) -> float:
    """Of the time from the first arrival to the last end, what one job at a time was at work."""
    work, free = 0.0, 0.0
    for one in served:
        begin = max(one.ask.at, free)
        work, free = work + one.finished - begin, one.finished
    return work / (free - served[0].ask.at)
