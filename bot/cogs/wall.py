"""The wall of styles: nine at a time as one picture, opened by a menu, liked and used; and codes of one's own
pictures. ``/style wall`` and ``/style code`` lead here.

``wm:<search id>`` opens a style that was found, ``wp:<search id>:<page>:<side>`` turns to a page, and
``wb:<style>:<action>`` is a button of one style; the search itself is a row.
"""

from collections.abc import Mapping
from typing import Any

import discord

from bot.client import Atelier, AtelierCog
from bot.discord_api.interactions import actor_of
from bot.ui.buttons import KeptItem, chosen_in, options_of, rows_of
from bot.ui.layout import Picture, numbered_words
from bot.ui.modals import NO_JOB, Submission, Window, uploads
from bot.ui.replies import Post, acknowledge, answers_privately
from core.errors import ImageError, StorageError, UserError
from core.language import N_, _
from core.limits import MAX_PROMPT
from studio.authority import Actor
from studio.library.wall import Style
from studio.moderation.rules import Visibility

SHOWN, SIDE, MOST_FILES = 9, 256, 10  # styles of a message, px, and pictures of a window
LIKE = "like:"  # begins a search for styles like another
ORDERS = ("me", "new")  # begin one whose styles go by one's taste, or by their age
NOTHING = N_("No style fits. Try fewer words.")
USE, CODE = "walluse", "wallcode"  # windows


class WallMenu(KeptItem, template=r"wm:(?P<search_id>[a-z2-9]{12})"):
    """Opens one of the styles that were found. found: its number → what it is called."""

    def __init__(self, search_id: str, found: Mapping[str, str] | None = None) -> None:
        menu: discord.ui.Select[Any] = discord.ui.Select(
            custom_id=f"wm:{search_id}",
            options=options_of(found or {"-": "-"}),
            placeholder=_("Open one …"),
            row=0,
        )
        super().__init__(menu)
        self.search_id = search_id

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        number = next(iter(chosen_in(interaction)), "")
        await client.cogs["Wall"].open(interaction, int(number) if number.isdecimal() else -1)


class WallPageButton(
    KeptItem, template=r"wp:(?P<search_id>[a-z2-9]{12}):(?P<page>[0-9]{1,3}):(?P<side>[lr])"
):
    """Turns to a page of the wall."""

    def __init__(self, search_id: str, page: int, side: str, *, disabled: bool = False) -> None:
        emoji, custom_id = "◀️" if side == "l" else "▶️", f"wp:{search_id}:{page}:{side}"
        super().__init__(discord.ui.Button(emoji=emoji, custom_id=custom_id, disabled=disabled, row=1))
        self.search_id, self.page = search_id, int(page)

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        await client.cogs["Wall"].turn_to(interaction, self.search_id, self.page)


LOOKS = {"use": ("🖌️", N_("Use")), "like": ("❤️", N_("Like")), "alike": ("🔍", N_("More like this"))}


class WallButton(KeptItem, template=r"wb:(?P<style>[0-9]{1,10}):(?P<action>[a-z]+)"):
    """A button of one style."""

    def __init__(self, style: int, action: str) -> None:
        emoji, label = LOOKS.get(action, ("", action))
        custom_id = f"wb:{style}:{action}"
        super().__init__(discord.ui.Button(emoji=emoji or None, label=_(label), custom_id=custom_id))
        self.style, self.action = int(style), action

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        await client.cogs["Wall"].press(interaction, self.style, self.action)


class Wall(AtelierCog):
    async def show(self, interaction: discord.Interaction, text: str) -> None:
        """Put the first page of styles into the answer of a deferred interaction. Raises UserError."""
        actor = actor_of(interaction)
        search_id = await self.bot.studio.search.keep(actor, text)
        await (await self._page(actor, search_id, text, 0)).answer(interaction)

    async def turn_to(self, interaction: discord.Interaction, search_id: str, page: int) -> None:
        """Show another page of the presser's own search in the same message. Raises UserError."""
        await interaction.response.defer()
        actor = actor_of(interaction)
        text = await self.bot.studio.search.kept(actor, search_id)
        await (await self._page(actor, search_id, text, page)).answer(interaction)

    async def _page(self, actor: Actor, search_id: str, text: str, page: int) -> Post:
        number = text.removeprefix(LIKE)
        like = int(number) if number != text and number.isdecimal() else None
        order = next((name for name in ORDERS if text.startswith(f"{name}:")), "")
        words = "" if like is not None else text.removeprefix(f"{order}:")
        wall, skip = self.bot.studio.wall, page * SHOWN
        found = await wall.find(actor, words, like, order=order, skip=skip, limit=SHOWN)
        if not found.styles:
            return Post(found.note or _(NOTHING))
        first = page * SHOWN + 1
        numbered = list(enumerate(found.styles, first))
        head = _("**Styles** {first} to {last}", first=first, last=first + len(numbered) - 1)
        lines = [head, *(f"-# {place}: **{one.number}** {', '.join(one.words)}" for place, one in numbered)]
        lines += [f"-# {_(found.note)}"] if found.note else []
        mosaic = await wall.mosaic(actor, [one.number for one in found.styles], first)
        alt = numbered_words((one.words for one in found.styles), first)
        pictures = (Picture(mosaic, f"styles-{first}.webp", alt),) if mosaic else ()
        options = {
            str(one.number): f"{place}: {one.number} {', '.join(one.words)}" for place, one in numbered
        }
        rows = rows_of(
            WallMenu(search_id, options),
            WallPageButton(search_id, max(0, page - 1), "l", disabled=page == 0),
            WallPageButton(search_id, page + 1, "r", disabled=not found.more),
        )
        return Post("\n".join(lines), pictures, rows)

    async def _picture(self, actor: Actor, style: Style) -> Picture | None:
        if style.tile is None:
            return None
        try:
            shown = await self.bot.studio.wall.picture(actor, style.number, SIDE)
        except (ImageError, StorageError):
            return None
        if shown is None or shown.data is None:
            return None
        veiled = shown.visibility is Visibility.SPOILER
        name = f"style-{style.number}.webp"
        return Picture(shown.data, name, ", ".join(style.words), veiled)

    @answers_privately
    async def open(self, interaction: discord.Interaction, number: int) -> None:
        """Show one style with its buttons. Raises UserError where there is none."""
        await (await self._one(actor_of(interaction), number)).answer(interaction)

    async def _one(self, actor: Actor, number: int) -> Post:
        style = await self.bot.studio.wall.one(actor, number)
        picture = await self._picture(actor, style)
        liked = _("Likes: {n}", n=style.likes)
        head, yours = f"**--sref {number}** {', '.join(style.words)}", " · ❤️" if style.liked else ""
        actions = ("use", "like", *(["alike"] if style.tile is not None else []))
        rows = rows_of(*(WallButton(number, action) for action in actions))
        return Post(f"{head}\n-# {liked}{yours}", () if picture is None else (picture,), rows)

    async def press(self, interaction: discord.Interaction, number: int, action: str) -> None:
        """Do what a button of a style says. Raises UserError, NotAllowedError."""
        if action == "use":
            window = Window(_("Draw in style {number}", number=number), USE, NO_JOB, 0, str(number))
            window.add_text(_("Your prompt"), "prompt", hint=_("a lighthouse at dawn"), most=MAX_PROMPT - 20)
            await interaction.response.send_modal(window)
            return
        if not await acknowledge(interaction, ephemeral=True):
            return
        if action == "alike":
            await self.show(interaction, f"{LIKE}{number}")
            return
        actor = actor_of(interaction)
        style = await self.bot.studio.wall.one(actor, number)
        await self.bot.studio.wall.like(actor, number, liked=not style.liked)
        await (await self._one(actor, number)).answer(interaction)

    async def ask_for_pictures(self, interaction: discord.Interaction) -> None:
        """Open the window for pictures whose look becomes a code."""
        window = Window(_("A code of your own pictures"), CODE, NO_JOB, 0)
        about = _("Up to {most} that share a look", most=MOST_FILES)
        window.add_upload(_("Pictures"), "pictures", about, least=1, most=MOST_FILES)
        await interaction.response.send_modal(window)

    async def on_window(self, interaction: discord.Interaction, sent: Submission) -> None:
        """Draw a prompt in a style, or make a code of pictures. Raises UserError, ImageError."""
        if sent.what == USE:
            await self.bot.asking.imagine(interaction, f"{sent.text('prompt')} --sref {sent.more}")
        elif await acknowledge(interaction, ephemeral=True):
            await self._make_code(interaction, sent)

    async def _make_code(self, interaction: discord.Interaction, sent: Submission) -> None:
        actor, sources = actor_of(interaction), self.bot.studio.sources
        files = self.bot.links.attached(uploads(interaction, sent, "pictures"))
        if not files:
            raise UserError("There is no picture. Attach one or more.")
        pictures = [(await sources.meant(actor, file)).sha256 for file in files]
        code, words = await self.bot.studio.wall.code_of(actor, pictures)
        said = _("`--sref {code}` stands for {words}.", code=code, words=", ".join(words))
        how = _("Write it into any prompt; it mixes: `--sref {code}::2 1234::1`", code=code)
        await Post(f"{said}\n-# {how}").answer(interaction)


async def setup(bot: Atelier) -> None:
    bot.add_dynamic_items(WallMenu, WallPageButton, WallButton)
    await bot.add_cog(Wall(bot))
