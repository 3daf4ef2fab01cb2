"""A message of the bot before it is sent: text, files and buttons."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, NamedTuple

import discord

from bot.ui.replies import SILENT

MAX_ALT = 1024  # characters, https://discord.com/developers/docs/resources/message#attachment-object


class Picture(NamedTuple):
    """A file of a message. ``alt``: its alternative text."""

    data: bytes
    name: str
    alt: str


@dataclass(frozen=True)
class Post:
    """What a message is to show. ``view``: its buttons, None = none. more: files besides the picture."""

    content: str
    picture: Picture | None = None
    view: discord.ui.View | None = None
    more: tuple[Picture, ...] = ()

    def files(self) -> list[discord.File]:
        """Return picture and files as discord.py takes them; each can be sent only once."""
        shown = (*((self.picture,) if self.picture else ()), *self.more)
        return [
            discord.File(io.BytesIO(data), name, description=alt[:MAX_ALT] or None)
            for data, name, alt in shown
        ]

    async def answer(self, interaction: discord.Interaction) -> discord.InteractionMessage:
        """Show this post in the answer of a deferred ``interaction``."""
        return await interaction.edit_original_response(
            content=self.content, attachments=self.files(), view=self.view, allowed_mentions=SILENT
        )

    async def send_to(self, channel: discord.abc.Messageable, nonce: str | None = None) -> discord.Message:
        """Send this post to ``channel``; the same ``nonce`` within minutes makes no second message."""
        optional = {"nonce": nonce, "view": self.view}
        given: dict[str, Any] = {name: value for name, value in optional.items() if value is not None}
        return await channel.send(self.content, files=self.files(), allowed_mentions=SILENT, **given)
