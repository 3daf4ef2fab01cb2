"""Above which score a part is called strange, and how often a good part then is, told from good parts alone.

The score of a new good part is one more of the same kind as n held-out scores of good parts, so that it is
the largest of all for at most 1 in n + 1 (split conformal prediction, Vovk et al., 2005). Held-out scores
need no second set: each good part is scored by all others. Of several pictures of one part the strangest
stands for it: it is scored no lower than any of them, so that the promise holds for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

LOOSER = 1.1  # times the largest, where ranks end
GUESS = 2.5  # times the largest score of copies of the only good part


@dataclass(frozen=True)
class Limit:
    """value: the score from which on a part is strange. above: of the n held-out good parts, those that score
    more. promise: the share of new good parts that is stopped at most, on average over trainings and while
    the camera stays the same."""

    value: float
    good: int
    above: int = 0

    @property
    def promise(self) -> Fraction:
        """(above + 1) of (good + 1)."""
        return Fraction(self.above + 1, self.good + 1)

    def sentence(self) -> str:
        """Say the promise, of a hundred good parts."""
        if self.promise == 1:
            return "From one good part nothing can be promised: the limit is a guess."
        return f"Of 100 good parts about {round(100 * self.promise)} will be stopped at most."


def from_good(scores: Sequence[float], above: int = 0) -> Limit:
    """Return the limit that ``above`` of the held-out good scores lie over: 0 is the usual one, more is
    stricter. Raises ValueError unless 0 ≤ above < n."""
    if not 0 <= above < len(scores):
        raise ValueError(f"above must be 0 to {len(scores) - 1}, not {above}")
    return Limit(sorted(scores, reverse=True)[above], len(scores), above)


def strongest(scores: Sequence[float], groups: Sequence[int]) -> list[float]:
    """Return the largest score of each group, in the order of their first pictures."""
    found: dict[int, float] = {}
    for score, group in zip(scores, groups, strict=True):
        found[group] = max(score, found.get(group, score))
    return list(found.values())


def guess(scores: Sequence[float]) -> Limit:
    """Return a limit from scores of copies of a single good part. It promises nothing."""
    return Limit(max(scores) * GUESS, 0)


def unproven(scores: Sequence[float]) -> Limit:
    """Return the limit from scores of pictures of the same places, none of which can be held out. It promises
    nothing."""
    return Limit(max(scores), 0)


def looser(scores: Sequence[float]) -> Limit:
    """Return a limit over all held-out scores. What it promises is no more than that of the usual one: few
    alarms are likely, not known."""
    return Limit(max(scores) * LOOSER, len(scores))


def fewest_errors(good: Sequence[float], bad: Sequence[float]) -> Limit:
    """Return the limit between held-out good and labelled bad scores with the fewest errors in all, each kind
    weighing the same; of equal ones the highest. Offered beside the usual one from five bad on."""
    best, found = float("inf"), max(good)
    for value in sorted({*good, *bad}, reverse=True):
        wrong = sum(s > value for s in good) / len(good) + sum(s <= value for s in bad) / len(bad)
        if wrong < best:
            best, found = wrong, value
    return Limit(found, len(good), sum(score > found for score in good))
