"""When to connect to Discord again: a back-off kept on disk, so that a crash loop can't burn the day's 1,000
identifies.

https://discord.com/developers/docs/events/gateway: 1,000 IDENTIFY calls in 24 hours, then the token is reset.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path

DAY, DAILY = 86_400.0, 500  # seconds; connections in that time, half of what Discord allows
RECENT, FREE = 600.0, 3  # seconds; connections in that time without a pause
FIRST, MOST = 5.0, 300.0  # seconds
log = logging.getLogger(__name__)


class Connections:
    """Remembers the times of connections in the file ``path``. ``clock``: seconds since 1970."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path, self._clock = path, clock

    def pause(self) -> float:
        """Return the seconds to wait before the next connection."""
        now, times = self._clock(), self._times()
        if len(times) >= DAILY:
            return max(MOST, times[-DAILY] + DAY - now)
        recent = sum(1 for at in times if at > now - RECENT)
        return 0.0 if recent < FREE else min(MOST, FIRST * 2 ** (recent - FREE))

    def note(self) -> None:
        """Note that a connection is made now."""
        times = [*self._times(), self._clock()]
        temporary = self._path.with_suffix(".new")
        temporary.write_text(json.dumps(times[-DAILY:]))
        temporary.replace(self._path)

    def _times(self) -> list[float]:
        """Times of the last day, oldest first; those after now don't count: the clock was put back."""
        now = self._clock()
        try:
            times = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return []
        return sorted(at for at in times if isinstance(at, (int, float)) and now - DAY < at <= now)
