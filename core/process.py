"""How work in the background goes on: what fails is logged and begins again after a pause; and a process
makes way for others, on the processor and in memory."""

import ctypes
import logging
import os
import sys
from asyncio import CancelledError, current_task, sleep
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic  # by name: the sandbox's simulator stops the module's clock for the bot's tasks

NICENESS = 10


def step_back() -> None:
    """Let this process compute in the background: it gets what others leave, and takes no core from them."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    if hasattr(os, "SCHED_BATCH"):
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def give_back() -> bool:
    """Give the heap's empty whole pages back to the system, malloc_trim(3). Return whether it had any."""
    trim = of_glibc("malloc_trim")
    return trim is not None and bool(trim(ctypes.c_size_t(0)))


def of_glibc(name: str) -> Callable[..., int] | None:
    """Return a function of the C library, None where it has none of that name."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


PAUSES = (1.0, 5.0, 30.0, 300.0, 3600.0)  # seconds after one failure, two in a row, and so on
SETTLED = 600.0  # seconds of work after which a failure is the first of its row


class Supervisor:
    """Runs work again that fails, and knows what has failed of late."""

    def __init__(self) -> None:
        self._failed: dict[str, float] = {}  # name → monotonic seconds until which it counts as failing

    @property
    def problem(self) -> str | None:
        """What fails, None where all goes well: after a pause, work has to last as long as that was."""
        failing = sorted(name for name, until in self._failed.items() if monotonic() < until)
        return f"what failed is tried again: {', '.join(failing)}" if failing else None

    async def forever(
        self, name: str, work: Callable[[], Awaitable[None]], *, pauses: tuple[float, ...] = PAUSES
    ) -> None:
        """Run ``work`` until it ends by itself, and again whenever it fails. name: what it is called to the
        host. pauses: seconds before each further try; the last holds for all that follow."""
        failures = 0
        while True:
            began = monotonic()
            try:
                await work()
                self._failed.pop(name, None)
                return
            except (Exception, CancelledError) as error:
                task = current_task()
                if isinstance(error, CancelledError) and task is not None and task.cancelling():
                    raise  # it is to end; else something within it was cancelled, which is a failure
                failures = 1 if monotonic() - began > SETTLED else failures + 1
                pause = pauses[min(failures, len(pauses)) - 1]
                self._failed[name] = monotonic() + 2 * pause
                log = logging.getLogger(f"{__name__}.{name}")  # its own: whoever is told, is told of each
                log.exception("%s failed; it begins again in %.0f s", name, pause)
            await sleep(pause)
