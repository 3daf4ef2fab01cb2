"""How long a job will take, from how long such jobs took: the median of the last runs with the same cost key."""

from __future__ import annotations

from collections import deque
from statistics import median

SAMPLES = 20  # per key: enough for a median, few enough to follow a change of card or model
MAX_KEYS = 500


class Estimate:
    """Seconds by cost key (``kind|size|model``); what was never seen falls back to its kind and model, its kind, anything."""

    def __init__(self) -> None:
        self._runs: dict[str, deque[float]] = {}
        self._medians: dict[str, float] = {}

    def add(self, cost_key: str, seconds: float) -> None:
        for key in _keys(cost_key):
            runs = self._runs.pop(key, None) or deque(maxlen=SAMPLES)
            runs.append(seconds)
            self._runs[key] = runs  # the newest key is last
            self._medians[key] = median(runs)
        while len(self._runs) > MAX_KEYS:
            oldest = next(iter(self._runs))
            del self._runs[oldest], self._medians[oldest]

    def seconds(self, cost_key: str) -> float | None:
        """None while nothing was measured."""
        return next((self._medians[key] for key in _keys(cost_key) if key in self._medians), None)


def _keys(cost_key: str) -> tuple[str, ...]:
    kind, _, model = cost_key.split("|", 2)
    return cost_key, f"{kind}||{model}", f"{kind}||", "||"
