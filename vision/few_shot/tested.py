"""How often a chat model was right on the examples of sets that it was tested on: testing costs as much as a
dozen questions, and nothing of it changes until the set does."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection

MOST = 64  # sets

Key = tuple[str, ...]  # SHA-256 of a set's pictures, and their labels


class Tested:
    """Keeps, by what is in a set, how many examples were asked about and how many were named rightly; of the
    latest sets."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Key, tuple[int, int]] = OrderedDict()

    def get(self, key: Key) -> tuple[int, int] | None:
        """Return what is known of a set."""
        return self._kept.get(key)

    def keep(self, key: Key, found: tuple[int, int]) -> None:
        """Keep what was found of a set."""
        self._kept[key] = found
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)

    def forget(self, names: Collection[str]) -> None:
        """Give up what is known of sets with one of these pictures."""
        gone = set(names)
        for key in [key for key in self._kept if not gone.isdisjoint(key)]:
            del self._kept[key]
