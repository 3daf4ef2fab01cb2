"""Whether batching helps: small latents, a mix of what different people ask for, and a device that one
picture fills."""

from __future__ import annotations

from benchmarks import serving
from benchmarks.measure import Chart, Figure, Goal, Result
from benchmarks.models import random_loras, tiny_image_model
from benchmarks.rows import Options, Row
from benchmarks.serving import Ask, Mix, at_once, poisson
from vision.families import Mode

MIX = Mix(steps=((12, 1.0),), guidances=(5.0,), side=64)
LOAD, JOBS = 0.9, 250
SAME = 2  # of 255: pictures of the different ways


def measure_small_latents(options: Options) -> Result:
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
        Chart("CPU seconds from the arrival", series, log=True),
    )


LORAS = (None, "style0", "style1", "style2", "style3")
MIXED = Mix(
    steps=((8, 1), (12, 1), (20, 1), (30, 1)),
    guidances=(3.0, 5.0, 7.5),
    side=64,
    samplers=("euler", "dpm++", "unipc"),
    loras=LORAS,
)
MIXED_JOBS = 48


def measure_mixed(options: Options) -> Result:
    """All jobs wait at the begin; a trace for each repeat.

    Not with ddim: on random weights 30 clipped steps of it make of 1e-7 in the first noise a different
    picture, whoever draws it.
    """
    files = random_loras("stable-diffusion", options.folder, len(LORAS) - 1)
    model, plain = (
        tiny_image_model("stable-diffusion", options.folder, loras=files),
        tiny_image_model("stable-diffusion", options.folder),
    )
    for name, file in files.items():
        plain.pipeline(Mode.TEXT).load_lora_weights(
            str(file.parent), weight_name=file.name, adapter_name=name
        )
    for ask in {ask.lora: ask for ask in poisson(MIXED, 60, 1.0, 99)}.values():
        serving.learned(model, ask)  # each LoRA is in memory, as it is for the plain pipeline
    traces = [
        at_once(poisson(MIXED, max(6, round(MIXED_JOBS * options.scale)), 1.0, seed))
        for seed in range(options.repeats)
    ]
    runs = [serving.serve(model, trace, plain=plain) for trace in traces]
    figures = (
        Figure(
            "against (a)",
            serving.gains(runs, "one by one", lambda run: run.busy),
            "× its throughput",
            goal=Goal(2),
        ),
        Figure(
            "against (b)",
            serving.gains(runs, "request batches", lambda run: run.busy),
            "× its throughput",
            goal=Goal(1.4),
        ),
    )
    series = {way: [len(run[way].served) / run[way].busy for run in runs] for way in serving.WAYS}
    return Result(figures, (serving.same_pictures(runs, SAME),), Chart("pictures a CPU second", series))


SHORT, LONG = 4, 50
SATURATED = Mix(steps=((SHORT, 0.6), (28, 0.3), (LONG, 0.1)), guidances=(1.0,), side=192)
SATURATED_LOAD, SATURATED_JOBS = 0.9, 160


def measure_saturated(options: Options) -> Result:
    """A trace for each repeat on the tiny Stable Diffusion at 192 px, where two pictures at once take 1.6
    times one picture's step.

    Many jobs: under (a) the line at load 0.9 grows for a hundred jobs before it is as long as it gets.
    """
    model = tiny_image_model("stable-diffusion", options.folder)
    ways = {name: serving.WAYS[name] for name in ("one by one", "engine")}
    runs = serving.serve_loaded(
        model, SATURATED, SATURATED_LOAD, round(SATURATED_JOBS * options.scale), options.repeats, ways
    )
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
        Chart("CPU seconds from the arrival, mean", series, log=True),
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


ROWS = {
    "small_latents": Row(
        "Small latents at load 0.9: first step, mean and 95th percentile",
        (
            "(a) the diffusers pipeline, one job at a time in the order of arrival, and (b) request-level"
            " batches of up to 8"
        ),
        measure_small_latents,
    ),
    "mixed": Row(
        "Throughput on a mixed trace",
        (
            "(a) the diffusers pipeline, one job at a time, and (b) request-level batches of up to 8 "
            "compatible requests"
        ),
        measure_mixed,
    ),
    "saturated": Row(
        "Saturated: 4-, 28- and 50-step jobs at load 0.9",
        "(a) the diffusers pipeline, one job at a time in the order of arrival",
        measure_saturated,
    ),
}
