"""How many progress edits a second all followed messages may have together, so that a long queue doesn't
starve the job that runs. Discord allows 50 requests a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic  # by name: the sandbox's simulator stops the module's clock for the bot's tasks


class Ration:
    """Allows ``rate`` edits a second, and ``burst`` at once after a silence."""

    def __init__(self, rate: float, burst: int = 1) -> None:
        self._rate, self._burst = rate, burst
        self._full_at = 0.0  # monotonic seconds when the whole burst may come again

    def free_at(self) -> float:
        """Return the monotonic time in seconds from which the next edit is allowed."""
        return self._full_at - (self._burst - 1) / self._rate

    def take(self, now: float) -> None:
        """Count one edit made at ``now``, in monotonic seconds."""
        self._full_at = max(now, self._full_at) + 1 / self._rate


@dataclass(frozen=True)
class Rations:
    """The rations of the three kinds of progress edits."""

    progress: Ration
    first_words: Ration  # the first "Waiting to start" of a job
    place_in_queue: Ration

    @classmethod
    def usual(cls) -> Rations:
        """Return full rations: 14 edits a second in all."""
        return cls(Ration(6.0), Ration(6.0, burst=12), Ration(2.0))


class FirstWords:
    """Gives jobs their first words later when too many were asked for at once.

    A queue that stands still has no second event to say them with, so ``repeat`` (job id) makes the queue
    publish the first one again.
    """

    def __init__(self, ration: Ration, repeat: Callable[[str], None]) -> None:
        self._ration, self._repeat = ration, repeat
        self._jobs: dict[str, None] = {}
        self._task: asyncio.Task[None] | None = None

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._jobs

    def add(self, job_id: str) -> None:
        """Give the job its first words as soon as the ration allows."""
        self._jobs[job_id] = None
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self.run(), name="first words")

    def discard(self, job_id: str) -> None:
        """Forget the job, if it waits here."""
        self._jobs.pop(job_id, None)

    async def run(self) -> None:
        """Repeat the first event of every job that waits here, the newest first: its asker is looking."""
        while self._jobs:
            await asyncio.sleep(max(0.0, self._ration.free_at() - monotonic()))
            if self._jobs:  # all of them may have ended during the pause
                self._repeat(self._jobs.popitem()[0])
            await asyncio.sleep(0)  # lets the job's follower take from the ration

    def close(self) -> None:
        """Stop; the jobs that still wait get no first words."""
        if self._task is not None:
            self._task.cancel()
