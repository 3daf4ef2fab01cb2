"""What channels that a person reads have made: the public pictures of the servers that they are in."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from functools import partial

from core.job import Job
from storage import gallery as rows
from storage import people
from storage.database import Database
from storage.gallery import Cursor, Filter, Tile
from studio.actor import Actor
from studio.authority import Action
from studio.directory import Member
from studio.gallery import Gallery, Page
from studio.rights import Rights

AT_ONCE = 50  # channels whose rules are read in one turn of the event loop


@dataclass(frozen=True)
class Server:
    """A server that somebody is in."""

    id: int
    name: str


@dataclass(frozen=True)
class Message:
    """Where a message stands. guild_id: None in a direct message."""

    guild_id: int | None
    channel_id: int
    id: int


class Explore:
    """Looks around for somebody who came by no channel. What they may not read there isn't here either:
    private jobs, direct messages, other channels and servers; age-restricted ones unless they are of age."""

    def __init__(self, rights: Rights, database: Database, gallery: Gallery) -> None:
        self._rights, self._database, self._gallery = rights, database, gallery

    async def servers(self, actor: Actor) -> list[Server]:
        """Return the servers whose pictures the actor can look at, by name."""
        found = await self._rights.in_servers(actor)
        return [Server(member.guild_id, member.server) for member, one in found if not one.barred]

    async def pictures(
        self,
        actor: Actor,
        wanted: Filter,
        *,
        server_id: int | None = None,
        before: Cursor | None = None,
        limit: int = 60,
    ) -> Page:
        """Return pictures after ``before``, or the newest. server_id: of that server alone. What a filter
        says of folders and the trash means nothing here: others' are theirs alone."""
        wanted = replace(wanted, trash=False, folder=None)
        places = await self.channels(actor, server_id)
        found = await asyncio.gather(
            *(self._of(actor, *place, wanted, before, limit + 1) for place in places.items())
        )
        newest = sorted(
            (tile for tiles in found for tile in tiles),
            key=lambda tile: (-tile.cursor.seq, tile.cursor.position),
        )
        page = newest[:limit]
        visible = await self._gallery.visible(actor, page)
        return Page(tuple(page), tuple(visible), page[-1].cursor if len(newest) > limit else None)

    async def asker(self, actor: Actor, job: Job) -> str:
        """Return the name of whoever asked for a job, "" where it isn't known. Raises NotAllowedError unless
        the actor may see the job."""
        await self._rights.check(actor, Action.SHOW, job)
        work = partial(people.names, user_ids=[job.origin.user_id])
        return (await self._database.read(work, once=True)).get(job.origin.user_id, "")

    async def channels(self, actor: Actor, server_id: int | None = None) -> dict[int, list[int]]:
        """Return the channels whose pictures the actor can look at, by server. server_id: of that alone."""
        return {
            member.guild_id: await _readable(member, one)
            for member, one in await self._rights.in_servers(actor)
            if server_id in (None, member.guild_id) and not one.barred
        }

    async def message(self, actor: Actor, job: Job) -> Message | None:
        """Return the message that shows a job where it was asked for; None where there is none, or one that
        only its asker was ever shown. Raises NotAllowedError unless the actor may see the job."""
        await self._rights.check(actor, Action.SHOW, job)
        if job.origin.private and job.origin.guild_id is not None:
            return None
        found = await self._database.read(partial(rows.message, job_id=job.id), once=True)
        return None if found is None else Message(job.origin.guild_id, *found)

    async def _of(
        self,
        actor: Actor,
        guild_id: int,
        channels: list[int],
        wanted: Filter,
        before: Cursor | None,
        limit: int,
    ) -> list[Tile]:
        """Return the pictures of one server."""
        work = partial(
            rows.shown,
            reader=actor.user_id,
            guild_id=guild_id,
            channel_ids=channels,
            wanted=wanted,
            before=before,
            limit=limit,
        )
        return await self._database.read(work, once=True) if channels else []


async def _readable(member: Member, actor: Actor) -> list[int]:
    """Return the channels of a server that an actor in it reads."""
    found = []
    for number, channel_id in enumerate(member.channels(), 1):
        if number % AT_ONCE == 0:
            await asyncio.sleep(0)  # each of some hundred channels has rules of its own
        if actor.reads(channel_id):
            found.append(channel_id)
    return found
