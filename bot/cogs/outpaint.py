"""/outpaint: a larger canvas around a picture, whose own pixels stay."""

from typing import Literal

import discord
from discord import app_commands

from bot.client import Atelier, AtelierCog
from bot.ui.replies import choices
from core.errors import UserError
from studio.new_job import (
    NewJob,
    PromptWithPictures,
    Source,
    aspect_sides,
    direction_sides,
    read_aspect,
    zoom_sides,
)
from studio.requests import actions
from studio.requests.completion import SHAPES


class Outpaint(AtelierCog):
    @app_commands.command(description="Extend a picture to one side, to another shape, or all around")
    @app_commands.describe(
        image="The picture to extend",
        source="Or a message link, or a job id with a number; leave it out to use your last picture",
        direction="The side to extend by half",
        aspect="Or the shape to reach, such as 16:9",
        zoom="Or how far to zoom out",
        prompt="What to draw there",
    )
    async def outpaint(
        self,
        interaction: discord.Interaction,
        image: discord.Attachment | None = None,
        source: str | None = None,
        direction: Literal["left", "right", "up", "down", "all"] | None = None,
        aspect: str | None = None,
        zoom: Literal["1.5", "2"] | None = None,
        prompt: str | None = None,
    ) -> None:
        options = {"`direction`": direction, "`aspect`": aspect, "`zoom`": zoom}
        given = " and ".join(name for name, value in options.items() if value)
        if " " in given:
            raise UserError(f"Choose one of `direction`, `aspect` and `zoom`; here are {given}.")
        shape = read_aspect(aspect)

        async def build(found: Source, words: PromptWithPictures | None) -> NewJob:
            if shape:
                sides = aspect_sides(found, shape)
            elif direction:
                sides = direction_sides(found, direction)
            else:
                sides = zoom_sides(found, float(zoom or 1.5))
            return actions.outpaint(found, sides, words)

        await self.bot.asking.about_picture(interaction, image, source, prompt, build)

    @outpaint.autocomplete("aspect")
    async def _aspects(
        self, interaction: discord.Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        return choices((shape, shape) for shape in SHAPES if shape.startswith(current.strip()))


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Outpaint(bot))
