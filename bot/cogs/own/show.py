"""/show: bring a finished job back, with live buttons."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Atelier
from bot.ui.choices import choices
from bot.ui.replies import whisper
from bot.wire.interactions import actor_of
from studio.authority import Action
from studio.requests.prompts import remix_text
from studio.texts import plain


class Show(commands.Cog):
    def __init__(self, bot: Atelier) -> None:
        self.bot = bot

    @app_commands.command(description="Bring a job back with working buttons")
    @app_commands.describe(job="Its id, which you find under every picture")
    async def show(self, interaction: discord.Interaction, job: str) -> None:
        actor, job_id = actor_of(interaction), job.strip().lower()
        row, result = await self.bot.studio.made(actor, job_id, Action.SHOW)
        await interaction.response.defer(thinking=True, ephemeral=row.origin.private)
        if not row.status.over:
            await self.bot.sharing.bring_back_live(interaction, row)
        elif result is None:
            await whisper(interaction, f"Job `{row.id}` has no result.")
        else:
            await self.bot.sharing.bring_back(interaction, result)

    @show.autocomplete("job")
    async def _jobs(self, interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        jobs = await self.bot.studio.own.recent(actor_of(interaction), limit=200)
        offered = [(f"{job.id} · {plain(remix_text(job)) or 'no prompt'}", job.id) for job in jobs]
        return choices(one for one in offered if current.lower() in one[0].lower())


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Show(bot))
