"""What ends a process that serves."""

from __future__ import annotations

import asyncio
import os
import signal

STOPPING = "Stopping once the running jobs are done. Press Ctrl+C again to stop at once."


def stop_on_signals(stopping: asyncio.Event, said: str = STOPPING) -> None:
    """Set ``stopping`` with the first SIGINT or SIGTERM, which asks for an orderly stop; end the process at
    once with the second. said: to whoever sent the first."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if stopping.is_set():
            os._exit(130)  # workers end when their pipe closes; the rows say what has to go on
        print(said, flush=True)
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))
