"""The task that tells positions ends when it is asked to, and looks at no more than it must."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from jobs.executor import Device
from jobs.feed import Feeds
from jobs.order.estimate import Estimate
from jobs.order.positions import Positions
from jobs.order.waitlist import Waitlist
from tests.jobs.hand_executor import HandExecutor
from tests.jobs.test_policy import job


@pytest.mark.parametrize("turns", range(5))
async def test_a_cancel_is_heard_whatever_has_moved_just_before(turns: int) -> None:
    """Python 3.11's ``wait_for`` swallows one that comes when what it waits for has just come."""
    waitlist, feeds, waiting = Waitlist(), Feeds(), job()
    waitlist.add(waiting, 0.0)
    feeds.open(waiting.job_id, waiting.user_id, datetime.now(UTC))
    positions = Positions(
        waitlist, {}, feeds, HandExecutor({"cpu": 1}), Estimate(), lambda: False, lambda job: 1
    )
    telling = asyncio.create_task(positions.announce_for_ever())
    await asyncio.sleep(0.01)
    positions.note_moved()
    for _ in range(turns):
        await asyncio.sleep(0)
    telling.cancel()
    done, _ = await asyncio.wait({telling}, timeout=5)
    assert done == {telling} and telling.cancelled()


class Counted(HandExecutor):
    """Notes how often its devices are looked at, all of them each time."""

    looks = 0

    @property
    def devices(self) -> Sequence[Device]:
        self.looks += 1
        return super().devices


async def test_devices_are_looked_at_once_for_all_the_places_of_a_round() -> None:
    waitlist, feeds, executor = Waitlist(), Feeds(), Counted({f"cuda:{n}": 1 for n in range(8)})
    positions = Positions(waitlist, {}, feeds, executor, Estimate(), lambda: False, lambda job: 1)
    for number in range(30):
        waiting = job(user=number)
        waitlist.add(waiting, 0.0)
        feeds.open(waiting.job_id, waiting.user_id, datetime.now(UTC))
    await positions.announce_all()
    assert len(positions.told) == 30 and executor.looks == 1
    assert positions.announce(waiting.job_id) is not None and executor.looks == 2


async def test_a_look_that_takes_long_is_kept_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    waitlist, feeds, executor = Waitlist(), Feeds(), Counted({"cuda:0": 1})
    positions = Positions(waitlist, {}, feeds, executor, Estimate(), lambda: False, lambda job: 1)
    waitlist.add(waiting := job(), 0.0)
    spent, now = iter((0.0, 0.002)), 50.0
    monkeypatch.setattr("jobs.order.positions.thread_time", lambda: next(spent))
    monkeypatch.setattr("jobs.order.positions.monotonic", lambda: now)
    for _ in range(3):
        assert positions.position(waiting.job_id) is not None
        now += 0.04
    assert executor.looks == 1
    monkeypatch.setattr("jobs.order.positions.thread_time", lambda: 0.0)
    assert positions.position(waiting.job_id) is not None and executor.looks == 2
