"""What is drawn twice when a worker is killed in the middle of a batch."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from benchmarks.measure import ROUNDED, Chart, Figure, Goal, Result, check, mean_apart
from benchmarks.models import DEMO
from benchmarks.rows import Options
from core.requests import ImagineRequest, to_json
from jobs.executors.base import Lost
from jobs.executors.local import LocalExecutor
from vision.protocol import Done, LoadingModel, Run, Step, WorkerConfig

TITLE = "kill -9 of the worker in mid-batch: steps drawn twice"
AGAINST = (
    "the same jobs, undisturbed; a worker that keeps nothing would draw again whatever its jobs had done:"
    " half of all steps on the average"
)
JOBS, STEPS = 4, 40


def _read(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


@dataclass
class _Job:
    """One run and its lives. steps: of each report, in order."""

    run: Run
    steps: list[int] = field(default_factory=list)
    data: list[bytes] = field(default_factory=list)

    @property
    def done(self) -> int:
        return max(self.steps, default=0)


def measure(options: Options) -> Result:
    """A kill for each repeat, spread over the jobs' length; then to the end."""
    steps = max(8, round(STEPS * options.scale))
    undisturbed, _ = asyncio.run(_lives(options, "calm", steps, []))
    kills = [round(JOBS * steps * (k + 1) / (options.repeats + 1)) for k in range(options.repeats)]
    jobs, redone = asyncio.run(_lives(options, "killed", steps, kills))
    share = tuple(100 * again / (JOBS * steps) for again in redone)
    pairs = [
        (a, b)
        for job, calm in zip(jobs, undisturbed, strict=True)
        for a, b in zip(job.data, calm.data, strict=True)
    ]
    differences = [mean_apart(_read(a), _read(b)) for a, b in pairs]
    figures = (
        Figure("steps drawn twice after a kill, of all", share, "%", "count", Goal(at_most=10)),
        Figure(
            "steps that a worker that keeps nothing would draw again",
            tuple(100 * kill / (JOBS * steps) for kill in kills),
            "%",
            "count",
        ),
    )
    series = {"with checkpoints": share, "without": [100 * kill / (JOBS * steps) for kill in kills]}
    notes = (f"{JOBS} jobs of four pictures and {steps} steps on the demo model, in one worker.",)
    checks = (check("pictures after kills and undisturbed, mean difference of 255", differences, ROUNDED),)
    return Result(figures, checks, Chart("bars", TITLE, "% of all steps", series), notes)


async def _lives(options: Options, name: str, steps: int, kills: list[int]) -> tuple[list[_Job], list[int]]:
    """The jobs, run to their ends through all kills, and how many steps were reported twice after each
    kill."""
    cache = options.folder / name
    config = WorkerConfig(
        "cpu", {"image": str(DEMO)}, str(cache), cpu_threads=1, allow_download=False, log_level="error"
    )
    requests = [
        ImagineRequest(prompt="a red house", seed=10 * i, num_inference_steps=steps) for i in range(JOBS)
    ]
    jobs = [_Job(Run(f"{name}{i}", "imagine", to_json(request))) for i, request in enumerate(requests)]
    executor, changed, redone = LocalExecutor([config]), asyncio.Event(), []
    await executor.start(changed.set)
    try:
        for kill in [*kills, None]:
            before = [job.done for job in jobs]
            told = [len(job.steps) for job in jobs]
            killed = (lambda kill=kill: sum(job.done for job in jobs) >= kill) if kill is not None else None
            await _life(executor, changed, [job for job in jobs if not job.data], killed)
            redone.append(
                sum(
                    step <= was
                    for job, was, n in zip(jobs, before, told, strict=True)
                    for step in job.steps[n:]
                )
            )
    finally:
        await executor.stop()
    return jobs, redone[1:]


async def _life(
    executor: LocalExecutor, changed: asyncio.Event, jobs: list[_Job], killed: Callable[[], bool] | None
) -> None:
    """Run ``jobs`` until they are done, or until ``killed`` says that it is time."""
    doomed = asyncio.Event()

    def report(job: _Job, message: LoadingModel | Step) -> None:
        if isinstance(message, Step):
            job.steps.append(message.step)
            if killed is not None and killed() and not doomed.is_set():
                doomed.set()
                os.kill(executor.pids()["cpu"], signal.SIGKILL)

    async def one(job: _Job) -> None:
        while not executor.free():
            changed.clear()
            await changed.wait()
        outcome = await executor.run("cpu", job.run, lambda message: report(job, message))
        if isinstance(outcome, Done):
            job.data = [picture.data for picture in outcome.output.pictures]
        elif not isinstance(outcome, Lost) or not doomed.is_set():
            raise RuntimeError(f"{job.run.job_id} ended with {outcome}")

    await asyncio.gather(*(one(job) for job in jobs))
