"""How a process that works in the background makes way for others: on the processor, and in memory."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from contextlib import suppress

NICENESS = 10


def step_back() -> None:
    """Make this process one that computes in the background: it gets what others leave, and waking up it
    takes no core from them."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    if hasattr(os, "SCHED_BATCH"):
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def give_back() -> bool:
    """Give whole pages of the heap that hold nothing back to the system, malloc_trim(3). Return whether there
    were any."""
    trim = of_glibc("malloc_trim")
    return trim is not None and bool(trim(ctypes.c_size_t(0)))


def of_glibc(name: str) -> Callable[..., int] | None:
    """Return a function of the C library, None where it has none of that name."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
