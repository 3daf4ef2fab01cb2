"""The product's own queue among a million rows: how it starts, and how many whole lives of jobs it goes
through.

Nothing is drawn and no file is written, so what is measured is rows: the queue, its policy, its dispatcher,
the statements and the server. A life is a job that is asked, one that is claimed, its result written and
read, and its message noted: those whose turn it is have waited, and those that are asked wait behind them.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import itertools
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from time import monotonic
from unittest import mock

import psutil

from core.events import Output, Picture
from core.job import Origin, Reply
from core.requests import ImagineRequest, from_json
from core.traces import Attribute, Tracing
from jobs.admission import Limits
from jobs.executors.base import Device, Outcome, Report
from jobs.queue import Queue
from jobs.scheduling.fairness import Waiting
from storage.blobs.local import Folder
from storage.database import Database
from storage.engines.postgres import Pulse
from tests.jobs.conftest import until
from tests.jobs.hand_executor import HandExecutor
from vision.protocol import Done, Run

SLOTS = 8  # of a device
TICK = 0.002  # s between two looks at whether the loop stands still
NEWCOMERS = 10**9  # members from here on have none of the rows


@dataclass(frozen=True)
class Start:
    """What a start takes. seconds: until it is over; told: until each waiting job was told its place; cpu:
    until then. stall: longest that the loop stood still, in seconds of the clock and of the processor.
    memory: bytes more afterwards."""

    waiting: int
    seconds: float
    told: float
    cpu: float
    stall: float
    stall_cpu: float
    memory: int

    def __str__(self) -> str:
        return (
            f"start with {self.waiting} waiting: {self.seconds:.1f} s, places told after {self.told:.1f} s,"
            f" {self.cpu:.1f} s of the processor;"
            f" longest stall {1000 * self.stall:.0f} ms, of the processor {1000 * self.stall_cpu:.0f} ms;"
            f" {self.memory / 2**20:.0f} MB more"
        )


@dataclass(frozen=True)
class Lives:
    """What so many whole lives took, ``at_once`` at a time, at most ``rate`` a second: seconds, processor
    seconds of the queue's process and of the server, trips to the server, transactions. claims: seconds of
    the database write. handed: seconds from the choice until a device has the job."""

    at_once: int
    rate: float
    lives: int
    seconds: float
    cpu: float
    server: float
    trips: int
    commits: int
    claims: list[float] = field(repr=False)
    handed: list[float] = field(repr=False)
    stall: float
    stall_cpu: float

    @property
    def both(self) -> float:
        """Processor seconds of a life, of the process and the server together."""
        return (self.cpu + self.server) / self.lives

    def __str__(self) -> str:
        rate = f", {self.rate:g} a second" if self.rate else ""
        return (
            f"{self.at_once} at once{rate}: {self.lives / self.seconds:.1f} lives/s;"
            f" a life {1000 * self.cpu / self.lives:.1f} + {1000 * self.server / self.lives:.1f} ms of the"
            f" processor, {self.trips / self.lives:.1f} trips, {self.commits / self.lives:.2f} commits;"
            f" claim {spread(self.claims)}, choice to device {spread(self.handed)};"
            f" longest stall {1000 * self.stall:.0f} ms, of the processor {1000 * self.stall_cpu:.0f} ms"
        )


def spread(seconds: Sequence[float]) -> str:
    """Say the middle and the 99th of 100."""
    if len(seconds) < 2:
        return "-"
    found = quantiles(seconds, n=100, method="inclusive")
    return f"p50 {1000 * found[49]:.1f} ms, p99 {1000 * found[98]:.1f} ms"


class Hashed(Folder):
    """A store that writes nothing."""

    async def put(self, data: bytes, media_type: str) -> str:
        return hashlib.sha256(data).hexdigest()


class AtOnce(HandExecutor):
    """Devices that draw for about ``draw`` seconds, and take the next job once somebody was told of the last.
    ``handed``: when each job came."""

    def __init__(self) -> None:
        super().__init__()
        self.handed: dict[str, float] = {}
        self._running: Counter[str] = Counter()
        self._device_of: dict[str, str] = {}
        self.draw, self._chance = 0.0, random.Random(0)
        self.take(0)

    def take(self, at_once: int) -> None:
        """Have slots for so many jobs from now on."""
        size = min(SLOTS, at_once)
        self.slots = {f"h{n}/cuda:0": size for n in range(at_once // size)} if at_once else {"h0/cuda:0": 0}
        self._changed()

    @property
    def devices(self) -> Sequence[Device]:
        return [
            Device(name, "ready", "nothing", 2**36, count, self._running[name])
            for name, count in self.slots.items()
        ]

    async def run(self, device: str, run: Run, report: Report) -> Outcome:
        self.handed[run.job_id] = monotonic()
        self._running[device] += 1
        self._device_of[run.job_id] = device
        await asyncio.sleep(self.draw * self._chance.uniform(0.5, 1.5))
        return Done(run.job_id, output_of(run))

    def told(self, job_id: str) -> None:
        """Somebody was told of the job."""
        self._running[self._device_of.pop(job_id)] -= 1
        self._changed()


def output_of(run: Run) -> Output:
    """Return four pictures and a grid of a few bytes, unlike those of any other job."""
    request = from_json(run.kind, run.request)
    assert isinstance(request, ImagineRequest)
    pictures = tuple(
        Picture(f"{run.job_id} {n}".encode(), "image/png", 1024, 1024, request.seed + n) for n in range(4)
    )
    grid = Picture(f"{run.job_id} grid".encode(), "image/png", 2048, 2048, None)
    notes = {"model": "sdxl", "steps": 28, "guidance_scale": 5.0, "seed": request.seed, "notes": []}
    return Output(pictures=pictures, grid=grid, parameters=notes)


class Clock(Tracing):
    """Notes when jobs are claimed, and how long that takes."""

    def __init__(self) -> None:
        self.claims: dict[str, float] = {}  # job → seconds of the write

    def span(self, job_id: str, name: str, **attributes: Attribute) -> AbstractContextManager[str]:
        return self._claim(job_id) if name == "claim" else super().span(job_id, name, **attributes)

    @contextmanager
    def _claim(self, job_id: str) -> Iterator[str]:
        began = monotonic()
        yield ""
        self.claims[job_id] = monotonic() - began


class Studio:
    """A queue that goes through jobs as long as somebody asks. Made with a database of many rows. server: the
    first of the server's processes."""

    def __init__(self, database: Database, server: int, folder: Path) -> None:
        self.database, self._server = database, psutil.Process(server)
        self.clock, self.executor = Clock(), AtOnce()
        self.told = 0
        self._rendered: asyncio.Queue[str] = asyncio.Queue()
        self.queue = Queue(
            database, Hashed(folder, ballast_bytes=4096), self.executor, Limits(disk_floor=0),
            tracing=self.clock, on_rendered=self._rendered.put_nowait,
        )  # fmt: skip
        self._numbers = itertools.count()
        self._chosen: dict[str, float] = {}
        claims = self.queue.dispatcher.claims
        self._begin, claims.begin = claims.begin, self._begin_noted  # type: ignore[method-assign]

    def _begin_noted(self, waiting: Waiting, device: str, own: str) -> None:
        self._chosen[waiting.job_id] = monotonic()
        self._begin(waiting, device, own)

    async def start(self) -> Start:
        """Start the queue, and wait until each waiting job was told its place. No job begins yet."""
        gc.collect()
        memory, began, cpu = psutil.Process().memory_info().rss, monotonic(), time.process_time()
        async with stalls() as stall:
            await self.queue.start()
            started = monotonic() - began
            positions, waiting = self.queue.dispatcher.positions, self.queue.unfinished
            await until(lambda: len(positions.told) >= waiting, patience=1800)
            longest = stall()
        return Start(
            waiting, started, monotonic() - began, time.process_time() - cpu, *longest,
            psutil.Process().memory_info().rss - memory,
        )  # fmt: skip

    async def live(self, at_once: int, lives: int, warm: int = 50, *, rate: float = 0.0) -> Lives:
        """Go through ``lives`` jobs, asked and told ``at_once`` at a time, after some that don't count. rate:
        how many a second there can be, by how long devices draw; 0: as many as there can."""
        self.executor.draw = at_once / rate if rate else 0.0
        counts, end = self.told + warm, self.told + warm + lives
        self.executor.take(at_once)
        async with trips() as tripped, stalls() as stall, asyncio.TaskGroup() as group:
            asking = [group.create_task(self._ask_and_tell(end)) for _ in range(at_once)]
            await until(lambda: self.told >= counts, patience=1800)
            stall()
            before, known, told = self._spent(tripped()), set(self.clock.claims), self.told
            await asyncio.wait(asking)
            seconds, cpu, server, ways, commits = (
                now - then for now, then in zip(self._spent(tripped()), before, strict=True)
            )
            longest = stall()
        new = [job_id for job_id in self.clock.claims if job_id not in known]
        handed = self.executor.handed
        return Lives(
            at_once, rate, self.told - told, seconds, cpu, server, int(ways), int(commits),
            [self.clock.claims[job_id] for job_id in new],
            [handed[job_id] - self._chosen[job_id] for job_id in new if job_id in handed], *longest,
        )  # fmt: skip

    def _spent(self, tripped: int) -> tuple[float, float, float, float, float]:
        commits = sum(self.database.timings.by_operation["commit"].counts)
        return monotonic(), time.process_time(), cpu_of(self._server), tripped, commits

    async def _ask_and_tell(self, end: int) -> None:
        """Ask for a job, as somebody who has none, and tell of one that is ready."""
        while self.told < end:
            number = next(self._numbers)
            request = ImagineRequest(prompt=f"a blue house, number {number}", seed=number)
            origin = Origin(NEWCOMERS + number, 2, NEWCOMERS + number // 100)
            reply = Reply(NEWCOMERS + number, "t" * 180, 99, file_limit=26_214_400)
            await self.queue.submit(request, origin, reply)
            job_id = await self._rendered.get()
            result = await self.queue.result(job_id)
            assert result is not None and len(result.pictures) == 4
            message = 2 * NEWCOMERS + number
            assert await self.queue.delivered(job_id, message_id=message, channel_id=2, rung="edit")
            self.told += 1
            self.executor.told(job_id)


def cpu_of(parent: psutil.Process) -> float:
    """Processor seconds of a server and of the processes that it has and had."""
    times = parent.cpu_times()
    total: float = times.user + times.system + times.children_user + times.children_system
    for child in parent.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            own = child.cpu_times()
            total += own.user + own.system
    return total


@asynccontextmanager
async def stalls() -> AsyncIterator[Callable[[], tuple[float, float]]]:
    """Give what tells the longest that the loop stood still since it was last asked: seconds of the clock,
    and of this thread's on the processor."""
    longest, longest_cpu = 0.0, 0.0

    async def tick() -> None:
        nonlocal longest, longest_cpu
        while True:
            began, cpu = monotonic(), time.thread_time()
            await asyncio.sleep(TICK)
            longest = max(longest, monotonic() - began - TICK)
            longest_cpu = max(longest_cpu, time.thread_time() - cpu)

    def found() -> tuple[float, float]:
        nonlocal longest, longest_cpu
        told, longest, longest_cpu = (longest, longest_cpu), 0.0, 0.0
        return told

    ticking = asyncio.create_task(tick())
    try:
        yield found
    finally:
        ticking.cancel()


@asynccontextmanager
async def trips() -> AsyncIterator[Callable[[], int]]:
    """Give what tells how often an answer of the server was waited for since the block began."""
    count, asking = 0, Pulse.asking

    def counted(pulse: Pulse) -> AbstractContextManager[None]:
        nonlocal count
        count += 1
        return asking(pulse)

    with mock.patch.object(Pulse, "asking", counted):
        yield lambda: count
