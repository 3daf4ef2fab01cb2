"""/blend: four pictures between two to five others, without words."""

from __future__ import annotations

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
        image1="A picture", image2="Another one", dimensions="The shape; square if you leave it out"
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
        actor = actor_of(interaction)
        chosen = await self.bot.asking.preferences(actor)

        async def build() -> NewJob:
            taken = [
                await self.bot.studio.sources.meant(actor, file) for file in self.bot.links.attached(files)
            ]
            images = [source.sha256 for source in taken]
            shape = SHAPES[dimensions] if dimensions else None
            return actions.blend_pictures(images, shape, seed=new_seed()).chosen(chosen.lane)

        await self.bot.answers.ask(interaction, build, private=chosen.private)


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Blend(bot))
