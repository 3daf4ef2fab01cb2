"""/ask: a question about pictures, answered in words; what follows has buttons of its own."""

import discord
from discord import app_commands

from bot.client import Atelier, AtelierCog
from bot.ui.replies import takes_images
from core.requests.chat import FORMS, Form


class Ask(AtelierCog):
    @app_commands.command(description="Ask about a picture or a video, and ask more")
    @app_commands.describe(
        question="What you want to know",
        link="Or a link to a Discord attachment or to one of my messages, or a job id and number",
        answer="short: a few words; table: of a chart; boxes: where objects are; text: what is written",
    )
    @app_commands.choices(answer=[app_commands.Choice(name=form, value=form) for form in FORMS])
    @takes_images(3, "The picture or video it is about", *["Another picture, or a video"] * 2)
    async def ask(
        self,
        interaction: discord.Interaction,
        question: str,
        images: list[discord.Attachment],
        link: str | None = None,
        answer: Form = "free",
    ) -> None:
        await self.bot.questions.ask(interaction, question, images, link, answer)


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Ask(bot))
