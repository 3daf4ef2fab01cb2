"""Two programs on one queue: whatever is asked of one that doesn't lead, with a bus and without."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.errors import LimitError
from core.events import Cancelled, Progress, Queued, Rendered, Started
from core.job import Status
from jobs.sharing import leading
from jobs.sharing.messages import Answered, Jobs
from jobs.sharing.queue import SharedQueue
from jobs.sharing.words import Words
from storage.database import Database, open_database
from storage.filing.folder import Folder
from storage.several import unfinished
from tests import postgres
from tests.fresh import address_in
from tests.jobs.conftest import LIMITS, ask, done, eventually, until
from tests.jobs.hand_executor import HandExecutor
from tests.scale.line import Pipe
from vision.protocol import Step

pytestmark = pytest.mark.postgres
EVERY = 0.03


@dataclass
class Program:
    """One of the programs."""

    queue: SharedQueue
    executor: HandExecutor
    database: Database

    def end_session(self) -> None:
        """As a failover does."""
        assert self.database._server is not None
        with postgres.connect(str(postgres.folder())) as server:
            server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s",
                [f"{self.database._server.name} writes"],
            )


@contextlib.asynccontextmanager
async def _program(folder: Path, line: Pipe | None) -> AsyncIterator[Program]:
    async with open_database(address_in(folder), None, several=True) as database:
        files, executor = Folder(folder / "pictures", ballast_bytes=4096), HandExecutor()
        queue = SharedQueue(database, files, executor, LIMITS, line=line, every=EVERY)
        await queue.start()
        try:
            yield Program(queue, executor, database)
        finally:
            await queue.stop(0)


@pytest.fixture(params=["bus", "no bus"])
def line(request: pytest.FixtureRequest) -> Pipe | None:
    return Pipe() if request.param == "bus" else None


@pytest.fixture
async def both(tmp_path: Path, line: Pipe | None) -> AsyncIterator[tuple[Program, Program]]:
    """The one that leads, and the other."""
    async with _program(tmp_path, line) as first:
        await until(lambda: first.queue.leads)
        async with _program(tmp_path, line) as second:
            yield first, second


async def _heard(queue: SharedQueue, job_id: str, into: list[Any]) -> None:
    async for event in queue.watch(job_id):
        into.append(event)


async def test_a_job_asked_of_one_that_does_not_lead_runs_and_is_told_there(
    both: tuple[Program, Program], line: Pipe | None
) -> None:
    leader, other = both
    await leader.queue.pause(9)
    await eventually(_says(lambda: other.queue._dispatcher.paused))
    submitted = await ask(other.queue)
    assert submitted.position == (1 if line else 0)
    events: list[Any] = []
    watching = asyncio.create_task(_heard(other.queue, submitted.job.id, events))
    await until(lambda: events)
    assert isinstance(events[0], Queued) and events[0].held
    await other.queue.resume(9)
    await until(lambda: leader.executor.has(submitted.job.id))
    await until(lambda: Started() in events)
    leader.executor.report(Step(submitted.job.id, 1, 3, b"preview"))
    if line:
        await until(lambda: Progress(1, 3, b"preview") in events)
    leader.executor.end(done(leader.executor, submitted.job.id))
    await watching
    assert events[-1] == Rendered() and other.executor.started == []
    assert await other.queue.delivered(submitted.job.id, message_id=1, channel_id=2, rung="edit")


def _says(condition: Any) -> Any:
    async def holds() -> bool:
        return bool(condition())

    return holds


async def test_a_cancel_by_one_that_does_not_lead_stops_the_run(both: tuple[Program, Program]) -> None:
    leader, other = both
    runs = (await ask(other.queue)).job.id
    await until(lambda: leader.executor.has(runs))
    waits = (await ask(other.queue, user=2)).job.id
    events: list[Any] = []
    watching = asyncio.create_task(_heard(leader.queue, waits, events))
    for job_id in (waits, runs):
        assert await other.queue.cancel(job_id)
        assert not await other.queue.cancel(job_id)
    await watching
    assert events[-1] == Cancelled()
    await until(lambda: runs in leader.executor.asked_to_stop)
    leader.executor.end(done(leader.executor, runs))
    await eventually(lambda: _is(other.queue, runs, Status.CANCELLED))
    assert leader.executor.started == [runs]


async def _is(queue: SharedQueue, job_id: str, status: Status) -> bool:
    job = await queue.job(job_id)
    return job is not None and job.status is status


async def test_one_that_does_not_lead_administers_the_whole_queue(
    both: tuple[Program, Program], line: Pipe | None
) -> None:
    leader, other = both
    first = (await ask(leader.queue)).job.id
    await until(lambda: leader.executor.has(first))
    waiting = [(await ask(other.queue, user=user)).job.id for user in (2, 3, 4)]
    await until(lambda: len(leader.queue._dispatcher.waitlist) == 3)
    assert await other.queue.move_to_front(9, waiting[2])
    await until(lambda: leader.queue._dispatcher.waitlist.get(waiting[2]).front)  # type: ignore[union-attr]
    seen = await other.queue.snapshot()
    assert [view.job.id for view in seen.running] == [first] and seen.total_waiting == 3
    if line:
        assert [(view.job.id, view.position) for view in seen.waiting][0] == (waiting[2], 1)
        assert seen.devices == tuple(leader.executor.devices)
    else:
        assert {(view.job.id, view.position) for view in seen.waiting} == {(name, 0) for name in waiting}
    assert [view.job.id for view in (await other.queue.mine(3)).waiting] == [waiting[1]]
    assert await other.queue.clear(9, 2) == 1
    await until(lambda: len(leader.queue._dispatcher.waitlist) == 2)
    await other.queue.drain(9)
    await eventually(_says(lambda: leader.queue.draining))
    with pytest.raises(LimitError, match="takes no new jobs"):
        await ask(leader.queue, user=5)
    other.queue.run_again([first])
    if line:
        await until(lambda: first in leader.executor.asked_to_stop)


async def test_when_the_leader_stops_the_other_goes_on_with_its_jobs(
    tmp_path: Path, line: Pipe | None
) -> None:
    async with _program(tmp_path, line) as second_place:
        await until(lambda: second_place.queue.leads)
        async with _program(tmp_path, line) as other:
            job_id = (await ask(second_place.queue)).job.id
            await until(lambda: second_place.executor.has(job_id))
            events: list[Any] = []
            watching = asyncio.create_task(_heard(other.queue, job_id, events))
            await until(lambda: Started() in events)
            await second_place.queue.stop(0)
            await until(lambda: other.executor.has(job_id))
            other.executor.end(done(other.executor, job_id))
            await watching
            job = await other.queue.job(job_id)
            assert events[-1] == Rendered() and job is not None and job.attempts == 1


async def test_who_has_lost_the_lock_steps_down_and_may_lead_again(both: tuple[Program, Program]) -> None:
    leader, other = both
    job_id = (await ask(leader.queue)).job.id
    await until(lambda: leader.executor.has(job_id))
    leader.queue._every = 60.0  # so that the other is quicker
    await asyncio.sleep(2 * EVERY)
    leader.end_session()
    await until(lambda: other.queue.leads)
    late = (await ask(leader.queue, user=2)).job.id  # not started here: its session has no lock
    leader.queue._every = EVERY
    leader.queue.look_soon()
    await until(lambda: not leader.queue.leads)
    await until(lambda: other.executor.has(job_id))
    other.executor.end(done(other.executor, job_id))
    await until(lambda: other.executor.has(late))
    other.executor.end(done(other.executor, late))
    await eventually(lambda: _is(leader.queue, late, Status.RENDERED))
    assert leader.executor.started == [job_id] and leader.executor.held == {}
    await other.queue.stop(0)
    await until(lambda: leader.queue.leads)
    again = (await ask(leader.queue, user=3)).job.id
    await until(lambda: leader.executor.has(again))


async def test_a_look_from_before_a_pause_does_not_end_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _program(tmp_path, None) as leader:
        await until(lambda: leader.queue.leads)
        read, looked, told = leader.database.read, asyncio.Event(), asyncio.Event()

        async def late(work: Any, **named: Any) -> Any:
            found = await read(work, **named)
            if work is unfinished.standing and not looked.is_set():
                looked.set()
                await told.wait()
            return found

        monkeypatch.setattr(leader.database, "read", late)
        leader.queue.look_soon()
        await looked.wait()
        await leader.queue.pause(1)
        told.set()
        for _ in range(20):
            await asyncio.sleep(0)
            assert leader.queue._dispatcher.paused
        await leader.queue.resume(1)


async def test_a_crowd_larger_than_what_a_leader_remembers_is_taken_in_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leading, "HAD", 3)
    monkeypatch.setattr(unfinished, "AT_ONCE", 4)
    monkeypatch.setattr(unfinished, "_PAGES", [one.limit(4) for one in unfinished._PAGES])
    async with _program(tmp_path, None) as leader, _program(tmp_path, None) as other:
        await until(lambda: leader.queue.leads or other.queue.leads)
        leads = leader if leader.queue.leads else other
        await leads.queue.pause(1)
        asked = [(await ask(program.queue, user=n)).job.id for n in range(9) for program in (leader, other)]
        waitlist = leads.queue._dispatcher.waitlist
        await until(lambda: len(waitlist) == len(asked))
        for _ in range(3):
            leads.queue._may_look = 0.0
            await leads.queue._look()
        assert sorted(one.job_id for one in waitlist.order(0.0)) == sorted(asked)
        assert len((await leads.database.read(unfinished.standing)).jobs) == len(asked)
        await leads.queue.resume(1)
        for _ in asked:
            await until(lambda: leads.executor.held)
            leads.executor.end(done(leads.executor, next(iter(leads.executor.held))))
        await until(lambda: not leads.queue.unfinished)
        assert sorted(leads.executor.started) == sorted(asked)


async def test_a_leader_that_does_not_answer_is_no_error(tmp_path: Path) -> None:
    words = Words(Pipe())

    assert await words.ask("cancel", Jobs(["a"]), Answered) is None
    words.say_look()
    await words.close()


async def test_steps_of_many_are_told_more_seldom_and_beginnings_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("jobs.sharing.words.TOLD_EVERY", 0.01)
    monkeypatch.setattr("jobs.sharing.words.TOLD_A_SECOND", 100.0)
    words = Words(pipe := Pipe())
    for number in range(30):
        words.tell(f"steps{number}", lambda: Progress(1, 3))
    words.tell("begins", Started)
    await until(lambda: "bot.told.begins" in pipe.said)
    assert 0 < len(pipe.said) < 30, "each waits a hundredth of a second longer than the one before"
    await until(lambda: len(pipe.said) == 31)
    await words.close()
