"""/classify: what is in a picture, with how sure the model is."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot import actions
from bot.client import Atelier
from core.requests import MAX_LABELS, ClassifyRequest


class Classify(commands.Cog):
    def __init__(self, bot: Atelier) -> None:
        self.bot = bot

    @app_commands.command(description="What is in a picture, best guess first")
    @app_commands.describe(image="The picture", labels=f"Your own labels, separated by commas, up to {MAX_LABELS}")
    async def classify(self, interaction: discord.Interaction, image: discord.Attachment, labels: str | None = None) -> None:
        asked = split_labels(labels)
        ClassifyRequest(image="0" * 64, labels=asked)  # wrong labels are told before the picture is fetched

        async def build() -> actions.Ask:
            taken = await self.bot.intake.take(image, interaction.user.id)
            return actions.Ask(ClassifyRequest(image=taken.sha256, labels=asked))

        await self.bot.ask(interaction, build)


def split_labels(text: str | None) -> tuple[str, ...]:
    """The labels of a comma list, each once, in order; none for None or only commas."""
    labels = (" ".join(part.split()) for part in (text or "").split(","))
    return tuple(dict.fromkeys(label for label in labels if label))


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Classify(bot))
