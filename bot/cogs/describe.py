"""/describe: four prompts that could have made a picture."""

import discord
from discord import app_commands

from bot.client import Atelier, AtelierCog
from core.job import new_seed
from core.requests import DescribeRequest
from studio.new_job import NewJob, Source


class Describe(AtelierCog):
    @app_commands.command(description="Suggest four prompts for a picture")
    @app_commands.describe(
        image="The picture to describe; without one it is your last",
        link="Or a link to a Discord attachment or to one of my messages, or a job id and number",
    )
    async def describe(
        self,
        interaction: discord.Interaction,
        image: discord.Attachment | None = None,
        link: str | None = None,
    ) -> None:
        def build(source: Source) -> NewJob:
            request = DescribeRequest(image=source.sha256, seed=new_seed())
            return NewJob(request, parent=source.parent, private=source.private)

        await self.bot.asking.queue_about(interaction, image, link, build)


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Describe(bot))
