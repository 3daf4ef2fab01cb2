"""What is offered while a prompt is typed: one's recent prompts, names of flags and own options, the values
of the flag at its end."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from discord import app_commands

from bot.asking import pictures_of, remix_text
from core.grammar.flags import FLAGS
from core.parameters import NIJI, SAMPLERS, VERSIONS

if TYPE_CHECKING:
    from bot.client import Atelier

MOST = 25  # choices, and
LONGEST = 100  # characters of one: https://discord.com/developers/docs/interactions/application-commands
SHAPES = ("1:1", "3:2", "2:3", "4:3", "3:4", "16:9", "9:16", "4:5", "5:4", "2:1", "1:2", "21:9")
VALUES: dict[str, tuple[str, ...]] = {
    "ar": SHAPES,
    "aspect": SHAPES,
    "sampler": SAMPLERS,
    "v": VERSIONS[::-1],
    "version": VERSIONS[::-1],
    "niji": NIJI[::-1],
    "style": ("raw",),
    "q": ("0.25", "0.5", "1", "2", "4"),
    "quality": ("0.25", "0.5", "1", "2", "4"),
    "s": ("50", "100", "250", "750"),
    "stylize": ("50", "100", "250", "750"),
    "chaos": ("0", "25", "50", "100"),
    "c": ("0", "25", "50", "100"),
    "sref": ("random",),
}
_END = re.compile(
    r"(?P<before>.*)(?<!\S)(?:--|—)(?:(?P<flag>[A-Za-z]+) +(?P<value>\S*)|(?P<name>[A-Za-z0-9_-]*))$",
    re.DOTALL,
)


async def complete(
    client: Atelier, user_id: int, current: str, examples: list[str]
) -> list[app_commands.Choice[str]]:
    """At most 25 whole prompts. Discord sends back what was chosen, so one that is too long to be a choice
    isn't offered."""
    current = current[:4000].lstrip()
    if end := _END.match(current):
        texts = await _endings(client, user_id, end)
    else:
        jobs = await client.members.recent(user_id, current, limit=15)
        recent = [remix_text(job) for job in jobs if not pictures_of(job)]  # their numbers would name nothing
        texts = list(dict.fromkeys((*recent, *examples)))
    fitting = [text for text in texts if 0 < len(text) <= LONGEST]
    return [app_commands.Choice(name=text, value=text) for text in fitting[:MOST]]


async def _endings(client: Atelier, user_id: int, end: re.Match[str]) -> list[str]:
    before = end["before"]
    if end["flag"]:
        known = {
            "model": tuple(client.settings.image_models),
            "lora": tuple(client.settings.loras),
            **VALUES,
        }.get(end["flag"].lower(), ())
        return [
            f"{before}--{end['flag']} {value}"
            for value in known
            if value.lower().startswith(end["value"].lower())
        ]
    own = await client.members.options(user_id)
    names = [*own, *(flag.name for flag in FLAGS if not flag.unsupported)]
    return [f"{before}--{name}" for name in names if name.startswith(end["name"].lower())]
