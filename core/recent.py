"""A dictionary that doesn't grow for ever."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(OrderedDict[K, V]):
    """Keeps the ``most`` entries that were set last, or moved to the end, and drops the others."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        while len(self) > self._most:
            self.popitem(last=False)

    def get_or_make(self, key: K, make: Callable[[], V]) -> V:
        """Return what is kept under ``key``, as the newest entry; what ``make`` returns if nothing is."""
        if key not in self:
            self[key] = make()
        self.move_to_end(key)
        return self[key]
