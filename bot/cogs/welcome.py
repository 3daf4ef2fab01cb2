"""A server's first minute: one message that says what the bot is when it joins, and the panel by which its
managers say where, for whom and how it works. The panel writes what /studio and /moderation write.

``su:open`` opens the panel; ``su:<what>`` are its parts."""

import logging
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import discord
from discord.ext import commands

from bot.client import Atelier, AtelierCog
from bot.discord_api.http import FAILURES
from bot.discord_api.interactions import actor_of
from bot.ui.buttons import KeptItem, Secondary, Success, chosen_in, view_of
from bot.ui.replies import SILENT, answers_privately
from bot.ui.translator import AUTOMATIC
from core.language import LANGUAGES, N_, SOURCE, _, known_language, speaking
from studio.duels import told_of_lack

log = logging.getLogger(__name__)
HELLO = N_(
    "Hello, I am Atelier: I draw, change and read pictures on this host's own machine. Try `/imagine a red "
    "house in the snow`; `/help` shows the rest.\n**Who manages this server:** `/studio setup`, or the "
    "button, says where, who and what. What I keep of you: `/privacy show`."
)
TRIAL = "a red house in the snow"
MOST = 25  # values of a menu
LEVELS = {
    "default": N_("As the operator has set it"),
    "off": N_("Off: sexual content anywhere"),
    "standard": N_("Standard: only in age-restricted channels"),
    "strict": N_("Strict: nowhere"),
}
KINDS = [
    discord.ChannelType.text,
    discord.ChannelType.voice,
    discord.ChannelType.stage_voice,
    discord.ChannelType.forum,
    discord.ChannelType.public_thread,
]


class ListMenu(KeptItem, template=r"su:(?P<kind>channel|role)"):
    """Chooses the channels, or the roles, that may use the bot. None chosen: all may."""

    def __init__(self, kind: str, ids: Collection[int] = ()) -> None:
        about: dict[str, Any] = {"custom_id": f"su:{kind}", "min_values": 0, "max_values": MOST}
        menu: discord.ui.ChannelSelect[Any] | discord.ui.RoleSelect[Any]
        if kind == "channel":
            listed = [discord.SelectDefaultValue.from_channel(discord.Object(one)) for one in ids]
            about |= {"channel_types": KINDS, "placeholder": _("All channels")}
            menu = discord.ui.ChannelSelect(**about, default_values=listed)
        else:
            listed = [discord.SelectDefaultValue.from_role(discord.Object(one)) for one in ids]
            menu = discord.ui.RoleSelect(**about, placeholder=_("Everybody"), default_values=listed)
        super().__init__(menu)
        self.kind = kind

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        chosen = {int(one) for one in chosen_in(interaction)}
        await client.cogs["Welcome"].on_list(interaction, self.kind, chosen)


class LevelMenu(KeptItem, template=r"su:level"):
    """Chooses the level of moderation."""

    def __init__(self, level: str = "") -> None:
        options = [
            discord.SelectOption(label=_(label), value=value, default=value == level)
            for value, label in LEVELS.items()
        ]
        super().__init__(discord.ui.Select(custom_id="su:level", options=options))

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        await client.cogs["Welcome"].on_level(interaction, next(iter(chosen_in(interaction)), ""))


class LanguageMenu(KeptItem, template=r"su:language"):
    """Chooses the language of public answers."""

    def __init__(self, language: str = "") -> None:
        offered = {AUTOMATIC: _("As this server has it on Discord"), **LANGUAGES}
        options = [
            discord.SelectOption(label=label, value=value, default=value == (language or AUTOMATIC))
            for value, label in offered.items()
        ]
        super().__init__(discord.ui.Select(custom_id="su:language", options=options))

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        await client.cogs["Welcome"].on_language(interaction, next(iter(chosen_in(interaction)), ""))


class PlaceMenu(KeptItem, template=r"su:(?P<kind>alerts|duels)"):
    """Chooses the channel where strikes are told, or where pairs are shown to vote on. None chosen:
    nowhere."""

    def __init__(self, kind: str, channel_id: int | None = None) -> None:
        listed = [] if channel_id is None else [discord.Object(channel_id)]
        super().__init__(
            discord.ui.ChannelSelect(
                custom_id=f"su:{kind}",
                min_values=0,
                channel_types=[discord.ChannelType.text],
                placeholder=_("Nowhere"),
                default_values=[discord.SelectDefaultValue.from_channel(one) for one in listed],
            )
        )
        self.kind = kind

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        chosen = next((int(one) for one in chosen_in(interaction)), None)
        await client.cogs["Welcome"].on_place(interaction, self.kind, chosen)


class SetupButton(KeptItem, template=r"su:(?P<what>open|talk|done|try)"):
    """Opens the panel, turns mentions on or off, closes the panel, or draws something."""

    def __init__(self, what: str, label: str = "…", style: discord.ButtonStyle = Secondary) -> None:
        super().__init__(discord.ui.Button(label=label, style=style, custom_id=f"su:{what}"))
        self.what = what

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        cog = client.cogs["Welcome"]
        if self.what == "try":
            await client.asking.imagine(interaction, TRIAL)
        else:
            await {"open": cog.open, "talk": cog.on_talk, "done": cog.on_done}[self.what](interaction)


class Welcome(AtelierCog):
    @commands.Cog.listener()
    async def on_guild_join(self, guild: discord.Guild) -> None:
        """Say once in a server what the bot is, where it may write. Nobody is written to unasked."""
        channels = [guild.system_channel, *guild.text_channels]
        here = [(one, one.permissions_for(guild.me)) for one in channels if one is not None]
        channel = next((one for one, may in here if may.view_channel and may.send_messages), None)
        if channel is None or not await self.bot.people.greet(guild.id, guild.name):
            return
        try:
            with speaking(known_language(str(guild.preferred_locale)) or SOURCE):
                view = view_of(SetupButton("open", _("Set up"), discord.ButtonStyle.primary))
                await channel.send(_(HELLO), view=view, allowed_mentions=SILENT)
        except FAILURES as error:
            log.info("server %d isn't greeted (%s)", guild.id, type(error).__name__)

    @answers_privately
    async def open(self, interaction: discord.Interaction) -> None:
        """Show the panel to a manager alone. Raises NotAllowedError."""
        await self._show(interaction, await self._panel(interaction))

    async def on_list(self, interaction: discord.Interaction, kind: str, chosen: Collection[int]) -> None:
        """Make ``chosen`` the channels or roles (``kind``) that may use the bot. Raises NotAllowedError."""
        await interaction.response.defer()
        server, actor = self.bot.studio.server, actor_of(interaction)
        channels, roles = await server.allowed(actor)
        listed = set(channels if kind == "channel" else roles)
        for one in sorted(set(chosen) - listed):
            await server.allow(actor, kind, one)
        # what the menu had no room for, or is gone, wasn't taken out
        for one in sorted(set(self._offered(interaction.guild, kind, listed)) - set(chosen)):
            await server.disallow(actor, kind, one)
        await self._show(interaction, await self._panel(interaction))

    async def on_level(self, interaction: discord.Interaction, level: str) -> None:
        """Set the level of moderation. Raises NotAllowedError."""
        await interaction.response.defer()
        chosen = level if level in LEVELS and level != "default" else None
        await self.bot.studio.server.set_moderation(actor_of(interaction), level=chosen)
        await self._show(interaction, await self._panel(interaction))

    async def on_language(self, interaction: discord.Interaction, language: str) -> None:
        """Choose the language of public answers. Raises NotAllowedError."""
        await interaction.response.defer()
        chosen = language if language in LANGUAGES else ""
        await self.bot.studio.server.set_language(actor_of(interaction), chosen)
        await self._show(interaction, await self._panel(interaction))

    async def on_place(self, interaction: discord.Interaction, kind: str, channel_id: int | None) -> None:
        """Choose where strikes are told, or pairs are shown. Raises NotAllowedError, UserError where nothing
        can be written."""
        await interaction.response.defer()
        actor, studio = actor_of(interaction), self.bot.studio
        if kind == "alerts":
            await studio.server.set_alerts(actor, channel_id)
        else:
            await studio.duels.set_channel(actor, channel_id)
        await self._show(interaction, await self._panel(interaction))

    async def on_talk(self, interaction: discord.Interaction) -> None:
        """Turn mentions on or off. Raises NotAllowedError."""
        await interaction.response.defer()
        server, actor = self.bot.studio.server, actor_of(interaction)
        await server.set_talk(actor, on=not await server.talks(actor))
        await self._show(interaction, await self._panel(interaction))

    async def on_done(self, interaction: discord.Interaction) -> None:
        """Replace the panel by what it has set. Raises NotAllowedError."""
        await interaction.response.defer()
        actor, server = actor_of(interaction), self.bot.studio.server
        channels, roles = await server.allowed(actor)
        where = ", ".join(f"<#{one}>" for one in sorted(channels)[:MOST]) or _("all channels")
        who = ", ".join(f"<@&{one}>" for one in sorted(roles)[:MOST]) or _("everybody")
        rules, _unused = await server.moderation(actor)
        text = _(
            "**Set up.** In {where}, for {who}; moderation: {level}. `/studio rules` shows all.",
            where=where,
            who=who,
            level=rules.level,
        )
        view = discord.ui.LayoutView(timeout=None)
        view.add_item(discord.ui.TextDisplay(text))
        await self._show(interaction, view)

    async def _show(self, interaction: discord.Interaction, view: discord.ui.LayoutView) -> None:
        await interaction.edit_original_response(view=view, allowed_mentions=SILENT)

    async def _panel(self, interaction: discord.Interaction) -> discord.ui.LayoutView:
        """Return the panel as things stand. Raises NotAllowedError unless the presser manages the server."""
        actor, server = actor_of(interaction), self.bot.studio.server
        channels, roles = await server.allowed(actor)
        level = await server.own_level(actor) or "default"
        talks, guild = await server.talks(actor), interaction.guild
        style = Success if talks else Secondary
        mentions = SetupButton("talk", _("Mentions: on") if talks else _("Mentions: off"), style)
        may_talk = [mentions] if self.bot.settings.talk != "off" else []
        done = SetupButton("done", _("Done"), discord.ButtonStyle.primary)
        language = await server.language(actor)
        alerts = self._offered(guild, "channel", filter(None, [await server.alerts(actor)]))
        held = await self.bot.studio.duels.held(actor)
        shown_in = self._offered(guild, "channel", filter(None, [held.channel_id]))
        asked = _(
            "**Votes on pairs:** where do members vote on pictures once a week? `--p server` learns from it."
        )
        pairs = [(" ".join(filter(None, (asked, told_of_lack(held)))), [PlaceMenu("duels", *shown_in)])]
        parts: list[tuple[str, Sequence[discord.ui.Item[Any]]]] = [
            (
                _("**Where** may Atelier be used?"),
                [ListMenu("channel", self._offered(guild, "channel", channels))],
            ),
            (_("**Who** may use it?"), [ListMenu("role", self._offered(guild, "role", roles))]),
            (
                _("**What** may be made? Sexual content with minors is blocked at every level."),
                [LevelMenu(level)],
            ),
            (_("**Language** of answers that everybody sees"), [LanguageMenu(language)]),
            (
                _("**Alerts:** where are members' strikes and time-outs reported?"),
                [PlaceMenu("alerts", *alerts)],
            ),
            *(pairs if self.bot.settings.taste else []),
            ("", [done, SetupButton("try", _("Try it")), *may_talk]),
        ]
        panel: discord.ui.Container[Any] = discord.ui.Container()
        panel.add_item(discord.ui.TextDisplay(_("## Set up Atelier\nEach choice holds at once.")))
        for text, items in parts:
            if text:
                panel.add_item(discord.ui.TextDisplay(text))
            panel.add_item(discord.ui.ActionRow(*items))
        view = discord.ui.LayoutView(timeout=None)
        return view.add_item(panel)

    def _offered(self, guild: discord.Guild | None, kind: str, ids: Iterable[int]) -> list[int]:
        """Return those of the listed channels or roles that are there still, as many as a menu takes."""
        if guild is None:
            return []
        find = guild.get_channel_or_thread if kind == "channel" else guild.get_role
        return [one for one in sorted(ids) if find(one) is not None][:MOST]


async def setup(bot: Atelier) -> None:
    bot.add_dynamic_items(ListMenu, LevelMenu, LanguageMenu, PlaceMenu, SetupButton)
    await bot.add_cog(Welcome(bot))
