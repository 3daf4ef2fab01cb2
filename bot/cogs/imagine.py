"""/imagine: pictures from words, with up to four pictures given along."""

import discord
from discord import app_commands

from bot.client import Atelier, AtelierCog
from bot.discord_api.interactions import actor_of
from bot.ui.replies import add_whisper, choices, takes_images

LONGEST = 100  # characters of a choice, which Discord sends back as it was offered


class Imagine(AtelierCog):
    @app_commands.command(description="Draw four pictures from your words")
    @app_commands.describe(
        prompt=(
            "What you want to see; --ar 3:2, --no blue, --seed 5 and more go at the end (see /help"
            " topic:prompt)"
        )
    )
    @takes_images(
        4,
        "A picture to use; refer to it as <1> in the prompt, as in <1>::2 or --sref <1>",
        *(f"Another picture, <{number}> in the prompt" for number in (2, 3, 4)),
    )
    async def imagine(
        self, interaction: discord.Interaction, prompt: str, images: list[discord.Attachment]
    ) -> None:
        job = await self.bot.asking.imagine(interaction, prompt, images)
        if job is not None and await self.bot.delivery.shown_once(job.id):
            hint = await self.bot.studio.own.hint(actor_of(interaction), prompt)
            if hint is not None:
                await add_whisper(interaction, hint)

    @imagine.autocomplete("prompt")
    async def _prompts(
        self, interaction: discord.Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        own, actor = self.bot.studio.own, actor_of(interaction)
        texts = await own.suggestions(actor, current, LONGEST)
        warning = await own.warning(actor, current) if current and len(current) <= LONGEST else ""
        told = [(f"⚠ {warning}", current)] if warning else []
        return choices([*told, *((text, text) for text in texts)])


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Imagine(bot))
