"""/outpaint: a larger canvas around a picture, whose own pixels stay."""

from __future__ import annotations

import re
from typing import Literal

import discord
from discord import app_commands
from discord.ext import commands

from bot import actions
from bot.client import Atelier
from core.errors import UserError
from core.prompt import parse

_ASPECT = re.compile(r"(\d{1,3})[:x](\d{1,3})")


class Outpaint(commands.Cog):
    def __init__(self, bot: Atelier) -> None:
        self.bot = bot

    @app_commands.command(description="Extend a picture: to one side, to another shape, or all around")
    @app_commands.describe(
        image="The picture to extend",
        source="Or a message link, or a job id with a number (nothing: your last picture)",
        direction="Which side grows by half",
        aspect="Or the shape to reach, such as 16:9",
        zoom="Or how far to zoom out",
        prompt="What should be there",
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
        given = [name for name, value in (("direction", direction), ("aspect", aspect), ("zoom", zoom)) if value]
        if len(given) > 1:
            raise UserError(f"Give one of `direction`, `aspect` and `zoom`; here are {' and '.join(f'`{name}`' for name in given)}.")
        shape, words = read_aspect(aspect), parse(prompt).text if prompt else None

        async def build() -> actions.Ask:
            found = await self.bot.sources.find(self.bot.actor(interaction), image, source)
            if shape:
                sides = actions.aspect_sides(found, shape)
            elif direction:
                sides = actions.direction_sides(found, direction)
            else:
                sides = actions.zoom_sides(found, float(zoom or 1.5))
            return actions.outpaint(found, sides, words, seed=await self.bot.next_seed(found))

        await self.bot.ask(interaction, build)

    @outpaint.autocomplete("aspect")
    async def _aspects(self, interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        shapes = ("1:1", "4:3", "3:2", "16:9", "2:1", "3:4", "2:3", "9:16", "1:2")
        return [app_commands.Choice(name=shape, value=shape) for shape in shapes if shape.startswith(current.strip())]


def read_aspect(text: str | None) -> tuple[int, int] | None:
    """(w, h) of "16:9". UserError names the value and what is allowed."""
    if text is None:
        return None
    match = _ASPECT.fullmatch(text.strip())
    w, h = (int(match[1]), int(match[2])) if match else (0, 0)
    if not w or not h or max(w / h, h / w) > 4:
        raise UserError(f"`aspect` is `{text[:20].replace('`', '')}`; write it like 16:9, from 1:4 to 4:1.")
    return w, h


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Outpaint(bot))
