"""A run's way to a worker and its signs of life back, over the bus and over the pipe of a worker here: how
long they take, and what they cost the bot's process."""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from benchmarks.measure import Chart, Figure, Goal, Result, check, quantile
from benchmarks.rows import Options
from core.requests import ImagineRequest, to_json
from core.settings import load_settings
from jobs.cluster.executor import BusExecutor
from jobs.cluster.nats import connected
from jobs.cluster.protocol import News
from jobs.executors.base import Executor
from jobs.executors.local import LocalExecutor
from tests.jobs.cluster.live import started
from tests.jobs.conftest import until
from tests.support import nats
from vision.protocol import Done, Run, Step, Stopped, WorkerConfig

TITLE = "Workers on other machines"
AGAINST = (
    "the same fake worker, which draws nothing, here and by an agent over nats-server, all on one machine"
)
RUNS, EVENTS, EVENT_BYTES, STOPS = 200, 6000, 20_000, 20
STEP = 0.005  # seconds of a step that is stopped
FAKE = "tests.jobs.fake_worker:main"


def measure(options: Options) -> Result:
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
    return Result(tuple(figures), (equal,), Chart("bars", TITLE, "ms", series))


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
        "from benchmarks.rows.bus import flood; flood()",
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
