"""/favourites: pictures one has kept, one at a time."""

from __future__ import annotations

import io

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import DEFAULT_FILE_LIMIT, Atelier
from bot.delivery.delivery import Post, treated
from bot.ui import buttons, messages
from bot.ui.replies import SILENT, whisper
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
            await self._show(interaction, post)

    async def leaf(self, interaction: discord.Interaction, offset: int) -> None:
        """The presser's own favourite number ``offset`` (from 0), in the same message."""
        await interaction.response.defer()
        await self.bot.check(interaction, Action.MINE)
        post = await self._post(interaction, offset) or await self._post(interaction, 0)
        if post is None:
            raise UserError(EMPTY)
        await self._show(interaction, post)

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
        stored, place = (
            result.pictures[kept.position],
            Place(interaction.guild_id, interaction.channel_id or 0),
        )
        picture, notes = await self.bot.delivery.fitted(
            stored, result.job, interaction.filesize_limit or DEFAULT_FILE_LIMIT
        )
        treatment = await self.bot.moderator.treatment((stored.sha256,), result.job, place)
        return treated(
            Post("\n".join([text, *(f"-# {note}" for note in notes)]), picture, view), treatment, result.job
        )

    async def _show(self, interaction: discord.Interaction, post: Post) -> None:
        files = (
            [
                discord.File(
                    io.BytesIO(post.picture[0]), post.picture[1], description=post.picture[2][:1024] or None
                )
            ]
            if post.picture
            else []
        )
        await interaction.edit_original_response(
            content=post.content, attachments=files, view=post.view, allowed_mentions=SILENT
        )


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Favourites(bot))
