"""Throughput on what different people ask for at once: three guidances, four step counts, three samplers,
four LoRAs or none."""

from __future__ import annotations

from benchmarks import serving
from benchmarks.measure import Chart, Figure, Goal, Result
from benchmarks.models import random_loras, tiny_image_model
from benchmarks.rows import Options
from benchmarks.serving import Mix, at_once, poisson
from vision.families import Mode

TITLE = "Throughput on a mixed trace"
AGAINST = (
    "(a) the diffusers pipeline, one job at a time, and (b) request-level batches of up to 8 compatible"
    " requests"
)
LORAS = (None, "style0", "style1", "style2", "style3")
MIX = Mix(
    steps=((8, 1), (12, 1), (20, 1), (30, 1)),
    guidances=(3.0, 5.0, 7.5),
    side=64,
    samplers=("euler", "dpm++", "unipc"),
    loras=LORAS,
)
JOBS = 48
SAME = 2  # of 255


def measure(options: Options) -> Result:
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
    for ask in {ask.lora: ask for ask in poisson(MIX, 60, 1.0, 99)}.values():
        serving.learned(model, ask)  # each LoRA is in memory, as it is for the plain pipeline
    traces = [
        at_once(poisson(MIX, max(6, round(JOBS * options.scale)), 1.0, seed))
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
    return Result(
        figures, (serving.same_pictures(runs, SAME),), Chart("bars", TITLE, "pictures a CPU second", series)
    )
