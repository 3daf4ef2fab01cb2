"""The model check of the queue on a PostgreSQL server: between two steps the way there is lost, or will be at
the next commits; kills come while a commit is under way.

``python -m proofs.jobs.model_check --postgres --steps 50000``. The program must settle each cut by asking the
server, so that the model need not know of any.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import hypothesis.strategies as st
from hypothesis.stateful import rule

from core.job import Lane, Origin, Reply
from core.requests import ImagineRequest
from proofs.jobs import model_check
from proofs.jobs.model_check import LIMITS, USERS, Plain, QueueMachine
from storage.engines import postgres as engine
from tests.scale.wire import LOST, NEVER, SILENT, WAYS, Wire
from tests.support import postgres
from vision.protocol import Done

SOON = 0.5  # seconds after which a connection is cut while the wire is to keep an answer to itself
LATER = ((), WAYS[:1], WAYS[1:2], WAYS[2:], *((None, None, way) for way in WAYS))  # see ``cut``
KILLED_AT = ("ask", "cancel", "deliver")
cuts: Counter[str] = Counter()  # by way
settled: Counter[str] = Counter()  # what was done about them


class ServerMachine(QueueMachine):
    """The same on a database of the server with its socket in ``server``, behind a wire."""

    server: Path
    database: str
    current: Wire | None = None
    rest = 0.001

    def make_database(self) -> None:
        with postgres.connect(self.server, self.database) as plain:
            plain.execute(postgres._emptying())

    async def address(self) -> str:
        self.wire = await self.stack.enter_async_context(Wire(self.server).open())
        self.wire.by_way = cuts
        ServerMachine.current = self.wire
        return self.wire.address(self.database)

    def look(self) -> Any:
        return postgres.connect(self.server, self.database)

    # What is lost on the way

    @rule(way=st.sampled_from(WAYS), later=st.sampled_from(LATER), rare=st.integers(0, 2))
    def cut(self, way: str, later: tuple[str | None, ...], rare: int) -> None:
        """The next commit is cut, and perhaps the session that would ask about it, or (the third commit from
        there, as a session takes its lock before) the same transaction again."""
        if not rare:
            self.wire.cut, self.wire.then = way, list(later)

    @rule(rare=st.integers(0, 3))
    def lose_connections(self, rare: int) -> None:
        """All are lost while nothing is asked; the next write needs another."""
        if rare:
            return

        async def lost() -> None:
            await self.wire.sever()
            await (self.queue.pause(9) if self.paused else self.queue.resume(9))

        self.wire.cut, self.wire.then = None, []  # a second loss on the spot is told, not settled
        settled["connections lost between commits"] += 1
        self.do(lost())

    # Kills while a commit is under way

    def die_finishing(self, job_id: str, written: bool) -> None:
        async def finish() -> None:
            self.executor.end(Done(job_id, self._output(job_id)), cool=True)

        self.die_at_commit(finish(), written)

    @rule(data=st.data(), what=st.sampled_from(KILLED_AT), written=st.booleans(), rare=st.integers(0, 3))
    def crash_while(self, data: st.DataObject, what: str, written: bool, rare: int) -> None:
        """kill -9 as what somebody does is committed, of which they are told nothing."""
        if rare:
            return
        if what == "ask":
            self.die_asking(data.draw(USERS), data.draw(st.sampled_from(Lane)), written)
        elif what == "cancel" and (can := self.having("queued", "running")):
            self.die_cancelling(data.draw(st.sampled_from(can)), written)
        elif what == "deliver":
            can = [i for i in self.having("rendered", "failed", "cancelled") if not self.plain[i].told]
            if can:
                self.die_delivering(data.draw(st.sampled_from(can)), written)

    def die_asking(self, user: int, lane: Lane, written: bool) -> None:
        waiting = [plain for plain in self.plain.values() if plain.status == "queued"]
        of_user = sum(plain.user == user for plain in waiting)
        if of_user >= LIMITS.user_waiting or len(waiting) >= LIMITS.guild_waiting:
            return
        self.count += 1
        request = ImagineRequest(prompt="x", seed=self.count, num_images=1)
        asking = self.queue.submit(request, Origin(user, 2, 3), Reply(self.count), lane=lane)
        self.die_at_commit(asking, written)
        if written:
            statement = "SELECT id FROM jobs WHERE interaction_id = %s"
            (job_id,) = self.eyes.execute(statement, [self.count]).fetchone()
            self.plain[job_id] = Plain(self.count, user, lane, self.count, None)
        self.crashed()

    def die_cancelling(self, job_id: str, written: bool) -> None:
        self.die_at_commit(self.queue.cancel(job_id), written)
        if written:
            self.plain[job_id].status = "cancelled"
        self.crashed()

    def die_delivering(self, job_id: str, written: bool) -> None:
        plain = self.plain[job_id]
        telling = self.queue.delivered(job_id, message_id=plain.seq, channel_id=2, rung="edit")
        self.die_at_commit(telling, written)
        if written:
            plain.told = True
            plain.status = "delivered" if plain.status == "rendered" else plain.status
        self.crashed()

    def die_at_commit(self, work: Any, written: bool) -> None:
        """Let the next commit be the last thing that the program says."""
        before = self.wire.cuts

        async def until_cut() -> None:
            self.wire.cut, self.wire.then, self.wire.last = LOST if written else NEVER, [], True
            working = asyncio.create_task(work)
            async with asyncio.timeout(20):
                while self.wire.cuts == before:  # noqa: ASYNC110
                    await asyncio.sleep(self.rest)
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

        self.loop.run_until_complete(until_cut())
        settled["kills at a commit"] += 1

    async def die(self) -> None:
        """Every connection ends, as the system does it for a process that was killed, and every task."""
        self.wire.closed = True
        await self.wire.sever()
        await super().die()

    def reopen(self) -> None:
        settled["asked of the server"] += self.queue.database.unknown_commits
        sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'atelier %'"
        end = time.monotonic() + 60
        while self.eyes.execute(sessions).fetchone() != (0,):
            assert time.monotonic() < end, "a session outlives its program"
            time.sleep(0.001)
        super().reopen()

    def teardown(self) -> None:
        settled["asked of the server"] += self.queue.database.unknown_commits
        self.wire.cut, self.wire.then = None, []
        super().teardown()


def _answers(found: bool) -> Any:
    async def was_committed(self: engine.Server, transaction: str) -> bool:
        return found

    return lambda real: was_committed


BUGS: model_check.Bugs = {
    **model_check.BUGS,
    # a lost answer is taken for nothing written, or for written, without asking
    "forgetful": (engine.Server, "_was_committed", _answers(False)),
    "trusting": (engine.Server, "_was_committed", _answers(True)),
}


def _answer(connection: Any) -> float:
    """The time limit of an answer: short only where none will come, as a busy machine takes long for
    others."""
    wire = ServerMachine.current
    return SOON if wire is not None and SILENT in (wire.cut, *wire.then) else engine.ANSWER


@contextmanager
def _hurried() -> Iterator[None]:
    limit = property(_answer, lambda connection, limit: None)
    with mock.patch.object(engine._connection_class(), "answer", limit):
        yield


def check(server: Path, database: str, **options: Any) -> None:
    """``model_check.check`` on a database of the server, which is emptied for each history."""
    machine = type("OnServer", (ServerMachine,), {"server": server, "database": database})
    with _hurried():
        model_check.check(machine=machine, bugs=BUGS, **options)


def told() -> str:
    """Say what was cut since the process began."""
    ways, others = (
        ", ".join(f"{count:,} {what}" for what, count in sorted(some.items())) for some in (cuts, settled)
    )
    return f"{cuts.total():,} cuts at COMMIT ({ways}; {others}), "
