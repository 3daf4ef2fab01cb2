"""The pages of ``/favourites``: one kept picture at a time, with buttons to the next."""

from __future__ import annotations

import discord

from bot.delivery.post import Post
from bot.delivery.posts import Posts
from bot.ui import buttons, messages
from bot.ui.replies import whisper
from bot.wire.interactions import actor_of, file_limit, place_of
from core.errors import UserError
from studio.studio import Studio

EMPTY = "You have no favourites yet. Press ❤️ under a picture, or react to one of my messages with ⭐."


class FavouritesPages:
    """Shows a member's favourites."""

    def __init__(self, studio: Studio, posts: Posts) -> None:
        self._studio, self._posts = studio, posts

    async def show(self, interaction: discord.Interaction) -> None:
        """Put the newest favourite into the answer of a deferred interaction, or say that there is none."""
        post = await self._post(interaction, 0)
        if post is None:
            await whisper(interaction, EMPTY)
        else:
            await post.answer(interaction)

    async def turn_to(self, interaction: discord.Interaction, offset: int) -> None:
        """Show the presser's own favourite number ``offset`` (from 0) in the same message.

        Raises UserError when they have none any more.
        """
        await interaction.response.defer()
        post = await self._post(interaction, offset) or await self._post(interaction, 0)
        if post is None:
            raise UserError(EMPTY)
        await post.answer(interaction)

    async def _post(self, interaction: discord.Interaction, offset: int) -> Post | None:
        found = await self._studio.own.favourite(actor_of(interaction), offset)
        if found is None:
            return None
        kept, count, result = found
        text = (
            f"❤️ {offset + 1} of {count} · **{messages.quote(kept.prompt, 300) or 'no prompt'}**\n-# job"
            f" {kept.job_id} {kept.position + 1}"
        )
        view = buttons.for_favourite(kept.job_id, kept.position, offset, count)
        if result is None:
            return Post(f"{text}\n-# Its picture is gone, or only in places that you can't see.", view=view)
        limit, place = file_limit(interaction), place_of(interaction)
        return await self._posts.picture(result, kept.position, text, view, limit, place)
