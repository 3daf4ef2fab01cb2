"""Folders where workers write films and other files, one for each job: made before its run if the disk has
room for what is coming, removed when the job is over.

A job that goes back to the queue keeps its folder, with whatever its worker can go on from.
"""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
from collections.abc import Collection

from core.job import ID_LENGTH
from core.requests import Request
from jobs.films import bytes_of, no_room
from storage.blobs.base import Files

LEFT = ("clips", "moving")  # folders in which others write here
_JOB = re.compile(rf"[a-z2-9]{{{ID_LENGTH}}}")
log = logging.getLogger(__name__)


class Incoming:
    """Folders of jobs, on the disk of ``files``. floor: bytes that must stay free there."""

    def __init__(self, files: Files, floor: int) -> None:
        self._files, self._floor = files, floor
        self._root = files.incoming
        self._there: dict[str, int] = {}  # job with a folder → bytes that are expected there
        self._removals: set[asyncio.Task[None]] = set()

    async def sweep(self, waiting: Collection[str]) -> None:
        """At start: remove the folders of all jobs but those that still wait."""
        for job_id in await asyncio.to_thread(self._names):
            self._there[job_id] = 0
            if job_id not in waiting:
                log.info("job %s: what its worker had written of films is deleted", job_id)
                self.remove(job_id)
        await self.settle()

    async def make(self, job_id: str, request: Request) -> str:
        """Return the folder of a job, made if it isn't there, "" for one whose worker writes nothing. Raises
        LimitError when the disk has no room for it beside those of other jobs."""
        coming = bytes_of(request)
        if not coming:
            return ""
        self._there[job_id] = coming
        free = await asyncio.to_thread(self._files.free_bytes) - self._floor
        if free < sum(self._there.values()):
            raise no_room(request, free - sum(self._there.values()) + coming)
        folder = self._root / job_id
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        return str(folder)

    def remove(self, job_id: str) -> None:
        """Remove the folder of a job that is over, if it has one: soon, in a thread."""
        if job_id in self._there:
            del self._there[job_id]
            task = asyncio.create_task(self._remove(job_id), name=f"folder of {job_id}")
            self._removals.add(task)
            task.add_done_callback(self._removals.discard)

    async def settle(self) -> None:
        """Wait until what is being removed has gone."""
        await asyncio.gather(*self._removals)

    async def _remove(self, job_id: str) -> None:
        folder = self._root / job_id
        try:
            await asyncio.to_thread(shutil.rmtree, folder)
        except FileNotFoundError:
            pass
        except OSError as error:  # the next start tries it again
            log.warning("the folder %s can't be removed: %s", folder, error.strerror)

    def _names(self) -> list[str]:
        """Jobs that have a folder, and what else a crash may have left. Other folders aren't ours."""
        there = self._root.iterdir() if self._root.is_dir() else ()
        return [path.name for path in there if path.name in LEFT or _JOB.fullmatch(path.name)]
