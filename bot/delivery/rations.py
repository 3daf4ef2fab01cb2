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


class Postponed:
    """The jobs whose news came when the ration had no room for it, and which get it later.

    A queue that stands still has no second event to say it with, so ``repeat`` (job id) makes the queue
    publish the latest one again. The job that waits longest here is next; with ``newest_first`` the newest,
    because its asker is looking.
    """

    def __init__(self, ration: Ration, repeat: Callable[[str], None], *, newest_first: bool = False) -> None:
        self._ration, self._repeat, self._newest_first = ration, repeat, newest_first
        self._jobs: dict[str, float] = {}  # job → monotonic seconds before which it gets nothing
        self._turn: str | None = None  # the job that is being repeated
        self._task: asyncio.Task[None] | None = None

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._jobs

    def has_room(self, job_id: str, now: float) -> bool:
        """Return whether the job's news may be shown now, before those who wait here."""
        in_turn = self._newest_first or not self._jobs or job_id == self._turn
        return in_turn and now >= self._ration.free_at()

    def add(self, job_id: str, not_before: float = 0.0) -> None:
        """Give the job its news as soon as the ration allows. ``not_before``: monotonic seconds."""
        self._jobs.setdefault(job_id, not_before)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self.run(), name="postponed news")

    def discard(self, job_id: str) -> None:
        """Forget the job, if it waits here."""
        self._jobs.pop(job_id, None)

    async def run(self) -> None:
        """Repeat the latest event of every job that waits here."""
        while self._jobs:
            job_id = next(reversed(self._jobs) if self._newest_first else iter(self._jobs))
            pause = max(self._ration.free_at(), self._jobs[job_id]) - monotonic()
            if pause > 0:
                await asyncio.sleep(pause)  # and look again: it may have ended
                continue
            del self._jobs[job_id]
            self._turn = job_id
            self._repeat(job_id)
            await asyncio.sleep(0)  # lets the job's follower take from the ration
        self._turn = None

    def close(self) -> None:
        """Stop; the jobs that still wait get no news."""
        if self._task is not None:
            self._task.cancel()
