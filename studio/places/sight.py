"""What a person can look at, wherever they ask: their own jobs, and what is shown where they can read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from functools import partial

from core.job import Job, Surface
from storage import lookup
from storage.database import Database
from studio.actor import Actor, Place
from studio.authority import TABLE, Action, Authority, Role
from studio.directory import Directory
from studio.places.memberships import Memberships


class Sight:
    """``authority`` decides, this class fetches the rows of where jobs are shown.

    Who came by no channel (``Surface.WEB``) is, to a job, also what they are in the servers where it is
    shown: ``memberships`` tells what that is.
    """

    def __init__(
        self, authority: Authority, database: Database, directory: Directory, memberships: Memberships
    ) -> None:
        self.authority, self._database = authority, database
        self._directory, self._memberships = directory, memberships

    async def shown(self, job: Job | None) -> set[Place]:
        """Return every place where a job is shown, by the rows."""
        if job is None:
            return set()
        found = await self._database.read(partial(lookup.places, job_id=job.id), once=True)
        return {Place(*place) for place in found}

    async def everywhere(
        self, actor: Actor, job: Job | None, shown: Iterable[Place], actions: Iterable[Action]
    ) -> AsyncIterator[Actor]:
        """Yield ``actor``, then who they are in each server where the job is shown, if that can decide."""
        yield actor
        if job is None or actor.surface is not Surface.WEB or actor.guild_id is not None:
            return
        rows = [TABLE[action] for action in actions]
        roles = [row.private if job.origin.private else row.public for row in rows]
        if not any(role & (Role.MEMBER | Role.MANAGER) for role in roles):
            return
        places = {*shown, Place(job.origin.guild_id, job.origin.channel_id)}
        for guild_id in sorted({place.guild_id for place in places if place.guild_id is not None}):
            if (member := await self._memberships.of(actor.user_id, guild_id)) is not None:
                yield await self._memberships.within(actor, member)

    async def sees(self, actor: Actor, job: Job) -> bool:
        """Return whether the actor can look at a job's pictures now, wherever they ask: their own, what is
        shown where they are, and what is shown in a channel that they can read."""
        if job.origin.user_id == actor.user_id:
            return True
        shown = await self.shown(job)
        async for one in self.everywhere(actor, job, shown, (Action.SHOW,)):
            if self.authority.allows(replace(one, barred=False), Action.SHOW, job, shown):
                return True
        if job.origin.private or actor.surface is Surface.WEB:
            return False
        places = {*shown, Place(job.origin.guild_id, job.origin.channel_id)}
        for place in places:
            if place.guild_id is not None and await self._directory.can_read(actor.user_id, place):
                return True
        return False
