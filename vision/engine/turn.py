"""A lock between the engine's thread, which never waits and goes first, and a thread beside it, which
waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turn:
    """Who may use something now. The engine's thread claims and drops it; other threads hold it for a
    while."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken, self._wanted = False, 0

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Wait until nobody has it and nobody on the engine's thread wants it."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taken and not self._wanted)
            self._taken = True
        try:
            yield
        finally:
            self.drop()

    @contextmanager
    def wanted(self) -> Iterator[None]:
        """Within, no other thread gets hold of it any more once it is dropped."""
        with self._changed:
            self._wanted += 1
        try:
            yield
        finally:
            with self._changed:
                self._wanted -= 1
                self._changed.notify_all()

    def claim(self) -> bool:
        """Take it if nobody has it."""
        with self._changed:
            taken, self._taken = self._taken, True
            return not taken

    def drop(self) -> None:
        """Give it to the next."""
        with self._changed:
            self._taken = False
            self._changed.notify_all()
