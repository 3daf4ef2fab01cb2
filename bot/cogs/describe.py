"""/describe: four prompts that could have made a picture."""

import discord
from discord import app_commands

from bot.client import Atelier, AtelierCog
from bot.discord_api.interactions import actor_of
from core.errors import UserError
from core.job import new_seed
from core.requests import DescribeRequest
from studio.new_job import NewJob


class Describe(AtelierCog):
    @app_commands.command(description="Suggest four prompts for a picture")
    @app_commands.describe(
        image="The picture to describe",
        link="Or a link to a Discord attachment or to one of my messages, or a job id and number",
    )
    async def describe(
        self,
        interaction: discord.Interaction,
        image: discord.Attachment | None = None,
        link: str | None = None,
    ) -> None:
        if (image is None) == (link is None):
            raise UserError("Attach a picture as `image`, or paste a link as `link`.")

        async def build() -> NewJob:
            source = await self.bot.asking.picture(actor_of(interaction), image, link)
            request = DescribeRequest(image=source.sha256, seed=new_seed())
            return NewJob(request, parent=source.parent, private=source.private)

        await self.bot.asking.queue(interaction, build)


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Describe(bot))
