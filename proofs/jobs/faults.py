"""Every fault a worker can have, on real processes with a fake worker inside: each job ends right or
honestly, and alone.

python -m proofs.jobs.faults --rounds 20
python -m proofs.jobs.faults --rounds 1 --bug "no watch over silence"
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from core.events import Failed, Rendered, Started
from jobs.executors.local import LocalExecutor, Pulse, Timeouts
from jobs.queue import Queue
from jobs.runs import GAVE_UP, Outcomes
from tests.jobs.conftest import ask, open_queue, until
from tests.jobs.fake_worker import picture_of
from vision.protocol import WorkerConfig

TIMEOUTS = Timeouts(step=1.5, factor=10, loading=5.0, ready=60, quit=1.0, check=0.05)
PATIENCE = 30.0  # s for one job to its end
ONCE = (
    "segfault",
    "kill",
    "exit",
    "exception",
    "garbage",
    "close",
    "hang",
    "error",
    "process",
)  # the second try succeeds
ALWAYS = ("segfault", "hang", "error")  # a poison job: three tries, then an honest end
FINAL = ("memory", "user", "model")  # no second try
Plan = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]  # once, always, final
SHORT: Plan = ("kill", "process"), ("segfault",), ()  # of the suite, in a shared worker
BUGS: dict[str, tuple[Any, str, Any]] = {
    "no watch over silence": (Pulse, "allowed", lambda *arguments: float("inf")),
    "loses a retry": (Outcomes, "retry", lambda outcomes, live, message, **_: asyncio.sleep(0)),
    "takes all jobs of a dead worker for failed": (
        Outcomes,
        "retry",
        lambda o, live, message, **_: o._failed(live, message),
    ),
    "blames everybody": (Outcomes, "_lost", lambda o, live, lost: o.retry(live, GAVE_UP)),
}


@dataclass
class Figures:
    """ends: fault → how its jobs ended. attempts: the most of any job. back: s from a fault to the job's next
    start."""

    ends: dict[str, Counter[str]] = field(default_factory=dict)
    attempts: int = 0
    back: list[float] = field(default_factory=list)
    neighbours: int = 0
    touched: int = 0  # neighbours that didn't end right, or whom a fault cost an attempt

    def __str__(self) -> str:
        lines = [
            f"{fault:34} {', '.join(f'{count} {end}' for end, count in sorted(ends.items()))}"
            for fault, ends in self.ends.items()
        ]
        total = sum(sum(ends.values()) for ends in self.ends.values())
        back = f"back at work after {max(self.back):.1f} s at most" if self.back else "no retries"
        sum_ = (
            f"{total} faults, {self.attempts} attempts at most, {self.touched} of {self.neighbours}"
            f" neighbours touched, {back}"
        )
        return "\n".join([*lines, sum_])


@contextmanager
def seeded(bug: str | None) -> Iterator[None]:
    if bug is None:
        yield
        return
    owner, name, wrong = BUGS[bug]
    with mock.patch.object(owner, name, wrong):
        yield


async def measure(
    folder: Path, rounds: int, alone: Plan = (ONCE, ALWAYS, FINAL), shared: Plan = (ONCE, ALWAYS, FINAL)
) -> Figures:
    """Beside every faulty job run healthy ones of other members: one on another device, then three in the
    same worker."""
    figures = Figures()
    for name, devices, slots, plan in (
        ("alone", ("cuda:0", "cuda:1"), 1, alone),
        ("shared", ("cuda:0",), 4, shared),
    ):
        await asyncio.to_thread((folder / name).mkdir)
        await _round(folder / name, figures, rounds, devices, slots, plan)
    return figures


async def _round(
    folder: Path, figures: Figures, rounds: int, devices: tuple[str, ...], slots: int, plan: Plan
) -> None:
    configs = [WorkerConfig(device, {"slots": str(slots)}, "") for device in devices]
    executor = LocalExecutor(configs, target="tests.jobs.fake_worker:main", timeouts=TIMEOUTS)
    beside, where = (1, "") if slots == 1 else (slots - 1, " in a shared worker")
    async with open_queue(folder, executor) as queue:
        for number in range(rounds):
            for fault in plan[0]:
                await _one(
                    queue,
                    figures,
                    f"{fault}, once{where}",
                    {"fault": fault, "marker": str(folder / f"{fault}{number}")},
                    "right",
                    beside,
                )
            for fault in plan[1]:
                await _one(queue, figures, f"{fault}, always{where}", {"fault": fault}, "honest", beside)
            for fault in plan[2]:
                await _one(queue, figures, f"{fault}{where}", {"fault": fault}, "honest", beside)


async def _one(
    queue: Queue, figures: Figures, name: str, wish: dict[str, Any], expected: str, beside: int
) -> None:
    steps = json.dumps({"steps": 20, "delay": 0.01})
    healthy = [(await ask(queue, steps, user=2 + number, seed=22)).job.id for number in range(beside)]
    await until(lambda: all(map(queue.executor.has, healthy)))
    faulty = (
        await ask(queue, json.dumps({**wish, "at": 2, "steps": 4, "delay": 0.01}), user=1, seed=11)
    ).job.id
    try:
        async with asyncio.timeout(PATIENCE):
            end, back = await _end(queue, faulty, 11)
            others = [(await _end(queue, job_id, 22))[0] for job_id in healthy]
    except TimeoutError:
        end, back, others = "never", [], ["never"]
        for job_id in (faulty, *healthy):
            await queue.cancel(job_id)
    figures.ends.setdefault(name, Counter())[end if end == expected else f"WRONG ({end})"] += 1
    figures.back += back
    figures.attempts = max(figures.attempts, (await queue.job(faulty)).attempts)
    figures.neighbours += beside
    figures.touched += sum(other != "right" for other in others)
    figures.touched += sum([(await queue.job(job_id)).attempts != 1 for job_id in healthy])


async def _end(queue: Queue, job_id: str, seed: int) -> tuple[str, list[float]]:
    """right: the very bytes of an undisturbed run; honest: a failure with a sentence. And how long each new
    start took."""
    starts, pauses, last, event = 0, [], time.monotonic(), None
    async for event in queue.watch(job_id):
        if isinstance(event, Started):
            pauses += [time.monotonic() - last] if starts else []
            starts += 1
        last = time.monotonic()
    if isinstance(event, Rendered):
        result = await queue.result(job_id)
        bytes_ = [await queue.files.get(picture.sha256) for picture in result.pictures]
        return "right" if bytes_ == [picture_of(seed + i).data for i in range(4)] else "wrong picture", pauses
    return ("honest" if isinstance(event, Failed) and event.message.strip() else "silent"), pauses


def check(figures: Figures) -> None:
    wrong = {
        fault: dict(ends)
        for fault, ends in figures.ends.items()
        if any(end.startswith("WRONG") for end in ends)
    }
    assert not wrong, wrong
    assert figures.attempts <= 3
    assert figures.touched == 0, f"{figures.touched} other jobs were touched"
    assert max(figures.back) < 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--bug", choices=list(BUGS))
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder, seeded(arguments.bug):
        figures = asyncio.run(measure(Path(folder), arguments.rounds))
    print(figures)
    check(figures)


if __name__ == "__main__":
    main()
