"""A member floods the queue, fifty others ask for one picture each, beside a long history: who waits, and how
long choosing takes.

python -m proofs.jobs.fairness                     # 10,000 jobs, 50 others, 1,000,000 rows of history
python -m proofs.jobs.fairness --bug "first come, first served"
python -m proofs.jobs.fairness --postgres          # rows lie on a server
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import logging
import random
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any
from unittest import mock

from core.job import new_job_id
from jobs import waitlist
from jobs.admission import Limits
from jobs.queue import Queue
from storage.blobs.local import Folder
from storage.database import open_database
from storage.engines.base import sqlite_path
from tests.jobs.conftest import ask, done, until
from tests.jobs.hand_executor import HandExecutor
from tests.support import postgres

FLOODER = 999_999
BUGS: dict[str, tuple[Any, str, Any]] = {
    "first come, first served": (
        waitlist.Group,
        "turn",
        property(lambda group: (group.rank, group.jobs[0].seq, 0)),
    ),
}


@dataclass(frozen=True)
class Figures:
    """waits: of the others, in jobs per device that began between their asking and their start. choices: s
    each. stall: the longest the event loop was held up, s."""

    waits: list[float]
    choices: list[float]
    claims: list[float]
    stall: float

    def __str__(self) -> str:
        return (
            f"{len(self.waits)} others waited {max(self.waits):.2f} jobs per device at most; choosing: p50"
            f" {_percentile(self.choices, 50):.2f} ms, p99 {_percentile(self.choices, 99):.2f} ms; choosing"
            f" and claiming in the database: p50 {_percentile(self.claims, 50):.1f} ms, p99"
            f" {_percentile(self.claims, 99):.1f} ms; longest stall of the loop {self.stall * 1e3:.0f} ms"
        )


def _percentile(values: list[float], percent: int) -> float:
    """In ms."""
    return quantiles(values, n=100)[percent - 1] * 1e3


def fill(address: str | Path, *, history: int, flood: int, each: int | None = None) -> None:
    """Rows as years of use would leave them, written directly; then the flood. each: the waiting jobs of one
    member, None for all of them."""
    chance = random.Random(5)
    columns = (
        "id",
        "kind",
        "request",
        "prompt",
        "cost_key",
        "status",
        "lane",
        "max_running",
        "user_id",
        "channel_id",
        "guild_id",
        "interaction_id",
        "file_limit",
        "private",
        "roles",
        "attempts",
        "run_seconds",
        "error",
        "created_at",
        "started_at",
        "rendered_at",
        "finished_at",
        "delivered_at",
    )

    def past() -> Iterator[tuple[Any, ...]]:
        for number in range(history):
            status = chance.choices(("delivered", "failed", "cancelled"), (90, 5, 5))[0]
            at = 10**15 + number * 10**6
            well = status == "delivered"
            yield (
                new_job_id(),
                "imagine",
                '{"prompt": "a red house"}',
                "a red house",
                "imagine|0x0x4s0|image",
                status,
                "fast",
                3,
                chance.randrange(1, 5000),
                2,
                chance.randrange(1, 50),
                10**9 + number,
                10**7,
                0,
                "[]",
                1,
                4.0 if well else None,
                "No." if status == "failed" else None,
                at,
                at,
                at if well else None,
                at,
                at,
            )

    def waiting() -> Iterator[tuple[Any, ...]]:
        for number in range(flood):
            yield (
                new_job_id(),
                "imagine",
                '{"prompt": "a flood"}',
                "a flood",
                "imagine|0x0x4s0|image",
                "queued",
                "fast",
                1000,
                FLOODER - number // (each or flood),
                2,
                None,
                5 * 10**9 + number,
                10**7,
                0,
                "[]",
                0,
                None,
                None,
                2 * 10**15,
                None,
                None,
                None,
                None,
            )

    write = _to_server if sqlite_path(address) is None else _to_file
    write(address, columns, itertools.chain(past(), waiting()))


def _to_file(address: str | Path, columns: Sequence[str], jobs: Iterator[tuple[Any, ...]]) -> None:
    insert = f"INSERT INTO jobs ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608
    with closing(sqlite3.connect(str(sqlite_path(address)))) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        with connection:
            connection.executemany(insert, jobs)


def _to_server(address: str | Path, columns: Sequence[str], jobs: Iterator[tuple[Any, ...]]) -> None:
    with postgres.connect(*postgres.place_of(str(address))) as connection:
        with connection.cursor().copy(f"COPY jobs ({', '.join(columns)}) FROM STDIN") as copy:
            for job in jobs:
                copy.write_row(job)
        connection.execute("ANALYZE jobs")


@contextmanager
def seeded(bug: str | None) -> Iterator[None]:
    if bug is None:
        yield
        return
    owner, name, wrong = BUGS[bug]
    with mock.patch.object(owner, name, wrong):
        yield


async def measure(
    folder: Path,
    address: str,
    *,
    history: int,
    flood: int,
    others: int,
    devices: int = 2,
    choices: int = 500,
) -> Figures:
    """The real queue and database; the executor is worked by hand and finishes one job after the other.
    address: of a database without rows."""
    async with open_database(address, None):
        pass
    await asyncio.to_thread(fill, address, history=history, flood=flood)
    executor = HandExecutor({f"cuda:{i}": 1 for i in range(devices)})
    async with open_database(address, None) as database:
        queue = Queue(
            database,
            Folder(folder / "files", ballast_bytes=0),
            executor,
            Limits(disk_floor=0, user_waiting=10**6, guild_waiting=10**6),
        )
        choosing, claims = _timed(queue)
        await queue.start()
        watching = asyncio.create_task(_longest_stall())
        await until(lambda: len(executor.held) == devices, 120)
        for _ in range(10):  # the flood is under way
            await _finish_one(executor)
        waits = await _others(queue, executor, others, devices)
        while len(claims) < choices and queue.dispatcher.waitlist:
            await _finish_one(executor)
        watching.cancel()
        (stall,) = await asyncio.gather(watching)
        await queue.stop(0)
    return Figures(waits, choosing, claims, stall)


async def _others(queue: Queue, executor: HandExecutor, count: int, devices: int) -> list[float]:
    """Each asks once, at a random moment; between two of them a few jobs end."""
    chance, asked = random.Random(6), {}
    for user in range(1, count + 1):
        job_id = (await ask(queue, user=user)).job.id
        asked[job_id] = len(executor.started)
        for _ in range(chance.randrange(4)):
            await _finish_one(executor)
    while any(job_id not in executor.started for job_id in asked):
        await _finish_one(executor)
    own = set(asked)
    return [
        sum(i not in own for i in executor.started[before : executor.started.index(job_id)]) / devices
        for job_id, before in asked.items()
    ]


async def _finish_one(executor: HandExecutor) -> None:
    job_id = next(iter(executor.held))
    before = len(executor.started)
    executor.end(done(executor, job_id))
    await until(lambda: len(executor.started) > before, 60)


def _timed(queue: Queue) -> tuple[list[float], list[float]]:
    choosing: list[float] = []
    claims: list[float] = []
    dispatcher = queue.dispatcher
    begin, write = dispatcher._begin_claims, dispatcher.claims.claim_row

    def timed_begin() -> None:
        began = time.perf_counter()
        begin()
        if dispatcher.claims:  # one look serves all of them
            choosing.append((time.perf_counter() - began) / len(dispatcher.claims))

    def timed_claim(*arguments: Any) -> Any:
        began = time.perf_counter()
        job = write(*arguments)
        claims.append(choosing[-1] + time.perf_counter() - began)
        return job

    dispatcher._begin_claims = timed_begin  # type: ignore[method-assign]
    dispatcher.claims.claim_row = timed_claim  # type: ignore[method-assign]
    return choosing, claims


async def _longest_stall() -> float:
    longest = 0.0
    try:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.005)
            longest = max(longest, time.perf_counter() - began - 0.005)
    except asyncio.CancelledError:
        return longest


def check_order(figures: Figures) -> None:
    assert max(figures.waits) <= 1.0, f"somebody waited for {max(figures.waits):.1f} jobs per device"


def check(figures: Figures) -> None:
    check_order(figures)
    assert _percentile(figures.choices, 99) < 5, f"choosing took {_percentile(figures.choices, 99):.1f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--history", type=int, default=1_000_000)
    parser.add_argument("--flood", type=int, default=10_000)
    parser.add_argument("--others", type=int, default=50)
    parser.add_argument("--bug", choices=list(BUGS))
    parser.add_argument("--postgres", action="store_true", help="rows lie on a server")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        address = f"sqlite:///{folder / 'atelier.db'}"
        if arguments.postgres:
            server = stack.enter_context(postgres.serving(durable=True))
            address = postgres.address(server.folder, postgres.TEMPLATE)
        stack.enter_context(seeded(arguments.bug))
        sizes = {name: getattr(arguments, name) for name in ("history", "flood", "others")}
        figures = asyncio.run(measure(folder, address, **sizes))
    print(figures)
    check(figures)


if __name__ == "__main__":
    main()
