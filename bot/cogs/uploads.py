"""Pictures sent in a DM: each gets a reply with buttons; words sent with it are taken as the prompt."""

from __future__ import annotations

import discord
from discord.ext import commands

from bot.client import Atelier
from bot.ui import buttons, messages
from bot.ui.replies import reply_to
from bot.wire.attachments import files_of
from core.errors import PromptError, UserError
from core.grammar.prompt import parse_prompt
from studio.actor import Actor
from studio.films.kinds import may_be_film

MAX_PICTURES = 10  # of one message; Discord's own limit
A_FILM = "Send the film again with a question beside it, such as “What happens?”, or use `/ask`."


class Uploads(commands.Cog):
    def __init__(self, bot: Atelier) -> None:
        self.bot = bot

    @commands.Cog.listener()
    async def on_message(self, message: discord.Message) -> None:
        if message.guild is not None or message.author.bot:
            return
        if await self.bot.mentions.direct(message):
            return
        if not (attachments := files_of(message)):
            await reply_to(message, "Send me a picture, or type `/imagine`. `/help` shows everything.")
            return
        try:
            words = parse_prompt(message.content).text
            problem = ""
        except PromptError as error:
            words, problem = "", f"\n-# {error}"
        for attachment in attachments[:MAX_PICTURES]:
            if may_be_film(attachment.filename, attachment.content_type or "") and self._answers:
                await reply_to(message, A_FILM)
                continue
            await self._offer(message, attachment, words, problem)

    @property
    def _answers(self) -> bool:
        return self.bot.studio.talking.is_possible

    async def _offer(
        self, message: discord.Message, attachment: discord.Attachment, words: str, problem: str
    ) -> None:
        actor = Actor(message.author.id, None, message.channel.id)
        try:
            [file] = self.bot.links.attached([attachment])
            taken = await self.bot.studio.sources.given(actor, file)
        except UserError as error:
            await reply_to(message, f"❌ {error}")
            return
        prompt = f"\n**{messages.quote(words, 300)}**" if words else ""
        text = f"{taken.width}×{taken.height} px. What would you like to do with it?{prompt}{problem}"
        await reply_to(message, text, view=buttons.for_upload(taken.sha256))


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Uploads(bot))
