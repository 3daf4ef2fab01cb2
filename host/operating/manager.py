"""What systemd is told, if it started this process: that it serves, how it is, that it lives, that it stops.

The protocol is one datagram of lines to the socket in NOTIFY_SOCKET:
https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html. systemd ends and starts a process that
says WATCHDOG=1 too rarely: one whose event loop stands still, or in which a job hangs. It isn't ended for
what a restart doesn't mend, such as a full disk or a database that is away.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial

from core.supervisor import Supervisor
from jobs.queue import Health

log = logging.getLogger(__name__)
TELL_EVERY = 10.0  # seconds between two looks at what there is to tell; sooner for a shorter watchdog


class ServiceManager:
    """Tells systemd. environ: where it has said how; without NOTIFY_SOCKET nothing is told."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        mine = environ.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
        limit = environ.get("WATCHDOG_USEC", "")
        self.watchdog = int(limit) / 1e6 if mine and limit.isdigit() else 0.0  # seconds; 0 = there is none
        self._told = ""

    @asynccontextmanager
    async def serving(self, health: Callable[[], Health], stopping: asyncio.Event) -> AsyncIterator[None]:
        """Say that this process serves, and until the block ends how it is; that it stops, once ``stopping``
        is set. health: of the queue."""
        if not self._address:
            yield
            return
        self.tell("READY=1")
        telling = Supervisor().forever("service manager", partial(self._tell_for_ever, health))
        tasks = [
            asyncio.create_task(telling, name="service manager"),
            asyncio.create_task(self._tell_the_end(stopping), name="service manager, end"),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _tell_for_ever(self, health: Callable[[], Health]) -> None:
        while True:
            self.tell_health(health())
            await asyncio.sleep(min(TELL_EVERY, self.watchdog / 3 or TELL_EVERY))

    async def _tell_the_end(self, stopping: asyncio.Event) -> None:
        await stopping.wait()
        self.tell("STOPPING=1")

    def tell_health(self, health: Health) -> None:
        """Say that this process lives, unless it hangs, and how it is, where that has changed."""
        lines = ["WATCHDOG=1"] if self.watchdog and not health.hung else []
        status = f"{health.running} running, {health.waiting} waiting"
        if health.problem is not None:
            status = f"{health.problem} ({status})"
        if status != self._told:
            self._told = status
            lines.append(f"STATUS={status}")
        if lines:
            self.tell(*lines)

    def tell(self, *lines: str) -> None:
        """Send lines; what can't be sent is logged, for nobody is helped by ending over it."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            log.warning("the service manager can't be told (%s)", error.strerror)
