"""/favourites: pictures one has kept, one at a time."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Atelier
from bot.ui.replies import answers_privately


class Favourites(commands.Cog):
    def __init__(self, bot: Atelier) -> None:
        self.bot = bot

    @app_commands.command(description="Show the pictures you saved")
    @answers_privately
    async def favourites(self, interaction: discord.Interaction) -> None:
        await self.bot.favourites.show(interaction)


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Favourites(bot))
