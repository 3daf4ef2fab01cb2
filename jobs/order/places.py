"""All waiting jobs in the order in which they start if nothing changes, so that a place is looked up."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping, Sequence

from jobs.order.fairness import Waiting

ONE_BY_ONE = 64  # keys that are put in by themselves; more are sorted with the rest at once
Key = tuple[int, int, int, Waiting]  # rank, start in virtual time, number: no two are the same before the job


class Places:
    """Sorted keys, put in by member."""

    def __init__(self) -> None:
        self._keys: list[Key] = []
        self._of_member: dict[int, Sequence[Key]] = {}
        self._of_job: dict[str, Key] = {}

    def __iter__(self) -> Iterator[Waiting]:
        return (key[3] for key in self._keys)

    def as_now(self) -> Iterator[Waiting]:
        """Yield all jobs in their order of this moment, whatever changes until the last."""
        return (key[3] for key in self._keys[:])

    def place(self, job_id: str) -> int:
        """Return the place of a job that is there, 0 is first."""
        return bisect.bisect_left(self._keys, self._of_job[job_id])

    def put(self, changed: Mapping[int, Sequence[Key]]) -> None:
        """Put in all the jobs of some members, instead of those that they had there."""
        gone: list[Key] = []
        come: list[Key] = []
        for user_id, keys in changed.items():
            before = self._of_member.pop(user_id, ())
            if keys:
                self._of_member[user_id] = keys
            old, new = _differing(before, keys)
            gone += old
            come += new
        for key in gone:
            del self._of_job[key[3].job_id]
        for key in come:
            self._of_job[key[3].job_id] = key
        if len(gone) + len(come) <= ONE_BY_ONE:
            for key in gone:
                del self._keys[bisect.bisect_left(self._keys, key)]
            for key in come:
                bisect.insort(self._keys, key)
        else:
            if gone:
                left = {key[2] for key in gone}
                self._keys = [key for key in self._keys if key[2] not in left]
            self._keys += sorted(come)
            self._keys.sort()  # two sorted runs


def _differing(before: Sequence[Key], now: Sequence[Key]) -> tuple[Sequence[Key], Sequence[Key]]:
    """Leave out what both have at their ends: mostly the first job has started, or one more has come."""
    most = min(len(before), len(now))
    head = next((n for n in range(most) if before[n] != now[n]), most)
    rest = most - head
    tail = next((n for n in range(rest) if before[-1 - n] != now[-1 - n]), rest)
    return before[head : len(before) - tail], now[head : len(now) - tail]
