"""Many streamed answers, half of their ends hit by a network fault: ``python -m proofs.wire.ask_delivery``.

As in ``delivery``; besides, the final message must say what is stored, and edits must keep their distance.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

from bot.discord_api.http import Breaker, Transport
from bot.ui.markdown import beginning
from core.events import ChatAnswer, Event, Progress, Queued, Rendered, Started
from core.job import Job
from core.requests import AskRequest
from jobs.queue import Result
from proofs.wire import delivery
from proofs.wire.delivery import RUNGS, Bench, open_bench
from tests.support.messages import text_of
from tests.wire.discord import FAULTS, Call

WORDS = "There is a red house by the sea, and [a link](https://x.example) for @everyone; ".split()
EVERY = 0.3  # seconds between two reports of an answer
AT_ONCE = 32  # answers that grow beside each other


@dataclass
class Report:
    """finals: messages that show an end. lost, doubled: answers with none of them, with several. other: of
    another text than what is stored. streamed: that grew before. shortest_gap: seconds between two edits of
    one. rate: most edits in any second. seconds: that all took."""

    n: int
    finals: int = 0
    lost: int = 0
    doubled: int = 0
    other: int = 0
    streamed: int = 0
    shortest_gap: float = 0.0
    rate: int = 0
    seconds: float = 0.0


def _dice(job: Job) -> random.Random:
    assert isinstance(job.request, AskRequest)
    return random.Random(job.request.question)  # an id is another in each run


def words_of(job: Job) -> str:
    dice = _dice(job)
    return " ".join(dice.choice(WORDS) for _ in range(dice.randint(20, 500)))


async def grows(job: Job) -> AsyncIterator[Event]:
    yield Queued(1, 2.0)
    yield Started()
    text = words_of(job)
    pieces = _dice(job).randint(3, 14)
    for number in range(1, pieces):
        await asyncio.sleep(EVERY)
        yield Progress(number, 512, text=text[: len(text) * number // pieces])
    yield Rendered()


async def run(folder: Path, n: int, seed: int = 1) -> Report:
    dice, began = random.Random(seed), time.monotonic()
    kinds = dice.choices(list(RUNGS), list(RUNGS.values()), k=n)
    async with open_bench(folder, transport=Transport(Breaker(limit=100 * n))) as bench:

        async def result(job_id: str) -> Result:
            job = bench.queue.jobs[job_id]
            return Result(job, parameters={}, answer=ChatAnswer(words_of(job)))

        bench.queue.result = result  # type: ignore[method-assign]
        jobs = [_asked(bench, kind, number) for number, kind in enumerate(kinds)]
        plan = {job.id: FAULTS[i // 2 % len(FAULTS)] for i, job in enumerate(jobs) if i % 2}
        bench.discord.fault = delivery.planned(plan, dice)
        edits: list[float] = []
        inner = bench.discord.fault

        def fault(call: Call) -> str | None:
            if call.method == "PATCH" and "(Answering)" in call.text:
                edits.append(time.monotonic())
            return inner(call)

        bench.discord.fault = fault
        gate = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(delivery.deliver(bench, job, gate) for job in jobs))
        report = _count(bench, jobs)
    report.rate = max(Counter(int(at) for at in edits).values(), default=0)
    return replace(report, seconds=time.monotonic() - began)


def _asked(bench: Bench, kind: str, number: int) -> Job:
    job = bench.queue.add(bench.origin(kind, number))
    job = replace(job, request=AskRequest(question=f"What is on picture {number}?", follows=True))
    bench.queue.jobs[job.id] = job
    bench.queue.events[job.id] = lambda: grows(job)
    return job


def _count(bench: Bench, jobs: list[Job]) -> Report:
    report, shortest = Report(len(jobs)), float("inf")
    for job in jobs:
        finals = bench.discord.finals(job.id)
        report.finals += len(finals)
        report.lost += not finals
        report.doubled += len(finals) > 1
        shown = beginning(words_of(job))[0]
        report.other += bool(finals) and shown[:1000] not in text_of(finals[0])
    for message in bench.discord.messages.values():
        grown = [at for at, text in message.versions if "(Answering)" in text]
        report.streamed += bool(grown)
        shortest = min([shortest, *(b - a for a, b in zip(grown, grown[1:], strict=False))])
    report.shortest_gap = shortest
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(run(Path(folder), arguments.n, arguments.seed))
    print(
        f"{report.n} answers in {report.seconds:.0f} s: {report.finals} final messages, {report.lost} lost,"
        f" {report.doubled} doubled, {report.other} of another text; {report.streamed} grew before;"
        f" shortest gap of two edits {report.shortest_gap:.2f} s, at most {report.rate} edits in a second"
    )
    return 0 if report.finals == report.n and not (report.lost or report.doubled or report.other) else 1


if __name__ == "__main__":
    sys.exit(main())
