"""/blend: four pictures between two to five others, without words."""

from typing import Literal

import discord
from discord import app_commands

from bot.client import Atelier, AtelierCog
from bot.discord_api.interactions import actor_of
from core.job import new_seed
from studio.new_job import NewJob
from studio.requests import actions

SHAPES = {"Portrait": (2, 3), "Square": (1, 1), "Landscape": (3, 2)}  # Midjourney's


class Blend(AtelierCog):
    @app_commands.command(description="Mix two to five pictures into four new ones")
    @app_commands.describe(
        image1="A picture",
        image2="Another one",
        image3="Another one",
        image4="Another one",
        image5="Another one",
        dimensions="The shape; square if you leave it out",
    )
    async def blend(
        self,
        interaction: discord.Interaction,
        image1: discord.Attachment,
        image2: discord.Attachment,
        image3: discord.Attachment | None = None,
        image4: discord.Attachment | None = None,
        image5: discord.Attachment | None = None,
        dimensions: Literal["Portrait", "Square", "Landscape"] | None = None,
    ) -> None:
        files = [file for file in (image1, image2, image3, image4, image5) if file is not None]
        actor, sources = actor_of(interaction), self.bot.studio.sources

        async def build() -> NewJob:
            images = [(await sources.meant(actor, file)).sha256 for file in self.bot.links.attached(files)]
            return actions.blend_pictures(images, SHAPES.get(dimensions or ""), seed=new_seed())

        await self.bot.asking.queue(interaction, build)


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Blend(bot))
