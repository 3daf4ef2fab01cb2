"""/help: what there is, how to write a prompt, and each command and flag by name."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Atelier
from bot.ui import guide, messages
from bot.ui.choices import choices
from bot.ui.replies import SILENT


class Help(commands.Cog):
    def __init__(self, bot: Atelier) -> None:
        self.bot = bot

    @app_commands.command(description="Show the commands, and how to write a prompt")
    @app_commands.describe(topic="prompt, flags, or the name of a command or flag")
    async def help(self, interaction: discord.Interaction, topic: str | None = None) -> None:
        first, *others = messages.pages(guide.lines(topic))
        await interaction.response.send_message(first, ephemeral=True, allowed_mentions=SILENT)
        for page in others:
            await interaction.followup.send(page, ephemeral=True, allowed_mentions=SILENT)
        if topic is None and self.bot.studio.hints.prompts:
            text = messages.fit(self.bot.studio.hints.text())
            await interaction.followup.send(text, ephemeral=True, allowed_mentions=SILENT)

    @help.autocomplete("topic")
    async def _topics(self, interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        return choices((topic, topic) for topic in guide.topics() if current.strip().lower() in topic)


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Help(bot))
