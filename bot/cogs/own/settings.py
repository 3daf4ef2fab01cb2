"""/settings: a panel of one's own choices; /prefer: own options, a suffix, and the same choices as
commands."""

from __future__ import annotations

from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Atelier
from bot.ui import buttons, messages
from bot.ui.buttons import SettingButton, SettingMenu
from bot.ui.replies import SILENT, whisper
from core.errors import UserError
from core.job import Lane
from core.parameters import VERSIONS
from core.preferences import MAX_OPTIONS, STYLIZE, Preferences, check_option, check_suffix
from studio.asking.words import code
from studio.authority import Action

TOGGLES = {
    "raw": "RAW",
    "remix": "Remix",
    "stealth": "Stealth",
    "sticky": "Sticky Style",
    "auto_dm": "DM results",
}


class Settings(commands.Cog):
    def __init__(self, bot: Atelier) -> None:
        self.bot = bot

    @app_commands.command(description="Your own settings for new prompts")
    async def settings(self, interaction: discord.Interaction) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        await self.bot.check(interaction, Action.SETTINGS)
        chosen = await self.bot.members.preferences(interaction.user.id)
        await interaction.edit_original_response(
            content=self._text(chosen), view=self._panel(chosen), allowed_mentions=SILENT
        )

    async def changed(self, interaction: discord.Interaction, setting: str, value: str) -> None:
        """A button or menu of the panel: changes the presser's own, whoever opened it."""
        await interaction.response.defer()
        await self.bot.check(interaction, Action.SETTINGS)
        if setting == "reset":
            await self.bot.members.reset(interaction.user.id)
            chosen = Preferences()
        else:
            now = await self.bot.members.preferences(interaction.user.id)
            chosen = await self.bot.members.change(interaction.user.id, **self._read(now, setting, value))
        await interaction.edit_original_response(
            content=self._text(chosen), view=self._panel(chosen), allowed_mentions=SILENT
        )

    def _read(self, now: Preferences, setting: str, value: str) -> dict[str, Any]:
        """The change that a press stands for; pressing what is chosen takes it back."""
        if setting in TOGGLES:
            return {setting: not getattr(now, setting)}
        if setting == "lane" and value in list(Lane):
            return {"lane": None if now.lane == value else Lane(value)}
        if setting == "stylize" and value in STYLIZE:
            return {"stylize": None if now.stylize == STYLIZE[value] else STYLIZE[value]}
        if setting == "strong" and value in ("high", "low"):
            return {"strong": value == "high"}
        if setting == "model":
            kind, _, name = value.partition(" ")
            if kind == "default":
                return {"model": None, "version": None}
            if kind == "model" and name in self.bot.settings.image_models:
                return {"model": name, "version": None}
            if kind == "version" and name in (*VERSIONS, "niji"):
                return {"model": None, "version": name}
        raise UserError("This setting belongs to another version of the studio; open `/settings` anew.")

    def _panel(self, chosen: Preferences) -> discord.ui.View:
        """What holds now is green, also where nothing was chosen."""
        stylize = chosen.stylize or (None if chosen.suffix else STYLIZE["med"])
        models = [
            ("default", "The studio's usual model"),
            *((f"model {name}", name) for name in self.bot.settings.image_models),
        ]
        versions = [
            (f"version {name}", f"Midjourney's version {name}, where there is one")
            for name in (*VERSIONS[::-1], "niji")
        ]
        current = (
            f"model {chosen.model}"
            if chosen.model
            else f"version {chosen.version}"
            if chosen.version
            else "default"
        )
        strengths = [
            SettingButton("stylize", name, f"Stylize {name}", on=stylize == value, row=1)
            for name, value in STYLIZE.items()
        ]
        toggles = [
            SettingButton(name, "toggle", label, on=getattr(chosen, name), row=2)
            for name, label in TOGGLES.items()
        ]
        lanes = [
            SettingButton(
                "lane", lane.value, lane.value.title(), on=(chosen.lane or Lane.FAST) is lane, row=3
            )
            for lane in Lane
        ]
        amounts = [
            SettingButton("strong", name, f"V: {name} variation", on=chosen.strong is (name == "high"), row=4)
            for name in ("high", "low")
        ]
        return buttons.view_of(
            SettingMenu("model", [*models, *versions], current, row=0),
            *strengths,
            *toggles,
            *lanes,
            *amounts,
            SettingButton("reset", "all", "Reset Settings", row=4),
        )

    def _text(self, chosen: Preferences) -> str:
        suffix = (
            f"\nSuffix {code(chosen.suffix, 300)} goes in the place of model, RAW and Stylize."
            if chosen.suffix
            else ""
        )
        return f"**Your settings** hold for your new prompts; a flag that you type goes before them.{suffix}"


class Prefer(
    commands.GroupCog, name="prefer", description="Own options, a suffix, and other choices for your prompts"
):
    option = app_commands.Group(name="option", description="Own --names that stand for words and flags")

    def __init__(self, bot: Atelier) -> None:
        self.bot = bot

    @option.command(
        name="set", description="Let --name stand for words and flags; without a value, take it away"
    )
    @app_commands.describe(
        option="Its name, such as mine",
        value="What --mine stands for, such as: cinematic, dramatic --ar 3:2 --s 250",
    )
    async def option_set(
        self, interaction: discord.Interaction, option: str, value: str | None = None
    ) -> None:
        await self._enter(interaction)
        name, text = check_option(option, value)
        if not text:
            gone = await self.bot.members.remove_option(interaction.user.id, name)
            await whisper(interaction, f"`--{name}` {'is taken away' if gone else 'was not there'}.")
        elif await self.bot.members.set_option(interaction.user.id, name, text, most=MAX_OPTIONS):
            await whisper(interaction, f"`--{name}` stands for {code(text, 1500)}.")
        else:
            raise UserError(
                f"You have {MAX_OPTIONS} options, as many as fit. Take one away first: `/prefer option set`"
                " with its name and no value."
            )

    @option.command(name="list", description="Your own options")
    async def option_list(self, interaction: discord.Interaction) -> None:
        await self._enter(interaction)
        own = await self.bot.members.options(interaction.user.id)
        lines = [f"`--{name}` {code(value, 300)}" for name, value in own.items()]
        await whisper(
            interaction,
            messages.pages(lines)[0] or "You have no own options. `/prefer option set` makes one.",
        )

    @option_set.autocomplete("option")
    async def _options(
        self, interaction: discord.Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        own = await self.bot.members.options(interaction.user.id)
        return [
            app_commands.Choice(name=name, value=name)
            for name in own
            if name.startswith(current.lower().lstrip("-"))
        ][:25]

    @app_commands.command(description="Flags added to each new prompt; without a value, none")
    @app_commands.describe(new_value="Such as --ar 3:2 --s 250")
    async def suffix(self, interaction: discord.Interaction, new_value: str | None = None) -> None:
        await self._enter(interaction)
        text = check_suffix(new_value or "")
        await self.bot.members.change(interaction.user.id, suffix=text)
        await whisper(
            interaction,
            (
                f"{code(text, 1500)} is added to each new prompt."
                if text
                else "Nothing is added to your prompts."
            ),
        )

    @app_commands.command(
        description="On or off: a window to change the words before V, re-roll, zoom and pan"
    )
    async def remix(self, interaction: discord.Interaction) -> None:
        await self._toggle(
            interaction,
            "remix",
            "Remix is {}: V, re-roll, Vary, Zoom and Pan {} for the words first.",
            ("ask", "don't ask"),
        )

    @app_commands.command(description="High or low: how far V moves from the picture")
    async def variability(self, interaction: discord.Interaction) -> None:
        await self._enter(interaction)
        now = await self.bot.members.preferences(interaction.user.id)
        chosen = await self.bot.members.change(interaction.user.id, strong=not now.strong)
        await whisper(interaction, f"V makes {'strong' if chosen.strong else 'subtle'} variations.")

    @app_commands.command(description="On or off: finished jobs also come by direct message")
    async def auto_dm(self, interaction: discord.Interaction) -> None:
        await self._toggle(
            interaction,
            "auto_dm",
            "Direct messages are {}: finished jobs {} to you.",
            ("are also sent", "aren't sent"),
        )

    async def _toggle(
        self, interaction: discord.Interaction, name: str, text: str, words: tuple[str, str]
    ) -> None:
        await self._enter(interaction)
        now = await self.bot.members.preferences(interaction.user.id)
        on = getattr(
            await self.bot.members.change(interaction.user.id, **{name: not getattr(now, name)}), name
        )
        await whisper(interaction, text.format("on" if on else "off", words[0 if on else 1]))

    async def _enter(self, interaction: discord.Interaction) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        await self.bot.check(interaction, Action.SETTINGS)


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Settings(bot))
    await bot.add_cog(Prefer(bot))
