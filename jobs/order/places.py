"""All waiting jobs in the order in which they start if nothing changes, so that a place is looked up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from sortedcontainers import SortedList

from jobs.order.fairness import Waiting

Key = tuple[int, int, int, Waiting]  # rank, start in virtual time, number: no two are the same before the job


class Places:
    """Sorted keys, put in by member. A list in one piece would be moved or sorted anew for each change: with
    200,000 jobs that held the event loop for 20 ms."""

    def __init__(self) -> None:
        self._keys: SortedList[Key] = SortedList()
        self._of_member: dict[int, Sequence[Key]] = {}
        self._of_job: dict[str, Key] = {}

    def __iter__(self) -> Iterator[Waiting]:
        return (key[3] for key in self._keys)

    def in_lots(self, size: int) -> Iterator[Sequence[Waiting]]:
        """Yield all jobs, ``size`` at a time; what changes meanwhile behind the last is seen. A copy of them
        all would be looked through by the garbage collector, which takes 20 ms with 200,000."""
        last: Key | None = None
        while lot := list(islice(self._keys.irange(last, inclusive=(last is None, True)), size)):
            yield [key[3] for key in lot]
            last = lot[-1]

    def place(self, job_id: str) -> int:
        """Return the place of a job that is there, 0 is first."""
        return self._keys.bisect_left(self._of_job[job_id])

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
            self._keys.remove(key)
        for key in come:
            self._of_job[key[3].job_id] = key
        self._keys.update(come)


def _differing(before: Sequence[Key], now: Sequence[Key]) -> tuple[Sequence[Key], Sequence[Key]]:
    """Leave out what both have at their ends: mostly the first job has started, or one more has come."""
    most = min(len(before), len(now))
    head = next((n for n in range(most) if before[n] != now[n]), most)
    rest = most - head
    tail = next((n for n in range(rest) if before[-1 - n] != now[-1 - n]), rest)
    return before[head : len(before) - tail], now[head : len(now) - tail]
