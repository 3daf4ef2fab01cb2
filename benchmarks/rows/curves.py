"""What people wait on three devices of which the curve is known: the demo pack on this processor, Qwen-Image
at 512 px on an H200, and FLUX.1-dev at 1024 px on an H100. Simulated, so what else the machine does changes
nothing; only the demo's curve is measured here."""

from __future__ import annotations

import statistics
from functools import partial

from benchmarks import serving
from benchmarks.measure import Chart, Figure, Goal, Result
from benchmarks.models import DEMO, image_model
from benchmarks.rows import Options, Row
from benchmarks.simulated import WAYS, Device, Mix, bound, compare, engine, serve, trace

# drafts, the card's steps and careful ones; mostly squares; each person has a guidance of their own
PEOPLE = Mix(((6, 0.4), (12, 0.45), (24, 0.15)), kinds=(0, 0, 0, 1), guidances=(2.0, 3.0, 3.0, 5.0))
ALIKE = Mix(((12, 1.0),))
LOAD, OTHER_LOADS = 0.9, (0.8, 0.5)
JOBS, BURST = 200, 24
TRACES = 2  # for each repeat
# github.com/sgl-project/sglang, pull request 22183, compiled
H200 = Device(((1, 0.167), (2, 0.183), (3, 0.186), (4, 0.240), (8, 0.425), (16, 0.832)))
# sayakpaul/diffusers-torchao, README: 28 steps of 1, 4, 8 and 16 pictures, eager
H100 = Device(
    tuple((rows, seconds / 28) for rows, seconds in ((1, 6.573), (4, 24.828), (8, 49.438), (16, 97.545)))
)

Goals = dict[tuple[str, str], float]


def demo(options: Options) -> Device:
    """Return the demo pack's device: one thread of this processor's time, pictures of 128 px."""
    model = image_model(DEMO, options.folder)
    steps = serving.Mix(steps=((12, 1.0),), guidances=(3.0,), side=128)
    asks = serving.poisson(steps, 4, 1.0, 0)
    durations = serving.learned(model, asks[0])
    (curve,) = durations.curves.values()
    rest = serving.service_time(model, asks) - 12 * curve.seconds(2)
    return Device(tuple(curve.points), rows=2, rest=max(0.0, rest))


def measure(options: Options, device: Device, goals: Goals) -> Result:
    """The same traces in all ways, at several loads and all at once."""
    jobs, seeds = max(40, round(JOBS * options.scale)), range(TRACES * options.repeats)

    def better(mix: Mix, load: float) -> dict[str, list[dict[str, float]]]:
        count = jobs if load else BURST
        return compare(lambda seed: trace(device, mix, load, count, seed), device, seeds)

    figures = [
        Figure(
            f"{name}, against {way}",
            tuple(one[name] for one in found),
            "× more" if name == "throughput" else "× lower",
            clock="simulated",
            goal=Goal(goals[way, name]) if (way, name) in goals else None,
        )
        for way, found in better(PEOPLE, LOAD).items()
        for name in found[0]
    ]
    traces = [partial(trace, device, mix, LOAD, jobs, seed) for mix in (PEOPLE, ALIKE) for seed in seeds]
    spare = [serve(engine, device, make())["mean"] / bound(device, make()) for make in traces]
    figures += [
        Figure("mean, of the least that anybody could reach", tuple(spare[: len(seeds)]), "×", "simulated"),
        Figure("… where all jobs are alike", tuple(spare[len(seeds) :]), "×", "simulated"),
    ]
    cases = [(f"load {load:g}", PEOPLE, load) for load in OTHER_LOADS]
    cases += [(f"{BURST} at once", PEOPLE, 0.0), (f"all jobs alike, load {LOAD:g}", ALIKE, LOAD)]
    notes = [
        f"Pass of {', '.join(str(rows) for rows, _ in device.points)} rows:"
        f" {', '.join(f'{1000 * seconds:.0f}' for _, seconds in device.points)} ms; a job has {device.rows}"
        f" row{'s' * (device.rows > 1)}; {1000 * device.rest:.0f} ms of its own work.",
        "Load: of what one by one can serve.",
    ]
    for title, mix, load in cases:
        for way, found in better(mix, load).items():
            medians = {name: statistics.median(one[name] for one in found) for name in found[0]}
            listed = ", ".join(f"{name} {value:.2f}" for name, value in medians.items())
            notes.append(f"{title}, against {way}: {listed}.")
    series = {
        f"{name}, {way}": [serve(server, device, make())[name] for make in traces[: len(seeds)]]
        for name in ("first step", "mean", "p95")
        for way, server in WAYS.items()
    }
    return Result(
        tuple(figures), (), Chart("simulated seconds from the arrival", series, log=True), tuple(notes)
    )


def measure_demo(options: Options) -> Result:
    """The demo pack: rows hardly pay."""
    goals = {"first step": 5.0, "mean": 1.2, "p95": 1.0, "worst": 0.95}
    return measure(options, demo(options), {("one by one", name): goal for name, goal in goals.items()})


def measure_h200(options: Options) -> Result:
    """Rows pay."""
    goals = {("request batches", "mean"): 1.3, ("request batches", "p95"): 1.15}
    return measure(options, H200, goals | {("step batches", "mean"): 1.15, ("step batches", "p95"): 1.1})


def measure_h100(options: Options) -> Result:
    """Rows don't pay."""
    return measure(options, H100, {("one by one", "p95"): 1.0})


AGAINST = (
    "one job at a time; batches of whole requests of up to 8; and the step batching of vLLM-Omni and SGLang,"
    " first come, first served, the same size and guidance, up to 8"
)
ROWS = {
    "curve_demo": Row("Six people on the demo pack's curve (simulated)", AGAINST, measure_demo),
    "curve_h200": Row("Six people on an H200's curve at 512 px (simulated)", AGAINST, measure_h200),
    "curve_h100": Row("Six people on an H100's curve at 1024 px (simulated)", AGAINST, measure_h100),
}
