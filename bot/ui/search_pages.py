"""The pages of ``/search``: a numbered sheet with a button for each picture, for its asker alone.

``se:<job id>:<index>`` opens a picture, ``sp:<search id>:<page>`` turns to a page; the search itself is a
row.
"""

from __future__ import annotations

import re
from typing import Any

import discord

from bot.delivery.post import Picture, Post
from bot.delivery.posts import Posts
from bot.ui import buttons, messages
from bot.ui.replies import answers_privately, whisper
from bot.wire.interactions import actor_of, file_limit, place_of
from core.errors import UserError
from storage.gallery import Tile
from studio.asking.new_job import picture_of
from studio.asking.prompts import remix_text
from studio.asking.words import plain
from studio.authority import Action
from studio.search import tokens
from studio.search.search import Found
from studio.studio import Studio

PAGE, ROW = 9, 5  # pictures of a page; buttons that fit beside each other
LONGEST = 60  # characters of a picture's prompt
NOTHING = "No picture fits. Try fewer words, or another filter."
NO_MORE = "There are no more pictures that fit."


class FoundButton(
    discord.ui.DynamicItem[discord.ui.Button[Any]], template=r"se:(?P<job>[a-z2-9]{12}):(?P<index>[0-9])"
):
    """Opens a picture that was found."""

    def __init__(self, job_id: str, index: int, number: int = 1, row: int | None = None) -> None:
        custom_id = f"se:{job_id}:{index}"
        super().__init__(discord.ui.Button(label=str(number), custom_id=custom_id, row=row))
        self.job_id, self.index = job_id, index

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str]
    ) -> FoundButton:
        """Make the item of a message that may be older than this process."""
        return cls(match["job"], int(match["index"]))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Do what the press asks for."""
        client = interaction.client
        press = client.searches.open(interaction, self.job_id, self.index)
        await client.answers.guarded(interaction, press)


class SearchPageButton(
    discord.ui.DynamicItem[discord.ui.Button[Any]],
    template=r"sp:(?P<search>[a-z2-9]{12}):(?P<page>[0-9]{1,3}):(?P<side>[lr])",
):
    """Turns to a page of a search."""

    def __init__(self, search_id: str, page: int, side: str, *, disabled: bool = False) -> None:
        emoji, custom_id = "◀️" if side == "l" else "▶️", f"sp:{search_id}:{page}:{side}"
        super().__init__(discord.ui.Button(emoji=emoji, custom_id=custom_id, disabled=disabled, row=2))
        self.search_id, self.page = search_id, page

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str]
    ) -> SearchPageButton:
        """Make the item of a message that may be older than this process."""
        return cls(match["search"], int(match["page"]), match["side"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Do what the press asks for."""
        client = interaction.client
        await client.answers.guarded(
            interaction, client.searches.turn_to(interaction, self.search_id, self.page)
        )


DYNAMIC_ITEMS = (FoundButton, SearchPageButton)


class SearchPages:
    """Shows what members search for."""

    def __init__(self, studio: Studio, posts: Posts) -> None:
        self._studio, self._posts = studio, posts

    async def show(self, interaction: discord.Interaction, text: str) -> None:
        """Put the first page of a search into the answer of a deferred interaction, or say that there is
        none. Raises UserError."""
        found = await self._find(interaction, text, 0)
        if not found.tiles:
            await whisper(interaction, found.note or NOTHING)
            return
        search_id = await self._studio.search.keep(actor_of(interaction), text)
        await (await self._post(interaction, search_id, text, found, 0)).answer(interaction)

    async def turn_to(self, interaction: discord.Interaction, search_id: str, page: int) -> None:
        """Show another page of the presser's own search in the same message. Raises UserError."""
        await interaction.response.defer()
        text = await self._studio.search.kept(actor_of(interaction), search_id)
        found = await self._find(interaction, text, page)
        if not found.tiles:
            raise UserError(NO_MORE)
        await (await self._post(interaction, search_id, text, found, page)).answer(interaction)

    @answers_privately
    async def open(self, interaction: discord.Interaction, job_id: str, index: int) -> None:
        """Show picture ``index`` (from 0) of a job to the presser alone, with its buttons. No row says that
        it is shown here: others don't see it. Raises ImageError or NotAllowedError."""
        result = await self._studio.rights.result(actor_of(interaction), job_id, Action.SHOW)
        picture_of(result, index)  # its number must exist
        limit, place = file_limit(interaction), place_of(interaction)
        post = await self._posts.single(result, index, interaction.user.id, limit, place)
        await post.answer(interaction)

    async def _find(self, interaction: discord.Interaction, text: str, page: int) -> Found:
        query = tokens.read(text)
        return await self._studio.search.find(actor_of(interaction), query, skip=page * PAGE, limit=PAGE)

    async def _post(
        self, interaction: discord.Interaction, search_id: str, text: str, found: Found, page: int
    ) -> Post:
        shown = await self._studio.search.sheet(actor_of(interaction), found)
        assert shown.data is not None  # a sheet is always there, though its cells may be empty
        picture = Picture(shown.data, f"search-{search_id}.webp", _alt(found))
        return Post(_text(text, found, page), picture, _view(search_id, found, page))


def _text(text: str, found: Found, page: int) -> str:
    first = page * PAGE + 1
    lines = [f"🔍 **{messages.quote(tokens.shown(text), 200)}** · {first} to {first + len(found.tiles) - 1}"]
    lines += [f"-# {number}: {_words(tile)}" for number, tile in enumerate(found.tiles, 1)]
    return "\n".join([*lines, *(f"-# {said}" for said in (found.note, found.order) if said)])


def _words(tile: Tile) -> str:
    return messages.quote(remix_text(tile.job), LONGEST) or f"/{tile.job.request.kind}"


def _alt(found: Found) -> str:
    return "; ".join(f"{number}: {plain(remix_text(tile.job))}" for number, tile in enumerate(found.tiles, 1))


def _view(search_id: str, found: Found, page: int) -> discord.ui.View:
    opening = [
        FoundButton(tile.job.id, tile.picture.index, number + 1, row=number // ROW)
        for number, tile in enumerate(found.tiles)
    ]
    back = SearchPageButton(search_id, max(0, page - 1), "l", disabled=page == 0)
    return buttons.view_of(
        *opening, back, SearchPageButton(search_id, page + 1, "r", disabled=not found.more)
    )
