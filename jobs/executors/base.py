"""Where jobs run, seen from the queue: submit a request, get events, cancel. Local processes are one way to
do it, and two executors are one to the queue."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from vision.protocol import Answered, Broke, Declined, Done, LoadingModel, Question, Run, Step, Stopped

SEPARATOR = "/"  # between a machine of the bus and its device


def host_of(device: str) -> str:
    """Return the machine of a device, or the device itself where that is of this machine."""
    return device.partition(SEPARATOR)[0]


def is_processor(device: str) -> bool:
    """Whether a device, by its name (``cpu``, ``cpu#2``, ``rack-1/cpu``), is a processor and no card."""
    return device.rpartition(SEPARATOR)[2].partition("#")[0] == "cpu"


@dataclass(frozen=True)
class Lost:
    """The worker died or hung with the job in hand. ``reason`` is for the log.

    ``untouched``: surely not this job's fault; the worker didn't have it yet, or another job is known to have
    broken it.
    ``shared``: the worker had other jobs in hand too, and nobody knows whose fault it was.
    ``goes_on``: only we have lost it, since we stop; the next process takes it up.
    """

    job_id: str
    reason: str
    untouched: bool = False
    shared: bool = False
    goes_on: bool = False


@dataclass(frozen=True)
class Lease:
    """A run that a row tells of. token: the row's."""

    job_id: str
    token: str
    device: str


Outcome = Done | Stopped | Broke | Lost
Report = Callable[[LoadingModel | Step], None]


@dataclass(frozen=True)
class Device:
    """A worker as admins see it. ``state``: starting, ready, or down (it keeps being tried). ``memory`` in
    bytes. ``only``: the role whose jobs it takes, which then no other device does; empty = all others."""

    name: str
    state: str
    card: str = ""
    memory: int = 0
    slots: int = 1
    running: int = 0
    restarts: int = 0
    problem: str | None = None
    only: str = ""


class Executor(Protocol):
    """Runs jobs on devices. Every method is called on the event loop's thread."""

    @property
    def devices(self) -> Sequence[Device]:
        """One for each worker, whatever its state."""
        ...

    async def start(self, changed: Callable[[], None]) -> None:
        """Begin to start workers; call ``changed`` when a slot becomes free or a device's state changes."""
        ...

    async def take_up(self, leases: Sequence[Lease]) -> Collection[str]:
        """Return the jobs of these runs that go on although the process that began them has ended; each may
        be given to ``run`` again, on its device, and ends there. Called before ``start``."""
        return ()

    async def stop(self) -> None:
        """End every worker of this process now. Runs in progress end as Lost."""
        ...

    def outlives(self, job_id: str) -> bool:
        """Return whether a running job goes on when this process ends, to be taken up by the next."""
        return False

    def settle(self, job_id: str) -> None:
        """Note that the end of a job's run is written down, or nobody wants it."""
        return

    def free(self) -> Mapping[str, int]:
        """Free slots of the devices that can take a job now, by name; not to be changed."""
        ...

    def has(self, job_id: str) -> bool:
        """Whether this job is being run: its slot and its user's share are taken."""
        ...

    async def run(self, device: str, run: Run, report: Report) -> Outcome:
        """Run one job to its end, whatever that is; ``report`` is called with each sign of life before it."""
        ...

    async def ask(self, question: Question) -> Answered | Declined:
        """Put a question to a device beside its jobs; Declined also when none is ready, or it is lost."""
        ...

    def cancel(self, job_id: str) -> None:
        """Ask a running job to stop between two steps. It ends as Stopped, or as Done if it was too late."""
        ...

    def forget(self, names: Sequence[str]) -> None:
        """Give up whatever is kept of these jobs and pictures (SHA-256), whose rows are gone, and image
        models (as they are configured) that no job uses."""
        ...


class Both(Executor):
    """``first`` answers questions beside jobs while one of its devices is ready, else ``second`` does."""

    def __init__(self, first: Executor, second: Executor) -> None:
        self._first, self._second = first, second

    @property
    def devices(self) -> Sequence[Device]:
        return (*self._first.devices, *self._second.devices)

    async def start(self, changed: Callable[[], None]) -> None:
        await self._first.start(changed)
        await self._second.start(changed)

    async def take_up(self, leases: Sequence[Lease]) -> Collection[str]:
        return {*await self._first.take_up(leases), *await self._second.take_up(leases)}

    def outlives(self, job_id: str) -> bool:
        return self._first.outlives(job_id) or self._second.outlives(job_id)

    def settle(self, job_id: str) -> None:
        self._first.settle(job_id)
        self._second.settle(job_id)

    async def stop(self) -> None:
        await asyncio.gather(self._first.stop(), self._second.stop())

    def free(self) -> Mapping[str, int]:
        return {**self._first.free(), **self._second.free()}

    def has(self, job_id: str) -> bool:
        return self._first.has(job_id) or self._second.has(job_id)

    async def run(self, device: str, run: Run, report: Report) -> Outcome:
        is_firsts = any(known.name == device for known in self._first.devices)
        return await (self._first if is_firsts else self._second).run(device, run, report)

    async def ask(self, question: Question) -> Answered | Declined:
        can = any(device.state == "ready" for device in self._first.devices)
        return await (self._first if can else self._second).ask(question)

    def cancel(self, job_id: str) -> None:
        self._first.cancel(job_id)
        self._second.cancel(job_id)

    def forget(self, names: Sequence[str]) -> None:
        self._first.forget(names)
        self._second.forget(names)
