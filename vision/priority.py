"""How a process that computes on the processor makes way for the one that talks to Discord."""

from __future__ import annotations

import os
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
