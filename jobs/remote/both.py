"""Two executors as one: each job goes to the devices of the one that has them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence

from jobs.executor import Device, Executor, Lease, Outcome, Report
from vision.protocol import Answered, Declined, Question, Run


class Both:
    """``first`` answers questions beside jobs while one of its devices is ready, else ``second`` does."""

    def __init__(self, first: Executor, second: Executor) -> None:
        self._first, self._second = first, second

    @property
    def devices(self) -> Sequence[Device]:
        """The devices of both."""
        return (*self._first.devices, *self._second.devices)

    async def start(self, changed: Callable[[], None]) -> None:
        """Start both."""
        await self._first.start(changed)
        await self._second.start(changed)

    async def take_up(self, leases: Sequence[Lease]) -> Collection[str]:
        """Return the jobs that go on at either."""
        return {*await self._first.take_up(leases), *await self._second.take_up(leases)}

    def outlives(self, job_id: str) -> bool:
        """Return whether a job goes on at either when this process ends."""
        return self._first.outlives(job_id) or self._second.outlives(job_id)

    def settle(self, job_id: str) -> None:
        """Note it at both."""
        self._first.settle(job_id)
        self._second.settle(job_id)

    async def stop(self) -> None:
        """Stop both."""
        await asyncio.gather(self._first.stop(), self._second.stop())

    def free(self) -> Mapping[str, int]:
        """Return the free slots of both."""
        return {**self._first.free(), **self._second.free()}

    def has(self, job_id: str) -> bool:
        """Return whether one of them has the job in hand."""
        return self._first.has(job_id) or self._second.has(job_id)

    async def run(self, device: str, run: Run, report: Report) -> Outcome:
        """Run a job on the device of whichever has it."""
        is_firsts = any(known.name == device for known in self._first.devices)
        return await (self._first if is_firsts else self._second).run(device, run, report)

    async def ask(self, question: Question) -> Answered | Declined:
        """Ask the first, or the second while no device of the first is ready."""
        can = any(device.state == "ready" for device in self._first.devices)
        return await (self._first if can else self._second).ask(question)

    def cancel(self, job_id: str) -> None:
        """Ask whichever has the job to stop it."""
        self._first.cancel(job_id)
        self._second.cancel(job_id)

    def forget(self, names: Sequence[str]) -> None:
        """Ask both to give up what they keep of these jobs and pictures."""
        self._first.forget(names)
        self._second.forget(names)
