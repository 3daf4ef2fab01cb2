"""Windows with text fields. They are read from the raw submission, so one that was open during a restart still works."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import discord

from bot import actions
from bot.actions import Ask
from core.prompt import parse
from core.requests import MAX_PROMPT
from jobs.views import Result

_CUSTOM_ID = re.compile(r"at:caption:([a-z2-9]{12}):(\d)")
_FIELD = "prompt"


class CaptionModal(discord.ui.Modal):
    """A caption to edit and imagine."""

    def __init__(self, job_id: str, index: int, caption: str) -> None:
        super().__init__(title=f"Imagine prompt {index + 1}", custom_id=f"at:caption:{job_id}:{index}", timeout=None)
        self.add_item(
            discord.ui.TextInput(
                label="Prompt", style=discord.TextStyle.paragraph, custom_id=_FIELD, default=caption[:MAX_PROMPT], max_length=MAX_PROMPT
            )
        )


@dataclass(frozen=True)
class Submission:
    """What came back from a CaptionModal."""

    job_id: str
    index: int
    text: str

    @classmethod
    def of(cls, interaction: discord.Interaction) -> Submission | None:
        """The submission, or None when the interaction is something else."""
        data: Mapping[str, Any] = interaction.data or {}  # type: ignore[assignment]
        match = _CUSTOM_ID.fullmatch(str(data.get("custom_id", "")))
        if interaction.type is not discord.InteractionType.modal_submit or match is None:
            return None
        values = dict(_values(data.get("components", [])))
        return cls(match[1], int(match[2]), values.get(_FIELD, ""))

    def ask(self, result: Result, seed: int) -> Ask:
        """PromptError when the edited text has a wrong flag."""
        return actions.imagine_prompt(parse(self.text), parent=(result.job.id, self.index), seed=seed)


def _values(components: list[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for component in components:
        if "value" in component and "custom_id" in component:
            yield component["custom_id"], component["value"]
        yield from _values(component.get("components", []))
        if isinstance(component.get("component"), Mapping):
            yield from _values([component["component"]])
