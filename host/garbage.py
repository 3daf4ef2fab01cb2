"""Garbage collection that doesn't hold the event loop up.

A full collection walks through everything that lives: 600 ms with ten thousand jobs queued, to find that one
object in two hundred is garbage. So what is loaded at the start is frozen, young objects are collected in
small portions as they come, and a full collection waits for a moment in which nothing is queued or running,
an hour at most.

All of it happens between two turns of the event loop. Left to itself, Python collects in whichever thread
happens to make the next object; one that waits for a core meanwhile holds the interpreter all that time, and
the event loop waits with it (37 ms were seen, 10 of them spent collecting).
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable

from core import process

YOUNG, PORTIONS = 500, 1  # objects; portions of the youngest until those that outlived them are looked at
LOOK_AT_YOUNG_EVERY, LOOK_EVERY = 0.02, 10.0  # seconds
LOOK_AGAIN = 0.005  # seconds after a portion: there is often more
UNSEEN = 0.1  # seconds without a portion: what was freed meanwhile hides from the count what was made
UNASKED, NEVER = 100_000, 10**9  # objects, at which Python collects the young ones by itself; the others
IDLE_EVERY, BUSY_EVERY = 600.0, 3600.0  # seconds between two full collections, at least and at most
log = logging.getLogger(__name__)


def configure_gc() -> None:
    """Leave what lives now out of later collections, and make none unasked. To be called once, when
    everything is loaded; :func:`collect` does the rest."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(UNASKED, NEVER, NEVER)
    gc.enable()


async def collect(busy: Callable[[], bool]) -> None:
    """Make all collections, until cancelled. ``busy``: whether anything is queued or running."""
    async with asyncio.TaskGroup() as both:
        both.create_task(_collect_young())
        both.create_task(_collect_when_idle(busy))


async def _collect_young() -> None:
    portions, pause, last = 0, LOOK_AT_YOUNG_EVERY, time.monotonic()
    while True:
        await asyncio.sleep(pause)
        pause = LOOK_AT_YOUNG_EVERY
        many = gc.get_count()[0] >= YOUNG
        if many or time.monotonic() - last >= UNSEEN:
            portions = (portions + 1) % (PORTIONS + 1)
            gc.collect(0 if portions else 1)
            pause, last = LOOK_AGAIN if many else LOOK_AT_YOUNG_EVERY, time.monotonic()


async def _collect_when_idle(busy: Callable[[], bool]) -> None:
    last = time.monotonic()
    while True:
        await asyncio.sleep(LOOK_EVERY)
        began = time.monotonic()
        if began - last > (BUSY_EVERY if busy() else IDLE_EVERY):
            found = gc.collect()
            process.give_back()
            last = time.monotonic()
            log.debug("%d unreachable objects collected in %.0f ms", found, 1000 * (last - began))
