"""The table of rights, asked with the rows: who is barred, and where a job is shown."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Set
from dataclasses import replace
from datetime import datetime

from core.errors import ImageError, NotAllowedError
from core.job import Job, Surface
from jobs.queue import Queue
from jobs.views import Result
from storage.lookup import StoredPicture
from storage.projects.rows import Project
from studio.actor import Actor, Place
from studio.asking.new_job import picture_of
from studio.authority import TABLE, Action, Authority, Belonging, Role, is_sole
from studio.directory import Directory, Member
from studio.moderation.moderator import Moderator
from studio.moderation.rules import in_time_out
from studio.places.memberships import Memberships
from studio.places.sight import Sight

LEFT = (
    "You share no server with this studio's bot any more, so you can't ask for anything here. What you have"
    " made stays yours: see Settings, Your data."
)


class Rights:
    """Every door's questions about rights end here. ``authority`` decides, this class fetches the rows.

    Who came by no channel (``Surface.WEB``) is, to a job, also what they are in the servers where it is
    shown: ``memberships`` tells what that is. members_only: who shares no server with the bot asks for
    nothing there.
    """

    def __init__(
        self,
        authority: Authority,
        queue: Queue,
        moderator: Moderator,
        directory: Directory,
        memberships: Memberships,
        *,
        members_only: bool = False,
    ) -> None:
        self.authority, self._queue, self._moderator = authority, queue, moderator
        self._memberships, self._directory = memberships, directory
        self._members_only = members_only
        self.sight = Sight(authority, queue.database, directory, memberships)

    async def check(self, actor: Actor, action: Action, job: Job | None = None) -> None:
        """Raise NotAllowedError, with the reason in plain words, unless ``actor`` may do ``action`` (to
        ``job``) here and now."""
        own = job is not None and job.origin.user_id == actor.user_id and Role.AUTHOR in TABLE[action].public
        # where it is shown gives its author no more
        shown = set[Place]() if own else await self.sight.shown(job)
        refused: NotAllowedError | None = None
        async for one in self.sight.everywhere(actor, job, shown, (action,)):
            try:
                return await self._check(one, action, job, shown)
            except NotAllowedError as error:
                refused = refused or error
        assert refused is not None
        raise refused

    async def allowed(self, actor: Actor, actions: Collection[Action], job: Job) -> frozenset[Action]:
        """Return those of ``actions`` that ``actor`` may do to ``job`` here and now."""
        shown, found = await self.sight.shown(job), set[Action]()
        async for one in self.sight.everywhere(actor, job, shown, actions):
            barred, _ = await self._barred(one)
            one = await self._with_servers(one, actions)
            for action in actions:
                standing = replace(one, barred=barred and not TABLE[action].barred)
                if self.authority.allows(standing, action, job, shown):
                    found.add(action)
            if found.issuperset(actions):
                break
        return frozenset(found)

    async def _check(self, actor: Actor, action: Action, job: Job | None, shown: Collection[Place]) -> None:
        until: datetime | None = None
        actor = await self._with_servers(actor, (action,))
        if not TABLE[action].barred:
            barred, until = await self._barred(actor)
            actor = replace(actor, barred=barred)
        if until is not None and not self.authority.allows(actor, action, job, shown):
            raise NotAllowedError(in_time_out(until))
        self.authority.check(actor, action, job, shown)
        if action is Action.ASK and actor.surface is Surface.WEB and await self._has_left(actor):
            raise NotAllowedError(LEFT)

    async def _has_left(self, actor: Actor) -> bool:
        """Return whether somebody is known to share no server with the bot where they must."""
        if not self._members_only or self.authority.is_host(actor.user_id):
            return False
        return await self._memberships.shares_none(actor.user_id)

    async def _with_servers(self, actor: Actor, actions: Iterable[Action]) -> Actor:
        """Return ``actor`` with whether their server is the bot's only one, where that decides."""
        if not actor.manages or not any(Role.OPERATOR in TABLE[action].public for action in actions):
            return actor
        seen = await self._queue.people.guilds()
        return replace(actor, sole=is_sole(actor.guild_id, seen, self._directory.server_ids))

    async def check_to(self, actor: Actor, action: Action, thing: Belonging, reason: str) -> None:
        """Raise NotAllowedError unless ``actor`` may do ``action`` here and now to what is no job. reason:
        why not, for those who may ask here."""
        if not TABLE[action].barred:
            await self.check(actor, Action.ASK)
        if not self.authority.allows_to(actor, action, thing):
            raise NotAllowedError(reason)

    async def check_in(self, actor: Actor, action: Action, project: Project) -> Actor:
        """Return who ``actor`` is where a project belongs. Raises NotAllowedError unless they may do
        ``action`` to it here and now."""
        one = await self._standing_in(actor, project)
        if one is None:
            raise NotAllowedError("This project belongs to a server. Ask there, or on the web.")
        until: datetime | None = None
        if not TABLE[action].barred:
            barred, until = await self._barred(one)
            one = replace(one, barred=barred)
        if self.authority.allows_in(one, action, project):
            return one
        if until is not None:
            raise NotAllowedError(in_time_out(until))
        raise NotAllowedError(TABLE[Action.ASK if one.barred else action].reason)

    async def may_in(self, actor: Actor, action: Action, project: Project) -> bool:
        """Return whether ``actor`` may do ``action`` to a project here and now."""
        try:
            await self.check_in(actor, action, project)
        except NotAllowedError:
            return False
        return True

    async def _standing_in(self, actor: Actor, project: Project) -> Actor | None:
        """Return who somebody is in a project's server, None for who asks elsewhere or isn't in it."""
        if project.guild_id is None or project.guild_id == actor.guild_id:
            return actor
        if actor.surface is not Surface.WEB or actor.guild_id is not None:
            return None
        member = await self._memberships.of(actor.user_id, project.guild_id)
        if member is None:
            return actor if self.authority.is_host(actor.user_id) else None
        roles = await self._directory.roles(actor.user_id, project.guild_id)
        within = await self._memberships.within(actor, member)
        return replace(within, roles=tuple(sorted(roles or ())))

    async def _barred(self, actor: Actor) -> tuple[bool, datetime | None]:
        """Return whether somebody is banned or in a time-out where they ask, and when the latter ends. In no
        server, what the bot's home servers say holds too."""
        places = [actor.guild_id, *(await self.homes() if actor.guild_id is None else ())]
        for guild_id in places:
            if await self._queue.admin.barred(actor.user_id, guild_id):
                return True, None
        ends = [await self._moderator.time_out_ends(actor.user_id, guild_id) for guild_id in places]
        until = max((end for end in ends if end is not None), default=None)
        return until is not None, until

    async def homes(self) -> Set[int]:
        """Return the servers whose managers speak for the whole bot, see ``Authority.homes``."""
        here = self._directory.server_ids
        seen = here if len(here) > 1 else here | await self._queue.people.guilds()
        return self.authority.homes(seen)

    async def in_servers(self, actor: Actor) -> list[tuple[Member, Actor]]:
        """Return what somebody is in each server that they share with the bot, and as whom they ask there,
        whether they are barred included."""
        found = []
        for member in await self._memberships.all_of(actor.user_id):
            one = await self._memberships.within(actor, member)
            found.append((member, replace(one, barred=(await self._barred(one))[0])))
        return found

    async def belongs(self, actor: Actor) -> bool:
        """Return whether somebody shares a server with the bot, or is the host."""
        return self.authority.is_host(actor.user_id) or await self._memberships.shares_any(actor.user_id)

    async def owned(self, actor: Actor, action: Action, jobs: Iterable[Job]) -> set[str]:
        """Return the ids of those jobs to which the actor may do ``action`` by what they are to them: where
        the jobs are shown counts for nothing here. Thousands may be asked about at once."""
        barred = not TABLE[action].barred and (await self._barred(actor))[0]
        standing = replace(actor, barred=barred)
        return {job.id for job in jobs if self.authority.allows(standing, action, job)}

    async def sees(self, actor: Actor, job: Job) -> bool:
        """Return whether the actor can look at a job's pictures now, see ``Sight.sees``."""
        return await self.sight.sees(actor, job)

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
        return await self.result_of(actor, await self.job(actor, job_id, action))

    async def picture(
        self, actor: Actor, job_id: str, index: int, action: Action
    ) -> tuple[Result, StoredPicture]:
        """Return what a job made and its picture ``index`` (from 0; -1 = the chart) if ``actor`` may do
        ``action`` to it. Raises as ``result`` does, and ImageError when there is no such picture."""
        result = await self.result(actor, job_id, action)
        if index >= 0:
            return result, picture_of(result, index)
        if result.grid is None:
            raise ImageError(f"Job `{job_id}` has no overview.")
        return result, result.grid

    async def result_of(self, actor: Actor, job: Job) -> Result:
        """Return what there is of a job for ``actor``, whose right to it has been checked. Raises ImageError
        when that is nothing (yet)."""
        result = await self.made(actor, job)
        if result is None:
            raise ImageError(f"Job `{job.id}` has no result.")
        return result

    async def made(self, actor: Actor, job: Job) -> Result | None:
        """Return what there is of a job for ``actor``, whose right to it has been checked; None for nothing
        (yet). Pictures leave a row for a person by this way alone: what the author has put into the trash is
        there for the author only, and so is an overview that shows it."""
        result = await self._queue.result(job.id)
        if result is None or job.origin.user_id == actor.user_id:
            return result
        away = await self._queue.trashed(job.id)
        if not away:
            return result
        pictures = tuple(picture for picture in result.pictures if picture.index not in away)
        films = tuple(film for film in result.films if film.index not in away)
        return replace(result, pictures=pictures, grid=None, films=films) if pictures else None


def _readable(job_id: str) -> str:
    """Return somebody's text as an id that can stand inside backticks."""
    return "".join(c for c in job_id if c.isalnum())[:20]
