"""/video: films from words, from pictures, or from other films."""

from __future__ import annotations

from typing import Literal

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Atelier
from bot.ui.replies import choices
from bot.video import Files
from core.limits import MAX_SECONDS
from studio.requests.video import Asked
from studio.texts import read_seconds as seconds_of

LONGEST = float(MAX_SECONDS)
Operation = Literal["new", "extend", "extend backward", "remix", "blend", "loop", "cut"]


class Video(commands.Cog):
    def __init__(self, bot: Atelier) -> None:
        self.bot = bot

    @app_commands.command(description="Make films from your words, a picture, or other films")
    @app_commands.describe(
        prompt="What the film shows; --motion high, --seconds 4, --bs 1 and more go at the end",
        image="The picture that it begins with",
        end="The picture that it ends on",
        clip="A film to go on from: extended, or with a prompt drawn anew",
        clip2="A second film, which the first one leads to",
        source="Or a message link, or a job id with a number: a film or picture made here",
        source2="The same for the second film",
        do="What to do; guessed from what you give",
        shape="wide 16:9, vertical 9:16, square 1:1",
        resolution="px of the shorter side",
        seconds="How long it is, or what is put behind or before it",
        motion="How much moves",
        loop="Its end leads to its start",
        number="How many to choose from",
        model="Another model that the host has set up",
        part="With cut: from and to, in seconds, such as 1.5-4",
    )
    @app_commands.choices(
        resolution=[app_commands.Choice(name=f"{px}p", value=px) for px in (480, 720, 1080)]
    )
    @app_commands.choices(number=[app_commands.Choice(name=str(n), value=n) for n in (1, 2, 4)])
    async def video(
        self,
        interaction: discord.Interaction,
        prompt: str = "",
        image: discord.Attachment | None = None,
        end: discord.Attachment | None = None,
        clip: discord.Attachment | None = None,
        clip2: discord.Attachment | None = None,
        source: str | None = None,
        source2: str | None = None,
        do: Operation | None = None,
        shape: Literal["wide", "vertical", "square"] | None = None,
        resolution: int | None = None,
        seconds: app_commands.Range[float, 0.5, LONGEST] | None = None,
        motion: Literal["low", "high"] | None = None,
        loop: bool = False,
        number: int | None = None,
        model: str | None = None,
        part: str | None = None,
    ) -> None:
        begin, _, until = (part or "").partition("-")
        asked = Asked(
            prompt,
            do,
            shape,
            resolution,
            seconds,
            motion,
            loop,
            number,
            model,
            start=seconds_of(begin.strip()),
            end=seconds_of(until.strip()),
        )
        await self.bot.filming.ask(interaction, asked, Files(image, end, clip, clip2, source, source2))

    @video.autocomplete("model")
    async def _models(self, interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        names = self.bot.studio.filming.models
        return choices((name, name) for name in names if current.lower() in name.lower())


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Video(bot))
