"""Every fault of a chat server many times, through the queue: ``python -m proofs.host.chat_faults``.

Each question must end with an answer, a part of one that says so, or one sentence, and within its time.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from core.events import Event, Failed, Rendered
from core.job import Origin
from core.requests import AskRequest
from host.openai_client import HttpChatServer
from jobs.admission import Limits
from jobs.executors.base import Both
from jobs.executors.chat_server import ChatServerExecutor
from jobs.queue import Result
from tests.jobs.conftest import open_queue
from tests.jobs.hand_executor import HandExecutor
from tests.studio.conftest import png
from tests.support.chat_server import FAULTS, Behave, chat_server

WAITS = (1.0, 0.4, 0.4)  # seconds, in place of 5, 60 and 30
MOST = 10.0  # seconds for one question, with these


Judge = Callable[[AskRequest, Event, Result | None], str]  # what an end is called


async def tried(
    folder: Path, behave: Behave, judge: Judge, times: int, waits: tuple[float, float, float] = WAITS
) -> tuple[Counter[str], float]:
    """How questions ended that a faulty server was asked, and how long the longest took."""
    ends, longest = Counter[str](), 0.0
    async with chat_server(behave) as server:
        remote = ChatServerExecutor(HttpChatServer(server.url, waits=waits), 8, pauses=(0.01, 0.01))
        limits = Limits(disk_floor=0, user_running=8, user_waiting=10_000)
        async with open_queue(folder, Both(HandExecutor(), remote), limits) as queue:
            sha256 = await queue.files.put(png(), "image/png")

            async def one(number: int) -> None:
                nonlocal longest
                began = time.monotonic()
                request = AskRequest(question=f"What is it, {number}?", images=(sha256,))
                job = (await queue.submit(request, Origin(number % 50, 2, 3))).job
                async for event in queue.watch(job.id):
                    end = event
                longest = max(longest, time.monotonic() - began)
                ends[judge(request, end, await queue.result(job.id))] += 1

            for first in range(0, times, 8):
                await asyncio.gather(*(one(n) for n in range(first, min(times, first + 8))))
    return +ends, longest


def judge_of(expected: str) -> Judge:
    """Return what judges ends by the one text that is right: of an answer, or within a sentence."""

    def judge(request: AskRequest, end: Event, result: Result | None) -> str:
        if isinstance(end, Rendered) and result is not None and result.answer is not None:
            if result.answer.text != expected:
                return "WRONG"
            return "an answer" if result.answer.ended == "end" else "a part"
        return "a sentence" if isinstance(end, Failed) and expected in end.message else "WRONG"

    return judge


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=50)
    times, wrong, worst = parser.parse_args().times, 0, 0.0
    for fault, (behave, expected) in FAULTS.items():
        with tempfile.TemporaryDirectory() as folder:
            ends, longest = asyncio.run(tried(Path(folder), behave, judge_of(expected), times))
        wrong += ends["WRONG"] + (ends.total() != times)
        worst = max(worst, longest)
        print(f"{fault:26} {dict(ends)}, longest {longest:.2f} s", flush=True)
    print(f"{len(FAULTS)} faults x {times}: {wrong} wrong, longest {worst:.2f} s")
    return 1 if wrong or worst > MOST else 0


if __name__ == "__main__":
    sys.exit(main())
