"""/favourites: pictures one has kept, one at a time."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import DEFAULT_FILE_LIMIT, Atelier
from bot.delivery.posts import Post
from bot.ui import buttons, messages
from bot.ui.replies import whisper
from core.errors import UserError
from studio.authority import Action, Place

EMPTY = "You have kept no pictures yet. Press ❤️ under one, or react to a message of mine with ⭐."


class Favourites(commands.Cog):
    def __init__(self, bot: Atelier) -> None:
        self.bot = bot

    @app_commands.command(description="The pictures you have kept")
    async def favourites(self, interaction: discord.Interaction) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        await self.bot.check(interaction, Action.MINE)
        post = await self._post(interaction, 0)
        if post is None:
            await whisper(interaction, EMPTY)
        else:
            await post.answer(interaction)

    async def leaf(self, interaction: discord.Interaction, offset: int) -> None:
        """The presser's own favourite number ``offset`` (from 0), in the same message."""
        await interaction.response.defer()
        await self.bot.check(interaction, Action.MINE)
        post = await self._post(interaction, offset) or await self._post(interaction, 0)
        if post is None:
            raise UserError(EMPTY)
        await post.answer(interaction)

    async def _post(self, interaction: discord.Interaction, offset: int) -> Post | None:
        user = interaction.user.id
        found, count = (
            await self.bot.members.favourites(user, limit=1, offset=offset),
            await self.bot.members.count_favourites(user),
        )
        if not found:
            return None
        kept = found[0]
        text = (
            f"❤️ {offset + 1} of {count} · **{messages.quote(kept.prompt, 300) or 'no prompt'}**\n-# job"
            f" {kept.job_id} {kept.position + 1}"
        )
        view = buttons.for_favourite(kept.job_id, kept.position, offset, count)
        result = await self.bot.queue.result(kept.job_id)
        if result is None or kept.position >= len(result.pictures):
            return Post(f"{text}\n-# Its picture is gone.", view=view)
        limit = interaction.filesize_limit or DEFAULT_FILE_LIMIT
        place = Place(interaction.guild_id, interaction.channel_id or 0)
        return await self.bot.posts.picture(result, kept.position, text, view, limit, place)


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Favourites(bot))
