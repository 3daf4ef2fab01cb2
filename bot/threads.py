"""The button Thread: a thread under an answer, in which the conversation goes on by mentions of the bot."""

from __future__ import annotations

import discord

from bot.ui.messages import cut, length
from bot.ui.replies import SILENT, answers_privately, whisper
from bot.wire.interactions import actor_of
from core.errors import UserError
from core.job import Job
from core.requests import AskRequest
from studio.studio import Studio

LONGEST_NAME = 90  # characters; Discord takes 100
HAS_ONE = 160004  # Discord's code for a message that has a thread
HERE = "Mention me here, and what you say is the next turn of this conversation."
NOT_HERE = "A thread begins under an answer in a channel of a server. Here, **Ask more** goes on."
ALREADY = "This is a thread already: mention me in it, or press **Ask more**."
NOT_YOU = "You may not open threads in this channel; press **Ask more** instead."
NOT_ME = (
    "I may not open threads in this channel. Whoever manages it can give me *Create Public Threads* and"
    " *Send Messages in Threads*; until then, press **Ask more**."
)


class Threads:
    """Opens threads under answers."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @answers_privately
    async def open(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        """Open a thread under the message that was pressed, or lead to the one that it has. Raises
        UserError."""
        message, channel = interaction.message, interaction.channel
        if isinstance(channel, discord.Thread):
            raise UserError(ALREADY)
        if message is None or not isinstance(channel, discord.TextChannel) or message.flags.ephemeral:
            raise UserError(NOT_HERE)
        if not interaction.permissions.create_public_threads:
            raise UserError(NOT_YOU)
        if not interaction.app_permissions.send_messages_in_threads:  # else an empty thread would stay
            raise UserError(NOT_ME)
        told = await self._studio.told(actor_of(interaction), job)
        try:
            thread = await message.create_thread(name=_name(told))
            await thread.send(HERE, allowed_mentions=SILENT)
        except discord.Forbidden as error:
            raise UserError(NOT_ME) from error
        except discord.HTTPException as error:
            if error.code != HAS_ONE:
                raise
        await whisper(interaction, f"The conversation goes on in <#{message.id}>.")  # which is its id, too


def _name(job: Job) -> str:
    """Return the question on one line, as a thread's name, where its words may be told."""
    question = job.request.question if isinstance(job.request, AskRequest) and job.worded else ""
    words = " ".join(question.split()) or "Questions"
    return words if length(words) <= LONGEST_NAME else f"{cut(words, LONGEST_NAME - 1)}…"
