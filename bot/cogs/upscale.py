"""/upscale: a picture two or four times as large, close to it or with detail redrawn."""

from typing import Literal

import discord
from discord import app_commands

from bot.client import Atelier, AtelierCog
from studio.new_job import NewJob, PromptWithPictures, Source
from studio.requests import actions


class Upscale(AtelierCog):
    @app_commands.command(description="Enlarge a picture 2x or 4x")
    @app_commands.describe(
        image="The picture to enlarge",
        source="Or a message link, or a job id with a number; leave it out to use your last picture",
        factor="How many times as wide and as high",
        mode="subtle keeps it, creative redraws detail",
        prompt="What it shows, for creative",
    )
    async def upscale(
        self,
        interaction: discord.Interaction,
        image: discord.Attachment | None = None,
        source: str | None = None,
        factor: Literal["2", "4"] = "2",
        mode: Literal["subtle", "creative"] = "subtle",
        prompt: str | None = None,
    ) -> None:
        async def build(found: Source, words: PromptWithPictures | None) -> NewJob:
            return actions.upscale(found, int(factor), mode, words)

        await self.bot.asking.about_picture(interaction, image, source, prompt, build)


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Upscale(bot))
