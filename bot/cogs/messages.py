"""What people do without a command: reactions on messages of ours, and pictures sent in a direct message.

An envelope sends a picture to oneself, a cross ends or deletes one's own, a star or heart keeps it; under an
answer ✅ and ❌ say whether it is right. Each picture sent gets a reply with buttons.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import discord
from discord.ext import commands

from bot.button_handlers import is_requester_of
from bot.client import Atelier, AtelierCog
from bot.discord_api.attachments import files_of
from bot.discord_api.http import FAILURES
from bot.discord_api.interactions import actor_of
from bot.ui import buttons, messages
from bot.ui.replies import reply_to
from core.errors import NotAllowedError, PromptError, UserError
from core.prompt.parser import Prompt, parse_prompt
from studio.authority import Action, Actor
from studio.media.video_decode import may_be_video
from studio.new_job import NewJob

ENVELOPES, CROSSES, STARS = ("✉", "📩", "💌"), ("❌", "✖"), ("⭐", "🌟", "❤", "💖")
RIGHT, WRONG = "✅", "❌"
log = logging.getLogger(__name__)


class Reactions(AtelierCog):
    @commands.Cog.listener()
    async def on_raw_reaction_add(self, payload: discord.RawReactionActionEvent) -> None:
        act = self._act(payload)
        if act is None or (self.bot.user and payload.user_id == self.bot.user.id):
            return
        try:
            await act(payload)
        except (UserError, discord.HTTPException, *FAILURES) as error:  # there is nowhere to say it
            log.info(
                "message %d: reaction of user %d not followed (%s)",
                payload.message_id,
                payload.user_id,
                type(error).__name__,
            )

    @commands.Cog.listener()
    async def on_raw_reaction_remove(self, payload: discord.RawReactionActionEvent) -> None:
        """Take feedback back. A star that goes ends no favourite: Discord doesn't say whether its owner or a
        moderator took it away."""
        name = _plain(payload)
        if name in (RIGHT, WRONG):
            actor = _actor(payload)
            await self.bot.studio.feedback.withdraw(actor, payload.message_id, right=name == RIGHT)

    def _act(
        self, payload: discord.RawReactionActionEvent
    ) -> Callable[[discord.RawReactionActionEvent], Awaitable[None]] | None:
        name = _plain(payload)
        if name in ENVELOPES:
            return self._send
        if name == RIGHT:
            return self._approve
        if name in CROSSES:
            return self._end
        return self._keep if name in STARS else None

    async def _send(self, payload: discord.RawReactionActionEvent) -> None:
        actor = _actor(payload)
        found = await self.bot.studio.job_of_message(actor, payload.message_id, Action.DM)
        if found is not None:
            job, index = found
            result = await self.bot.studio.rights.result(actor, job.id, Action.DM)
            user = await self.bot.fetch_user(payload.user_id)
            await self.bot.sharing.hand_over(user, result, None if index is None else [index])

    async def _end(self, payload: discord.RawReactionActionEvent) -> None:
        """Cancel a running or waiting job, delete a finished one's message; the job stays for /show. ❌ under
        an answer says that it is wrong."""
        actor, channel = _actor(payload), self.bot.get_partial_messageable(payload.channel_id)
        message = channel.get_partial_message(payload.message_id)
        if _plain(payload) == WRONG and await self.bot.studio.feedback.is_about(message.id):
            await self.bot.studio.feedback.note(actor, message.id, right=False)
            return
        try:
            found = await self.bot.studio.job_of_message(actor, payload.message_id, Action.DELETE)
        except NotAllowedError:
            if not is_requester_of(await message.fetch(), payload.user_id, payload.guild_id):
                raise
            await message.delete()  # an answer to their own command, though the job is another's
            return
        if found is None:
            return
        if not found[0].status.over:
            await self.bot.studio.cancel(actor, found[0].id)
        else:
            await message.delete()

    async def _approve(self, payload: discord.RawReactionActionEvent) -> None:
        await self.bot.studio.feedback.note(_actor(payload), payload.message_id, right=True)

    async def _keep(self, payload: discord.RawReactionActionEvent) -> None:
        actor = _actor(payload)
        found = await self.bot.studio.job_of_message(actor, payload.message_id, Action.FAVOURITE)
        if found is not None:
            job, index = found
            await self.bot.studio.own.add_favourites(actor, job.id, None if index is None else [index])


def _actor(payload: discord.RawReactionActionEvent) -> Actor:
    return Actor(payload.user_id, payload.guild_id, payload.channel_id)


def _plain(payload: discord.RawReactionActionEvent) -> str:
    return (payload.emoji.name or "").replace("\ufe0f", "")


MAX_PICTURES = 10  # of one message; Discord's own limit
A_VIDEO = "Send the video again with a question beside it, such as “What happens?”, or use `/ask`."


class Uploads(AtelierCog):
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
            is_video = may_be_video(attachment.filename, attachment.content_type or "")
            if is_video and self.bot.studio.talking.is_possible:
                await reply_to(message, A_VIDEO)
                continue
            await self._offer(message, attachment, words, problem)

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

    async def job_of(self, interaction: discord.Interaction, sha256: str, action: str) -> NewJob:
        """Return the job that a button stands for. Raises ImageError when the picture is gone."""
        prompt = await self._words_beside(interaction)
        return await self.bot.studio.from_upload(actor_of(interaction), sha256, action, prompt)

    async def _words_beside(self, interaction: discord.Interaction) -> Prompt:
        """Return what was written beside the picture, read from the message that the reply refers to."""
        reference = interaction.message.reference if interaction.message else None
        if reference is None or reference.message_id is None:
            return Prompt()
        try:
            channel = self.bot.get_partial_messageable(reference.channel_id)
            return parse_prompt((await channel.fetch_message(reference.message_id)).content)
        except PromptError:
            return Prompt()
        except discord.HTTPException as error:
            log.info("the message beside a picture can't be read (%s)", error.status)
            return Prompt()


async def setup(bot: Atelier) -> None:
    for cog in (Reactions, Uploads):
        await bot.add_cog(cog(bot))
