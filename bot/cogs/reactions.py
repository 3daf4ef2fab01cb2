"""Reactions on messages of ours: an envelope sends it to oneself, a cross ends or deletes one's own, a star
or heart keeps it."""

from __future__ import annotations

import logging

import discord
from discord.ext import commands

from bot.client import Atelier
from bot.ui.job_buttons import brought
from bot.wire.transport import FAILURES
from core.errors import UserError
from core.job import Job
from studio.authority import Action, Actor

ENVELOPES, CROSSES, STARS = ("✉", "📩", "💌"), ("❌", "✖"), ("⭐", "🌟", "❤", "💖")
log = logging.getLogger(__name__)


class Reactions(commands.Cog):
    def __init__(self, bot: Atelier) -> None:
        self.bot = bot

    @commands.Cog.listener()
    async def on_raw_reaction_add(self, payload: discord.RawReactionActionEvent) -> None:
        act = self._act(payload)
        if act is None or (self.bot.user and payload.user_id == self.bot.user.id):
            return
        found = await self.bot.queue.job_of_message(payload.message_id)
        if found is None:
            return
        right, work = act
        try:
            if right is not Action.DELETE or not await self._is_theirs(payload, found[0]):
                await self.bot.check_actor(
                    Actor(payload.user_id, payload.guild_id, payload.channel_id), right, found[0]
                )
            await work(payload, *found)
        except (UserError, discord.HTTPException, *FAILURES) as error:  # there is nowhere to say it
            log.info(
                "job %s: reaction of user %d not followed (%s)",
                found[0].id,
                payload.user_id,
                type(error).__name__,
            )

    @commands.Cog.listener()
    async def on_raw_reaction_remove(self, payload: discord.RawReactionActionEvent) -> None:
        """Taking the star away lets the picture go."""
        found = await self.bot.queue.job_of_message(payload.message_id) if _plain(payload) in STARS else None
        if found is not None:
            job, index = found
            await self.bot.members.let_go(payload.user_id, job.id, await self._positions(job, index))

    def _act(self, payload: discord.RawReactionActionEvent):
        name = _plain(payload)
        if name in ENVELOPES:
            return Action.DM, self._send
        if name in CROSSES:
            return Action.DELETE, self._end
        return (Action.FAVOURITE, self._keep) if name in STARS else None

    async def _is_theirs(self, payload: discord.RawReactionActionEvent, job: Job) -> bool:
        """Whether somebody may delete this message though the job is another's."""
        if not job.status.over or job.origin.user_id == payload.user_id:
            return False
        message = await self.bot.get_partial_messageable(payload.channel_id).fetch_message(payload.message_id)
        return brought(message, payload.user_id, payload.guild_id)

    async def _send(self, payload: discord.RawReactionActionEvent, job: Job, index: int | None) -> None:
        user = await self.bot.fetch_user(payload.user_id)
        await self.bot.sharing.hand_over(
            user, await self.bot.result_of(job), None if index is None else [index]
        )

    async def _end(self, payload: discord.RawReactionActionEvent, job: Job, index: int | None) -> None:
        """A running or waiting job is cancelled, a finished one's message deleted; it stays for /show."""
        if not job.status.over:
            await self.bot.queue.cancel(job.id)
            return
        await (
            self.bot.get_partial_messageable(payload.channel_id)
            .get_partial_message(payload.message_id)
            .delete()
        )

    async def _keep(self, payload: discord.RawReactionActionEvent, job: Job, index: int | None) -> None:
        positions = await self._positions(job, index)
        await self.bot.members.let_go(payload.user_id, job.id, positions)  # so that keeping never lets go
        if positions:
            await self.bot.members.favour(payload.user_id, job.id, positions)

    async def _positions(self, job: Job, index: int | None) -> list[int]:
        """A grid is kept whole."""
        if index is not None:
            return [index]
        result = await self.bot.queue.result(job.id)
        return list(range(len(result.pictures))) if result else []


def _plain(payload: discord.RawReactionActionEvent) -> str:
    return (payload.emoji.name or "").replace("\ufe0f", "")


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Reactions(bot))
