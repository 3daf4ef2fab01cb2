"""/show: bring a finished job back, with live buttons."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot.authority import Action, Place
from bot.client import DEFAULT_FILE_LIMIT, Atelier
from bot.replies import SILENT, whisper
from core.errors import UserError


class Show(commands.Cog):
    def __init__(self, bot: Atelier) -> None:
        self.bot = bot

    @app_commands.command(description="Bring a job back, with live buttons")
    @app_commands.describe(job="Its id; it stands under every picture")
    async def show(self, interaction: discord.Interaction, job: str) -> None:
        await interaction.response.defer(thinking=True)
        try:
            result = await self.bot.result_for(interaction, job.strip().lower(), Action.SHOW)
        except UserError as error:
            await whisper(interaction, str(error))
            return
        place = Place(interaction.guild_id, interaction.channel_id or 0)
        post = await self.bot.delivery.post_of(result, interaction.filesize_limit or DEFAULT_FILE_LIMIT, place)
        extra = {} if post.view is None else {"view": post.view}
        sent = await interaction.edit_original_response(
            content=post.content, attachments=post.files(), allowed_mentions=SILENT, **extra
        )
        await self.bot.queue.add_view(result.job.id, sent.id, interaction.channel_id or 0, interaction.guild_id)


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Show(bot))
