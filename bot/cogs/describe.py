"""/describe: four prompts that could have made a picture."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot import actions
from bot.client import Atelier
from core.requests import DescribeRequest


class Describe(commands.Cog):
    def __init__(self, bot: Atelier) -> None:
        self.bot = bot

    @app_commands.command(description="Four prompts inspired by a picture")
    @app_commands.describe(image="The picture to describe")
    async def describe(self, interaction: discord.Interaction, image: discord.Attachment) -> None:
        async def build() -> actions.Ask:
            taken = await self.bot.intake.take(image, interaction.user.id)
            return actions.Ask(DescribeRequest(image=taken.sha256, seed=actions.new_seed()))

        await self.bot.ask(interaction, build)


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Describe(bot))
