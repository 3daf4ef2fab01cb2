"""Workers: what is drawn twice when one is killed in the middle of a batch, and what the way to one on
another machine costs beside the pipe of a worker here."""

from __future__ import annotations

import asyncio
import io
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.measure import ROUNDED, Chart, Figure, Goal, Result, check, mean_apart, quantile
from benchmarks.models import DEMO
from benchmarks.rows import Options, Row
from core.requests import ImagineRequest, to_json
from core.settings import load_settings
from jobs.cluster.executor import BusExecutor
from jobs.cluster.nats import connected
from jobs.cluster.protocol import News
from jobs.executors.base import Executor, Lost
from jobs.executors.local import LocalExecutor
from tests.jobs.cluster.live import started
from tests.jobs.conftest import until
from tests.support import nats
from vision.protocol import Done, LoadingModel, Run, Step, Stopped, WorkerConfig

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


def measure_redo(options: Options) -> Result:
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
    return Result(figures, checks, Chart("% of all steps", series), notes)


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


RUNS, EVENTS, EVENT_BYTES, STOPS = 200, 6000, 20_000, 20
STEP = 0.005  # seconds of a step that is stopped
FAKE = "tests.jobs.fake_worker:main"


def measure_bus(options: Options) -> Result:
    """Dispatch one run after the other, stop some, and hear previews as fast as they come."""
    return asyncio.run(_measure(options))


async def _measure(options: Options) -> Result:
    runs, events = max(20, round(RUNS * options.scale)), max(500, round(EVENTS * options.scale))
    times: dict[str, list[list[float]]] = {"here": [], "bus": []}
    stops, rates, costs, lost = list[float](), list[float](), list[float](), list[float]()
    with ExitStack() as stack:
        server = stack.enter_context(nats.server())
        stack.enter_context(started("agent", server.url, "h1", options.folder, 4))
        settings = load_settings({"BUS_URL": server.url, "NODE_NAME": "bot"}, Path("/nowhere"))
        here = LocalExecutor([WorkerConfig("cpu", {"slots": 4}, "")], target=FAKE)  # type: ignore[dict-item]
        async with connected(settings) as bus:
            elsewhere = BusExecutor(bus, options.folder / "scratch")
            for executor in (here, elsewhere):
                await executor.start(lambda: None)
                await until(executor.free, 120.0)
            for _ in range(options.repeats + 1):  # the first isn't measured
                for name, executor in (("here", here), ("bus", elsewhere)):
                    times[name].append([await _dispatch(executor) for _ in range(runs)])
                stops.append(quantile([await _stop(elsewhere) for _ in range(STOPS)], 0.5))
                heard, cpu, seconds = await _events(elsewhere, server.url, events)
                lost.append(float(events - heard))
                rates.append(heard / seconds)
                costs.append(1000 * cpu / heard)
            for executor in (elsewhere, here):
                await executor.stop()
    figures = []
    for name, where in (("here", "to a worker here"), ("bus", "over the bus")):
        for share, most in ((0.5, 4.0), (0.99, 30.0)):
            values = tuple(1000 * quantile(found, share) for found in times[name][1:])
            goal = Goal(at_most=most) if name == "bus" else None
            figures.append(
                Figure(f"dispatch → first step {where}, p{share * 100:g}", values, "ms", "wall", goal)
            )
    figures += [
        Figure(
            "stop → stopped, steps of 5 ms",
            tuple(1000 * one for one in stops[1:]),
            "ms",
            "wall",
            Goal(at_most=20),
        ),
        Figure("previews of 20 kB heard", tuple(rates[1:]), "a second", "wall", Goal(at_least=3000)),
        Figure("a preview of 20 kB", tuple(costs[1:]), "ms of the bot's CPU", "CPU", Goal(at_most=0.15)),
    ]
    series = {figure.name: figure.values for figure in figures if figure.name.startswith("dispatch")}
    equal = check("previews that were not heard", lost, 0.0)
    return Result(tuple(figures), (equal,), Chart("ms", series))


def _run(prompt: str) -> Run:
    name = secrets.token_hex(6)
    return Run(
        name, "imagine", to_json(ImagineRequest(prompt=prompt, num_images=1)), token=secrets.token_hex(16)
    )


async def _dispatch(executor: Executor) -> float:
    """Return the seconds from a run's hand-over to its first step."""
    first = list[float]()
    await until(executor.free)
    began = time.perf_counter()
    outcome = await executor.run(
        next(iter(executor.free())), _run('{"steps": 1}'), lambda message: first.append(time.perf_counter())
    )
    assert isinstance(outcome, Done), outcome
    return first[0] - began


async def _stop(executor: Executor) -> float:
    """Return the seconds from a cancel to the end of the run."""
    await until(executor.free)
    run, drawing = _run(f'{{"steps": 10000, "delay": {STEP}}}'), asyncio.Event()
    going = asyncio.create_task(executor.run(next(iter(executor.free())), run, lambda message: drawing.set()))
    await drawing.wait()
    began = time.perf_counter()
    executor.cancel(run.job_id)
    outcome = await going
    assert isinstance(outcome, Stopped), outcome
    return time.perf_counter() - began


async def _events(executor: BusExecutor, url: str, count: int) -> tuple[int, float, float]:
    """Have another process send previews for a run; return how many were heard, the CPU time of this process
    and the seconds that they took."""
    run, heard, drawing = _run('{"steps": 100000, "delay": 0.5}'), 0, asyncio.Event()

    def report(message: object) -> None:
        nonlocal heard
        drawing.set()
        heard += isinstance(message, Step) and message.total == count

    going = asyncio.create_task(executor.run(next(iter(executor.free())), run, report))
    await drawing.wait()
    words = (url, run.job_id, run.token, str(count))
    sender = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from benchmarks.rows.workers import flood; flood()",
        *words,
        stdout=asyncio.subprocess.PIPE,
    )
    assert sender.stdout is not None
    await sender.stdout.readline()  # it is connected, and begins
    cpu, began = time.process_time(), time.perf_counter()
    with suppress(AssertionError):
        await until(lambda: heard == count, 60.0)
    cost = time.process_time() - cpu, time.perf_counter() - began
    await sender.wait()
    executor.cancel(run.job_id)
    await going
    return heard, *cost


def flood() -> None:
    """Send previews: URL JOB TOKEN COUNT."""
    url, job_id, token, count = sys.argv[1:]
    asyncio.run(_flood(url, job_id, token, int(count)))


async def _flood(url: str, job_id: str, token: str, count: int) -> None:
    preview = secrets.token_bytes(EVENT_BYTES)
    async with connected(load_settings({"BUS_URL": url, "NODE_NAME": "sender"}, Path("/nowhere"))) as bus:
        await bus.until_up(10)
        print("begins", flush=True)
        for number in range(count):
            news = News(token, step=Step(job_id, number + 1, count, preview))
            await bus.publish(f"job.{job_id}", news)
            if number % 100 == 99:
                await bus.flush()
        await bus.flush()


ROWS = {
    "redo": Row(
        "kill -9 of the worker in mid-batch: steps drawn twice",
        (
            "the same jobs, undisturbed; a worker that keeps nothing would draw again whatever its jobs "
            "had done: half of all steps on the average"
        ),
        measure_redo,
    ),
    "bus": Row(
        "Workers on other machines",
        (
            "the same fake worker, which draws nothing, here and by an agent over nats-server, all on one"
            " machine"
        ),
        measure_bus,
    ),
}
