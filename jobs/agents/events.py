"""What of a run's signs of life goes over the bus: at most four steps a second, and every preview."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

from jobs.agents.wire import News
from vision.protocol import LoadingModel, Step

EVERY = 0.25  # seconds between two steps that show nothing new


class Telling:
    """Passes on what a run reports, the newest step of those that come close together. tell: sends it.
    drawn: steps that it reported."""

    def __init__(self, token: str, tell: Callable[[News], None]) -> None:
        self._token, self._tell = token, tell
        self._kept: Step | None = None
        self._later: asyncio.TimerHandle | None = None
        self._told_at = float("-inf")
        self.step = self.total = self.drawn = 0

    def __call__(self, message: LoadingModel | Step) -> None:
        if isinstance(message, LoadingModel):
            self.flush()
            self._tell(News(self._token, loading=message))
            return
        if message.seen:  # which is judged, and no step
            self._tell(News(self._token, step=message))
            return
        self.drawn += 1
        self.step, self.total, self._kept = message.step, message.total, message
        wait = self._told_at + EVERY - monotonic()
        if message.preview is not None or wait <= 0:
            self.flush()
        elif self._later is None:
            self._later = asyncio.get_running_loop().call_later(wait, self.flush)

    def flush(self) -> None:
        """Send the newest step, if it wasn't sent."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._kept is not None:
            step, self._kept, self._told_at = self._kept, None, monotonic()
            self._tell(News(self._token, step=step))
