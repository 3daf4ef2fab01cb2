"""Pictures sent in a DM: each gets a reply with buttons; words sent with it are taken as the prompt."""

from __future__ import annotations

import logging

import discord
from discord.ext import commands

from bot.client import Atelier
from bot.ui import buttons, messages
from bot.ui.replies import SILENT
from core.errors import ImageError, PromptError
from core.grammar.prompt import Prompt, parse
from core.job import Lane
from core.requests import ClassifyRequest, DescribeRequest
from studio.asking import actions
from studio.asking.actions import Ask, Source, Words

log = logging.getLogger(__name__)
MAX_PICTURES = 10  # of one message; Discord's own limit
ZOOM = 1.5


class Uploads(commands.Cog):
    def __init__(self, bot: Atelier) -> None:
        self.bot = bot

    @commands.Cog.listener()
    async def on_message(self, message: discord.Message) -> None:
        if message.guild is not None or message.author.bot:
            return
        if not message.attachments:
            await message.reply(
                "Send me a picture, or type `/imagine`. `/help` shows everything.", allowed_mentions=SILENT
            )
            return
        try:
            words = parse(message.content).text
            problem = ""
        except PromptError as error:
            words, problem = "", f"\n-# {error}"
        for attachment in message.attachments[:MAX_PICTURES]:
            await self._offer(message, attachment, words, problem)

    async def _offer(
        self, message: discord.Message, attachment: discord.Attachment, words: str, problem: str
    ) -> None:
        try:
            taken = await self.bot.intake.take(attachment, message.author.id)
        except ImageError as error:
            await message.reply(f"❌ {error}", allowed_mentions=SILENT)
            return
        prompt = f"\n**{messages.quote(words, 300)}**" if words else ""
        text = f"{taken.width}×{taken.height} px. What shall I do with it?{prompt}{problem}"
        await message.reply(text, view=buttons.for_upload(taken.sha256), allowed_mentions=SILENT)

    async def pressed(self, interaction: discord.Interaction, sha256: str, action: str) -> Ask:
        """The request that a button under such a reply stands for."""
        if not await self.bot.queue.has_sent(interaction.user.id, sha256):
            raise ImageError("That picture is gone; send it once more.")
        size = await self.bot.intake.size(sha256)
        source, prompt = Source(sha256, *size), await self._words(interaction)
        seed = prompt.seed if prompt.seed is not None else actions.new_seed()
        lane = prompt.lane or (await self.bot.asking.preferences(interaction.user.id)).lane or Lane.FAST
        match action:
            case "describe":
                return Ask(DescribeRequest(image=sha256, seed=seed), lane)
            case "classify":
                return Ask(ClassifyRequest(image=sha256), lane)
            case "variation":
                return actions.variation(source, "strong", Words(prompt, {}), seed=seed, lane=lane)
            case "outpaint":
                return actions.outpaint(
                    source, actions.zoom_sides(source, ZOOM), Words(prompt, {}), seed=seed, lane=lane
                )
        raise ImageError("This button belongs to a newer version of the studio.")

    async def _words(self, interaction: discord.Interaction) -> Prompt:
        """What was written beside the picture: read from the message that the reply refers to."""
        reference = interaction.message.reference if interaction.message else None
        if reference is None or reference.message_id is None:
            return Prompt()
        try:
            channel = self.bot.get_partial_messageable(reference.channel_id)
            return parse((await channel.fetch_message(reference.message_id)).content)
        except PromptError:
            return Prompt()
        except discord.HTTPException as error:
            log.info("the message beside a picture can't be read (%s)", error.status)
            return Prompt()


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Uploads(bot))
