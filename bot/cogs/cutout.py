"""/cutout: the object in a picture, without its background."""

import discord
from discord import app_commands

from bot.client import Atelier, AtelierCog
from studio.new_job import NewJob, PromptWithPictures, Source
from studio.requests import actions


class CutOut(AtelierCog):
    @app_commands.command(description="Remove the background of a picture")
    @app_commands.describe(
        image="The picture to cut from",
        source="Or a message link, or a job id with a number; leave it out to use your last picture",
    )
    async def cutout(
        self,
        interaction: discord.Interaction,
        image: discord.Attachment | None = None,
        source: str | None = None,
    ) -> None:
        async def build(found: Source, words: PromptWithPictures | None) -> NewJob:
            return actions.cut_out(found)

        await self.bot.asking.about_picture(interaction, image, source, None, build)


async def setup(bot: Atelier) -> None:
    await bot.add_cog(CutOut(bot))
