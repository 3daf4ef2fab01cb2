"""/talk: the next words of a conversation, with pictures they may be about."""

import discord
from discord import app_commands

from bot.client import Atelier, AtelierCog
from bot.ui.replies import takes_images


class Talk(AtelierCog):
    @app_commands.command(description="Draw, change, animate or ask in plain words")
    @app_commands.describe(words="A red house in the snow; make it blue; go back; make it move")
    @takes_images(4, "A picture that the words are about", *["Another picture"] * 3)
    async def talk(
        self, interaction: discord.Interaction, words: str, images: list[discord.Attachment]
    ) -> None:
        await self.bot.turns.say(interaction, words, images)


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Talk(bot))
