"""A message of the bot before it is sent: text, files and buttons; and how it is made smaller where Discord
refuses it as too large."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

import discord

from bot.ui import messages
from bot.ui.replies import SILENT
from core.job import Job
from studio.texts import plain

TOO_LARGE = 413  # HTTP status
# Bytes of the files of a message that is tried next: what Discord takes anywhere, then less
SMALLER = (10 * 2**20, 2 * 2**20, 2**19)
T = TypeVar("T")
MAX_ALT = 1024  # characters, https://discord.com/developers/docs/resources/message#attachment-object


class Picture(NamedTuple):
    """A file of a message. ``alt``: its alternative text."""

    data: bytes
    name: str
    alt: str


def alt(job: Job) -> str:
    """Return what a picture of a job is about, for those who don't see it."""
    words: str = getattr(job.request, "prompt", "") if job.worded else ""
    return plain(words or job.request.kind)


@dataclass(frozen=True)
class Post:
    """What a message is to show. ``view``: its buttons, None = none. more: files besides the picture."""

    content: str
    picture: Picture | None = None
    view: discord.ui.View | None = None
    more: tuple[Picture, ...] = ()

    @property
    def size(self) -> int:
        """The bytes of its files."""
        return sum(len(one.data) for one in (*((self.picture,) if self.picture else ()), *self.more))

    def without_files(self) -> Post:
        """Return the same without its files, which says so."""
        content = messages.fit(f"{self.content}\n-# {messages.NO_FILES}")
        return replace(self, content=content, picture=None, more=())

    def files(self) -> list[discord.File]:
        """Return picture and files as discord.py takes them; each can be sent only once."""
        shown = (*((self.picture,) if self.picture else ()), *self.more)
        return [
            discord.File(io.BytesIO(data), name, description=messages.cut(alt, MAX_ALT) or None)
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


async def send_fitting(
    make: Callable[[int], Awaitable[Post]], send: Callable[[Post], Awaitable[T]], limit: int
) -> T:
    """Send what ``make`` makes of files of at most ``limit`` bytes, and return what ``send`` returns. Where
    Discord refuses that as too large, smaller ones are tried, and at last none.

    Raises what either raises, also for a message without files that is too large.
    """
    post = await make(limit)
    while True:
        try:
            return await send(post)
        except discord.HTTPException as error:
            if error.status != TOO_LARGE or not post.size:
                raise
        limit = next((size for size in SMALLER if size < min(limit, post.size)), 0)
        post = await make(limit) if limit else post.without_files()
