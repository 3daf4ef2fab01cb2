"""/show: bring a finished job back, with live buttons."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot.asking import remix_text
from bot.client import DEFAULT_FILE_LIMIT, Atelier
from bot.ui.replies import whisper
from core.errors import UserError
from studio.asking.words import plain
from studio.authority import Action, Place


class Show(commands.Cog):
    def __init__(self, bot: Atelier) -> None:
        self.bot = bot

    @app_commands.command(description="Bring a job back, with live buttons")
    @app_commands.describe(job="Its id; it stands under every picture")
    async def show(self, interaction: discord.Interaction, job: str) -> None:
        row = await self.bot.job_for(interaction, job.strip().lower(), Action.SHOW)
        await interaction.response.defer(thinking=True, ephemeral=row.origin.private)
        try:
            result = await self.bot.result_of(row)
        except UserError as error:
            await whisper(interaction, str(error))
            return
        place = Place(interaction.guild_id, interaction.channel_id or 0)
        post = await self.bot.posts.result(result, interaction.filesize_limit or DEFAULT_FILE_LIMIT, place)
        sent = await post.answer(interaction)
        await self.bot.queue.add_view(result.job.id, sent.id, place.channel_id, place.guild_id)

    @show.autocomplete("job")
    async def _jobs(self, interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        jobs = await self.bot.members.recent(interaction.user.id, limit=200)
        offered = [(f"{job.id} · {plain(remix_text(job)) or 'no prompt'}"[:100], job.id) for job in jobs]
        return [
            app_commands.Choice(name=name, value=value)
            for name, value in offered
            if current.lower() in name.lower()
        ][:25]


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Show(bot))
