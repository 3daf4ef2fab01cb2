"""Young garbage goes soon, full collections wait for an idle moment, an hour at most."""

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator

import pytest

from host import process
from tests.jobs.conftest import until


@pytest.fixture(autouse=True)
async def quick(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setattr(process, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(process, "IDLE_EVERY", 0.0)
    before = gc.get_threshold()
    process.configure_gc()
    yield
    gc.set_threshold(*before)  # and all stays frozen: the next collection would look at a million objects


class _Knot:
    def __init__(self) -> None:
        self.self = self


def _old_knot() -> weakref.ref[_Knot]:
    """A cycle that is garbage, of an age that only a full collection looks at."""
    knot = _Knot()
    gc.collect(1)
    return weakref.ref(knot)


async def test_old_garbage_waits_for_an_idle_moment() -> None:
    busy = [True]
    task = asyncio.create_task(process.collect_garbage(lambda: busy[0]))
    knot = _old_knot()
    await asyncio.sleep(0.1)
    assert knot() is not None
    busy[0] = False
    await until(lambda: knot() is None)
    task.cancel()


async def test_a_studio_that_is_never_idle_collects_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert process.BUSY_EVERY == 3600.0
    monkeypatch.setattr(process, "BUSY_EVERY", 0.2)
    task = asyncio.create_task(process.collect_garbage(lambda: True))
    knot = _old_knot()
    await asyncio.sleep(0.1)
    assert knot() is not None
    await until(lambda: knot() is None)
    task.cancel()


async def test_an_idle_studio_collects_only_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "IDLE_EVERY", 600.0)
    task = asyncio.create_task(process.collect_garbage(lambda: False))
    knot = _old_knot()
    await asyncio.sleep(0.1)
    assert knot() is not None
    task.cancel()


async def test_young_garbage_is_collected_soon_and_only_by_the_event_loop() -> None:
    threads: set[int] = set()

    def note(phase: str, info: dict[str, int]) -> None:
        threads.add(threading.get_ident())

    task = asyncio.create_task(process.collect_garbage(lambda: True))
    gc.callbacks.append(note)
    try:
        knots = [weakref.ref(_Knot()) for _ in range(process.YOUNG)]
        kept = await asyncio.to_thread(lambda: [[i] for i in range(20 * process.YOUNG)])
        await until(lambda: not any(knot() for knot in knots))
    finally:
        gc.callbacks.remove(note)
        task.cancel()
    assert threads == {threading.get_ident()} and len(kept) == 20 * process.YOUNG


async def test_what_hides_behind_as_much_that_is_freed_is_collected_too() -> None:
    """Each new object replaces an old one, so that the count of both stays where it was."""
    old: list[list[int]] = [[i] for i in range(4 * process.YOUNG)]
    gc.collect()
    knot = _Knot()
    seen = weakref.ref(knot)
    del knot
    task = asyncio.create_task(process.collect_garbage(lambda: True))

    def gone() -> bool:
        old[:] = [[i] for i in range(len(old))]
        assert gc.get_count()[0] < process.YOUNG
        return seen() is None

    await until(gone)
    task.cancel()


async def test_what_outlives_a_portion_is_looked_at_again() -> None:
    task = asyncio.create_task(process.collect_garbage(lambda: True))
    knot = _Knot()
    gc.collect(0)
    seen = weakref.ref(knot)
    del knot
    kept: list[list[int]] = []

    def gone() -> bool:
        kept.extend([i] for i in range(process.YOUNG))
        return seen() is None

    await until(gone)
    task.cancel()


async def test_no_full_collection_comes_unasked() -> None:
    before = gc.get_stats()[2]["collections"]
    kept = [[i] for i in range(300_000)]
    assert gc.get_stats()[2]["collections"] == before and len(kept) == 300_000
