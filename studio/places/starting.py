"""What is asked again when a job's turn comes: the rules of its place, and of own models whether whoever
asked still may. Hours can lie between asking and then."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from core.errors import NotAllowedError, NotYet, UserError
from core.job import NOBODY, Job, Origin
from core.requests.custom_models import BundleRequest, ProjectRequest, TrainRequest
from storage import people
from storage.database import Database
from storage.projects import projects
from storage.projects.projects import Project
from studio.actor import Actor
from studio.authority import TABLE, Action, Authority
from studio.directory import Directory, Unanswered
from studio.moderation.moderator import Moderator

ACTIONS = {TrainRequest.kind: Action.TRAIN, BundleRequest.kind: Action.EXPORT}
GONE = "Its project was deleted after you asked; this job was not run."
BARRED = "An admin blocked you after you asked; this job was not run."
TAKEN = "This job was not run, since you may no longer ask for it. {reason}"


class Starting:
    """Asks the moderator about every job, and the table of rights about trainings and bundles, by what people
    are now where the project belongs."""

    def __init__(
        self, database: Database, moderator: Moderator, authority: Authority, directory: Directory
    ) -> None:
        self._database, self._moderator = database, moderator
        self._authority, self._directory = authority, directory

    async def gate(self, job: Job, running: bool) -> None:
        """Raise NotAllowedError or UserError unless a job may be queued, or (``running``) still may run,
        NotYet when that can't be told at the moment. What the studio asks by itself has no roles that could
        have been taken from it."""
        by_itself = job.origin.user_id == NOBODY
        await self._moderator.gate(job, running and not by_itself)
        if running and not by_itself and isinstance(job.request, ProjectRequest):
            if (action := ACTIONS.get(job.request.kind)) is not None:
                await self._check(job.origin, action, job.request.project)

    async def _check(self, origin: Origin, action: Action, project_id: str) -> None:
        project = await self._database.read(partial(projects.one, project_id=project_id))
        if project is None:
            raise UserError(GONE)
        asker = await self._asker(origin, project)
        asker = replace(asker, barred=await self._barred(origin.user_id, project.guild_id))
        if self._authority.allows_in(asker, action, project):
            return
        if asker.barred:
            raise NotAllowedError(BARRED)
        raise NotAllowedError(TAKEN.format(reason=TABLE[action].reason))

    async def _barred(self, user_id: int, guild_id: int | None) -> bool:
        rules = await self._database.read(
            partial(people.rules, user_id=user_id, guild_id=guild_id), once=True
        )
        return rules.banned or await self._moderator.time_out_ends(user_id, guild_id) is not None

    async def _asker(self, origin: Origin, project: Project) -> Actor:
        """Return what whoever asked is now where a project belongs. Raises NotYet when that can't be told:
        the roles of when they asked tell nothing."""
        asker = Actor(origin.user_id, None, surface=origin.surface)
        if project.guild_id is None:
            return asker
        if (now := await self._standing(asker, project.guild_id)) is None:
            raise NotYet(f"the roles of user {origin.user_id} can't be told")
        return now

    async def _standing(self, asker: Actor, guild_id: int) -> Actor | None:
        """Return what somebody is in a server, nothing there once they have left; None while that can't be
        told."""
        roles = await self._directory.roles(asker.user_id, guild_id)
        if roles is None:
            return None
        try:
            member = await self._directory.member(asker.user_id, guild_id)
        except Unanswered:
            return None
        if member is None:
            return asker
        return replace(asker, guild_id=guild_id, manages=member.manages, roles=tuple(sorted(roles)))
