"""/web: a link that opens the studio in the asker's browser, for their eyes alone."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Atelier
from bot.ui.replies import SILENT, answers_privately
from bot.wire.interactions import actor_of
from studio.texts import counted


class Web(commands.Cog):
    def __init__(self, bot: Atelier) -> None:
        self.bot = bot

    @app_commands.command(description="Open the studio in your browser")
    @app_commands.describe(sign_out="End all your sessions in browsers instead")
    @answers_privately
    async def web(self, interaction: discord.Interaction, sign_out: bool = False) -> None:
        own, actor = self.bot.studio.own, actor_of(interaction)
        if sign_out:
            text = f"{counted(await own.sign_out(actor), 'session')} ended."
        else:
            link = await own.web_link(actor)
            text = f"<{link}>\nThe link signs you in once, within ten minutes. Don't pass it on."
        await interaction.edit_original_response(content=text, allowed_mentions=SILENT)


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Web(bot))
