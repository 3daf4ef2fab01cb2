"""The queue against a plain model of it: random asks, steps, ends, crashes, cancels and pauses, compared
after each.

python -m proofs.jobs.model_check --steps 1000000
python -m proofs.jobs.model_check --bug unfenced      # a seeded bug: must be found
python -m proofs.jobs.model_check --postgres --steps 50000    # on a server: proofs.scale.model_on_server
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import logging
import shutil
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import hypothesis
import hypothesis.strategies as st
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from core.errors import LimitError
from core.events import TERMINAL, Cancelled, Failed, Output, Rendered
from core.job import Lane, Origin, Reply, Status
from core.requests import ImagineRequest
from jobs import runs, waitlist
from jobs.admission import Limits
from jobs.eta import Estimate
from jobs.executors.base import Lost
from jobs.queue import Queue
from jobs.runs import Outcomes
from jobs.waitlist import RANKS, Placement
from storage import jobs
from storage.blobs.local import Folder
from storage.database import open_database
from storage.engines import sqlite
from tests.jobs.fake_worker import output_of
from tests.jobs.hand_executor import HandExecutor
from tests.jobs.plain_shares import PlainShares
from tests.support import postgres
from vision.protocol import Broke, Done, Fault, Step, Stopped

SLOTS = {"cpu": 1, "cuda:0": 2}
LIMITS = Limits(user_running=2, user_waiting=4, guild_waiting=9, disk_floor=0)
NO_PAUSES = (0.0,) * 1000  # until a machine that couldn't begin a job gets it again
USERS = st.integers(1, 4)
counted = {"steps": 0, "examples": 0, "crashes": 0, "jobs": 0}


@functools.cache
def _migrated() -> bytes:
    """An empty database of today's schema: migrating one for each history would take most of the time."""

    async def make(path: Path) -> None:
        async with open_database(f"sqlite:///{path}", None) as opened:
            await opened.scrub()

    with tempfile.TemporaryDirectory() as folder:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(make(Path(folder) / "a.db"))
        loop.close()
        return (Path(folder) / "a.db").read_bytes()


@dataclass
class Plain:
    """What a job is, as simply as one can say it."""

    seq: int
    user: int
    lane: Lane
    interaction: int
    press: str | None
    status: str = "queued"
    attempts: int = 0
    cut_off: int = 0  # times that it was running at a crash
    front: int = 0
    told: bool = False
    device: str = ""
    alone: bool = False  # from the first failed try on
    suspect: bool = False  # it was in hand when a worker with several jobs died


class QueueMachine(RuleBasedStateMachine):
    """The real queue, database and files; the executor is worked by hand, so that the order of objects is the
    test's."""

    rest = 0.0  # seconds between two looks at whether the queue has come to rest

    def __init__(self) -> None:
        super().__init__()
        counted["examples"] += 1
        self.folder = Path(
            tempfile.mkdtemp(prefix="atelier-check-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        )
        self.loop = asyncio.new_event_loop()
        self.plain: dict[str, Plain] = {}
        self.shares = PlainShares()
        self.loaded: set[str] = set()
        self.cooling: list[str] = []  # devices whose slot is not free yet
        self.cleared: tuple[str, str] | None = (
            None  # a job that must be alone, and the device that is kept for it
        )
        self.paused = False
        self.count = 0
        self.ends: dict[str, list[Any]] = {}
        self.watchers: dict[str, asyncio.Task[None]] = {}
        self.make_database()
        self.open()

    # The real object

    def make_database(self) -> None:
        """Make it, empty."""
        (self.folder / "a.db").write_bytes(_migrated())

    async def address(self) -> str:
        """Where the queue finds it."""
        return f"sqlite:///{self.folder / 'a.db'}"

    def look(self) -> Any:
        """Return a connection that sees the rows without the queue."""
        return sqlite3.connect(self.folder / "a.db")

    def open(self) -> None:
        self.executor = HandExecutor(dict(SLOTS))
        self.stack = AsyncExitStack()
        self.do(self._open())
        self.eyes = self.look()

    async def _open(self) -> None:
        opened = await self.stack.enter_async_context(open_database(await self.address(), None))
        self.queue = Queue(opened, Folder(self.folder / "files", ballast_bytes=0), self.executor, LIMITS)
        await self.queue.start()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        async def and_settle() -> Any:
            result = await work
            await self.settle()
            return result

        return self.loop.run_until_complete(asyncio.wait_for(and_settle(), 60))

    async def settle(self) -> None:
        """Until the dispatcher has nothing left to do."""
        dispatcher = self.queue.dispatcher
        while (  # noqa: ASYNC110
            dispatcher.claims
            or dispatcher._wake.is_set()
            or self.queue.tasks
            or self.queue.database.waiting
            or set(dispatcher.running) != set(self.executor.held)
            or (not dispatcher.waitlist.paused and dispatcher._choose(dispatcher.look()) is not None)
        ):
            await asyncio.sleep(self.rest)

    def rows(self) -> dict[str, tuple[str, int]]:
        return {i: (s, a) for i, s, a in self.eyes.execute("SELECT id, status, attempts FROM jobs")}

    def watch(self, job_id: str) -> None:
        async def follow() -> None:
            async for event in self.queue.watch(job_id):
                if isinstance(event, TERMINAL):
                    self.ends.setdefault(job_id, []).append(event)

        self.watchers[job_id] = self.loop.create_task(follow())

    # The plain model

    def having(self, *statuses: str) -> list[str]:
        return [job_id for job_id, plain in self.plain.items() if plain.status in statuses]

    def run_what_can(self) -> None:
        while not self.paused and self.run_one():
            pass

    def run_one(self) -> bool:
        """Turn by turn: admin's front, then lane, then who has had least, then who came first."""
        running = [p for p in self.plain.values() if p.status == "running"]
        users, on = Counter(p.user for p in running), Counter([p.device for p in running] + self.cooling)
        queued = self.having("queued")
        for job_id in queued:  # whoever has as many as may run has their place in the line all the same
            self.order_of(self.plain[job_id])
        can = [job_id for job_id in queued if users[self.plain[job_id].user] < LIMITS.user_running]
        free = {
            d: on[d]
            for d in SLOTS
            if on[d] < SLOTS[d] and not any(p.alone and p.device == d for p in running)
        }
        if self.cleared and self.cleared[0] not in can:
            self.cleared = None
        if self.cleared and free.pop(self.cleared[1], None) == 0:
            return self.start(*self.cleared)
        can.sort(key=lambda i: self.order_of(self.plain[i]))
        if can and free and self.plain[can[0]].alone and 0 not in free.values():
            if not self.cleared:
                self.cleared = can[0], min(free, key=free.__getitem__)
                return True
            can = [i for i in can if not self.plain[i].alone]
        if not can or not free:
            return False
        empty_only = self.plain[can[0]].alone
        return self.start(
            can[0],
            min(
                (d for d in free if not (empty_only and free[d])),
                key=lambda d: (free[d], d not in self.loaded),
            ),
        )

    def order_of(self, plain: Plain) -> tuple[int, ...]:
        return (
            (-plain.front, 0, 0, plain.seq)
            if plain.front
            else (
                0,
                RANKS[plain.lane],
                self.shares.stamp(plain.user, RANKS[plain.lane]),
                plain.seq,
            )
        )

    def start(self, job_id: str, device: str) -> bool:
        plain = self.plain[job_id]
        plain.status, plain.device, plain.attempts = "running", device, plain.attempts + 1
        self.loaded.add(device)
        if self.cleared and self.cleared[0] == job_id:
            self.cleared = None
        self.shares.start(plain.user, RANKS[plain.lane], 1, moved=bool(plain.front))
        return True

    def again(self, plain: Plain, uncounted: int = 0) -> None:
        plain.attempts += uncounted
        plain.alone, plain.suspect = True, False
        plain.status = "failed" if plain.attempts >= 3 else "queued"

    def spare(self, plain: Plain) -> None:
        plain.status, plain.attempts = "queued", plain.attempts - 1

    # Rules

    @rule(user=USERS, lane=st.sampled_from(Lane))
    def submit(self, user: int, lane: Lane) -> None:
        self.new(user, lane, None)

    @rule(user=USERS, lane=st.sampled_from(Lane), press=st.integers(0, 2))
    def press(self, user: int, lane: Lane, press: int) -> None:
        self.new(user, lane, press)

    def new(self, user: int, lane: Lane, press: int | None) -> None:
        self.count += 1
        key = None if press is None else f"7:u{press}:{user}"
        same = next(
            (
                i
                for i, p in self.plain.items()
                if key and p.press == key and p.status in ("queued", "running", "rendered")
            ),
            None,
        )
        waiting = [p for p in self.plain.values() if p.status == "queued"]
        full = (
            sum(p.user == user for p in waiting) >= LIMITS.user_waiting
            or len(waiting) >= LIMITS.guild_waiting
        )
        self.ask(self.count, user, lane, key, same, full and not same)

    @precondition(lambda self: self.plain)
    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        """The gateway says it again."""
        job_id = data.draw(st.sampled_from(list(self.plain)))
        plain = self.plain[job_id]
        self.ask(plain.interaction, plain.user, plain.lane, None, job_id, False)

    def ask(
        self, interaction: int, user: int, lane: Lane, press: str | None, same: str | None, refused: bool
    ) -> None:
        origin = Origin(user, 2, 3, press_key=press)
        try:
            submitted = self.do(
                self.queue.submit(
                    ImagineRequest(prompt="x", seed=interaction, num_images=1),
                    origin,
                    Reply(interaction),
                    lane=lane,
                )
            )
        except LimitError:
            assert refused, "refused within the limits"
            return
        assert not refused, "taken over the limits"
        assert submitted.duplicate == (same is not None)
        if same is not None:
            assert submitted.job.id == same
        else:
            counted["jobs"] += 1
            self.plain[submitted.job.id] = Plain(self.count, user, lane, interaction, press)
            self.watch(submitted.job.id)
            self.run_what_can()

    @precondition(lambda self: self.executor.held)
    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        job_id = self._held(data)
        self.executor.report(Step(job_id, 1, 4))
        self.do(asyncio.sleep(0))

    @precondition(lambda self: self.executor.held)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        job_id = self._held(data)
        self.plain[job_id].status = "rendered"
        self.end_in_order(Done(job_id, self._output(job_id)))

    @precondition(lambda self: self.executor.held)
    @rule(data=st.data(), fault=st.sampled_from(Fault))
    def break_(self, data: st.DataObject, fault: Fault) -> None:
        """A job that poisons its process takes those beside it with it, without blame."""
        job_id = self._held(data)
        plain = self.plain[job_id]
        beside = [i for i in self.on(plain.device) if i != job_id] if fault is Fault.PROCESS else []
        if fault in (Fault.ERROR, Fault.PROCESS):
            self.again(plain)
        else:
            plain.status = "failed"
        for other in beside:
            self.spare(self.plain[other])
            self.loaded.discard(plain.device)
        self.end_in_order(
            Broke(job_id, fault, "It broke."), *(Lost(other, "poisoned", untouched=True) for other in beside)
        )

    @precondition(lambda self: self.executor.held)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        """A worker dies with all it has."""
        device = self.plain[self._held(data)].device
        lost = self.on(device)
        for plain in map(self.plain.__getitem__, lost):
            if len(lost) > 1 and not plain.suspect:
                self.spare(plain)
                plain.alone = plain.suspect = True
            else:
                self.again(plain, uncounted=int(plain.suspect))
        self.loaded.discard(device)
        self.end_in_order(*(Lost(job_id, "killed", shared=len(lost) > 1) for job_id in lost))

    def on(self, device: str) -> list[str]:
        return [job_id for job_id in self.having("running") if self.plain[job_id].device == device]

    def end_in_order(self, *outcomes: Any) -> None:
        """First what came of the jobs is written, then their slots are free. The other way round may happen
        too, and is as good, but then who runs next is a matter of milliseconds, which a plain model can't
        say."""
        self.cooling += [self.executor.held[outcome.job_id].device for outcome in outcomes]
        for outcome in outcomes:
            self.executor.end(outcome, cool=True)
        self.do(asyncio.sleep(0))
        self.run_what_can()
        self.cooling.clear()
        self.executor.cooled()
        self.do(asyncio.sleep(0))
        self.run_what_can()

    @precondition(lambda self: self.plain)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(list(self.plain)))
        plain = self.plain[job_id]
        can = plain.status in ("queued", "running")
        was_running = plain.status == "running"
        assert self.do(self.queue.cancel(job_id)) == can
        if can:
            plain.status = "cancelled"
        if was_running:  # its slot is taken until the worker has stopped, or has finished in spite of it
            assert job_id in self.executor.asked_to_stop
            self.end_in_order(
                Done(job_id, self._output(job_id)) if data.draw(st.booleans()) else Stopped(job_id)
            )
        else:
            self.run_what_can()

    @precondition(lambda self: self.having("rendered", "failed", "cancelled"))
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(self.having("rendered", "failed", "cancelled")))
        plain = self.plain[job_id]
        assert self.do(self.queue.delivered(job_id, message_id=plain.seq, channel_id=2, rung="edit")) == (
            not plain.told
        )
        plain.told = True
        if plain.status == "rendered":
            plain.status = "delivered"

    @rule()
    def pause(self) -> None:
        self.do(self.queue.pause(9))
        self.paused = True

    @rule()
    def resume(self) -> None:
        self.paused = False
        self.do(self.queue.resume(9))
        self.run_what_can()

    @rule(user=st.none() | USERS, rare=st.integers(0, 3))
    def clear(self, user: int | None, rare: int) -> None:
        if rare:
            return
        whose = [p for p in self.plain.values() if p.status == "queued" and user in (None, p.user)]
        for plain in whose:
            plain.status = "cancelled"
        assert self.do(self.queue.clear(9, user)) == len(whose)
        self.run_what_can()

    @precondition(lambda self: self.plain)
    @rule(data=st.data())
    def move_to_front(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(list(self.plain)))
        plain = self.plain[job_id]
        can = plain.status == "queued"
        if can:
            plain.front = 1 + max((p.front for p in self.plain.values() if p.status == "queued"), default=0)
        assert self.do(self.queue.move_to_front(9, job_id)) == can
        self.run_what_can()

    @rule(rare=st.integers(0, 7))
    def restart(self, rare: int) -> None:
        """In order: what runs goes back, no attempt counted."""
        if rare:
            return
        for plain in self.plain.values():
            if plain.status == "running":
                plain.status, plain.attempts = "queued", plain.attempts - 1
        self.close(self.queue.stop(0))
        self.reopen()

    @rule(rare=st.integers(0, 7))
    def crash(self, rare: int) -> None:
        """kill -9 between two steps: what runs is taken up again, the attempt counted."""
        if not rare:
            self.crashed()

    @precondition(lambda self: self.executor.held)
    @rule(data=st.data(), written=st.booleans(), rare=st.integers(0, 3))
    def crash_while_finishing(self, data: st.DataObject, written: bool, rare: int) -> None:
        """kill -9 as a result's rows are committed, just before or just after: it is there, or it is made
        again."""
        if rare:
            return
        job_id = self._held(data)
        self.die_finishing(job_id, written)
        if written:
            self.plain[job_id].status = "rendered"
        self.crashed()

    def die_finishing(self, job_id: str, written: bool) -> None:
        reached = asyncio.Event()
        write = self.queue.database.write

        async def write_and_die(work: Any, **options: Any) -> Any:
            if written:
                await write(work, **options)
            reached.set()
            await asyncio.Event().wait()

        async def until_dead() -> None:
            self.queue.database.write = write_and_die
            self.executor.end(Done(job_id, self._output(job_id)), cool=True)
            await asyncio.wait_for(reached.wait(), 10)

        self.loop.run_until_complete(until_dead())

    def crashed(self) -> None:
        counted["crashes"] += 1
        for plain in self.plain.values():
            if plain.status == "running":
                self.spare(plain)
                plain.cut_off += 1
                plain.status = "failed" if plain.cut_off >= 10 else "queued"
        self.close(self.die())
        self.reopen()

    async def die(self) -> None:
        """Every task stops where it is; an open transaction is rolled back, as the file's journal does after
        a kill."""
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.queue.database.engine.dispose()

    def close(self, work: Coroutine[Any, Any, Any]) -> None:
        async def all_of_it() -> None:
            try:
                await work
                watchers = list(self.watchers.values())
                await asyncio.wait_for(asyncio.gather(*watchers, return_exceptions=True), 10)
            finally:
                with suppress(asyncio.CancelledError):  # of a writer that "was killed"
                    await self.stack.aclose()

        self.loop.run_until_complete(all_of_it())

    def reopen(self) -> None:
        self.eyes.close()
        self.open()
        self.loaded, self.cleared = set(), None
        self.shares.restart()
        for plain in self.plain.values():
            plain.alone, plain.suspect = plain.attempts > 0 or plain.cut_off > 1, False
        self.run_what_can()
        for job_id, plain in self.plain.items():
            if plain.status in ("queued", "running"):
                self.watch(job_id)
        self.do(asyncio.sleep(0))

    # What must always hold

    @invariant()
    def rows_are_as_the_model_says(self) -> None:
        counted["steps"] += 1
        assert self.rows() == {i: (p.status, p.attempts) for i, p in self.plain.items()}

    @invariant()
    def exactly_the_running_jobs_are_on_devices(self) -> None:
        assert {i: held.device for i, held in self.executor.held.items()} == {
            i: self.plain[i].device for i in self.having("running")
        }

    @invariant()
    def whoever_must_be_alone_is(self) -> None:
        alone = {self.plain[i].device for i in self.having("running") if self.plain[i].alone}
        assert all(len(self.on(device)) == 1 for device in alone)

    @invariant()
    def everybody_is_told_one_end_and_the_right_one(self) -> None:
        kinds = {"rendered": Rendered, "delivered": Rendered, "failed": Failed, "cancelled": Cancelled}
        for job_id, ends in self.ends.items():
            assert len(ends) == 1 and isinstance(ends[0], kinds.get(self.plain[job_id].status, ()))
        # a crash or restart between the end and the telling leaves it to the row

    @invariant()
    def positions_are_the_order(self) -> None:
        dispatcher, now = self.queue.dispatcher, time.monotonic()
        order = [waiting.job_id for waiting in dispatcher.waitlist.order(now)]
        assert sorted(order) == sorted(self.having("queued"))
        assert [dispatcher.waitlist.position(dispatcher.waitlist.get(i), now) for i in order] == list(
            range(1, len(order) + 1)
        )
        assert dispatcher.positions.told.keys() <= {*self.having("queued"), *self.having("running")}

    def teardown(self) -> None:
        with suppress(Exception):
            self.close(self.queue.stop(0))
        self.eyes.close()
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _held(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(self.having("running")))

    def _output(self, job_id: str) -> Output:
        return output_of(ImagineRequest(prompt="x", seed=self.plain[job_id].interaction, num_images=1))


# Seeded bugs: each must be found


def _unfenced(real: Any) -> Any:
    def retry(connection: Any, job_id: str, message: str, **options: Any) -> Status:
        connection.execute(
            sa.text("UPDATE jobs SET status = 'queued', lease_token = NULL WHERE id = :id"), {"id": job_id}
        )
        return Status.QUEUED

    return retry


def _uncounted(real: Any) -> Any:
    def claim(connection: Any, job_id: str, **options: Any) -> Any:
        job = real(connection, job_id, **options)
        connection.execute(
            sa.text("UPDATE jobs SET attempts = attempts - 1 WHERE id = :id AND attempts > 1"),
            {"id": job_id},
        )
        return job

    return claim


def _forgets(real: Any) -> Any:
    def recover(connection: Any, message: str, *, now: Any, but: Any = ()) -> list[Any]:
        return []

    return recover


def _believes_all(real: Any) -> Any:
    def facts(connection: Any, job: Any) -> Any:
        return replace(real(connection, job), same_id=None)

    return facts


def _keeps_attempt(real: Any) -> Any:
    def give_back(connection: Any, job_id: str, *, token: str) -> bool:
        connection.execute(
            sa.text("UPDATE jobs SET status = 'queued', lease_token = NULL WHERE id = :id"), {"id": job_id}
        )
        return True

    return give_back


def _shares(real: Any) -> Any:
    def choose(self: Placement, rooms: Any, running: Any, now: float, fits: Any = None) -> Any:
        free = {name: room.running for name, room in rooms.items() if room.free > 0}
        job = self._waitlist.next(running, None, now, takes=fits) if free else None
        return None if job is None else (min(free, key=free.__getitem__), job)

    return choose


Bugs = dict[str, tuple[Any, str, Callable[[Any], Any]]]  # name → what is replaced where, and by what
BUGS: Bugs = {
    "unfenced": (jobs, "retry", _unfenced),
    "uncounted attempt": (jobs, "claim", _uncounted),
    "forgets what ran": (jobs, "recover", _forgets),
    "doubles a replay": (jobs, "facts", _believes_all),
    "counts a restart": (jobs, "give_back", _keeps_attempt),
    "unfair": (
        waitlist.Group,
        "turn",
        lambda real: property(lambda group: (group.rank, group.jobs[0].seq, 0)),
    ),
    "loses a retry": (
        Outcomes,
        "retry",
        lambda real: lambda self, live, message, **options: asyncio.sleep(0),
    ),
    "blames everybody": (
        Outcomes,
        "_lost",
        lambda real: lambda self, live, lost: real(self, live, replace(lost, shared=False)),
    ),
    "lets a suspect share": (Placement, "choose", _shares),
}


@contextmanager
def seeded(bug: str | None, bugs: Bugs = BUGS) -> Iterator[None]:
    if bug is None:
        yield
        return
    owner, name, make = bugs[bug]
    with mock.patch.object(owner, name, make(getattr(owner, name))):
        yield


async def _at_once(connection: Any, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """In the place of a trip to the connection's thread: the work is done where it is handed in. What threads
    do to the queue, the tests on real processes show."""
    return function(*arguments, **options)


async def _here(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    return function(*arguments, **options)


@contextmanager
def without_threads_and_clocks() -> Iterator[None]:
    """All jobs take equally long: what milliseconds do to shares, ``test_shares`` shows."""
    with (
        mock.patch.object(Estimate, "pictures", lambda self, seconds: None),
        mock.patch.object(waitlist, "REFUSAL_PAUSES", NO_PAUSES),
        mock.patch.object(waitlist, "BROKEN_PAUSES", NO_PAUSES),
        mock.patch.object(runs, "REFUSAL_PAUSES", NO_PAUSES),
        mock.patch.object(sqlite.Connection, "_execute", _at_once),
        mock.patch.object(asyncio, "to_thread", _here),
    ):
        yield


def check(
    steps: int,
    *,
    seed: int = 0,
    bug: str | None = None,
    length: int = 100,
    machine: type[QueueMachine] = QueueMachine,
    bugs: Bugs = BUGS,
) -> None:
    """Run until ``steps`` steps are compared. An AssertionError, or whatever the queue raised, is a
    counter-example."""
    logging.disable(logging.CRITICAL)
    counted.update(dict.fromkeys(counted, 0))
    options = settings(
        max_examples=max(1, min(200, steps // length)),
        stateful_step_count=length,
        deadline=None,
        database=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    try:
        with seeded(bug, bugs), without_threads_and_clocks():
            while counted["steps"] < steps:
                run_state_machine_as_test(
                    hypothesis.seed(seed)(type(f"Seed{seed}", (machine,), {})), settings=options
                )
                seed += 1
    finally:
        logging.disable(logging.NOTSET)


def main() -> None:
    from proofs.scale import model_on_server  # which imports this module

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bug", choices=list(model_on_server.BUGS))
    parser.add_argument("--every", type=int, default=20_000, help="steps between two lines of progress")
    parser.add_argument("--postgres", action="store_true", help="on a server, whose commits are cut")
    arguments = parser.parse_args()
    if arguments.bug not in (None, *BUGS) and not arguments.postgres:
        parser.error("this bug needs --postgres")
    run = partial(_run, arguments.steps, arguments.seed, arguments.every)
    if not arguments.postgres:
        return run(partial(check, bug=arguments.bug), lambda: "")
    with postgres.serving() as server:
        place = server.folder, postgres.TEMPLATE
        run(partial(model_on_server.check, *place, bug=arguments.bug), model_on_server.told)


def _run(steps: int, seed: int, every: int, check: Callable[..., None], told: Callable[[], str]) -> None:
    began, total = time.monotonic(), dict.fromkeys(counted, 0)
    while total["steps"] < steps:
        check(steps=min(every, steps - total["steps"]), seed=seed)
        seed += 1000
        for key in total:
            total[key] += counted[key]
        print(
            f"{total['steps']:,} steps, {total['examples']:,} histories, {total['jobs']:,} jobs,"
            f" {total['crashes']:,} crashes, {told()}{time.monotonic() - began:.0f} s, 0 counter-examples",
            flush=True,
        )


if __name__ == "__main__":
    main()
