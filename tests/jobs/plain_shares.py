"""What members have had of the devices, as simply as one can say it: ``jobs.waitlist`` is compared
with."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field


@dataclass
class PlainShares:
    """Every member's virtual time and what their last job cost, and the clock of each rank."""

    had: dict[int, int] = field(default_factory=dict)
    owed: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    clock: Counter[int] = field(default_factory=Counter)
    stamps: dict[tuple[int, int], int] = field(default_factory=dict)  # until the member's next turn

    def stamp(self, user: int, rank: int) -> int:
        """By what they stand in the line of a rank."""
        if (user, rank) not in self.stamps:
            self.stamps[user, rank] = min(self.had.get(user, 0), self.clock[rank] + self.owed[user])
        return self.stamps[user, rank]

    def start(self, user: int, rank: int, cost: int, *, moved: bool) -> None:
        """A job of theirs starts, which an admin has ``moved`` or not."""
        begin = max(self.stamp(user, rank), self.clock[rank])
        if not moved:
            self.clock[rank] = begin
        self.had[user], self.owed[user] = begin + cost, cost
        self.stamps = {key: stamp for key, stamp in self.stamps.items() if key[0] != user}

    def restart(self) -> None:
        """A process begins anew with what rows say."""
        latest = max(self.had.values(), default=0)
        self.clock = Counter(dict.fromkeys(range(3), latest))
        self.owed.clear()
        self.stamps.clear()

    def copy(self) -> PlainShares:
        """The same once more, to play turns ahead."""
        return PlainShares(
            dict(self.had), defaultdict(int, self.owed), Counter(self.clock), dict(self.stamps)
        )
