"""The queued jobs in memory, kept as ordering needs them: by lane and user. The rows are the truth; this is their index."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Iterator, Mapping
from operator import attrgetter

from core.job import Lane
from jobs import policy
from jobs.policy import Group, Waiting

_SEQ = attrgetter("seq")


class Waitlist:
    """Add, remove, and ask for order, position and the next job. ``served``: user → number of their latest turn."""

    def __init__(self) -> None:
        self._jobs: dict[str, Waiting] = {}
        self._lists: dict[tuple[int, Lane], list[Waiting]] = {}
        self._front: list[Waiting] = []
        self.served: dict[int, int] = {}
        self.by_cost: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._jobs

    def __iter__(self) -> Iterator[Waiting]:
        return iter(self._jobs.values())

    def get(self, job_id: str) -> Waiting | None:
        return self._jobs.get(job_id)

    def add(self, job: Waiting) -> None:
        """Into its place by arrival: a job that failed half-way goes before those that came after it."""
        self._jobs[job.job_id] = job
        self.by_cost[job.cost_key] += 1
        if job.front is not None:
            bisect.insort(self._front, job, key=lambda other: -(other.front or 0))
        else:
            bisect.insort(self._lists.setdefault((job.user_id, job.lane), []), job, key=_SEQ)

    def remove(self, job_id: str) -> Waiting | None:
        job = self._jobs.pop(job_id, None)
        if job is None:
            return None
        self.by_cost[job.cost_key] -= 1
        if not self.by_cost[job.cost_key]:
            del self.by_cost[job.cost_key]
        if job.front is not None:
            self._front.remove(job)
        else:
            jobs = self._lists[job.user_id, job.lane]
            del jobs[bisect.bisect_left(jobs, job.seq, key=_SEQ)]
            if not jobs:
                del self._lists[job.user_id, job.lane]
        return job

    def move_to_front(self, job_id: str, place: int) -> None:
        job = self.remove(job_id)
        if job is not None:
            job.front = place
            self.add(job)

    def groups(self) -> Iterator[Group]:
        return (Group(user, lane, self.served.get(user, 0), jobs) for (user, lane), jobs in self._lists.items())

    def next(self, running: Mapping[int, int], loaded: str | None, now: float) -> Waiting | None:
        """The job to start on a device that has the model ``loaded``; it stays in the list. None: nobody may start."""
        for job in self._front:
            if running.get(job.user_id, 0) < job.max_running:
                return job
        group = policy.next_group(self.groups(), running, now)
        return None if group is None else policy.fit_model(group.jobs, loaded)

    def note_turn(self, job: Waiting, turn: int) -> None:
        """``job``, removed already, has started; its elders in the group were passed over."""
        self.served[job.user_id] = turn
        for other in self._lists.get((job.user_id, job.lane), ())[: policy.LOOK_AHEAD]:
            if other.seq < job.seq:
                other.passed_over += 1

    def order(self, now: float) -> Iterator[Waiting]:
        return policy.order(self._front, self.groups(), now)

    def position(self, job: Waiting, now: float) -> int:
        return policy.position(job, self._front, self.groups(), now)
