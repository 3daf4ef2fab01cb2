"""What each member has had of the devices: whoever has had least goes next. Pure counting; the unit is the
device seconds of a median picture.

Start-time fair queueing (Goyal, Vin and Cheng, "Start-time Fair Queueing", SIGCOMM 1996, section 2). Each
line of jobs has a clock, which stands where its latest job started. A member's next job starts at the clock,
or where their last one takes them to, whichever is later: so a film of twenty pictures lets the others have
twenty pictures each, and nobody saves up turns that they didn't take.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass

MEMBERS_KEPT = 50_000


@dataclass(frozen=True)
class Had:
    """Where a member's last job takes them to. ``owed``: what it cost. ``rest``: what it took beside whole
    units, between -1 and 1."""

    until: int = 0
    owed: int = 0
    rest: float = 0.0

    def after(self, begin: int, cost: int) -> Had:
        """Return what they have had once a job has started at ``begin``."""
        return Had(begin + cost, cost, self.rest)

    def settled(self, units: float) -> Had:
        """Return the same when a job took ``units`` more than was counted, or less. Whole ones count."""
        whole = int(self.rest + units)
        return Had(max(0, self.until + whole), max(0, self.owed + whole), self.rest + units - whole)


class VirtualTime:
    """Lines are told apart by any key: of the devices that all share, by rank; of a device that does one kind
    of work alone, by that. What is carried from one line to another is at most what the last job cost."""

    def __init__(self) -> None:
        self._clocks: defaultdict[Hashable, int] = defaultdict(int)
        self._had: dict[int, Had] = {}
        self._stamps: dict[int, dict[Hashable, int]] = {}

    def knows(self, user_id: int) -> bool:
        """Return whether anything is known of the member."""
        return user_id in self._had

    def had(self, user_id: int) -> Had:
        """Return what the member has had; nothing, when nothing is known."""
        return self._had.get(user_id, Had())

    def set(self, user_id: int, had: Had) -> None:
        """Note what the member has had. Those who had theirs longest ago are forgotten: their rows know."""
        self._had.pop(user_id, None)
        self._stamps.pop(user_id, None)
        self._had[user_id] = had
        if len(self._had) > MEMBERS_KEPT:
            oldest = next(iter(self._had))
            del self._had[oldest]
            self._stamps.pop(oldest, None)

    def clock(self, line: Hashable) -> int:
        """Return where the latest job of this line started."""
        return self._clocks[line]

    def stamp(self, user_id: int, line: Hashable) -> int:
        """Return by what a member stands in a line until their next turn: the least goes next. Who hasn't
        been there lately comes before all others, once."""
        if user_id not in self._had:
            return 0
        stamps = self._stamps.setdefault(user_id, {})
        if line not in stamps:
            stamps[line] = self.stamp_of(self._had[user_id], line)
        return stamps[line]

    def stamp_of(self, had: Had, line: Hashable) -> int:
        """Return by what a member would stand in a line now who has had so much."""
        return min(had.until, self._clocks[line] + had.owed)

    def begin(self, stamp: int, line: Hashable) -> int:
        """Return when a member's next job starts, in virtual time."""
        return max(stamp, self._clocks[line])

    def advance(self, line: Hashable, begin: int) -> None:
        """Note that a job of this line has started, at ``begin``."""
        self._clocks[line] = max(self._clocks[line], begin)

    def resume(self, now: int) -> None:
        """Let all clocks stand at ``now``: after a start nobody is owed anything, and who was served longest
        ago goes first."""
        self._clocks = defaultdict(lambda: now)
