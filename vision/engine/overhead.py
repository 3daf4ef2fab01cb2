"""How long jobs work outside of their passes: reading words before, schedulers between, decoding and encoding after."""

from __future__ import annotations

import statistics
from collections import defaultdict, deque

KEPT = 9  # measurements of which the median counts

Like = tuple[str, int]  # kind and rows of a job's passes


class Overhead:
    """In seconds, by ``Like``; 0 while nothing is known."""

    def __init__(self) -> None:
        self._between: dict[Like, deque[float]] = defaultdict(lambda: deque(maxlen=KEPT))
        self._whole: dict[Like, deque[float]] = defaultdict(lambda: deque(maxlen=KEPT))

    def note_between(self, like: Like, seconds: float) -> None:
        """From a pass to the same job's next one."""
        self._between[like].append(seconds)

    def note_whole(self, like: Like, seconds: float) -> None:
        """All that a job did before its first pass and after its last."""
        self._whole[like].append(seconds)

    def between(self, like: Like) -> float:
        """See note_between."""
        return statistics.median(self._between.get(like, (0.0,)))

    def whole(self, like: Like) -> float:
        """See note_whole."""
        return statistics.median(self._whole.get(like, (0.0,)))
