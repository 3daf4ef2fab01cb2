"""The buttons under a picture that somebody sent in a direct message."""

from __future__ import annotations

import logging
from collections.abc import Callable

import discord

from bot.wire.interactions import actor_of
from core.errors import PromptError
from core.grammar.prompt import Prompt, parse_prompt
from studio.asking.new_job import NewJob
from studio.studio import Studio

log = logging.getLogger(__name__)


class UploadButtons:
    """Makes jobs of pictures that were sent. ``channel``: finds the channel of an id."""

    def __init__(self, studio: Studio, channel: Callable[[int], discord.PartialMessageable]) -> None:
        self._studio, self._channel = studio, channel

    async def on_press(self, interaction: discord.Interaction, sha256: str, action: str) -> NewJob:
        """Return the job that a button stands for. Raises ImageError when the picture is gone."""
        prompt = await self._words_beside(interaction)
        return await self._studio.from_upload(actor_of(interaction), sha256, action, prompt)

    async def _words_beside(self, interaction: discord.Interaction) -> Prompt:
        """Return what was written beside the picture, read from the message that the reply refers to."""
        reference = interaction.message.reference if interaction.message else None
        if reference is None or reference.message_id is None:
            return Prompt()
        try:
            channel = self._channel(reference.channel_id)
            return parse_prompt((await channel.fetch_message(reference.message_id)).content)
        except PromptError:
            return Prompt()
        except discord.HTTPException as error:
            log.info("the message beside a picture can't be read (%s)", error.status)
            return Prompt()
