"""Many machines in one process: real agents on real subjects, whose devices wait instead of drawing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from core.requests import from_json
from core.settings import load_settings
from jobs.cluster.file_transfer import FileFetcher
from jobs.cluster.nats import Bus, connected
from jobs.cluster.protocol import Timing
from jobs.cluster.remote_worker import Identity, RemoteWorker
from jobs.executors.base import Device, Lease, Lost, Outcome, Report
from proofs.scale.simulation.sampling import Notes
from storage.blobs.cache import Cache
from tests.jobs.fake_worker import output_of
from vision.protocol import Answered, Declined, Done, Question, Run, Step, Stopped

TO_ONE_LINE = 50  # agents that share a connection, which spares this process some work and the bot none


@dataclass(frozen=True)
class Work:
    """What a job is on a device: steps, each of so many seconds, whatever runs beside it, and each with a
    preview of so many bytes."""

    steps: int
    delay: float
    preview: int


class Timers:
    """A device with slots, whose jobs take time and nothing else. busy: seconds of its slots together."""

    def __init__(self, slots: int, work: Work, notes: Notes) -> None:
        self._slots, self._work, self._notes = slots, work, notes
        self._runs: dict[str, asyncio.Event] = {}  # job → it is to stop
        self._changed: Callable[[], None] = lambda: None
        self._preview = bytes(work.preview) or None
        self.busy = 0.0

    @property
    def devices(self) -> Sequence[Device]:
        running = len(self._runs)
        return [Device("cuda:0", "ready", "a timer", 80 * 2**30, self._slots, running)]

    async def start(self, changed: Callable[[], None]) -> None:
        self._changed = changed

    async def take_up(self, leases: Sequence[Lease]) -> Collection[str]:
        return ()

    async def stop(self) -> None:
        for stopping in self._runs.values():
            stopping.set()

    def outlives(self, job_id: str) -> bool:
        return False

    def settle(self, job_id: str) -> None:
        pass

    def free(self) -> Mapping[str, int]:
        free = self._slots - len(self._runs)
        return {"cuda:0": free} if free else {}

    def has(self, job_id: str) -> bool:
        return job_id in self._runs

    async def run(self, device: str, run: Run, report: Report) -> Outcome:
        if len(self._runs) >= self._slots:
            return Lost(run.job_id, "it has no free slot", untouched=True)
        self._notes.note("on its device", run.job_id)
        stopping = self._runs[run.job_id] = asyncio.Event()
        loop, work = asyncio.get_running_loop(), self._work
        began = loop.time()
        try:
            for step in range(1, work.steps + 1):
                try:
                    async with asyncio.timeout_at(began + step * work.delay):
                        await stopping.wait()
                    return Stopped(run.job_id)
                except TimeoutError:
                    report(Step(run.job_id, step, work.steps, self._preview))
            return Done(run.job_id, output_of(from_json(run.kind, run.request)))
        finally:
            self.busy += loop.time() - began
            del self._runs[run.job_id]
            self._changed()

    async def ask(self, question: Question) -> Answered | Declined:
        return Declined(question.question_id, "a timer answers nothing")

    def cancel(self, job_id: str) -> None:
        if job_id in self._runs:
            self._runs[job_id].set()

    def forget(self, names: Sequence[str]) -> None:
        pass


def slowed(slow: float) -> Timing:
    """What agents and a bot keep to where time goes so many times slower."""
    return Timing(**{name: seconds * slow for name, seconds in asdict(Timing()).items()})


async def play(
    url: str, folder: Path, agents: int, slots: int, work: Work, slow: float, notes: Notes,
    ready: Callable[[], None],
) -> None:  # fmt: skip
    """Be so many machines until cancelled. ready: called when all of them have been started."""
    devices = [Timers(slots, work, notes) for _ in range(agents)]
    async with AsyncExitStack() as stack:
        lines: list[Bus] = []
        for number, device in enumerate(devices):
            if number % TO_ONE_LINE == 0:
                settings = load_settings({"BUS_URL": url, "NODE_NAME": f"line{len(lines)}"}, Path("/nowhere"))
                lines.append(await stack.enter_async_context(connected(settings)))
                await lines[-1].until_up(30)
            host, bus, root = f"h{number:04}", lines[-1], folder / "hosts" / f"h{number:04}"
            fetching = FileFetcher(bus, host, Cache(root / "files", most=10**9), None)
            agent = RemoteWorker(bus, Identity(host), device, fetching, root / "jobs", timing=slowed(slow))
            await agent.start()
        ready()

        def counts() -> dict[str, float]:
            running = sum(len(device._runs) for device in devices)
            return {"running": running, "slots": agents * slots}

        await notes.sample_for_ever(lines, counts, slow)
