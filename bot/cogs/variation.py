"""/variation: other pictures like this one."""

from typing import Literal

import discord
from discord import app_commands

from bot.client import Atelier, AtelierCog
from studio.new_job import NewJob, PromptWithPictures, Source
from studio.requests import actions


class Variation(AtelierCog):
    @app_commands.command(description="Make four pictures like one you attach, or like one that Atelier made")
    @app_commands.describe(
        image="The picture to vary",
        source="Or a message link, or a job id with a number; leave it out to use your last picture",
        strength="subtle stays close, strong moves away",
        prompt="New words for it",
    )
    async def variation(
        self,
        interaction: discord.Interaction,
        image: discord.Attachment | None = None,
        source: str | None = None,
        strength: Literal["subtle", "strong"] = "strong",
        prompt: str | None = None,
    ) -> None:
        async def build(found: Source, words: PromptWithPictures | None) -> NewJob:
            return actions.variation(found, strength, words)

        await self.bot.asking.about_picture(interaction, image, source, prompt, build)


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Variation(bot))
