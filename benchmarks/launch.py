"""The real bot with its real workers, against a Discord on loopback: ``python -m benchmarks.launch URL
[--probe FILE] [--thread] [--pause S]``.

What differs from ``python -m bot run`` is here: where Discord is, a probe of the event loop, and, to compare
with, a worker that is a thread.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from proofs.wire.launch import point_at

GAP = 0.005  # seconds between two looks at the clock


def main() -> int:
    """Run the bot as the command line says, and return its exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--probe", type=Path, help="write each look's lateness there, ms, one a line")
    parser.add_argument(
        "--thread", action="store_true", help="run the worker in a thread of the bot's process"
    )
    parser.add_argument("--pause", type=float, default=0.0, help="seconds until workers are started")
    arguments = parser.parse_args()
    point_at(arguments.url)
    if arguments.thread:
        _work_in_a_thread()
    if arguments.pause:
        _start_later(arguments.pause)
    if arguments.probe:
        _probe(arguments.probe)
    from host.cli import main as start

    return start(["run"])


def _probe(path: Path) -> None:
    import host.app

    plain = host.app.services

    @asynccontextmanager
    async def probed(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        async with plain(*args, **kwargs) as built:
            watching = asyncio.create_task(_watch(path))
            yield built
            watching.cancel()

    host.app.services = probed


async def _watch(path: Path) -> None:
    with path.open("w", buffering=1) as file:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(GAP)
            file.write(f"{1000 * (time.perf_counter() - before - GAP):.1f}\n")


def _start_later(seconds: float) -> None:
    """So that nothing of the worker's start lies before the probe."""
    from jobs.executors.local import LocalExecutor

    plain = LocalExecutor.start

    async def start(self: LocalExecutor, changed: Any) -> None:
        async def later() -> None:
            await asyncio.sleep(seconds)
            await plain(self, changed)

        self.starting = asyncio.create_task(later())

    LocalExecutor.start = start


# A worker that is a thread, as many bots have it


class _Thread:
    """Looks like a process to jobs.executors.local."""

    exitcode, daemon = None, True

    def __init__(self, target: Any, args: tuple[Any, ...], name: str, daemon: bool) -> None:
        entry, theirs, config = args
        connection = Connection(
            os.dup(theirs.fileno())
        )  # the parent closes the worker's end, which here is its own
        self.pid, (self.sentinel, self._end) = os.getpid(), os.pipe()
        module, _, function = entry.partition(":")
        self._thread = threading.Thread(
            target=lambda: getattr(importlib.import_module(module), function)(connection, config), daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def join(self, timeout: float | None = None) -> None:
        self._thread.join(timeout)

    def kill(self) -> None:
        os._exit(0)

    def close(self) -> None:
        pass


def _work_in_a_thread() -> None:
    import jobs.executors.local
    import vision.worker.main

    real = jobs.executors.local.PROCESSES
    jobs.executors.local.PROCESSES = SimpleNamespace(Pipe=real.Pipe, Process=_Thread)
    vision.worker.main.signal = SimpleNamespace(
        signal=lambda *_: None, SIGINT=0, SIG_IGN=0
    )  # signals belong to the main thread


if __name__ == "__main__":
    sys.exit(main())
