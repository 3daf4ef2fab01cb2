"""An agent that serves no longer than whoever has started it."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from host.worker_app import _stop, _stop_when_left_alone


class Busy:
    """An agent whose run takes as long as it may, unless ``over`` is set."""

    def __init__(self) -> None:
        self.over, self.said = asyncio.Event(), list[str]()

    async def drain(self, grace: float) -> None:
        self.said.append(f"drain {grace:g}")
        await self.over.wait()

    async def stop(self, grace: float) -> None:
        self.said.append(f"stop {grace:g}")


async def test_it_is_told_when_standard_input_ends_and_not_before() -> None:
    theirs, ours = os.pipe()
    stopping, alone = asyncio.Event(), asyncio.Event()
    _stop_when_left_alone(stopping, alone, theirs)
    os.write(ours, b"whatever")
    await asyncio.sleep(0.05)
    assert not stopping.is_set()
    os.close(ours)
    async with asyncio.timeout(10):
        await stopping.wait()
    assert alone.is_set()
    os.close(theirs)


async def test_what_runs_may_end_while_somebody_waits_for_it() -> None:
    agent: Any = Busy()
    ending = asyncio.create_task(_stop(agent, 20, asyncio.Event()))
    await asyncio.sleep(0.02)
    assert agent.said == ["drain 20"]
    agent.over.set()
    await ending
    assert agent.said == ["drain 20", "stop 0"]


async def test_whoever_is_left_alone_amid_a_drain_gives_back_at_once() -> None:
    agent: Any = Busy()
    alone = asyncio.Event()
    ending = asyncio.create_task(_stop(agent, 20, alone))
    await asyncio.sleep(0.02)
    alone.set()
    async with asyncio.timeout(10):
        await ending
    assert agent.said == ["drain 20", "stop 0"]
