"""A lock that the engine's thread takes without ever blocking, ahead of the threads that work beside it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class PriorityLock:
    """Mutual exclusion between the engine's thread, which tries and goes first, and other threads, which
    block until it is free."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken, self._reservations = False, 0

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Block until the lock is free and not reserved, and hold it inside the ``with`` block."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taken and not self._reservations)
            self._taken = True
        try:
            yield
        finally:
            self.release()

    @contextmanager
    def reserve(self) -> Iterator[None]:
        """Keep ``hold`` from taking the lock inside the ``with`` block, so that ``try_acquire`` gets it
        next."""
        with self._changed:
            self._reservations += 1
        try:
            yield
        finally:
            with self._changed:
                self._reservations -= 1
                self._changed.notify_all()

    def try_acquire(self) -> bool:
        """Take the lock if it is free, and return whether it was; never block."""
        with self._changed:
            taken, self._taken = self._taken, True
            return not taken

    def release(self) -> None:
        """Free the lock and wake the threads that wait for it."""
        with self._changed:
            self._taken = False
            self._changed.notify_all()
