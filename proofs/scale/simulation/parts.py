"""What the bot's single steps take of a processor, by the number of machines, without a server:
``python -m proofs.scale.simulation.parts --agents 125 300 1000``.

A sign of life of each machine, a round of the bot's own to each of them, a choice of the next job and its
device after one machine has changed, the place of one job, and a round of telling places.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import tempfile
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

from core.job import Job, Lane, Origin, Status
from core.requests import ImagineRequest, to_json
from core.traces import UNTRACED
from jobs.admission import Limits
from jobs.cluster.executor import BusExecutor
from jobs.cluster.nats import encode_message
from jobs.cluster.protocol import Beat, Holding, Taken
from jobs.dispatcher import Dispatcher
from jobs.executors.base import Device
from jobs.feed import ActiveJob, open_gate, question_alone
from jobs.waitlist import Waiting
from tests.jobs.conftest import until
from vision.protocol import Run

SLOTS = 8
REQUEST = ImagineRequest(prompt="a red house", seed=7)


class Nowhere:
    """A bus that takes everything and brings nothing."""

    is_up = True

    def watch(self, changed: Callable[[], None]) -> None:
        pass

    async def publish(self, subject: str, message: Any) -> bool:
        return bool(encode_message(message))

    async def request(self, subject: str, message: Any, kind: type[Any], *, patience: float) -> Taken:
        encode_message(message)
        return Taken(True)


def beat_of(host: int, agents: int, running: int) -> Beat:
    """What a machine says that has its part of the jobs that run."""
    runs = tuple(
        Holding(f"job{n}", f"{n:032x}", "cuda:0", "d", n % 28, 28) for n in range(host, running, agents)
    )
    return Beat(
        "a" * 32, (Device("cuda:0", "ready", "a timer", 2**36, SLOTS, len(runs)),), runs, "", "1", 0.0
    )


def waiting_of(number: int) -> Waiting:
    """A job of one of many members."""
    return Waiting(f"wait{number}", number, number % 500, 3, Lane.FAST, "imagine||image", 50, 0.0)


def cpu(times: int, work: Callable[[], object]) -> float:
    """Milliseconds of processor time for one."""
    began = time.process_time()
    for _ in range(times):
        work()
    return 1000 * (time.process_time() - began) / times


async def cpu_of(work: Callable[[], Coroutine[Any, Any, object]]) -> float:
    """Milliseconds of processor time until it is done."""
    began = time.process_time()
    await work()
    return 1000 * (time.process_time() - began)


async def measured(agents: int, running: int, waiting: int, folder: Path) -> str:
    """A row for so many machines."""
    executor = BusExecutor(Nowhere(), folder)  # type: ignore[arg-type]
    said = [beat_of(host, agents, running) for host in range(agents)]
    idle = [Beat(one.instance, one.devices, (), "", "1", 0.0) for one in said]
    for host, beat in enumerate(idle):
        executor._hear_beat(beat, f"beat.h{host:04}")
    dispatcher = Dispatcher(
        mock.Mock(),
        mock.Mock(),
        executor,
        Limits(disk_floor=0),
        gate=open_gate,
        on_rendered=print,
        converse=question_alone,
        tracing=UNTRACED,
    )
    tasks = []
    for number in range(running):
        device = f"h{number % agents:04}/cuda:0"
        run = Run(f"job{number}", REQUEST.kind, to_json(REQUEST), {}, token=f"{number:032x}")
        tasks.append(asyncio.create_task(executor.run(device, run, print)))
        job = Job(run.job_id, REQUEST, Origin(number % 500, 2), Status.RUNNING, Lane.FAST, datetime.now(UTC))
        live = ActiveJob(job, waiting_of(number), run.token, device, time.monotonic())
        live.hand_over(live.began)
        dispatcher.running[job.id] = live
        dispatcher.estimate.add(live.waiting.cost_key, 16.4)
    for number in range(waiting):
        one = waiting_of(number)
        dispatcher.waitlist.add(one, time.monotonic())
        dispatcher.feeds.open(one.job_id, one.user_id, datetime.now(UTC))
    await until(lambda: all(executor.outlives(f"job{number}") for number in range(running)))

    def hear_all() -> None:
        for host, beat in enumerate(said):
            executor._hear_beat(beat, f"beat.h{host:04}")

    def choose() -> None:
        executor._hear_beat(said[0], "beat.h0000")
        dispatcher._choose(dispatcher.look())

    async def hold_all() -> None:
        for host in range(agents):
            executor._say_hold(f"h{host:04}")
        await asyncio.gather(*executor._doing)

    hear_all()
    beats, choice = cpu(3, hear_all), cpu(10, choose)
    place = cpu(10, lambda: dispatcher.positions.position("wait7"))
    holds, told = await cpu_of(hold_all), await cpu_of(dispatcher.positions.announce_all)
    for task in tasks:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks, return_exceptions=True)
    second = beats + holds / 2 + 50 * choice + 50 * place
    return (
        f"{agents}: {beats:.1f} ms all beats, {holds:.1f} ms all holds, {choice:.2f} ms a choice,"
        f" {place:.2f} ms a place, {told:.1f} ms a round of places; a second of 50 jobs: {second:.0f} ms"
    )


def main() -> None:
    """Measure, and print a row for each number of machines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--agents", type=int, nargs="+", default=[125, 300, 1000])
    parser.add_argument("--running", type=int, default=820, help="jobs")
    parser.add_argument("--waiting", type=int, default=200, help="jobs, 8 at least")
    given = parser.parse_args()
    for agents in given.agents:
        with tempfile.TemporaryDirectory() as folder:
            row = measured(agents, given.running, max(8, given.waiting), Path(folder))
            print(asyncio.run(row), flush=True)


if __name__ == "__main__":
    main()
