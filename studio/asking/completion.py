"""What is offered while a prompt is typed: in an empty field one's recent prompts and examples, behind a
double dash the names of flags and own options, and the values of the flag at its end.

Whoever presses Enter while something is offered picks the first of it instead of sending the prompt. So free
words are never completed, and neither is what is complete.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from core.limits import MAX_PROMPT
from core.prompt.parameters import NIJI, SAMPLERS, VERSIONS
from core.prompt.parser import FLAGS
from core.settings import Settings
from storage.members import Members
from studio.actor import Actor
from studio.asking.hints import Hints
from studio.asking.prompts import pictures_of, remix_text

MOST = 25  # suggestions
Tells = Callable[[Actor], Awaitable[list[str]]]
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


class Completion:
    """Suggests whole prompts for the beginning of one. styles: tells which of those that members have made
    somebody may use."""

    def __init__(self, members: Members, settings: Settings, hints: Hints, styles: Tells) -> None:
        self._members, self._settings, self._hints = members, settings, hints
        self._styles = styles

    async def prompts(self, actor: Actor, current: str, longest: int) -> list[str]:
        """Return at most MOST prompts of at most ``longest`` characters that go on from ``current``."""
        current = current[:MAX_PROMPT].lstrip()
        if not current:
            texts = await self._beginnings(actor.user_id)
        elif end := _END.match(current):
            texts = await self._endings(actor, end)
        else:
            texts = []
        if current in texts:
            return []
        return [text for text in texts if 0 < len(text) <= longest][:MOST]

    async def _beginnings(self, user_id: int) -> list[str]:
        jobs = await self._members.recent(user_id, limit=15)
        # without those that name pictures by number: the numbers would name nothing
        recent = [remix_text(job) for job in jobs if not pictures_of(job)]
        return list(dict.fromkeys((*recent, *self._hints.prompts)))

    async def _endings(self, actor: Actor, end: re.Match[str]) -> list[str]:
        before, flag = end["before"], end["flag"]
        if flag:
            value = end["value"].lower()
            values = list(self._values(flag, before))
            values += await self._styles(actor) if flag.lower() == "lora" else []
            return [f"{before}--{flag} {v}" for v in values if v.lower().startswith(value)]
        own = await self._members.options(actor.user_id)
        names = [*own, *(flag.name for flag in FLAGS if not flag.unsupported)]
        return [f"{before}--{name}" for name in names if name.startswith(end["name"].lower())]

    def _values(self, flag: str, before: str) -> tuple[str, ...]:
        """Return the values of a flag behind ``before``."""
        match flag.lower():
            case "model":
                settings = self._settings
                return tuple(settings.film_models if "--video" in before else settings.image_models)
            case "lora":
                return tuple(self._settings.loras)
            case name:
                return VALUES.get(name, ())
