"""Full collections wait for an idle moment, and come in time for what grows."""

import asyncio
import gc
import sys
import weakref
from collections.abc import AsyncIterator

import pytest

from host import garbage
from tests.jobs.conftest import until


@pytest.fixture(autouse=True)
async def quick(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setattr(garbage, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(garbage, "IDLE_EVERY", 0.0)
    before = gc.get_threshold()
    garbage.tame()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


class _Knot:
    def __init__(self) -> None:
        self.self = self


def _old_knot() -> weakref.ref[_Knot]:
    """A cycle that is garbage, of an age that only a full collection looks at."""
    knot = _Knot()
    gc.collect(1)
    return weakref.ref(knot)


async def test_old_garbage_waits_for_an_idle_moment() -> None:
    waiting = [3]
    task = asyncio.create_task(garbage.collect_when_idle(lambda: waiting[0]))
    knot = _old_knot()
    await asyncio.sleep(0.1)
    assert knot() is not None
    waiting[0] = 0
    await until(lambda: knot() is None)
    task.cancel()


async def test_a_busy_studio_collects_before_its_memory_has_tripled(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = [sys.getallocatedblocks()]
    monkeypatch.setattr(sys, "getallocatedblocks", lambda: int(blocks[0]))
    task = asyncio.create_task(garbage.collect_when_idle(lambda: 1))
    knot = _old_knot()
    await asyncio.sleep(0.1)
    assert knot() is not None
    blocks[0] *= 2.1
    await until(lambda: knot() is None)
    task.cancel()


async def test_ten_thousand_jobs_are_no_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    """They quadruple what is allocated."""
    base, jobs = 430_000, 10_000
    blocks, waiting = [base], [0]
    monkeypatch.setattr(sys, "getallocatedblocks", lambda: blocks[0])
    task = asyncio.create_task(garbage.collect_when_idle(lambda: waiting[0]))
    await asyncio.sleep(0)
    knot, waiting[0], blocks[0] = _old_knot(), jobs, base + 125 * jobs
    await asyncio.sleep(0.1)
    assert knot() is not None
    task.cancel()


async def test_the_queue_is_not_counted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collection under a long queue must not raise the bar for what comes after it."""
    base, jobs = sys.getallocatedblocks(), 10_000
    blocks, waiting = [base], [0]
    monkeypatch.setattr(sys, "getallocatedblocks", lambda: blocks[0])
    task = asyncio.create_task(garbage.collect_when_idle(lambda: waiting[0]))
    await asyncio.sleep(0)
    knot, waiting[0] = _old_knot(), jobs
    blocks[0] = 3 * base + garbage.BLOCKS_OF_A_JOB * jobs
    await until(lambda: knot() is None)
    blocks[0], waiting[0] = base, 1
    await asyncio.sleep(0.05)
    knot = _old_knot()
    blocks[0] = 7 * base
    await until(lambda: knot() is None)
    task.cancel()


async def test_no_full_collection_comes_unasked() -> None:
    before = gc.get_stats()[2]["collections"]
    kept = [[i] for i in range(300_000)]
    assert gc.get_stats()[2]["collections"] == before and len(kept) == 300_000
