"""The buttons and menus of projects. Their ``custom_id`` is all their state, so they work for ever.

``pj:<project id>:<action>:<more>`` for buttons, ``pm:<project id>:<action>:<more>`` for menus. more: what the
action is done to, such as the number of a version or the SHA-256 of a picture.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import discord

from bot.ui.buttons import ButtonStyle
from bot.ui.messages import cut

Style = discord.ButtonStyle
MOST_OPTIONS = 25  # of a menu
LOOKS: dict[str, ButtonStyle] = {
    "show": ButtonStyle("Project", "🗂️"),
    "add": ButtonStyle("Add pictures", "➕"),
    "label": ButtonStyle("Label", "🏷️"),
    "train": ButtonStyle("Train", "🎓"),
    "try": ButtonStyle("Try", "🔍"),
    "report": ButtonStyle("Report", "📊"),
    "use": ButtonStyle("Use it", "✅"),
    "stricter": ButtonStyle("Stricter"),
    "looser": ButtonStyle("Looser"),
    "usual": ButtonStyle("Usual"),
    "fewest": ButtonStyle("Fewest errors"),
    "keepstricter": ButtonStyle("Keep this limit", None, Style.success),
    "keeplooser": ButtonStyle("Keep this limit", None, Style.success),
    "keepusual": ButtonStyle("Keep this limit", None, Style.success),
    "keepfewest": ButtonStyle("Keep this limit", None, Style.success),
    "bundle": ButtonStyle("Bundle", "📦"),
    "chart": ButtonStyle("Chart"),
    "compare": ButtonStyle("Compare"),
    "forget": ButtonStyle("Delete it for good", "🗑️", Style.danger),
    "skip": ButtonStyle("Skip", "⏭️"),
    "back": ButtonStyle("Back", "⏮️"),
    "leave": ButtonStyle("Leave out", "🚫"),
    "newlabel": ButtonStyle("New label", "✏️"),
    "done": ButtonStyle("Done", "🏁"),
    "look": ButtonStyle("Let the model look first", "🤖"),
}
MARK = "mark"  # of a label, by its hash: its place in the book may be another's by the time it is pressed


class ProjectButton(
    discord.ui.DynamicItem[discord.ui.Button[Any]],
    template=r"pj:(?P<project>[a-z2-9]{12}):(?P<action>[a-z0-9]+):(?P<more>[a-z0-9-]{0,70})",
):
    """A button of a project."""

    def __init__(
        self,
        project: str,
        action: str,
        more: str | int = "",
        *,
        label: str | None = None,
        next_step: bool = False,
        row: int | None = None,
    ) -> None:
        look = LOOKS.get(action, ButtonStyle(action))
        button: discord.ui.Button[Any] = discord.ui.Button(
            label=cut(label or look.label or "", 80),
            emoji=look.emoji,
            style=Style.success if next_step else look.style,
            custom_id=f"pj:{project}:{action}:{more}",
            row=row,
        )
        super().__init__(button)
        self.project, self.action, self.more = project, action, str(more)

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str]
    ) -> ProjectButton:
        """Make the item of a message that may be older than this process."""
        return cls(match["project"], match["action"], match["more"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Do what the press asks for."""
        client = interaction.client
        press = client.projects.on_press(interaction, self.project, self.action, self.more, "")
        await client.answers.guarded(interaction, press)


class ProjectMenu(
    discord.ui.DynamicItem[discord.ui.Select[Any]],
    template=r"pm:(?P<project>[a-z2-9]{12}):(?P<action>[a-z]+):(?P<more>[a-z0-9]{0,64})",
):
    """Chooses one of several in a project. options: value → what it is."""

    def __init__(
        self,
        project: str,
        action: str,
        more: str = "",
        options: Mapping[str, str] | None = None,
        *,
        hint: str = "",
        row: int | None = None,
    ) -> None:
        made = [
            discord.SelectOption(label=cut(label, 100), value=value)
            for value, label in list((options or {"-": "-"}).items())[:MOST_OPTIONS]
        ]
        menu: discord.ui.Select[Any] = discord.ui.Select(
            custom_id=f"pm:{project}:{action}:{more}",
            options=made,
            placeholder=cut(hint, 150) or None,
            row=row,
        )
        super().__init__(menu)
        self.project, self.action, self.more = project, action, more

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str]
    ) -> ProjectMenu:
        """Make the item of a message that may be older than this process."""
        return cls(match["project"], match["action"], match["more"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Do what the choice asks for."""
        data: Mapping[str, Any] = interaction.data or {}
        values: Sequence[str] = data.get("values", ())
        value = next(iter(values), "")
        client = interaction.client
        press = client.projects.on_press(interaction, self.project, self.action, self.more, value)
        await client.answers.guarded(interaction, press)


DYNAMIC_ITEMS = (ProjectButton, ProjectMenu)


def mark_of(label: str) -> str:
    """Return the action of a label's button."""
    return f"{MARK}{zlib.crc32(label.encode()):08x}"
