"""Times of passes on a device that works behind the caller's back (CUDA) or while it waits (everything
else)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import torch

# passes that may be under way on the device: one to keep it busy, so that a newcomer joins the next but one
AHEAD = 2


class Stopwatch:
    """Calls ``note(seconds)`` once a timed piece of work has ended on ``device``."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._under_way: deque[tuple[Any, Any, Callable[[float], None]]] = deque()

    def time(self, device: torch.device, work: Callable[[], Any], note: Callable[[float], None]) -> Any:
        """What ``work`` returns; on CUDA it is only begun by then, behind at most AHEAD - 1 others."""
        if device.type != "cuda":
            begin = self._clock()
            result = work()
            note(self._clock() - begin)
            return result
        self._settle(AHEAD - 1)
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        result = work()
        end.record()
        self._under_way.append((begin, end, note))
        return result

    def _settle(self, most: int) -> None:
        """Wait until at most ``most`` are under way, and tell how long those that have ended took."""
        while self._under_way and (len(self._under_way) > most or self._under_way[0][1].query()):
            begin, end, note = self._under_way.popleft()
            end.synchronize()
            note(begin.elapsed_time(end) / 1000)
