"""/describe: four prompts that could have made a picture."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Atelier
from core.errors import UserError
from core.requests import DescribeRequest
from studio.asking import actions


class Describe(commands.Cog):
    def __init__(self, bot: Atelier) -> None:
        self.bot = bot

    @app_commands.command(description="Four prompts inspired by a picture")
    @app_commands.describe(
        image="The picture to describe",
        link="Or a link to a Discord attachment, or to a message of mine; or a job id and number",
    )
    async def describe(
        self,
        interaction: discord.Interaction,
        image: discord.Attachment | None = None,
        link: str | None = None,
    ) -> None:
        if (image is None) == (link is None):
            raise UserError("Give a picture as `image`, or name one by `link`.")
        chosen = await self.bot.asking.preferences(interaction.user.id)

        async def build() -> actions.Ask:
            sha256, parent, private = await self.bot.asking.picture(interaction, image, link)
            return actions.Ask(
                DescribeRequest(image=sha256, seed=actions.new_seed()),
                chosen.lane or actions.Lane.FAST,
                parent,
                private,
            )

        await self.bot.ask(interaction, build, ephemeral=chosen.stealth)


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Describe(bot))
