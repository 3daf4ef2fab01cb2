"""Several jobs are claimed in one commit, in the order in which one after another would be."""

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from core.errors import StorageError
from core.events import Cancelled
from jobs import dispatcher as dispatching
from jobs.admission import Limits
from jobs.dispatcher import Claims
from jobs.queue import Queue
from tests.jobs.conftest import LIMITS, ask, done, open_queue, until
from tests.jobs.hand_executor import HandExecutor

ROOM = Limits(disk_floor=0, user_waiting=100, guild_waiting=100, user_running=50)


def _claims(work: Any) -> bool:
    return isinstance(work, partial) and work.func is Claims.claim_row


def _go(queue: Queue) -> None:
    queue.dispatcher.waitlist.paused = False
    queue.dispatcher.wake()


async def test_what_devices_take_now_is_claimed_in_one_commit(tmp_path, monkeypatch) -> None:
    executor, commits = HandExecutor({"a": 4, "b": 4}), list[int]()
    async with open_queue(tmp_path, executor, LIMITS) as queue:
        queue.dispatcher.waitlist.paused = True
        for user in range(10):
            await ask(queue, user=user)
        commit = queue.database._commit

        async def counted(batch: list[Any]) -> list[Any]:
            commits.append(sum(_claims(pending.work) for pending in batch))
            return await commit(batch)

        monkeypatch.setattr(queue.database, "_commit", counted)
        _go(queue)
        await until(lambda: len(executor.held) == 8)
        assert [count for count in commits if count] == [8]
        assert not queue.dispatcher.claims and len(queue.dispatcher.waitlist) == 2
        assert sorted(queue.dispatcher.running) == sorted(executor.held)


async def _order(folder: Path, seed: int) -> list[int]:
    """The numbers of jobs in the order in which they start, when one to five end at a time."""
    chance, executor = random.Random(seed), HandExecutor({"a": 3, "b": 2, "c": 1})
    async with open_queue(folder, executor, ROOM) as queue:
        dispatcher, numbers = queue.dispatcher, dict[str, int]()
        dispatcher.estimate.pictures = lambda seconds: None  # how long they take by the clock doesn't count
        dispatcher.waitlist.paused = True
        for number in range(24):
            numbers[(await ask(queue, user=int(5 * chance.random() ** 2))).job.id] = number
        while len(executor.started) < len(numbers):
            _go(queue)
            full = min(6, len(numbers) - len(executor.started) + len(executor.held))
            await until(lambda full=full: len(executor.held) == full and not dispatcher.claims)
            dispatcher.waitlist.paused = True  # so that several devices are free at the next choice
            for job_id in list(executor.held)[: 1 + chance.randrange(5)]:
                executor.end(done(executor, job_id))
            await until(lambda: set(dispatcher.running) == set(executor.held))
    return [numbers[job_id] for job_id in executor.started]


@pytest.mark.parametrize("seed", range(4))
async def test_jobs_start_in_the_order_of_one_after_another(tmp_path, seed: int, monkeypatch) -> None:
    several = await _order(tmp_path / "several", seed)
    monkeypatch.setattr(dispatching, "AT_ONCE", 1)
    assert several == await _order(tmp_path / "one", seed)
    assert sorted(several) == list(range(24))


def _claiming(queue: Queue, monkeypatch: pytest.MonkeyPatch, claim: Callable[..., Any]) -> None:
    monkeypatch.setattr(queue.dispatcher.claims, "claim_row", claim)


async def test_jobs_whose_claims_are_not_written_wait_on_as_before(tmp_path, monkeypatch) -> None:
    tries = list[str]()

    def away(waiting: Any, *rest: Any) -> Any:
        tries.append(waiting.job_id)
        raise StorageError("the disk is away")

    executor = HandExecutor({"a": 2, "b": 2})
    async with open_queue(tmp_path, executor, ROOM) as queue:
        dispatcher = queue.dispatcher
        dispatcher.waitlist.paused = True
        jobs = [(await ask(queue, user=user)).job.id for user in (1, 1, 1, 2, 2)]
        places = {job_id: dispatcher.positions.position(job_id) for job_id in jobs}
        had = [dispatcher.waitlist.had(user) for user in (1, 2)]
        _claiming(queue, monkeypatch, away)
        _go(queue)
        await until(lambda: len(tries) >= 8 and not dispatcher.claims)
        dispatcher.waitlist.paused = True
        assert {job_id: dispatcher.positions.position(job_id).position for job_id in jobs} == {
            job_id: place.position for job_id, place in places.items()
        }
        assert [dispatcher.waitlist.had(user) for user in (1, 2)] == had and not executor.started
        _claiming(queue, monkeypatch, Claims.claim_row)
        _go(queue)
        await until(lambda: len(executor.held) == 4)
        assert dispatcher.waitlist.had(1) > had[0]


async def test_a_job_that_waits_no_more_costs_its_member_nothing_and_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = HandExecutor({"a": 3})
    async with open_queue(tmp_path, executor, ROOM) as queue:
        queue.dispatcher.waitlist.paused = True
        first, second, third = [(await ask(queue, user=user)).job.id for user in (1, 2, 3)]
        watch = queue.watch(second)

        def gone(waiting: Any, *rest: Any) -> Any:
            return None if waiting.job_id == second else Claims.claim_row(waiting, *rest)

        _claiming(queue, monkeypatch, gone)
        _go(queue)
        assert [event async for event in watch][-1] == Cancelled()
        await until(lambda: set(executor.held) == {first, third})
        assert queue.dispatcher.waitlist.had(2) == 0 and queue.dispatcher.waitlist.had(1) > 0


async def test_looks_that_are_dear_are_shared_by_what_is_asked_meanwhile(tmp_path, monkeypatch) -> None:
    executor = HandExecutor({f"cuda:{n}": 1 for n in range(12)})
    async with open_queue(tmp_path, executor) as queue:
        look, looks, spent = queue.dispatcher.look, list[float](), 0.0

        def dear() -> float:
            nonlocal spent
            spent += 0.002
            return spent

        def counted() -> Any:
            looks.append(monotonic())
            return look()

        monkeypatch.setattr(dispatching, "thread_time", dear)
        monkeypatch.setattr(queue.dispatcher, "look", counted)
        for number in range(12):
            await ask(queue, user=number)
        await until(lambda: len(executor.held) == 12)
        gaps = [after - before for before, after in zip(looks, looks[1:], strict=False)]
        assert all(gap >= 0.9 * 0.002 / dispatching.LOOK_SHARE for gap in gaps), gaps
        assert len(looks) < 12
