"""The strip of frames that stands beside an answer about a film: what was looked at, and which of it the
answer names."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import FilesAway, ImageError, StorageError
from core.job import Job
from core.requests import AskRequest
from core.requests.frames import cited_frames, frame_labels
from jobs.queue import Queue
from jobs.views import Result
from storage.files import Files
from studio.actor import Place
from studio.films import intake
from studio.moderation.moderator import Moderator
from studio.moderation.rules import Visibility

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Strip:
    """Frames side by side, as WebP. alt: says when they are seen, and which the answer names."""

    data: bytes
    alt: str
    visibility: Visibility


class Strips:
    """Draws the strips of answers. queue: has the jobs."""

    def __init__(self, files: Files, queue: Queue, moderator: Moderator) -> None:
        self._files, self._queue, self._moderator = files, queue, moderator

    async def of(self, result: Result, text: str, place: Place) -> Strip | None:
        """Return the strip of the film that an answer is about, as it may be shown in ``place``; None where
        it is about none, or its frames are gone or may not be shown. text: of the answer."""
        job = await self.film_of(result.job, result.parameters)
        if job is None or not isinstance(job.request, AskRequest):
            return None
        frames = job.request.frames
        visibility = await self._moderator.visibility(tuple(sha for _, sha in frames), place)
        if visibility is Visibility.BLOCK:
            return None
        pictures = [await self._bytes(sha256) for _, sha256 in frames]
        if not any(pictures):
            return None
        times = [seconds for seconds, _ in frames]
        named, called = {one.frame for one in cited_frames(text, times)}, frame_labels(times)
        try:
            data = await intake.strip(pictures, called, sorted(named))
        except ImageError:
            log.warning("job %s: its strip can't be drawn", result.job.id)
            return None
        alt = f"Frames of the film at {', '.join(called)}"
        if named:
            alt += f"; the answer names {', '.join(called[i] for i in sorted(named))}"
        return Strip(data, alt, visibility)

    async def film_of(self, job: Job, parameters: Mapping[str, Any]) -> Job | None:
        """Return the question whose film an answer is about: the job's own, or the newest one that its model
        was told. A film of a private question is no part of another's public one."""
        return await film_of(self._queue, job, parameters)

    async def _bytes(self, sha256: str) -> bytes:
        try:
            return await self._files.get(sha256)
        except FilesAway:
            raise
        except StorageError:
            return b""


async def film_of(queue: Queue, job: Job, parameters: Mapping[str, Any]) -> Job | None:
    """Return the question whose film an answer is about, see ``Strips.film_of``."""
    if isinstance(job.request, AskRequest) and job.request.frames:
        return job
    found = await queue.job(str(parameters["film"])) if parameters.get("film") else None
    if found is None or not isinstance(found.request, AskRequest) or not found.request.frames:
        return None
    return None if found.origin.private and not job.origin.private else found
