"""Garbage collection that doesn't hold the event loop up.

A full collection walks through everything that lives: 600 ms with ten thousand jobs queued, to find that one
object in two hundred is garbage. So what is loaded at the start is frozen, young objects are collected in
small portions as they come (10 ms at most), and a full collection waits for a moment in which nothing is
queued or running, an hour at most.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable

YOUNG, PORTIONS, NEVER = 2_000, 3, 10**9  # objects, collections of the younger generation
LOOK_EVERY = 10.0  # seconds
IDLE_EVERY, BUSY_EVERY = 600.0, 3600.0  # seconds between two full collections, at least and at most
log = logging.getLogger(__name__)


def configure_gc() -> None:
    """Leave what lives now out of later collections, and make no full one unasked. To be called once, when
    everything is loaded."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, PORTIONS, NEVER)
    gc.enable()


async def collect_when_idle(busy: Callable[[], bool]) -> None:
    """Make the full collections, until cancelled. ``busy``: whether anything is queued or running."""
    last = time.monotonic()
    while True:
        await asyncio.sleep(LOOK_EVERY)
        began = time.monotonic()
        if began - last > (BUSY_EVERY if busy() else IDLE_EVERY):
            found = gc.collect()
            last = time.monotonic()
            log.debug("%d unreachable objects collected in %.0f ms", found, 1000 * (last - began))
