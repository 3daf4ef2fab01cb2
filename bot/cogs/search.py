"""/search: pictures found by words, by what they show, or like another; for their asker alone.

``so:<search id>`` and, in older messages, ``se:<job id>:<index>`` open a picture that was found,
``sp:<search id>:<page>`` turns to a page; the search itself is a row.
"""

from collections.abc import Mapping
from typing import Any

import discord
from discord import app_commands

from bot.client import Atelier, AtelierCog
from bot.discord_api.interactions import actor_of, file_limit, place_of
from bot.ui import messages
from bot.ui.buttons import KeptItem, chosen_in, options_of, rows_of
from bot.ui.layout import Picture
from bot.ui.replies import Post, answers_privately, whisper
from core.errors import UserError
from core.language import N_, _
from studio import search
from studio.authority import Action, Actor
from studio.moderation.rules import Visibility
from studio.new_job import picture_of
from studio.requests.prompts import remix_text
from studio.search import Found
from studio.texts import job_name, plain

PAGE = 9  # pictures of a page
LONGEST = 60  # characters of a picture's prompt
NOTHING = N_("No picture fits. Try fewer words, or another filter.")
NO_MORE = N_("There are no more pictures that fit.")


class FoundButton(KeptItem, template=r"se:(?P<job_id>[a-z2-9]{12}):(?P<index>[0-9]{1,2})"):
    """Opens a picture that was found."""

    def __init__(self, job_id: str, index: int, number: int = 1, row: int | None = None) -> None:
        custom_id = f"se:{job_id}:{index}"
        super().__init__(discord.ui.Button(label=str(number), custom_id=custom_id, row=row))
        self.job_id, self.index = job_id, index

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        await client.cogs["Search"].open(interaction, self.job_id, self.index)


class FoundMenu(KeptItem, template=r"so:(?P<search_id>[a-z2-9]{12})"):
    """Opens one of the pictures that were found. found: "job index" → what it is called."""

    def __init__(self, search_id: str, found: Mapping[str, str] | None = None) -> None:
        options = options_of(found or {}) or [discord.SelectOption(label="-")]
        menu: discord.ui.Select[Any] = discord.ui.Select(
            custom_id=f"so:{search_id}", options=options, placeholder=_("Open one …"), row=0
        )
        super().__init__(menu)
        self.search_id = search_id

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        job_id, _unused, index = next(iter(chosen_in(interaction)), "").partition(" ")
        await client.cogs["Search"].open(interaction, job_id, int(index) if index.isdecimal() else 0)


class SearchPageButton(
    KeptItem, template=r"sp:(?P<search_id>[a-z2-9]{12}):(?P<page>[0-9]{1,3}):(?P<side>[lr])"
):
    """Turns to a page of a search."""

    def __init__(self, search_id: str, page: int, side: str, *, disabled: bool = False) -> None:
        emoji, custom_id = "◀️" if side == "l" else "▶️", f"sp:{search_id}:{page}:{side}"
        super().__init__(discord.ui.Button(emoji=emoji, custom_id=custom_id, disabled=disabled, row=1))
        self.search_id, self.page = search_id, page

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        await client.cogs["Search"].turn_to(interaction, self.search_id, self.page)


class Search(AtelierCog):
    @app_commands.command(description="Find pictures by words, by what they show, or like another one")
    @app_commands.describe(
        words="What its prompt says or it shows; also kind: model: seed: from: to: ar: fav: by: like:",
        image="A picture to find similar ones to",
    )
    @answers_privately
    async def search(
        self, interaction: discord.Interaction, words: str = "", image: discord.Attachment | None = None
    ) -> None:
        text = words.strip()
        if image is not None:
            source = await self.bot.asking.picture(actor_of(interaction), image, None)
            text = f"{text} like:{source.sha256}".strip()
        if not text:
            raise UserError("Say what to look for in `words`, or attach a picture as `image`.")
        await self._show(interaction, text)

    async def _show(self, interaction: discord.Interaction, text: str) -> None:
        """Put the first page of a search into the answer of a deferred interaction, or say that there is
        none. Raises UserError."""
        post = await self.post_of(actor_of(interaction), text)
        if not post.media:
            await whisper(interaction, post.text)
            return
        await post.answer(interaction)

    async def post_of(self, actor: Actor, text: str) -> Post:
        """Return the first page of a search, for its asker alone, or a sentence where there is none. Raises
        UserError."""
        found = await self._find(actor, text, 0)
        if not found.tiles:
            return Post(found.note or _(NOTHING))
        search_id = await self.bot.studio.search.keep(actor, text)
        return await self._post(actor, search_id, text, found, 0)

    async def turn_to(self, interaction: discord.Interaction, search_id: str, page: int) -> None:
        """Show another page of the presser's own search in the same message. Raises UserError."""
        await interaction.response.defer()
        actor = actor_of(interaction)
        text = await self.bot.studio.search.kept(actor, search_id)
        found = await self._find(actor, text, page)
        if not found.tiles:
            raise UserError(NO_MORE)
        await (await self._post(actor, search_id, text, found, page)).answer(interaction)

    @answers_privately
    async def open(self, interaction: discord.Interaction, job_id: str, index: int) -> None:
        """Show picture ``index`` (from 0) of a job to the presser alone, with its buttons. No row says that
        it is shown here: others don't see it. Raises ImageError or NotAllowedError."""
        result = await self.bot.studio.rights.result(actor_of(interaction), job_id, Action.SHOW)
        picture_of(result, index)  # its number must exist
        limit, place = file_limit(interaction), place_of(interaction)
        post = await self.bot.posts.single(result, index, interaction.user.id, limit, place)
        await post.answer(interaction)

    async def _find(self, actor: Actor, text: str, page: int) -> Found:
        query = search.read_query(text)
        return await self.bot.studio.search.find(actor, query, skip=page * PAGE, limit=PAGE)

    async def _post(self, actor: Actor, search_id: str, text: str, found: Found, page: int) -> Post:
        numbered, first = list(enumerate(found.tiles, 1)), page * PAGE + 1
        called = [
            plain(remix_text(tile.job, tile.picture.seed)) or job_name(tile.job.request)
            for tile in found.tiles
        ]
        copies = await self.bot.studio.search.copies(actor, found)
        pictures = tuple(
            Picture(copy.data, f"{search_id}-{number}.webp", words, copy.visibility is Visibility.SPOILER)
            for number, (copy, words) in enumerate(zip(copies, called, strict=True), first)
            if copy.data is not None
        )
        head = _(
            "🔍 **{text}** · {first} to {first2}",
            text=messages.quote(search.query_text(text), 200),
            first=first,
            first2=first + len(numbered) - 1,
        )
        lines = [head]
        for number, tile in numbered:
            words = messages.quote(remix_text(tile.job, tile.picture.seed), LONGEST) or job_name(
                tile.job.request
            )
            lines.append(f"-# {number}: {words}")
        lines += [f"-# {said}" for said in (found.note, found.order) if said]
        options = {
            f"{tile.job.id} {tile.picture.index}": f"{number}: {called[number - 1]}"
            for number, tile in numbered
        }
        rows = rows_of(
            FoundMenu(search_id, options),
            SearchPageButton(search_id, max(0, page - 1), "l", disabled=page == 0),
            SearchPageButton(search_id, page + 1, "r", disabled=not found.more),
        )
        return Post("\n".join(lines), pictures, rows)


async def setup(bot: Atelier) -> None:
    bot.add_dynamic_items(FoundButton, FoundMenu, SearchPageButton)
    await bot.add_cog(Search(bot))
