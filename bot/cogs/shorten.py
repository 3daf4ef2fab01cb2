"""/shorten: which words of a prompt count, and shorter prompts of those."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Atelier
from core.requests import ShortenRequest
from studio.asking import actions


class Shorten(commands.Cog):
    def __init__(self, bot: Atelier) -> None:
        self.bot = bot

    @app_commands.command(description="Which words of a prompt count, and shorter prompts")
    @app_commands.describe(prompt="The prompt; its flags are left out")
    async def shorten(self, interaction: discord.Interaction, prompt: str) -> None:
        words = (await self.bot.asking.one(interaction.user.id, prompt)).text
        request = ShortenRequest(prompt=words)  # nothing to shorten is told at once
        chosen = await self.bot.asking.preferences(interaction.user.id)

        async def build() -> actions.Ask:
            return actions.with_speed(actions.Ask(request), chosen.lane)

        await self.bot.ask(interaction, build, ephemeral=chosen.stealth)


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Shorten(bot))
