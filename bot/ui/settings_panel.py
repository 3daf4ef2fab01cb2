"""The panel of ``/settings``: what holds now as buttons and a menu, and what pressing one changes."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import discord

from bot.discord_api.interactions import actor_of
from bot.ui import buttons
from bot.ui.buttons import SettingButton, SettingMenu
from bot.ui.replies import SILENT
from core.convert import STYLIZE, Preferences
from core.errors import UserError
from core.job import Lane
from core.prompt.parameters import VERSIONS
from studio.requests.prompts import model_of_version
from studio.studio import Studio
from studio.texts import code

TOGGLES = {
    "raw": "RAW",
    "remix": "Remix",
    "private": "Stealth",
    "sticky": "Sticky Style",
    "auto_dm": "DM results",
}
_RENAMED = {"stealth": "private"}  # settings on the buttons of older panels


class SettingsPanel:
    """Shows a member's settings and changes them. ``models``: names of the host's image models."""

    def __init__(self, studio: Studio, models: Collection[str]) -> None:
        self._studio, self._models = studio, models

    async def show(self, interaction: discord.Interaction, chosen: Preferences) -> None:
        """Put the panel into the answer of a deferred interaction."""
        await interaction.edit_original_response(
            content=_text(chosen), view=self._view(chosen), allowed_mentions=SILENT
        )

    async def on_change(self, interaction: discord.Interaction, setting: str, value: str) -> None:
        """A button or menu was used: change the presser's own setting, whoever opened the panel.

        Raises UserError for a setting of another version, NotAllowedError for a barred person.
        """
        await interaction.response.defer()
        actor = actor_of(interaction)
        if setting == "reset":
            chosen = await self._studio.own.reset(actor)
        else:
            now = await self._studio.own.preferences(actor)
            chosen = await self._studio.own.change(actor, **self._change(now, setting, value))
        await self.show(interaction, chosen)

    def _change(self, now: Preferences, setting: str, value: str) -> dict[str, Any]:
        """Return the change that a press stands for; pressing what is chosen takes it back."""
        setting = _RENAMED.get(setting, setting)
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
            if kind == "model" and name in self._models:
                return {"model": name, "version": None}
            if kind == "version" and name in (*VERSIONS, "niji"):
                return {"model": None, "version": name}
        raise UserError("This setting belongs to another version of the studio; open `/settings` again.")

    def _view(self, chosen: Preferences) -> discord.ui.View:
        """Return the panel; what holds now is green, also where nothing was chosen."""
        return buttons.view_of(
            SettingMenu("model", self._model_choices(), _model_of(chosen), row=0),
            *_stylize_buttons(chosen),
            *_toggle_buttons(chosen),
            *_lane_buttons(chosen),
            *_strength_buttons(chosen),
            SettingButton("reset", "all", "Reset Settings", row=4),
        )

    def _model_choices(self) -> list[tuple[str, str]]:
        models = [
            ("default", "The studio's default model"),
            *((f"model {name}", name) for name in self._models),
        ]
        versions = [
            (f"version {name}", f"Midjourney's version {name}: the host's {model}")
            for name in (*VERSIONS[::-1], "niji")
            if (model := model_of_version(name, self._models)) is not None
        ]
        return [*models, *versions]


def _model_of(chosen: Preferences) -> str:
    if chosen.model:
        return f"model {chosen.model}"
    return f"version {chosen.version}" if chosen.version else "default"


def _stylize_buttons(chosen: Preferences) -> list[SettingButton]:
    now = chosen.stylize or (None if chosen.suffix else STYLIZE["med"])
    return [
        SettingButton("stylize", name, f"Stylize {name}", on=now == value, row=1)
        for name, value in STYLIZE.items()
    ]


def _toggle_buttons(chosen: Preferences) -> list[SettingButton]:
    return [
        SettingButton(name, "toggle", label, on=getattr(chosen, name), row=2)
        for name, label in TOGGLES.items()
    ]


def _lane_buttons(chosen: Preferences) -> list[SettingButton]:
    now = chosen.lane or Lane.FAST
    return [SettingButton("lane", lane.value, lane.value.title(), on=now is lane, row=3) for lane in Lane]


def _strength_buttons(chosen: Preferences) -> list[SettingButton]:
    return [
        SettingButton("strong", name, f"V: {name} variation", on=chosen.strong is (name == "high"), row=4)
        for name in ("high", "low")
    ]


def _text(chosen: Preferences) -> str:
    suffix = f"\nSuffix {code(chosen.suffix, 300)} replaces model, RAW and Stylize." if chosen.suffix else ""
    return f"**Your settings** apply to your new prompts; flags that you type override them.{suffix}"
