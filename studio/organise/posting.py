"""Results that their owner posts to a channel: where that can be, and the rules that hold there."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from core.errors import ImageError, LimitError, NotAllowedError, UserError
from jobs.queue import Queue
from studio.actor import Actor, Place
from studio.asking.new_job import picture_of
from studio.asking.words import duration
from studio.authority import Action
from studio.directory import Directory, Member, Unanswered
from studio.moderation.rules import Visibility
from studio.pace import Pace
from studio.pictures.showing import Showing
from studio.rights import Rights

AT_ONCE, EACH = 5, 15.0  # posts of a person at once; seconds for each more
BETWEEN = 50  # channels looked at before others have their turn
NOT_YOURS = "That picture is gone, or it isn't yours."
NOWHERE = "You can't write there, or the bot can't, or that channel is gone."
HIDDEN = "A rule of that server hides this picture, so it isn't posted there."
SILENT = "Discord doesn't answer at the moment. Try again in a minute."


@dataclass(frozen=True)
class Channel:
    """Where something can be posted. server: its name."""

    place: Place
    name: str
    server: str


class Posting:
    """Posts people's own pictures to channels where they may write by Discord's rules, and ask by ours."""

    def __init__(self, rights: Rights, queue: Queue, showing: Showing, directory: Directory) -> None:
        self._rights, self._queue = rights, queue
        self._showing, self._directory = showing, directory
        self._pace = Pace[int](AT_ONCE, EACH)

    async def channels(self, actor: Actor) -> list[Channel]:
        """Return the channels where the actor may post, by server."""
        await self._rights.check(actor, Action.ASK)
        found = []
        for member, one in await self._rights.in_servers(actor):
            if not one.barred:
                found += await _open_to(member, one)
        return found

    async def post(self, actor: Actor, job_id: str, index: int, place: Place) -> None:
        """Post picture ``index`` (from 0) of a job of the actor's.

        Raises ImageError for no such picture, NotAllowedError for another's, a barred person or a channel
        where they can't write, UserError when a rule or Discord refuses, LimitError after too many.
        """
        await self._rights.check(actor, Action.ASK)
        job = await self._queue.job(job_id)
        if job is None or job.origin.user_id != actor.user_id:
            raise ImageError(NOT_YOURS)
        result = await self._rights.result(actor, job_id, Action.SHARE)
        stored = picture_of(result, index)
        if index in await self._queue.trashed(job_id):
            raise ImageError("That picture is in the trash.")
        await self._check_place(actor, place)
        [visibility] = await self._showing.visibilities(place, [(stored, result.job)])
        if visibility is Visibility.BLOCK:
            raise UserError(HIDDEN)
        if wait := self._pace.take(actor.user_id):
            raise LimitError(f"You have posted many pictures. Post again in {duration(wait)}.")
        try:
            await self._directory.post(place, result, index, actor.user_id)
        except Unanswered as error:
            raise LimitError(SILENT) from error

    async def _check_place(self, actor: Actor, place: Place) -> None:
        """Raise NotAllowedError unless the actor may write there and ask there."""
        for member, one in await self._rights.in_servers(actor):
            if member.guild_id == place.guild_id:
                await self._rights.check(one, Action.ASK)
                if one.reads(place.channel_id) and member.writes(place.channel_id) is not None:
                    return
        raise NotAllowedError(NOWHERE)


async def _open_to(member: Member, actor: Actor) -> list[Channel]:
    """Return the channels of a server where somebody may write."""
    found = []
    for number, channel_id in enumerate(member.channels(), 1):
        if number % BETWEEN == 0:
            await asyncio.sleep(0)
        name = member.writes(channel_id) if actor.reads(channel_id) else None
        if name is not None:
            found.append(Channel(Place(member.guild_id, channel_id), name, member.server))
    return found
