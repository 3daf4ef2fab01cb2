"""/help: what there is, and the prompt's flags, read from the grammar's own table."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot import messages
from bot.client import Atelier
from bot.hints import Hints
from bot.replies import SILENT
from core.flags import FLAGS

COMMANDS = """**Atelier**
`/imagine` four pictures from your words. **U** sends one alone, **V** varies it, 🔄 rolls again
`/variation` other pictures like one you attach, or like one made here
`/outpaint` extend a picture: to a side, to a shape, all around
`/describe` four prompts from a picture; press a number to edit and imagine it
`/classify` what is in a picture, also among your own labels
`/show` bring a job back · `/queue mine` your jobs · `/queue cancel` stop one
Send me a picture in a DM to do any of it without commands."""


class Help(commands.Cog):
    def __init__(self, bot: Atelier) -> None:
        self.bot = bot
        self.hints = Hints.of(bot.settings)

    @app_commands.command(description="What there is, and how to write a prompt")
    async def help(self, interaction: discord.Interaction) -> None:
        flags = [f"`--{flag.name}` {flag.help}" for flag in FLAGS]
        head = f"{COMMANDS}\n\n**Flags**, at the end of a prompt: `a red house in the snow --ar 3:2 --seed 5`"
        first, *others = messages.pages([head, *flags])
        await interaction.response.send_message(first, ephemeral=True, allowed_mentions=SILENT)
        for page in others:
            await interaction.followup.send(page, ephemeral=True, allowed_mentions=SILENT)
        if self.hints.prompts:
            await interaction.followup.send(self.hints.text()[:2000], ephemeral=True, allowed_mentions=SILENT)


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Help(bot))
