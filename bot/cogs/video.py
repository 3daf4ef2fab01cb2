"""/video: videos from words, from pictures, or from other videos, attached, linked or named."""

from dataclasses import replace
from typing import Literal

import discord
from discord import app_commands

from bot.client import Atelier, AtelierCog
from bot.discord_api.interactions import actor_of
from bot.ui.replies import choices
from core.errors import UserError
from core.limits import MAX_SECONDS
from studio.new_job import NewJob
from studio.requests.video import SHAPES, Asked, Material
from studio.texts import read_seconds as seconds_of

LONGEST = float(MAX_SECONDS)
Operation = Literal["new", "extend", "extend backward", "remix", "blend", "loop", "cut"]


class Video(AtelierCog):
    @app_commands.command(description="Make videos from your words, a picture, or other videos")
    @app_commands.describe(
        prompt="What the video shows; --motion high, --seconds 4, --bs 1 and more go at the end",
        image="The picture it begins with",
        end="The picture it ends with",
        clip="A video to extend, or with a prompt to redraw",
        clip2="A second video, to blend the first one into",
        source="Or a message link, or a job id with a number: a video or picture made here",
        source2="The same for the second video",
        do="What to do; guessed from what you give",
        shape="wide 16:9, vertical 9:16, square 1:1",
        resolution="px of the shorter side",
        seconds="Its length, or how much to add at its end or start",
        motion="How much motion",
        loop="Make a loop: the end leads back to the start",
        number="How many videos to choose from",
        model="Another model that the operator has set up",
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
        named = {
            "aspect_ratio": SHAPES[shape] if shape else None,
            "resolution": resolution,
            "seconds": seconds,
            "motion": motion,
            "loop": loop or None,
            "clips": number,
            "model": model,
        }
        asked = Asked(prompt, do, named, seconds_of(begin.strip()), seconds_of(until.strip()))
        actor, studio, links = actor_of(interaction), self.bot.studio, self.bot.links
        chosen = await self.bot.asking.preferences(actor)
        picture, still, video, video_2 = (
            links.attached([file])[0] if file is not None else None for file in (image, end, clip, clip2)
        )
        material = Material(picture, still, video, video_2)
        if source:
            name = await links.name_of(actor, source.strip())
            place = "clip" if await studio.video_requests.is_video(name) else "image"
            if getattr(material, place) is not None:
                raise UserError(f"Give `{place}` or `source`, not both.")
            material = replace(material, **{place: name})
        if source2:
            name = await links.name_of(actor, source2.strip())
            if material.clip_2 is not None:
                raise UserError("Give `clip2` or `source2`, not both.")
            material = replace(material, clip_2=name)
        typed = await studio.requests.video(actor, asked, material, chosen)

        async def build() -> NewJob:
            return await typed.job(await links.resolve(actor, typed.prompt.pictures))

        await self.bot.answers.ask(interaction, build, private=typed.private)

    @video.autocomplete("model")
    async def _models(self, interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        names = self.bot.studio.video_requests.models
        return choices((name, name) for name in names if current.lower() in name.lower())


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Video(bot))
