"""The buttons under a job's message. Their ``custom_id`` is all their state, so they work for ever.

``at:<job id>:<action>:<index>`` for jobs, ``up:<sha256>:<action>`` for pictures sent in a DM.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import discord

from core.job import Job


@dataclass(frozen=True)
class Look:
    label: str | None = None
    emoji: str | None = None
    style: discord.ButtonStyle = discord.ButtonStyle.secondary


LOOKS: dict[str, Look] = {
    "upscale": Look("U{n}"),
    "vary": Look("V{n}"),
    "again": Look(None, "🔄"),
    "subtle": Look("Vary (Subtle)", "🪄"),
    "strong": Look("Vary (Strong)", "🪄"),
    "zoom15": Look("Zoom Out 1.5x", "🔍"),
    "zoom20": Look("Zoom Out 2x", "🔍"),
    "left": Look(None, "⬅️"),
    "right": Look(None, "➡️"),
    "up": Look(None, "⬆️"),
    "down": Look(None, "⬇️"),
    "caption": Look("{n}"),
    "all": Look("Imagine all", "🎉"),
    "cancel": Look("Cancel", None, discord.ButtonStyle.danger),
    "describe": Look("Describe", "💬"),
    "classify": Look("Classify", "🏷️"),
    "variation": Look("Vary", "🪄"),
    "outpaint": Look("Outpaint", "🔍"),
}


class JobButton(discord.ui.DynamicItem[discord.ui.Button[Any]], template=r"at:(?P<job>[a-z2-9]{12}):(?P<action>[a-z0-9]+):(?P<index>\d)"):
    """A button of a job. The client's ``on_job_button`` does the work."""

    def __init__(self, job_id: str, action: str, index: int = 0, row: int | None = None) -> None:
        super().__init__(_button(f"at:{job_id}:{action}:{index}", action, index, row))
        self.job_id, self.action, self.index = job_id, action, index

    @classmethod
    async def from_custom_id(cls, interaction: discord.Interaction, item: discord.ui.Item[Any], match: re.Match[str]) -> JobButton:
        return cls(match["job"], match["action"], int(match["index"]))

    async def callback(self, interaction: discord.Interaction) -> None:
        await interaction.client.on_job_button(interaction, self.job_id, self.action, self.index)  # type: ignore[attr-defined]


class UploadButton(discord.ui.DynamicItem[discord.ui.Button[Any]], template=r"up:(?P<sha>[0-9a-f]{64}):(?P<action>[a-z]+)"):
    """A button of a picture that came in a DM. The client's ``on_upload_button`` does the work."""

    def __init__(self, sha256: str, action: str) -> None:
        super().__init__(_button(f"up:{sha256}:{action}", action, 0, None))
        self.sha256, self.action = sha256, action

    @classmethod
    async def from_custom_id(cls, interaction: discord.Interaction, item: discord.ui.Item[Any], match: re.Match[str]) -> UploadButton:
        return cls(match["sha"], match["action"])

    async def callback(self, interaction: discord.Interaction) -> None:
        await interaction.client.on_upload_button(interaction, self.sha256, self.action)  # type: ignore[attr-defined]


DYNAMIC_ITEMS = (JobButton, UploadButton)


def _button(custom_id: str, action: str, index: int, row: int | None) -> discord.ui.Button[Any]:
    look = LOOKS.get(action, Look(action))
    label = look.label.format(n=index + 1) if look.label else None
    return discord.ui.Button(label=label, emoji=look.emoji, style=look.style, custom_id=custom_id, row=row)


def _view(*items: discord.ui.Item[Any]) -> discord.ui.View:
    view = discord.ui.View(timeout=None)
    for item in items:
        view.add_item(item)
    return view


def for_grid(job: Job, count: int) -> discord.ui.View:
    """U and V for each picture, and re-roll."""
    upscale = [JobButton(job.id, "upscale", i, row=0) for i in range(count)]
    vary = [JobButton(job.id, "vary", i, row=1) for i in range(count)]
    return _view(*upscale, JobButton(job.id, "again", row=0), *vary)


def for_single(job: Job, index: int) -> discord.ui.View:
    """What can be done with one picture."""
    rows = (("subtle", "strong", "again"), ("zoom15", "zoom20", "describe", "classify"), ("left", "right", "up", "down"))
    return _view(*(JobButton(job.id, action, index, row=row) for row, actions in enumerate(rows) for action in actions))


def for_captions(job: Job, count: int) -> discord.ui.View:
    """1-4 open a modal with the caption, then "all" and again."""
    picks = [JobButton(job.id, "caption", i, row=0) for i in range(count)]
    return _view(*picks, JobButton(job.id, "again", row=1), JobButton(job.id, "all", row=1))


def while_running(job: Job) -> discord.ui.View:
    return _view(JobButton(job.id, "cancel"))


def after_failure(job: Job) -> discord.ui.View:
    """Try once more, the same."""
    return _view(JobButton(job.id, "again"))


def for_upload(sha256: str) -> discord.ui.View:
    return _view(*(UploadButton(sha256, action) for action in ("describe", "classify", "variation", "outpaint")))
