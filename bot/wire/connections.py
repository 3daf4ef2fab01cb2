"""When to identify to Discord again: a budget kept on disk, so that a crash loop can't burn the day's 1,000
identifies, while a person may restart as often as a person does.

https://discord.com/developers/docs/events/gateway#rate-limiting: at more than 1,000 IDENTIFY calls in 24
hours Discord resets the token. Its other rule, one call in 5 seconds, discord.py keeps: it waits and asks
again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

DAY = 86_400.0  # seconds
AT_ONCE = 250  # identifies that may be spent without a pause, after a day without any
REFILL = 150.0  # seconds until one more may be spent: 250 + 576 in the first day, 576 in each after it
CLOSE_ENOUGH = 1.0  # seconds that an identify may come early, since a sleep isn't exact


class BudgetSpent(Exception):
    """An identify that has to wait."""


class Connections:
    """Remembers the times of identifies in the file ``path``. ``clock``: seconds since 1970."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path, self._clock = path, clock

    def pause(self) -> float:
        """Return the seconds to wait before the next identify."""
        return self._pause_after(self._times())

    @property
    def left(self) -> int:
        """How many identifies may be sent without a pause."""
        return int(max(0.0, _left(self._times(), self._clock())))

    def spend(self) -> None:
        """Note that an identify is sent now. Raises BudgetSpent when it may not be."""
        times = self._times()
        if self._pause_after(times) > CLOSE_ENOUGH:
            raise BudgetSpent("there were too many identifies")
        temporary = self._path.with_suffix(".new")
        temporary.write_text(json.dumps([*times, self._clock()]))
        temporary.replace(self._path)

    def _pause_after(self, times: Sequence[float]) -> float:
        return pause_after(times, self._clock())

    def _times(self) -> list[float]:
        """Times of the last day, oldest first; those after now don't count: the clock was put back."""
        now = self._clock()
        try:
            times = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return []
        return sorted(at for at in times if isinstance(at, (int, float)) and now - DAY < at <= now)


def pause_after(times: Sequence[float], now: float) -> float:
    """Return the seconds to wait before the next identify after those at ``times`` of the last day, oldest
    first. Seconds since 1970."""
    return max(0.0, (1 - _left(times, now)) * REFILL)


def _left(times: Sequence[float], now: float) -> float:
    """What is left of the budget now."""
    left, before = float(AT_ONCE), 0.0
    for at in times:
        left, before = min(AT_ONCE, left + (at - before) / REFILL) - 1, at
    return min(AT_ONCE, left + (now - before) / REFILL)
