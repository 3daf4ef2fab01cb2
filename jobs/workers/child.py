"""What a worker's process does before it is a worker: signals, its parent's death, its place in line."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import threading
from contextlib import suppress
from multiprocessing.connection import Connection, wait

from vision.protocol import WorkerConfig

NICENESS = 10  # of CPU workers: the process that talks to Discord comes first


def begin(target: str, connection: Connection, config: WorkerConfig) -> None:
    """First function in the new process. Signals for the group are the parent's business; its death is
    ours."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    if config.device == "cpu":
        step_back()
    module, _, function = target.partition(":")
    getattr(importlib.import_module(module), function)(connection, config)


def step_back() -> None:
    """Make this process one that computes in the background: it gets what others leave, and waking up it
    takes no core from them."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    if hasattr(os, "SCHED_BATCH"):
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _die_with_parent() -> None:
    """A worker in the middle of a long kernel doesn't look at its pipe: it must not hold the card for a bot
    that is gone."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
