"""/taste: how well the studio knows what a member likes, pages of nine pictures to rate, codes, and an end to
learning.

``tv:<out or back>:<word>`` strikes a word out of a taste, or takes it back in.
``ni:<page>:<styles>:<liked>:<what>`` is a button of a page of nine. liked: a bit for each that is marked.
``ni:rate`` opens the first page."""

import io
from collections.abc import Sequence
from typing import Any, Literal

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Atelier, AtelierCog
from bot.discord_api.interactions import actor_of
from bot.projects.taste_loras import LoraButton, show_lora
from bot.ui.buttons import KeptItem, Secondary, Success, rows_of, view_of
from bot.ui.layout import numbered_words
from bot.ui.replies import SILENT, Post, acknowledge, answers_privately, choices, whisper
from core.language import N_, _
from storage.server_tastes import SERVER
from studio.duels import told_of_lack
from studio.server_tastes import told_of_server
from studio.tastes import told
from studio.texts import code as quoted
from studio.texts import counted

MOST_BUTTONS = 20
NO_MORE = N_(
    "There are no more pictures to rate now. If the operator lets it, the studio draws more while nobody"
    " waits."
)
ONWARD = {"none": N_("None of these"), "next": N_("Next"), "back": N_("Back")}
OF = N_("me: your hearts, or the name of a folder of yours")


class NineButton(
    KeptItem,
    template=r"ni:(?P<name>[0-9a-f]{16}):(?P<styles>[0-9]{1,10}(\.[0-9]{1,10}){8}):"
    r"(?P<liked>[0-9]{1,3}):(?P<what>[1-9]|none|next|back)",
):
    """Marks a picture of a page of nine as liked, or goes on to the next page, or back to what the presser
    said last. name: the page's."""

    def __init__(self, name: str, styles: str, liked: int | str, what: str) -> None:
        marks, number = int(liked), int(what) if what.isdecimal() else 0
        is_liked = number > 0 and bool(marks >> number - 1 & 1)
        button: discord.ui.Button[Any] = discord.ui.Button(
            label=_(ONWARD[what]) if what in ONWARD else what,
            emoji="❤️" if is_liked else None,
            style=Success if is_liked or what == "next" else Secondary,
            disabled=what == ("none" if marks else "next"),
            custom_id=f"ni:{name}:{styles}:{marks}:{what}",
            row=(number - 1) // 3 if number else 3,
        )
        super().__init__(button)
        self.name, self.what, self.marks = name, what, marks
        self.styles = [int(number) for number in styles.split(".")]

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        await interaction.response.defer()
        if self.what not in ONWARD:
            marks = self.marks ^ 1 << int(self.what) - 1
            await interaction.edit_original_response(
                view=nine_view(self.name, self.styles, marks), allowed_mentions=SILENT
            )
            return
        if self.what == "back":
            await client.cogs["taste"].show_nine(interaction, back=True)
            return
        liked = [style for place, style in enumerate(self.styles) if self.marks >> place & 1]
        passed = [style for style in self.styles if style not in liked]
        await client.studio.tastes.rate(actor_of(interaction), self.name, liked, passed)
        await client.cogs["taste"].show_nine(interaction)


def nine_view(page: str, styles: Sequence[int], marks: int = 0) -> discord.ui.View:
    """Return the buttons of a page of nine. marks: a bit for each that is liked."""
    joined = ".".join(map(str, styles))
    presses = (*map(str, range(1, len(styles) + 1)), *ONWARD)
    return view_of(*(NineButton(page, joined, marks, what) for what in presses))


class RateButton(KeptItem, template="ni:rate"):
    """Shows the presser pages of nine to rate."""

    def __init__(self) -> None:
        super().__init__(discord.ui.Button(label=_("Rate nine"), style=Success, custom_id="ni:rate", row=4))

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        if await acknowledge(interaction, ephemeral=True):
            await client.cogs["taste"].show_nine(interaction)


class WordButton(KeptItem, template=r"tv:(?P<action>out|back):(?P<word>.{1,60})"):
    """Strikes a word out of the presser's taste, or takes it back in."""

    def __init__(self, action: str, word: str) -> None:
        label = f"{'✕' if action == 'out' else '↩'} {word}"
        super().__init__(discord.ui.Button(label=label, custom_id=f"tv:{action}:{word}"))
        self.action, self.word = action, word

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        if not await acknowledge(interaction, ephemeral=True):
            return
        out = self.action == "out"
        await client.studio.tastes.strike(actor_of(interaction), self.word, struck=out)
        gone = _("{word} isn't added to your prompts any more.", word=quoted(self.word))
        there = _("{word} may be added to your prompts again.", word=quoted(self.word))
        await whisper(interaction, gone if out else there)


class Taste(
    AtelierCog,
    commands.GroupCog,
    name="taste",
    description="What Atelier has learned from the pictures you like",
):
    @app_commands.command(description="Show how well I know what you like, and your codes")
    @app_commands.describe(of=OF)
    @answers_privately
    async def show(self, interaction: discord.Interaction, of: str = "me") -> None:
        actor, tastes = actor_of(interaction), self.bot.studio.tastes
        card = await tastes.card(actor, of)
        typed = "--p" if card.name == "me" else f"--p {card.name}"
        lines = [f"**{quoted(typed)}**", *told(card)]
        for one in await tastes.codes(actor):
            own = one.user_id == actor.user_id
            shared = _("shared with a server") if own else _("shared here")
            whose = one.name if own else f"<@{one.user_id}>"
            what = [whose, counted(one.pictures, "picture"), *([shared] if one.guild_id else [])]
            lines.append(f"{quoted(f'--p {one.code}')} {' · '.join(what)}")
        words = [WordButton("out", word) for word in card.words]
        words += [WordButton("back", word) for word in card.struck]
        await Post("\n".join(lines), rows=rows_of(*words[:MOST_BUTTONS], RateButton())).answer(interaction)

    @app_commands.command(description="Rate nine pictures at a time, so that I learn what you like")
    @answers_privately
    async def nine(self, interaction: discord.Interaction) -> None:
        await self.show_nine(interaction)

    async def show_nine(self, interaction: discord.Interaction, *, back: bool = False) -> None:
        """Put the next page to rate into the answer of a deferred interaction, or the last one (``back``).
        Raises UserError or ImageError."""
        actor, studio = actor_of(interaction), self.bot.studio
        page = await (studio.tastes.last_page if back else studio.tastes.next_page)(actor)
        known = " ".join(told(await studio.tastes.card(actor)))
        styles = [] if page is None else list(page.styles)
        mosaic = await studio.wall.mosaic(actor, styles) if styles else None
        if page is None or mosaic is None:
            said, files, view = _(NO_MORE), list[discord.File](), None
        else:
            said, view = (
                _("**Which of these do you like?** Press their numbers."),
                nine_view(page.page, styles, sum(1 << place for place in page.liked)),
            )
            alt = numbered_words(page.styles.values())
            files = [discord.File(io.BytesIO(mosaic), "nine.webp", description=alt)]
        await interaction.edit_original_response(
            content=f"{said}\n-# {known}", attachments=files, view=view, allowed_mentions=SILENT
        )

    @app_commands.command(description="Keep a taste as it is now: a code that never changes")
    @app_commands.describe(of=OF, who="server: members can draw with it here; private: only you")
    @answers_privately
    async def code(
        self, interaction: discord.Interaction, of: str = "me", who: Literal["server", "private"] = "private"
    ) -> None:
        shared = who == "server"
        made = await self.bot.studio.tastes.keep(actor_of(interaction), of, shared=shared)
        said = _(
            "{code} draws by this taste as it is now. `/taste forget` takes it back.",
            code=quoted(f"--p {made.code}"),
        )
        if shared:
            said += " " + _("Members here can draw what you like with it; they see none of its pictures.")
        if made.left_out:
            left = counted(made.left_out, "picture")
            said += " " + _("{pictures} that only you see were left out.", pictures=left)
        await whisper(interaction, said)

    @app_commands.command(description="Train a LoRA on what you like, and choose blind whether it acts")
    @app_commands.describe(of=OF)
    @answers_privately
    async def strong(self, interaction: discord.Interaction, of: str = "me") -> None:
        await show_lora(self.bot.studio, interaction, of)

    @app_commands.command(description="Take a code back: nobody can use it any more")
    @app_commands.describe(code="The code, such as p7k2m4qab3")
    @answers_privately
    async def forget(self, interaction: discord.Interaction, code: str) -> None:
        await self.bot.studio.tastes.take_back(actor_of(interaction), code)
        await whisper(interaction, _("The code is gone. Pictures that were drawn with it stay."))

    @app_commands.command(description="Show what members of this server like together, for --p server")
    @app_commands.describe(
        change="forget me, count me: whether you count; for managers: use, don't use, reset, on, off"
    )
    @app_commands.guild_only()
    @answers_privately
    async def server(
        self,
        interaction: discord.Interaction,
        change: Literal["forget me", "count me", "use", "don't use", "reset", "on", "off"] | None = None,
    ) -> None:
        actor, tastes = actor_of(interaction), self.bot.studio.server_tastes
        said = ""
        if change in ("forget me", "count me"):
            await tastes.count_me(actor, counts=change == "count me")
        elif change == "reset":
            await tastes.reset(actor)
            said = _("No heart counts that was given until now.") + "\n"
        elif change in ("use", "don't use"):
            await tastes.use(actor, on=change == "use")
        elif change is not None:
            await tastes.set_on(actor, on=change == "on")
        lines = [f"**{quoted(f'--p {SERVER}')}**", *told_of_server(await tastes.card(actor))]
        await whisper(interaction, said + "\n".join(lines))

    @app_commands.command(
        description="Show pairs of pictures to vote on in a channel once a week (Manage Server); none ends it"
    )
    @app_commands.describe(channel="Its own pictures are shown, without names; leave it out to end the votes")
    @app_commands.guild_only()
    @answers_privately
    async def duel(
        self, interaction: discord.Interaction, channel: discord.TextChannel | None = None
    ) -> None:
        actor, duels = actor_of(interaction), self.bot.studio.duels
        await duels.set_channel(actor, channel.id if channel else None)
        on = _("Within minutes, and then once a week, pairs of pictures are shown here: {where}.")
        off = _("No pairs are shown any more. What was voted counts on.")
        said = on.format(where=channel.mention) if channel else off
        await whisper(interaction, " ".join(filter(None, (said, told_of_lack(await duels.held(actor))))))

    @app_commands.command(
        description="Let members vote blindly on this server's taste (Manage Server); none ends the vote"
    )
    @app_commands.describe(channel="Eight pairs are drawn and shown there; leave it out to end the vote")
    @app_commands.guild_only()
    @answers_privately
    async def trial(
        self, interaction: discord.Interaction, channel: discord.TextChannel | None = None
    ) -> None:
        actor, tastes = actor_of(interaction), self.bot.studio.server_tastes
        if channel is None:
            await tastes.end_trial(actor)
            ends = _("The vote ends within minutes. `/taste server` says then what came of it.")
            await whisper(interaction, ends)
            return
        await tastes.begin_trial(actor, channel.id)
        begins = _(
            "The pairs are drawn while nobody waits, and then shown for a week here: {where}. If members like"
            " those with `--p server` more, it is used.",
            where=channel.mention,
        )
        await whisper(interaction, begins)

    @app_commands.command(description="Turn learning from your hearts on or off")
    @app_commands.describe(learning="off: nothing is learned, and your codes are deleted")
    @answers_privately
    async def learn(self, interaction: discord.Interaction, learning: Literal["on", "off"]) -> None:
        await self.bot.studio.own.change(actor_of(interaction), taste=learning == "on")
        on = _("I learn from your hearts again, for `--p`.")
        off = _("Nothing is learned from your hearts any more, and your codes are deleted.")
        await whisper(interaction, on if learning == "on" else off)

    @show.autocomplete("of")
    @code.autocomplete("of")
    @strong.autocomplete("of")
    async def _of(self, interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        names = await self.bot.studio.tastes.names(actor_of(interaction))
        return choices((name, name) for name in names if current.strip().lower() in name)

    @forget.autocomplete("code")
    async def _codes(self, interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        found = await self.bot.studio.tastes.codes(actor_of(interaction))
        mine = [one for one in found if one.user_id == interaction.user.id]
        return choices((f"{one.code} · {one.name}", one.code) for one in mine if current.lower() in one.code)


async def setup(bot: Atelier) -> None:
    bot.add_dynamic_items(NineButton, RateButton, WordButton, LoraButton)
    await bot.add_cog(Taste(bot))
