"""The table of rights, asked with the rows: who is barred, where a job is shown, and what people are in the
servers that they share with the bot, which the chat service tells and which is kept for seconds."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Set
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from cachetools import LRUCache

from core.errors import ImageError, NotAllowedError
from core.job import Job, Surface
from jobs.queue import Queue, Result
from storage import job_queries, moderation, people
from storage.collections import trashed_positions
from storage.database import Database
from storage.job_queries import StoredPicture
from storage.members import Members
from storage.projects.projects import Project
from storage.tastes import Spot
from studio.authority import (
    TABLE,
    Action,
    Actor,
    Authority,
    Belonging,
    Directory,
    Member,
    Place,
    Role,
    Unanswered,
    is_sole,
)
from studio.moderation.moderator import Moderator
from studio.moderation.rules import in_time_out
from studio.new_job import picture_of

KEPT = 5.0  # seconds that an answer is good for: what somebody may read ends soon after their role
ABSENT = 60.0  # the same of somebody who isn't there, for whom nothing can end
HELD = 600.0  # seconds that the last answer counts while the chat service gives no new one
FEW = 20  # servers that each person is looked for in; of a bot in more, only where they have been seen
LOOKED = 100  # servers that somebody is looked for in, until there is one
MOST = 10_000  # answers


@dataclass(frozen=True)
class _Answer:
    """until, given: monotonic seconds when it ends to be good, and when the chat service gave it."""

    member: Member | None
    until: float
    given: float


class Memberships:
    """Looks people up. members: where they have asked for something, and whether they say that they are of
    age."""

    def __init__(
        self, directory: Directory, members: Members, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._directory, self._members, self._clock = directory, members, clock
        self._answers = LRUCache[tuple[int, int], _Answer](MOST)
        self._asking: dict[tuple[int, int], asyncio.Task[Member | None]] = {}

    async def of(self, user_id: int, guild_id: int) -> Member | None:
        """Return what a person is in a server, None where they aren't or where that can't be told. However
        many ask at once, the chat service is asked once."""
        key = user_id, guild_id
        known = self._answers.get(key)
        if known is not None and self._clock() < known.until:
            return known.member
        if key not in self._asking:
            self._asking[key] = asyncio.create_task(self._ask(key), name="look a member up")
        return await asyncio.shield(self._asking[key])

    async def all_of(self, user_id: int) -> list[Member]:
        """Return what a person is in each server that they share with the bot, by the servers' names."""
        ids = self._directory.server_ids
        if len(ids) > FEW:
            ids = ids & set(await self._members.servers(user_id))
        found = await asyncio.gather(*(self.of(user_id, guild_id) for guild_id in sorted(ids)[:FEW]))
        return sorted((member for member in found if member), key=lambda m: (m.server.lower(), m.guild_id))

    async def shares_any(self, user_id: int) -> bool:
        """Return whether a person shares a server with the bot: each is asked until there is one, those where
        they have asked for something first. Of a bot in very many, not all are."""
        used = await self._members.servers(user_id)
        ids = sorted(self._directory.server_ids, key=lambda guild_id: (guild_id not in used, guild_id))
        for guild_id in ids[:LOOKED]:
            if await self.of(user_id, guild_id) is not None:
                return True
        return False

    async def shares_none(self, user_id: int) -> bool:
        """Return whether it is sure that a person shares no server with the bot: not while the chat service
        gives no answer. Of a bot in many servers, those where they have asked for something count."""
        ids = self._directory.server_ids
        if len(ids) > FEW:
            ids = ids & set(await self._members.servers(user_id))
        for guild_id in sorted(ids):
            member, known = await self.of(user_id, guild_id), self._answers.get((user_id, guild_id))
            if member is not None or known is None or known.given == float("-inf"):
                return False
        return bool(ids)

    async def within(self, actor: Actor, member: Member) -> Actor:
        """Return who ``actor`` is inside a server: they read what they could open there, but of
        age-restricted channels nothing until they say that they are of age."""
        adult = (await self._members.preferences(actor.user_id)).adult

        def reads(channel_id: int) -> bool:
            place = Place(member.guild_id, channel_id)
            return member.reads(channel_id) and (adult or self._directory.age_restricted(place) is False)

        return replace(actor, guild_id=member.guild_id, manages=member.manages, reads=reads)

    async def _ask(self, key: tuple[int, int]) -> Member | None:
        try:
            member = await self._directory.member(*key)
        except Unanswered:
            return self._without_answer(key)
        finally:
            del self._asking[key]
        now = self._clock()
        self._answers[key] = _Answer(member, now + (KEPT if member else ABSENT), now)
        return member

    def _without_answer(self, key: tuple[int, int]) -> Member | None:
        """Return the last answer while it counts, and don't ask again at once."""
        known, now = self._answers.get(key), self._clock()
        counts = known is not None and now - known.given < HELD
        kept = known if known is not None and counts else _Answer(None, now, float("-inf"))
        self._answers[key] = replace(kept, until=now + KEPT)
        return kept.member


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
        [found] = await self._database.look_up(partial(job_queries.message_places, job_id=job.id), once=True)
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
            if not await self.reaches(actor, guild_id):
                continue
            if (member := await self._memberships.of(actor.user_id, guild_id)) is not None:
                yield await self._memberships.within(actor, member)

    async def readable(self, user_id: int, spots: Collection[Spot]) -> set[Spot]:
        """Return which of some channels of servers a person can read now; a direct message is none."""
        found, actor = set[Spot](), Actor(user_id, None)
        for guild_id in {guild_id for guild_id, _ in spots if guild_id is not None}:
            if (member := await self._memberships.of(user_id, guild_id)) is not None:
                one = await self._memberships.within(actor, member)
                found |= {spot for spot in spots if spot[0] == guild_id and one.reads(spot[1])}
        return found

    async def reaches(self, actor: Actor, guild_id: int) -> bool:
        """Return whether an actor counts for anything in a server: a program doesn't where managers forbid
        it."""
        if not actor.program:
            return True
        work = partial(people.takes_programs, guild_id=guild_id)
        return await self._database.read(work, once=True)

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


LEFT = (
    "You share no server with this studio's bot any more, so you can't ask for anything here. What you have"
    " made stays yours: see Settings, Your data."
)


LOOK_UP = 1.5  # seconds; Discord takes no first answer after three
ONLY_THERE = "Atelier's operator hasn't allowed it outside of the servers that it is in."
ONLY_MEMBERS = "Outside of its servers, Atelier is only for people who share a server with it."
NO_SERVER = "You share no such server with this studio's bot."
UNKNOWN = "Discord doesn't tell at the moment whether you share a server with Atelier. Try again in a minute."


def rows_of(job_id: str) -> list[partial[Any]]:
    """Return what is read of a job to decide about it, whoever asks, see ``Database.look_up``."""
    return [
        partial(job_queries.read_job, job_id=job_id),
        partial(job_queries.read_output, job_id=job_id),
        partial(job_queries.message_places, job_id=job_id),
        partial(trashed_positions, job_ids=(job_id,)),
        partial(people.guilds_there),
    ]


class Rights:
    """Every door's questions about rights end here. ``authority`` decides, this class fetches the rows, and
    ``sight`` tells where jobs are shown. members_only: who shares no server with the bot asks for nothing on
    the web. user_apps: who may use the bot where it isn't: off, members or everyone."""

    def __init__(
        self,
        authority: Authority,
        queue: Queue,
        moderator: Moderator,
        directory: Directory,
        memberships: Memberships,
        *,
        members_only: bool = False,
        user_apps: str = "off",
    ) -> None:
        self.authority, self._queue, self._moderator = authority, queue, moderator
        self._memberships, self._directory = memberships, directory
        self._members_only, self._user_apps = members_only, user_apps
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

    async def prepare(self, actor: Actor, works: Iterable[partial[Any]]) -> None:
        """Read in one snapshot whether an actor is barred, and what ``works`` find, see ``Database.look_up``:
        what is decided and shown next waits for no other read."""
        rules = partial(people.read_rules, user_id=actor.user_id)
        ends = partial(moderation.timeout_until, user_id=actor.user_id)
        places = await self._barring(actor)
        asked = [partial(work, guild_id=place) for place in places for work in (rules, ends)]
        await self._queue.database.look_up(*asked, *works)

    async def _check(self, actor: Actor, action: Action, job: Job | None, shown: Collection[Place]) -> None:
        until: datetime | None = None
        await self.check_away(actor)
        actor = await self._with_servers(actor, (action,))
        if not TABLE[action].barred:
            barred, until = await self._barred(actor)
            actor = replace(actor, barred=barred)
        if until is not None and not self.authority.allows(actor, action, job, shown):
            raise NotAllowedError(in_time_out(until))
        self.authority.check(actor, action, job, shown)
        must_share = self._members_only and not self.authority.is_host(actor.user_id)
        if action is Action.ASK and actor.surface is Surface.WEB and must_share:
            if await self._memberships.shares_none(actor.user_id):
                raise NotAllowedError(LEFT)

    async def check_away(self, actor: Actor) -> None:
        """Raise NotAllowedError unless the host lets somebody use the bot where it isn't."""
        if not actor.away or self._user_apps == "everyone":
            return
        if self._user_apps == "off":
            raise NotAllowedError(ONLY_THERE)
        try:
            async with asyncio.timeout(LOOK_UP):
                belongs = await self.belongs(actor)
        except TimeoutError:
            raise NotAllowedError(UNKNOWN) from None
        if not belongs:
            raise NotAllowedError(ONLY_MEMBERS)

    async def _with_servers(self, actor: Actor, actions: Iterable[Action]) -> Actor:
        """Return ``actor`` with whether their server is the bot's only one, where that decides."""
        if not actor.manages or not any(Role.OPERATOR in TABLE[action].public for action in actions):
            return actor
        seen = await self._queue.people.guilds()
        return replace(actor, sole=is_sole(actor.guild_id, seen, self._directory.server_ids))

    async def check_to(self, actor: Actor, action: Action, belonging: Belonging, reason: str) -> None:
        """Raise NotAllowedError unless ``actor`` may do ``action`` here and now to what is no job. reason:
        why not, for those who may ask here."""
        if not TABLE[action].barred:
            await self.check(actor, Action.ASK)
        if not self.authority.allows_to(actor, action, belonging):
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
        if not await self.sight.reaches(actor, project.guild_id):
            raise NotAllowedError("A manager of this project's server has forbidden programs there.")
        member = await self._memberships.of(actor.user_id, project.guild_id)
        if member is None:
            return actor if self.authority.is_host(actor.user_id) else None
        roles = await self._directory.roles(actor.user_id, project.guild_id)
        within = await self._memberships.within(actor, member)
        return replace(within, roles=tuple(sorted(roles or ())))

    async def _barred(self, actor: Actor) -> tuple[bool, datetime | None]:
        """Return whether somebody is banned or in a time-out where they ask, and when the latter ends. In no
        server, what the bot's home servers say holds too."""
        places = await self._barring(actor)
        for guild_id in places:
            if await self._queue.admin.barred(actor.user_id, guild_id):
                return True, None
        ends = [await self._moderator.time_out_ends(actor.user_id, guild_id) for guild_id in places]
        until = max((end for end in ends if end is not None), default=None)
        return until is not None, until

    async def _barring(self, actor: Actor) -> list[int | None]:
        """Return the places whose bans and time-outs hold for somebody where they ask."""
        return [actor.guild_id, *(await self.homes() if actor.guild_id is None else ())]

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
            if not await self.sight.reaches(actor, member.guild_id):
                continue
            one = await self._memberships.within(actor, member)
            found.append((member, replace(one, barred=(await self._barred(one))[0])))
        return found

    async def there(self, actor: Actor, guild_id: int | None) -> Actor:
        """Return as whom somebody asks in a server that they share with the bot; who they are here where they
        ask in one, or none is meant. Raises NotAllowedError."""
        if actor.guild_id is not None or guild_id is None:
            return actor
        for member, one in await self.in_servers(actor):
            if member.guild_id == guild_id:
                return one
        raise NotAllowedError(NO_SERVER)

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
            readable = "".join(c for c in job_id if c.isalnum())[:20]  # it can stand inside backticks
            raise ImageError(
                f"Job `{readable}` doesn't exist, or was deleted. A job's id is under its picture."
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
        videos = tuple(video for video in result.videos if video.index not in away)
        return replace(result, pictures=pictures, grid=None, videos=videos) if pictures else None
