"""/search: pictures found by words, by what they show, or like another; for their asker alone."""

from __future__ import annotations

import discord
from discord import app_commands

from bot.client import Atelier, AtelierCog
from bot.discord_api.interactions import actor_of
from bot.ui.replies import answers_privately
from core.errors import UserError


class Search(AtelierCog):
    @app_commands.command(description="Find pictures by words, by what they show, or like another one")
    @app_commands.describe(
        words="What its prompt says or it shows; also kind: model: seed: from: to: ar: fav: by: like:",
        image="A picture that others are to be like",
    )
    @answers_privately
    async def search(
        self,
        interaction: discord.Interaction,
        words: str = "",
        image: discord.Attachment | None = None,
    ) -> None:
        text = words.strip()
        if image is not None:
            source = await self.bot.asking.picture(actor_of(interaction), image, None)
            text = f"{text} like:{source.sha256}".strip()
        if not text:
            raise UserError("Say what to look for in `words`, or attach a picture as `image`.")
        await self.bot.searches.show(interaction, text)


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Search(bot))
