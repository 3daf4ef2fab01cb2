"""/shorten: which words of a prompt count, and shorter prompts of those."""

import discord
from discord import app_commands

from bot.client import Atelier, AtelierCog
from bot.discord_api.interactions import actor_of
from core.requests import ShortenRequest
from studio.new_job import NewJob


class Shorten(AtelierCog):
    @app_commands.command(description="Find the words that matter in a prompt, and shorter prompts")
    @app_commands.describe(prompt="The prompt; flags are ignored")
    async def shorten(self, interaction: discord.Interaction, prompt: str) -> None:
        words = (await self.bot.studio.requests.read_prompt(actor_of(interaction), prompt)).text
        request = ShortenRequest(prompt=words)  # nothing to shorten is told at once

        async def build() -> NewJob:
            return NewJob(request)

        await self.bot.asking.queue(interaction, build)


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Shorten(bot))
