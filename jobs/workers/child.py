"""What a worker's process does before it is a worker: signals, its parent's death, its place in line."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import Connection, wait

from core.process import step_back
from vision.protocol import WorkerConfig


def begin(target: str, connection: Connection, config: WorkerConfig) -> None:
    """First function in the new process. Signals for the group are the parent's business; its death is
    ours."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    end_with_parent()
    if config.device == "cpu":
        step_back()
    module, _, function = target.partition(":")
    getattr(importlib.import_module(module), function)(connection, config)


def end_with_parent() -> None:
    """End this process when the one that started it has gone."""
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    """A worker in the middle of a long kernel doesn't look at its pipe: it must not hold the card for a bot
    that is gone."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
