"""What is sent to a worker's process: in order, from a thread, because a question may be larger than a pipe
holds, and the event loop must not wait for the other end."""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

PATIENCE = 10.0  # seconds for a process that can't be ended and reads nothing


class Outbox:
    """Sends messages through ``connection`` until it is closed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._messages: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._send_all, name="outbox", daemon=True)
        self._thread.start()

    def put(self, message: object) -> None:
        """Send ``message`` behind those before it; when the other end is gone, nobody gets it."""
        self._messages.put(message)

    def close(self) -> None:
        """Wait until nothing is being sent any more, which ends at once when the other end is gone."""
        self._messages.put(None)
        self._thread.join(PATIENCE)

    def _send_all(self) -> None:
        while (message := self._messages.get()) is not None:
            with suppress(OSError, ValueError):  # the reader of this pipe says that it is broken
                self._connection.send(message)
