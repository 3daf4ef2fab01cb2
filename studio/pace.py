"""How often one person may do something that costs more than a row: a token bucket for each of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Who = TypeVar("Who", bound=Hashable)


class Pace(Generic[Who]):
    """Lets each person do something ``burst`` times at once, and once more every ``every`` seconds.

    It keeps one number a person, and forgets whoever may do it ``burst`` times again. Generic cell rate
    algorithm: https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm.
    """

    def __init__(self, burst: int, every: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._slack, self._every, self._clock = (burst - 1) * every, every, clock
        self._full_at: dict[Who, float] = {}  # when their bucket is full again, oldest use first

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, who: Who) -> float:
        """Count once for a person and return 0, or count nothing and return the seconds they have to wait."""
        now = self._clock()
        self._forget_full(now)
        full_at = max(self._full_at.pop(who, now), now)
        wait = full_at - now - self._slack
        self._full_at[who] = full_at if wait > 0 else full_at + self._every
        return max(wait, 0.0)

    def _forget_full(self, now: float) -> None:
        while self._full_at:
            other, full_at = next(iter(self._full_at.items()))
            if full_at > now:
                return
            del self._full_at[other]
