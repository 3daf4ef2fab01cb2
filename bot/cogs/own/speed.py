"""/fast, /relax, /turbo, /stealth, /public: one's own speed and visibility for all new jobs."""

from __future__ import annotations

from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Atelier
from bot.ui.replies import answers_privately, whisper
from bot.wire.interactions import actor_of
from core.job import Lane

SAID = {
    Lane.FAST: "Your new jobs go into the normal queue.",
    Lane.RELAX: "Your new jobs run when nobody else is waiting, so that they hold up nobody.",
    Lane.TURBO: "Your new jobs go before other people's.",
}


class Speed(commands.Cog):
    def __init__(self, bot: Atelier) -> None:
        self.bot = bot

    @app_commands.command(description="Put your new jobs into the normal queue")
    async def fast(self, interaction: discord.Interaction) -> None:
        await self._set(interaction, SAID[Lane.FAST], lane=Lane.FAST)

    @app_commands.command(description="Run your new jobs when nobody else is waiting")
    async def relax(self, interaction: discord.Interaction) -> None:
        await self._set(interaction, SAID[Lane.RELAX], lane=Lane.RELAX)

    @app_commands.command(description="Put your new jobs first")
    async def turbo(self, interaction: discord.Interaction) -> None:
        await self._set(interaction, SAID[Lane.TURBO], lane=Lane.TURBO)

    @app_commands.command(description="Let only you see your new jobs")
    async def stealth(self, interaction: discord.Interaction) -> None:
        text = (
            "Only you see your new jobs, and nobody else can use or bring back what they made. Late results"
            " come by direct message."
        )
        await self._set(interaction, text, private=True)

    @app_commands.command(description="Let everybody in the channel see your new jobs")
    async def public(self, interaction: discord.Interaction) -> None:
        await self._set(
            interaction,
            "Everybody in the channel sees your new jobs. Your earlier private jobs stay private.",
            private=False,
        )

    @answers_privately
    async def _set(self, interaction: discord.Interaction, text: str, **values: Any) -> None:
        await self.bot.studio.own.change(actor_of(interaction), **values)
        await whisper(interaction, text)


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Speed(bot))
