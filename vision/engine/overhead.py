"""How long jobs work outside of their passes: reading words before, schedulers between, decoding and encoding
after."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Iterable

KEPT = 9  # measurements of which the median counts

Like = tuple[str, int]  # kind and rows of a job's passes
Entry = tuple[str, int, float, float]  # both of Like, then ``between`` and ``whole``


class Overhead:
    """In seconds, by ``Like``; 0 while nothing is known. before: from an earlier process."""

    def __init__(self, before: Iterable[Entry] = ()) -> None:
        self._between, self._whole = _Medians(), _Medians()
        for kind, rows, between, whole in before:
            self._between.known[kind, rows], self._whole.known[kind, rows] = between, whole

    def note_between(self, like: Like, seconds: float) -> None:
        """From a pass to the same job's next one."""
        self._between.note(like, seconds)

    def note_whole(self, like: Like, seconds: float) -> None:
        """All that a job did before its first pass and after its last."""
        self._whole.note(like, seconds)

    def between(self, like: Like) -> float:
        """See note_between."""
        return self._between.known.get(like, 0.0)

    def whole(self, like: Like) -> float:
        """See note_whole."""
        return self._whole.known.get(like, 0.0)

    @property
    def entries(self) -> list[Entry]:
        """For ``before``."""
        return [
            (*like, self.between(like), self.whole(like))
            for like in sorted(self._between.known.keys() | self._whole.known.keys())
        ]


class _Medians:
    """Asked far more often than told."""

    def __init__(self) -> None:
        self.known: dict[Like, float] = {}
        self._seen: dict[Like, deque[float]] = {}

    def note(self, like: Like, seconds: float) -> None:
        seen = self._seen.setdefault(like, deque(maxlen=KEPT))
        seen.append(seconds)
        self.known[like] = statistics.median(seen)
