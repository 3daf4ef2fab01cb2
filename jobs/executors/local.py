"""The local executor: one worker for each device of this machine; and a process that compares vectors for a
bot that has none: their file is here, and a remote worker would have to be sent all of it for each search.
Knows no queue, no torch."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from jobs.executors.base import Device, Lease, Outcome, Report
from jobs.executors.worker_process import PROCESSES, Timeouts, Worker, end_with_parent
from vision.protocol import Answered, Declined, Nearest, Question, Run, WorkerConfig
from vision.worker.nearest import nearest

WORKER = "vision.worker.main:main"


class LocalExecutor:
    """Workers on this machine, one for each of ``configs``. ``target``: "module:function" that a worker
    process runs."""

    def __init__(
        self, configs: Sequence[WorkerConfig], *, target: str = WORKER, timeouts: Timeouts | None = None
    ) -> None:
        timeouts = timeouts or Timeouts()
        names: Counter[str] = Counter()
        self._workers: dict[str, Worker] = {}
        for config in configs:
            names[config.device] += 1
            count = names[config.device]
            name = config.device if count == 1 else f"{config.device}#{count}"
            self._workers[name] = Worker(name, config, target, timeouts)

    @property
    def devices(self) -> Sequence[Device]:
        """What is known of each device, in order."""
        return tuple(worker.view for worker in self._workers.values())

    async def start(self, changed: Callable[[], None]) -> None:
        """Start all workers. ``changed`` is called when slots or states change."""
        for worker in self._workers.values():
            worker.start(changed)

    async def take_up(self, leases: Sequence[Lease]) -> Collection[str]:
        """Return nothing: workers end with the process that started them."""
        return ()

    def outlives(self, job_id: str) -> bool:
        """Return False, for the same reason."""
        return False

    def settle(self, job_id: str) -> None:
        """Do nothing: a worker that has told how a run ended keeps nothing of it."""

    async def stop(self) -> None:
        """End all workers."""
        await asyncio.gather(*(worker.stop() for worker in self._workers.values()))

    def free(self) -> Mapping[str, int]:
        """Return the free slots of the devices that have any."""
        return {name: worker.free_slots for name, worker in self._workers.items() if worker.free_slots}

    def has(self, job_id: str) -> bool:
        """Return whether a worker has the job in hand."""
        return any(job_id in worker.runs for worker in self._workers.values())

    async def run(self, device: str, run: Run, report: Report) -> Outcome:
        """Run a job on a device and return how it ended; ``report`` hears of its progress."""
        return await self._workers[device].run(run, report)

    async def ask(self, question: Question) -> Answered | Declined:
        """Ask the worker that is ready and has the least to do."""
        ready = [worker for worker in self._workers.values() if worker.is_ready]
        if not ready:
            return Declined(question.question_id, "no worker is ready")
        return await min(ready, key=lambda worker: len(worker.runs)).ask(question)

    def cancel(self, job_id: str) -> None:
        """Ask whichever worker has the job to stop it."""
        for worker in self._workers.values():
            worker.cancel(job_id)

    def forget(self, names: Sequence[str]) -> None:
        """Ask every worker to give up what it keeps of these jobs and pictures."""
        for worker in self._workers.values():
            worker.forget(names)

    def pids(self) -> dict[str, int | None]:
        """Device → process id of its worker, None while there is none."""
        return {name: worker.pid for name, worker in self._workers.items()}


log = logging.getLogger(__name__)


class VectorComparer:
    """Answers one question after the other, in a process that is started for the first."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    async def ask(self, question: Nearest) -> Answered | Declined:
        """Return the places in the file that are nearest."""
        pool = self._pool = self._pool or ProcessPoolExecutor(1, PROCESSES, initializer=end_with_parent)
        try:
            found = await asyncio.get_running_loop().run_in_executor(pool, nearest, question)
        except BrokenProcessPool:
            self._pool = None
            return Declined(question.question_id, "the process that compares vectors has ended")
        except Exception as error:
            log.exception("vectors can't be compared")
            return Declined(question.question_id, type(error).__name__)
        return Answered(question.question_id, found)

    async def close(self) -> None:
        """End the process."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)
