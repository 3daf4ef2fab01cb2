"""Where batching doesn't help: a device that one picture fills, with short and long jobs at load 0.9."""

from __future__ import annotations

from benchmarks import serving
from benchmarks.measure import Chart, Figure, Goal, Result
from benchmarks.models import tiny_image_model
from benchmarks.rows import Options
from benchmarks.serving import Ask, Mix

TITLE = "Saturated: 4-, 28- and 50-step jobs at load 0.9"
AGAINST = "(a) the diffusers pipeline, one job at a time in the order of arrival"
SHORT, LONG = 4, 50
MIX = Mix(steps=((SHORT, 0.6), (28, 0.3), (LONG, 0.1)), guidances=(1.0,), side=192)
LOAD, JOBS = 0.9, 160
SAME = 2  # of 255


def measure(options: Options) -> Result:
    """A trace for each repeat on the tiny Stable Diffusion at 192 px, where two pictures at once take 1.6
    times one picture's step.

    Many jobs: under (a) the line at load 0.9 grows for a hundred jobs before it is as long as it gets.
    """
    model = tiny_image_model("stable-diffusion", options.folder)
    ways = {name: serving.WAYS[name] for name in ("one by one", "engine")}
    runs = serving.serve_loaded(model, MIX, LOAD, round(JOBS * options.scale), options.repeats, ways)
    figures = (
        Figure(
            "short jobs' mean",
            serving.gains(runs, "one by one", lambda run: run.mean(_latency, _short)),
            "× lower",
            goal=Goal(8),
        ),
        Figure(
            "all jobs' mean",
            serving.gains(runs, "one by one", lambda run: run.mean(_latency)),
            "× lower",
            goal=Goal(1.6),
        ),
        Figure(
            "throughput", serving.gains(runs, "one by one", lambda run: run.busy), "of (a)'s", goal=Goal(0.97)
        ),
        Figure(
            "worst slowdown of a long job", tuple(_slowdown(run) for run in runs), "×", goal=Goal(at_most=2)
        ),
        Figure("load of (a) as it came out", serving.came_out(runs), ""),
    )
    series = {
        f"{name}, {way}": [run[way].mean(_latency, only) for run in runs]
        for name, only in (
            ("short", _short),
            ("28 steps", lambda ask: ask.generation.num_inference_steps == 28),
            ("long", _long),
        )
        for way in ways
        if all(any(only(one.ask) for one in run[way].served) for run in runs)
    }
    notes = (
        (
            "A long job's slowdown is its time from arrival to picture by what the same job took under (a),"
            " the worst of each trace."
        ),
    )
    return Result(
        figures,
        (serving.same_pictures(runs, SAME),),
        Chart("bars", TITLE, "CPU seconds from the arrival, mean", series, log=True),
        notes,
    )


def _latency(one: serving.Served) -> float:
    return one.latency


def _short(ask: Ask) -> bool:
    return ask.generation.num_inference_steps == SHORT


def _long(ask: Ask) -> bool:
    return ask.generation.num_inference_steps == LONG


def _slowdown(run: dict[str, serving.Run]) -> float:
    pairs = zip(run["one by one"].served, run["engine"].served, strict=True)
    return max((ours.latency / theirs.latency for theirs, ours in pairs if _long(ours.ask)), default=1.0)
