"""What only a leader does is done by whichever process leads, and by one alone always."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from host.several.leading import Leading
from jobs.queue import Queue


def _leading(*, shared: bool) -> Leading:
    return Leading(SimpleNamespace(is_shared=shared))  # type: ignore[arg-type]


async def test_work_is_done_while_this_process_leads_and_begins_anew_each_time() -> None:
    leading, begun, ended = _leading(shared=True), [0], [0]
    steps: asyncio.Queue[str] = asyncio.Queue()

    async def work() -> None:
        begun[0] += 1
        steps.put_nowait("begun")
        try:
            await asyncio.Event().wait()
        finally:
            ended[0] += 1
            steps.put_nowait("ended")

    doing = asyncio.create_task(leading.whenever(work))
    await asyncio.sleep(0)
    assert begun == [0] and not leading.leads
    for _ in range(2):
        leading.note(True)
        assert await steps.get() == "begun"
        leading.note(False)
        assert await steps.get() == "ended"
    leading.note(True)
    assert await steps.get() == "begun"
    doing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await doing
    assert (begun, ended) == ([3], [3])


async def test_a_bot_alone_leads_with_the_plain_queue_and_ends_when_its_work_does() -> None:
    leading, done = _leading(shared=False), []

    async def work() -> None:
        done.append(1)

    await leading.whenever(work)
    assert done == [1] and leading.leads and leading.queue_class(None) is Queue


async def test_what_fails_is_raised() -> None:
    async def work() -> Any:
        raise LookupError("no")

    with pytest.raises(LookupError):
        await _leading(shared=False).whenever(work)
