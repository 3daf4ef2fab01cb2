"""The task that tells positions ends when it is asked to."""

import asyncio
from datetime import UTC, datetime

import pytest

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
