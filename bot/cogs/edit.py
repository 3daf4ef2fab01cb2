"""/edit: a picture changed as words say."""

import discord
from discord import app_commands

from bot.client import Atelier, AtelierCog
from studio.new_job import NewJob, PromptWithPictures, Source
from studio.requests import actions


class Edit(AtelierCog):
    @app_commands.command(description="Change a picture by words and keep the rest")
    @app_commands.describe(
        prompt="What to change, for example: make the house blue",
        image="The picture to change",
        source="Or a message link, or a job id with a number; leave it out to use your last picture",
    )
    async def edit(
        self,
        interaction: discord.Interaction,
        prompt: str,
        image: discord.Attachment | None = None,
        source: str | None = None,
    ) -> None:
        async def build(found: Source, words: PromptWithPictures | None) -> NewJob:
            return actions.edit_picture(found, words)

        await self.bot.asking.about_picture(interaction, image, source, prompt, build)


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Edit(bot))
