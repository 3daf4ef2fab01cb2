"""Cuts the way to the database at COMMIT, at every step of a job's life, and looks whether anything is stuck,
doubled or untold.

``python -m proofs.scale.cuts --cuts 1000``, or ``make scale-proof``.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import random
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import sqlalchemy as sa

from core.events import Cancelled, Event, Failed, Rendered
from core.job import Status
from jobs.executors.base import Lost, Outcome
from jobs.queue import Queue, Submitted
from storage.blobs.local import Folder
from storage.database import open_database
from storage.engines import postgres as engine
from storage.schema import messages, pictures
from tests.jobs.conftest import LIMITS, ask, done, until
from tests.jobs.hand_executor import HandExecutor
from tests.scale.wire import WAYS, Wire
from tests.support import postgres
from vision.protocol import Broke, Fault

STEPS = ("admit", "claim", "finish", "fail", "retry", "give back", "cancel", "deliver", "note", "front")
WITHIN = 5.0  # seconds in which all must be well again
SOON = 1.0  # seconds after which a connection without an answer is cut here


@dataclass
class Figures:
    """cuts: by (step, way). slowest: seconds until a step was told. problems: what went wrong."""

    cuts: collections.Counter[tuple[str, str]] = field(default_factory=collections.Counter)
    problems: list[str] = field(default_factory=list)
    slowest: float = 0.0


class World:
    """A queue behind a wire that is cut, its executor worked by hand."""

    def __init__(self, wire: Wire, queue: Queue, executor: HandExecutor, figures: Figures) -> None:
        self.wire, self.queue, self.executor, self.figures = wire, queue, executor, figures
        self.asked = 0

    async def live(self, step: str, way: str) -> None:
        """A job's whole life, cut at ``step`` in the ``way``."""
        self.asked += 1
        known = len(self.figures.problems)
        cuts, began = self.wire.cuts, time.monotonic()
        try:
            async with asyncio.timeout(WITHIN + 20):
                await self._live(step, way)
        except Exception as error:
            self.figures.problems.append(f"{step}, {way}: {type(error).__name__}: {error}")
        if self.wire.cuts == cuts + 1:
            self.figures.cuts[step, way] += 1
        elif len(self.figures.problems) == known:
            self.figures.problems.append(f"{step}, {way}: nothing was cut")
        self.figures.slowest = max(self.figures.slowest, time.monotonic() - began)
        self.wire.cut = None

    async def _live(self, step: str, way: str) -> None:
        queue, number = self.queue, self.asked
        origin = {"interaction_id": number, "message_id": None}
        self._arm("admit", step, way)
        if step in ("claim", "front"):
            queue.dispatcher.waitlist.paused = True
        submitted: Submitted = await ask(queue, f"job {number}", user=number, origin=origin)
        job_id = submitted.job.id
        watch = queue.watch(job_id)
        if step == "front":
            self._arm("front", step, way)
            assert await queue.move_to_front(1, job_id), "it can't be moved to the front"
        if step in ("claim", "front"):
            self._arm("claim", step, way)
            queue.dispatcher.waitlist.paused = False
            queue.dispatcher.wake()
        await self._handed(job_id)
        starts = 1
        if step in ("retry", "give back"):
            self._arm(step, step, way)
            self.executor.end(
                Broke(job_id, Fault.ERROR, "it broke")
                if step == "retry"
                else Lost(job_id, "died", untouched=True)
            )
            await self._handed(job_id)
            starts = 2
        expected = await self._end(step, way, job_id)
        async for event in watch:
            last: Event = event
        assert isinstance(last, expected), f"watchers were told {last}"
        self._arm("deliver", step, way)
        assert await queue.delivered(job_id, message_id=number, channel_id=2, rung="answer"), "told before"
        assert not await queue.delivered(job_id, message_id=number, channel_id=2, rung="answer"), "told twice"
        self._arm("note", step, way)
        if step == "note":
            assert await queue.remember_message(job_id, 10**6 + number, 2, 3), "its message is not noted"
        await self._look(job_id, expected, starts, messages_of=1 + (step == "note"))

    async def _end(self, step: str, way: str, job_id: str) -> type[Event]:
        outcome: Outcome = done(self.executor, job_id)
        if step == "cancel":
            self._arm("cancel", step, way)
            assert await self.queue.cancel(job_id), "it can't be cancelled"
            self.executor.end(outcome)
            return Cancelled
        if step == "fail":
            self._arm("fail", step, way)
            self.executor.end(Broke(job_id, Fault.USER, "these words can't be drawn"))
            return Failed
        self._arm("finish", step, way)
        self.executor.end(outcome)
        return Rendered

    def _arm(self, step: str, chosen: str, way: str) -> None:
        if step == chosen:
            self.wire.cut = way

    async def _handed(self, job_id: str) -> None:
        """Wait until the job is on the device."""
        await until(lambda: self.executor.has(job_id))

    async def _look(self, job_id: str, expected: type[Event], starts: int, messages_of: int) -> None:
        """The rows say what was told."""
        job = await self.queue.job(job_id)
        ends = {Rendered: Status.DELIVERED, Failed: Status.FAILED, Cancelled: Status.CANCELLED}
        assert job is not None and job.status is ends[expected], f"the row says {job and job.status}"
        assert self.executor.started.count(job_id) == starts, "it ran too often"

        def count(connection: sa.Connection) -> tuple[int, int]:
            drawn, shown = (
                connection.scalar(
                    sa.select(sa.func.count()).select_from(table).where(table.c.job_id == job_id)
                )
                for table in (pictures, messages)
            )
            return drawn or 0, shown or 0

        drawn, shown = await self.queue.database.read(count)
        assert (drawn > 0) == (expected is Rendered), f"{drawn} pictures"
        assert shown == messages_of, f"{shown} messages"
        assert not await self.queue.undelivered(), "somebody is still to be told"


@contextlib.asynccontextmanager
async def world(folder: Path, socket: Path | str, database: str) -> AsyncIterator[World]:
    """A queue on a database of the server with that socket."""
    figures, executor = Figures(), HandExecutor()
    async with Wire(socket).open() as wire, open_database(wire.address(database), None) as opened:
        queue = Queue(opened, Folder(folder / "pictures", ballast_bytes=4096), executor, LIMITS)
        await queue.start()
        try:
            yield World(wire, queue, executor, figures)
        finally:
            await queue.stop(0)


async def measure(folder: Path, socket: Path | str, database: str, cuts: int, seed: int = 0) -> Figures:
    """Cut so often, at every step in every way, in an order by ``seed``."""
    plan = [(step, way) for step in STEPS for way in WAYS]
    order = random.Random(seed)
    with mock.patch.object(engine._connection_class(), "answer", SOON):
        async with world(folder, socket, database) as made:
            for number in range(cuts):
                if number % len(plan) == 0:
                    order.shuffle(plan)
                await made.live(*plan[number % len(plan)])
            rows = await made.queue.database.read(
                lambda c: c.execute(sa.text("SELECT status, count(*) FROM jobs GROUP BY status")).all()
            )
    total = sum(count for _, count in rows)
    if total != cuts:
        made.figures.problems.append(f"{total} rows of {cuts} jobs")
    return made.figures


@contextlib.contextmanager
def forgetful() -> Iterator[None]:
    """A program that takes each lost answer for a commit that was not written: the negative control."""

    async def never(self: engine.Server, transaction: str) -> bool:
        return False

    with mock.patch.object(engine.Server, "_was_committed", never):
        yield


def main() -> None:
    """Measure on a server of its own, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    server = postgres.Server()
    try:
        server.start()
        postgres.make_template(server.folder)
        with tempfile.TemporaryDirectory() as folder:
            began, cpu = time.monotonic(), time.process_time()
            figures = asyncio.run(
                measure(Path(folder), server.folder, postgres.TEMPLATE, arguments.cuts, arguments.seed)
            )
            wall, cpu = time.monotonic() - began, time.process_time() - cpu
    finally:
        server.remove()
    by_way = {way: sum(n for (_, one), n in figures.cuts.items() if one == way) for way in WAYS}
    print(f"{sum(figures.cuts.values())} cuts at COMMIT {by_way}: {len(figures.problems)} problems")
    print(f"slowest life {figures.slowest:.1f} s; {wall:.0f} s, {cpu:.0f} s of CPU here")
    print("\n".join(figures.problems[:20]))
    raise SystemExit(1 if figures.problems else 0)


if __name__ == "__main__":
    main()
