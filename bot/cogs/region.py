"""/region: a part of a picture drawn anew; the rest stays pixel by pixel."""

from __future__ import annotations

import re

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Atelier
from core.errors import UserError
from core.requests import MAX_LABEL
from studio.asking import actions

Words = app_commands.Range[str, 1, MAX_LABEL]


class Region(commands.Cog):
    def __init__(self, bot: Atelier) -> None:
        self.bot = bot

    @app_commands.command(description="Draw a part of a picture anew; everything else stays as it is")
    @app_commands.describe(
        prompt="What should be there",
        what="The part in words: the red boat",
        mask="Or black and white, white = the part; or the picture with the part erased or painted over",
        fields="Or fields of the numbered grid, such as 1 2 5 (the button Vary (Region) shows it)",
        image="The picture to change",
        source="Or a message link, or a job id with a number (nothing: your last picture)",
    )
    async def region(
        self,
        interaction: discord.Interaction,
        prompt: str,
        what: Words | None = None,
        mask: discord.Attachment | None = None,
        fields: str | None = None,
        image: discord.Attachment | None = None,
        source: str | None = None,
    ) -> None:
        if sum(given is not None for given in (what, mask, fields)) != 1:
            raise UserError("Say which part in one way: `what`, `mask` or `fields`.")
        cells = read_fields(fields)

        async def build(found: actions.Source, words: actions.Words | None) -> actions.Ask:
            painted = None
            if mask is not None:
                painted = await self.bot.regions.marked(
                    found, await self.bot.intake.read(mask), interaction.user.id, mask.filename
                )
            seed = await self.bot.next_seed(found)
            return actions.region(found, words, seed=seed, mask=painted, cells=cells, what=what or "")

        await self.bot.asking.about_picture(interaction, image, source, prompt, build)


def read_fields(text: str | None) -> tuple[int, ...]:
    """Numbers of fields, from "1 2 5" or "1,2,5"."""
    numbers = re.split(r"[\s,;]+", text.strip()) if text else []
    if not all(number.isdigit() and 1 <= int(number) <= actions.GRID**2 for number in numbers):
        raise UserError(f"`fields` takes numbers from 1 to {actions.GRID**2}, such as 1 2 5.")
    return tuple(sorted({int(number) for number in numbers}))


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Region(bot))
