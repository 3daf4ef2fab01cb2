"""Finds the project that somebody means, and checks that they may."""

from __future__ import annotations

from functools import partial

from core.errors import UserError
from core.job import Surface
from storage.database import Database
from storage.projects import projects
from storage.projects.projects import Project
from studio.actor import Actor
from studio.authority import Action
from studio.moderation.moderator import Moderator
from studio.rights import Rights

NO_PROJECT = "There is no such project here. `/inspect new` makes one, and the list offers yours."
RULE = "A rule of this place doesn't allow {what}, so nothing was {done}."


class Access:
    """Every part's questions about projects end here."""

    def __init__(self, rights: Rights, database: Database, moderator: Moderator) -> None:
        self._rights, self._database, self._moderator = rights, database, moderator

    async def all(self, actor: Actor) -> list[Project]:
        """Return the actor's own projects, then those that they may look at where they are (on the web, in
        any server that they share with the studio), by name."""
        await self._rights.check(actor, Action.MINE)
        guilds = {actor.guild_id} - {None}
        if actor.surface is Surface.WEB and actor.guild_id is None:
            guilds = {member.guild_id for member, _ in await self._rights.in_servers(actor)}
        work = partial(projects.of, user_id=actor.user_id, guilds=[one for one in guilds if one is not None])
        found = await self._database.read(work)
        return [one for one in found if await self._is_known(actor, one)]

    async def find(self, actor: Actor, name: str, action: Action) -> tuple[Project, Actor]:
        """Return the project that somebody means by its name or id, their own one before a server's, and who
        they are where it belongs.

        Raises UserError where there is none, or several, NotAllowedError unless they may do ``action`` to it.
        """
        wanted = " ".join(name.split())
        found = await self._database.read(partial(projects.one, project_id=wanted.lower()))
        if found is None or not await self._is_known(actor, found):
            found = self._named(await self.all(actor), wanted)
        return found, await self._rights.check_in(actor, action, found)

    async def _is_known(self, actor: Actor, found: Project) -> bool:
        """Return whether somebody may know that a project is there: its owner also while they are banned."""
        for one in (Action.SEE_PROJECT, Action.FORGET_PROJECT):
            if await self._rights.may_in(actor, one, found):
                return True
        return False

    def _named(self, projects: list[Project], wanted: str) -> Project:
        found: list[Project] = []
        for alike in (lambda one: one.name == wanted, lambda one: one.name.casefold() == wanted.casefold()):
            own = [one for one in projects if one.guild_id is None and alike(one)]
            found = found or own[:1] or [one for one in projects if alike(one)]
        if not found:
            raise UserError(NO_PROJECT)
        if len(found) > 1:
            raise UserError("Several projects are called so. Choose yours from the list.")
        return found[0]

    async def may(self, actor: Actor, action: Action, project: Project) -> bool:
        """Return whether ``actor`` may do ``action`` to a project here and now."""
        return await self._rights.may_in(actor, action, project)

    async def check_new(self, actor: Actor, *, shared: bool) -> None:
        """Raise NotAllowedError unless somebody may make a project here, UserError for one to be shared where
        there is no server."""
        await self._rights.check(actor, Action.ASK)
        if shared and actor.guild_id is None:
            raise UserError("A server's project is made in that server. Here it would be yours alone.")

    async def check_words(self, actor: Actor, words: list[str], done: str) -> None:
        """Raise UserError for words that break a rule where the actor is."""
        if None in await self._moderator.captions([text for text in words if text], actor.place):
            raise UserError(RULE.format(what="these words", done=done))


def own(found: Project) -> bool:
    """Return whether a project is somebody's alone, so that what comes of it is for their eyes only."""
    return found.guild_id is None
