"""The table of rights, asked with the rows: who is barred, and where a job is shown."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from core.errors import ImageError, NotAllowedError
from core.job import Job
from jobs.queue import Queue
from jobs.views import Result
from studio.actor import Actor, Place
from studio.authority import TABLE, Action, Authority
from studio.directory import Directory
from studio.moderation.moderator import Moderator
from studio.moderation.rules import in_time_out


class Rights:
    """Every door's questions about rights end here. ``authority`` decides, this class fetches the rows."""

    def __init__(
        self, authority: Authority, queue: Queue, moderator: Moderator, directory: Directory
    ) -> None:
        self.authority, self._queue, self._moderator = authority, queue, moderator
        self._directory = directory

    async def check(self, actor: Actor, action: Action, job: Job | None = None) -> None:
        """Raise NotAllowedError, with the reason in plain words, unless ``actor`` may do ``action`` (to
        ``job``) here and now."""
        until: datetime | None = None
        if not TABLE[action].barred:
            banned = await self._queue.admin.barred(actor.user_id, actor.guild_id)
            until = None if banned else await self._moderator.time_out_ends(actor.user_id, actor.guild_id)
            actor = replace(actor, barred=banned or until is not None)
        shown = {Place(*place) for place in await self._queue.places(job.id)} if job else ()
        if until is not None and not self.authority.allows(actor, action, job):
            raise NotAllowedError(in_time_out(until))
        self.authority.check(actor, action, job, shown)

    async def sees(self, actor: Actor, job: Job) -> bool:
        """Return whether the actor can look at a job's pictures now, wherever they ask: their own, what is
        shown where they are, and what is shown in a channel that they can read."""
        if job.origin.user_id == actor.user_id:
            return True
        shown = {Place(*place) for place in await self._queue.places(job.id)}
        if self.authority.allows(replace(actor, barred=False), Action.SHOW, job, shown):
            return True
        if job.origin.private:
            return False
        places = {*shown, Place(job.origin.guild_id, job.origin.channel_id)}
        for place in places:
            if place.guild_id is not None and await self._directory.can_read(actor.user_id, place):
                return True
        return False

    async def job(self, actor: Actor, job_id: str, action: Action) -> Job:
        """Return the job's row if ``actor`` may do ``action`` to it.

        Raises ImageError when there is no such job, NotAllowedError otherwise.
        """
        job = await self._queue.job(job_id)
        if job is None:
            raise ImageError(
                f"Job `{_readable(job_id)}` doesn't exist, or was deleted. A job's id is under its picture."
            )
        await self.check(actor, action, job)
        return job

    async def result(self, actor: Actor, job_id: str, action: Action) -> Result:
        """Return what the job made if ``actor`` may do ``action`` to it. Raises as ``job`` does, and
        ImageError when the job made nothing (yet)."""
        return await self.result_of(await self.job(actor, job_id, action))

    async def result_of(self, job: Job) -> Result:
        """Return what a job made; its right has been checked. Raises ImageError for nothing (yet)."""
        result = await self._queue.result(job.id)
        if result is None:
            raise ImageError(f"Job `{job.id}` has no result.")
        return result


def _readable(job_id: str) -> str:
    """Return somebody's text as an id that can stand inside backticks."""
    return "".join(c for c in job_id if c.isalnum())[:20]
