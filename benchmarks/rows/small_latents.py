"""Where batching helps: small latents, offered load 0.9 of what one job at a time can serve."""

from __future__ import annotations

from benchmarks import serving
from benchmarks.measure import Chart, Figure, Goal, Result
from benchmarks.models import tiny_image_model
from benchmarks.rows import Options
from benchmarks.serving import Mix

TITLE = "Small latents at load 0.9: first step, mean and 95th percentile"
AGAINST = (
    "(a) the diffusers pipeline, one job at a time in the order of arrival, and (b) request-level batches of"
    " up to 8"
)
MIX = Mix(steps=((12, 1.0),), guidances=(5.0,), side=64)
LOAD, JOBS = 0.9, 250
SAME = 2  # of 255: pictures of the different ways


def measure(options: Options) -> Result:
    """A trace for each repeat, three times, on the tiny Stable Diffusion at 64 px, whose batch curve is like
    that of 512 px on an H200."""
    model = tiny_image_model("stable-diffusion", options.folder)
    runs = serving.serve_loaded(model, MIX, LOAD, round(JOBS * options.scale), options.repeats)
    of = {
        "first step": (lambda run: run.mean(lambda one: one.wait), 20),
        "mean": (lambda run: run.mean(lambda one: one.latency), 2.5),
        "p95": (lambda run: run.p95(lambda one: one.latency), 3),
    }
    figures = [
        Figure(f"{name}, against (a)", serving.gains(runs, "one by one", what), "× lower", goal=Goal(goal))
        for name, (what, goal) in of.items()
    ]
    figures += [
        Figure(f"{name}, against (b)", serving.gains(runs, "request batches", what), "× lower")
        for name, (what, _) in of.items()
    ]
    figures.append(Figure("load of (a) as it came out", serving.came_out(runs), ""))
    series = {
        f"{name}, {way}": [what(run[way]) for run in runs]
        for name, (what, _) in of.items()
        for way in serving.WAYS
    }
    return Result(
        tuple(figures),
        (serving.same_pictures(runs, SAME),),
        Chart("bars", TITLE, "CPU seconds from the arrival", series, log=True),
    )
