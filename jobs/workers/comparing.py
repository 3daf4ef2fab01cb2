"""Vectors of a file, compared in a child process for a bot that has no workers of its own: the file is here,
and a worker elsewhere would have to be sent all of it for each search."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from jobs.workers.child import end_with_parent
from jobs.workers.worker import PROCESSES
from vision.protocol import Answered, Declined, Nearest
from vision.worker.nearest import nearest

log = logging.getLogger(__name__)


class Comparing:
    """Answers one question after the other, in a process that is started for the first."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    async def ask(self, question: Nearest) -> Answered | Declined:
        """Return the places in the file that are nearest."""
        pool = self._pool = self._pool or ProcessPoolExecutor(1, PROCESSES, initializer=end_with_parent)
        try:
            found = await asyncio.get_running_loop().run_in_executor(pool, nearest, question)
        except BrokenProcessPool:
            self._pool = None
            return Declined(question.question_id, "the process that compares vectors has ended")
        except Exception as error:
            log.exception("vectors can't be compared")
            return Declined(question.question_id, type(error).__name__)
        return Answered(question.question_id, found)

    async def close(self) -> None:
        """End the process."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)
