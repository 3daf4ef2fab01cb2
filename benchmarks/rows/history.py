"""The queue beside a long history: what a job costs among a million that are over and ten thousand that wait,
and beside thirty that wait alone, in turns."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.measure import Chart, Figure, Goal, Result
from benchmarks.rows import Options, Row
from jobs.admission import Limits
from jobs.queue import Queue
from proofs.jobs.fairness import fill
from storage import prompt_words
from storage.blobs.local import Folder
from storage.database import open_database
from tests.jobs.conftest import ask, done, until
from tests.jobs.hand_executor import HandExecutor

OVER, WAITING = 1_000_000, 10_000
PAGE = 30  # that wait in the small one: what /queue show lists is as long
JOBS = 40  # of each repeat
EACH = Limits().user_waiting  # that wait of a member
FLAT = Goal(at_most=1.25)
SUBMIT, CLAIM, LIFE, SHOW = "submit", "claim: from a free slot to the device", "a whole life", "/queue show"


def measure_queue_history(options: Options) -> Result:
    """Let both queues do the same by turns."""
    over, waiting = round(OVER * options.scale), round(WAITING * options.scale)
    cores, seconds = asyncio.run(_by_turns(options, over, waiting))
    figures = []
    for name in (SUBMIT, CLAIM, LIFE, SHOW):
        small, full = (cores[name, which] for which in ("small", "full"))
        ratios = tuple(there / here for here, there in zip(small, full, strict=True))
        figures += [
            Figure(f"{name}, full against small", ratios, "×", "CPU", FLAT),
            Figure(f"{name}, full", tuple(full), "ms", "CPU"),
            Figure(f"{name}, full", tuple(seconds[name, "full"]), "ms", "wall"),
        ]
    series = {name: [statistics.median(cores[name, "full"])] for name in (SUBMIT, CLAIM, LIFE, SHOW)}
    notes = (
        f"SQLite, {over:,} jobs that are over and {waiting:,} that wait, {EACH} of a member; medians of"
        f" {JOBS} each a repeat. A life is a job that is asked for, claimed, and its result stored; nothing"
        " is drawn.",
    )
    return Result(tuple(figures), (), Chart("ms of a core, full", series), notes)


Taken = dict[tuple[str, str], list[float]]  # (what, which queue) → ms, one a repeat


async def _by_turns(options: Options, over: int, waiting: int) -> tuple[Taken, Taken]:
    cores, seconds = Taken(), Taken()
    async with AsyncExitStack() as stack:
        queues = {
            which: await stack.enter_async_context(_opened(options.folder / which, *rows))
            for which, rows in (("small", (0, PAGE)), ("full", (over, waiting)))
        }
        for repeat in range(options.repeats + 1):
            once = defaultdict[tuple[str, str], list[tuple[float, float]]](list)
            for number in range(JOBS):
                for which, (queue, executor) in queues.items():
                    user = 10**6 + repeat * JOBS + number
                    for name, took in (await _a_life(queue, executor, user)).items():
                        once[name, which].append(took)
            for key, took in once.items() if repeat else ():  # the first warms up
                cores.setdefault(key, []).append(statistics.median(core for core, _ in took))
                seconds.setdefault(key, []).append(statistics.median(clock for _, clock in took))
    return cores, seconds


@asynccontextmanager
async def _opened(folder: Path, over: int, waiting: int) -> AsyncIterator[tuple[Queue, HandExecutor]]:
    folder.mkdir()  # noqa: ASYNC240
    path, executor = folder / "atelier.db", HandExecutor()
    with mock.patch.object(prompt_words, "IS_THERE", False):  # without an index rows are filled in sooner
        async with open_database(path, None):
            pass
        await asyncio.to_thread(fill, path, history=over, flood=waiting, each=EACH)
    executor.slots = {"cpu": 0}
    async with open_database(path, None) as database:
        with mock.patch.object(prompt_words, "AT_ONCE", 50_000):
            await database.index_prompts()
        limits = Limits(disk_floor=0, user_waiting=10**6, guild_waiting=10**6)
        queue = Queue(database, Folder(folder / "files", ballast_bytes=0), executor, limits)
        await queue.start()
        await asyncio.sleep(2)  # what follows a start
        try:
            yield queue, executor
        finally:
            await queue.stop(0)


async def _a_life(queue: Queue, executor: HandExecutor, user: int) -> dict[str, tuple[float, float]]:
    """(ms of a core, ms of the clock) of what happens to a job."""

    async def claimed() -> None:
        executor.slots = {"cpu": 1}
        executor._changed()
        await until(lambda: executor.held)

    async def over() -> None:
        executor.slots = {"cpu": 0}
        [job_id] = executor.held
        executor.end(done(executor, job_id))
        await until(lambda: job_id not in queue.dispatcher.running)

    async def timed(work: Awaitable[Any]) -> tuple[float, float]:
        core, clock = time.process_time(), time.perf_counter()
        await work
        return 1000 * (time.process_time() - core), 1000 * (time.perf_counter() - clock)

    took = {SUBMIT: await timed(ask(queue, user=user)), SHOW: await timed(queue.snapshot())}
    took[CLAIM] = await timed(claimed())
    ended = await timed(over())
    life = tuple(sum(some) for some in zip(took[SUBMIT], took[CLAIM], ended, strict=True))
    return {**took, LIFE: (life[0], life[1])}


ROWS = {
    "queue_history": Row(
        "The queue beside a long history",
        "submit, claim, a whole life and /queue show, against the same beside thirty waiting jobs, in turns",
        measure_queue_history,
    ),
}
