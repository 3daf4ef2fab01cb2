"""Garbage collection that doesn't hold the event loop up.

A full collection walks through everything that lives: 70 to 115 ms with ten thousand jobs queued. So what is loaded at the start is
frozen, young objects are collected in small portions as they come (2 ms at most), and a full collection waits for a moment in which
nothing is queued or running, or until memory has doubled.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import time
from collections.abc import Callable

YOUNG, PORTIONS, NEVER = 2_000, 10, 10**9  # objects, collections of the younger generation
LOOK_EVERY, IDLE_EVERY = 10.0, 600.0  # seconds
log = logging.getLogger(__name__)


def tame() -> None:
    """After everything is loaded: leave it out of later collections, and make no full one unasked."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, PORTIONS, NEVER)


async def collect_when_idle(idle: Callable[[], bool]) -> None:
    """For ever. Memory is counted in the interpreter's allocated blocks, which costs nothing to ask."""
    at, blocks = time.monotonic(), sys.getallocatedblocks()
    while True:
        await asyncio.sleep(LOOK_EVERY)
        if sys.getallocatedblocks() > 2 * blocks or (idle() and time.monotonic() - at > IDLE_EVERY):
            began = time.monotonic()
            found = gc.collect()
            at, blocks = time.monotonic(), sys.getallocatedblocks()
            log.debug("%d unreachable objects collected in %.0f ms", found, 1000 * (at - began))
