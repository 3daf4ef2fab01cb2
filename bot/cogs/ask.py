"""/ask: a question about pictures, answered in words; mentions and replies; what follows has buttons of its
own."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Atelier, AtelierCog
from core.requests.chat import FORMS, Form


class Ask(AtelierCog):
    @commands.Cog.listener()
    async def on_message(self, message: discord.Message) -> None:
        me = self.bot.user
        if message.guild is not None and me is not None:
            await self.bot.mentions.in_server(message, me)

    @app_commands.command(description="Ask about a picture or a film, and go on asking")
    @app_commands.describe(
        question="What you want to know",
        image="The picture or film it is about",
        image2="Another picture, or a film",
        image3="Another picture, or a film",
        link="Or a link to a Discord attachment or to one of my messages, or a job id and number",
        answer="short: a few words; table: of a chart; boxes: where things are; text: what is written",
    )
    @app_commands.choices(answer=[app_commands.Choice(name=form, value=form) for form in FORMS])
    async def ask(
        self,
        interaction: discord.Interaction,
        question: str,
        image: discord.Attachment | None = None,
        image2: discord.Attachment | None = None,
        image3: discord.Attachment | None = None,
        link: str | None = None,
        answer: Form = "free",
    ) -> None:
        files = [file for file in (image, image2, image3) if file is not None]
        await self.bot.questions.ask(interaction, question, files, link, answer)


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Ask(bot))
