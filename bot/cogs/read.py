"""/read: the text in pictures, also from a message's menu."""

from __future__ import annotations

import discord
from discord import app_commands

from bot.client import Atelier, AtelierCog
from core.errors import UserError


class Read(AtelierCog):
    @app_commands.command(description="Read the text in a picture, with a box around each line")
    @app_commands.describe(
        image="The picture",
        image2="Another picture",
        image3="Another picture",
        link="Or a link to a Discord attachment or to one of my messages, or a job id and number",
    )
    async def read(
        self,
        interaction: discord.Interaction,
        image: discord.Attachment | None = None,
        image2: discord.Attachment | None = None,
        image3: discord.Attachment | None = None,
        link: str | None = None,
    ) -> None:
        files = [file for file in (image, image2, image3) if file is not None]
        if bool(files) == (link is not None):
            raise UserError("Attach a picture as `image`, or paste a link as `link`.")
        await self.bot.readings.read(interaction, files, link)


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Read(bot))
