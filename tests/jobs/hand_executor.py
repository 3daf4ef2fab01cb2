"""An executor worked by hand: a test decides what each run reports and how it ends."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from jobs.executors.base import Device, Lease, Lost, Outcome, Report
from vision.protocol import Answered, Declined, LoadingModel, Question, Run, Step


@dataclass
class Held:
    """A run in the executor's hands."""

    device: str
    run: Run
    report: Report
    outcome: asyncio.Future[Outcome]


class HandExecutor:
    """Devices with slots; nothing happens on its own. ``asked_to_stop``: jobs somebody wants cancelled.
    ``only``: device → the role that it alone serves."""

    def __init__(self, slots: dict[str, int] | None = None, only: dict[str, str] | None = None) -> None:
        self.slots, self.only = slots or {"cpu": 1}, only or {}
        self.held: dict[str, Held] = {}
        self.started: list[str] = []  # every job ever run, in order
        self.asked_to_stop: set[str] = set()
        self.forgotten: set[str] = set()
        self.cooling: list[str] = []  # devices with a slot that is not free yet, though its job has ended
        self.surviving: set[str] = set()  # tokens of runs that go on when a process ends
        self.settled: list[str] = []
        self._changed: Callable[[], None] = lambda: None
        self._stopped = False

    @property
    def devices(self) -> Sequence[Device]:
        return [
            Device(
                name,
                "ready",
                "by hand",
                0,
                count,
                sum(h.device == name for h in self.held.values()) + self.cooling.count(name),
                only=self.only.get(name, ""),
            )
            for name, count in self.slots.items()
        ]

    async def start(self, changed: Callable[[], None]) -> None:
        self._changed, self._stopped = changed, False

    async def take_up(self, leases: Sequence[Lease]) -> Collection[str]:
        return {lease.job_id for lease in leases if lease.token in self.surviving}

    def outlives(self, job_id: str) -> bool:
        return job_id in self.held and self.held[job_id].run.token in self.surviving

    def settle(self, job_id: str) -> None:
        self.settled.append(job_id)

    async def stop(self) -> None:
        self._stopped = True
        for job_id in list(self.held):
            self.end(Lost(job_id, "stopped", goes_on=self.outlives(job_id)))

    def free(self) -> Mapping[str, int]:
        return {one.name: one.slots - one.running for one in self.devices if one.running < one.slots}

    def has(self, job_id: str) -> bool:
        return job_id in self.held

    async def run(self, device: str, run: Run, report: Report) -> Outcome:
        if self._stopped:  # it was on its way: a worker that has ended takes nothing either
            return Lost(run.job_id, "stopped", untouched=True)
        assert run.job_id not in self.held, f"job {run.job_id} runs twice at once"
        assert device in self.free(), f"{device} has no free slot"
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.held[run.job_id] = Held(device, run, report, outcome)
        self.started.append(run.job_id)
        return await outcome

    async def ask(self, question: Question) -> Answered | Declined:
        return Declined(question.question_id, "nobody here looks at pictures")

    def cancel(self, job_id: str) -> None:
        if job_id in self.held:
            self.asked_to_stop.add(job_id)

    def forget(self, names: Sequence[str]) -> None:
        self.forgotten.update(names)

    def report(self, message: Step | LoadingModel) -> None:
        self.held[message.job_id].report(message)

    def end(self, outcome: Outcome, *, cool: bool = False) -> None:
        """``cool``: the slot becomes free at ``cooled`` only, when what came of the job is surely written."""
        held = self.held.pop(outcome.job_id)
        held.outcome.set_result(outcome)
        self.asked_to_stop.discard(outcome.job_id)
        if cool:
            self.cooling.append(held.device)
        else:
            self._changed()

    def cooled(self) -> None:
        self.cooling.clear()
        self._changed()
