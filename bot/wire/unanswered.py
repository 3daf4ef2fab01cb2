"""Interactions that came in and have no first answer yet: one is due within 3 s, so other work stands back.

In a crowd the processor is short. What a job needs after its acknowledgement can wait for a moment, the
acknowledgements of the others can't.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import discord

DUE = 3.0  # seconds; later Discord takes no first answer
PATIENCE = 0.5  # seconds that work stands back at most


class Unanswered:
    """``add`` what comes in, ``answered`` when the first answer was sent, and ``none_left`` before work that
    can wait."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._came: dict[discord.Interaction, float] = {}  # oldest first
        self._none_left, self._line = asyncio.Event(), asyncio.Lock()

    def __len__(self) -> int:
        return len(self._came)

    def add(self, interaction: discord.Interaction) -> None:
        """Count an interaction until it is answered, by whoever does it, or too old to be."""
        self._drop()
        if not interaction.response.is_done():
            self._came[interaction] = self._clock()

    def answered(self, interaction: discord.Interaction) -> None:
        """The first answer was sent, or nobody will send one."""
        self._came.pop(interaction, None)
        self._drop()

    async def none_left(self, patience: float = PATIENCE) -> None:
        """Return when nobody waits for a first answer, after ``patience`` seconds at most.

        Those who wait here go on one by one: all in one turn would hold the event loop up.
        """
        self._drop()
        if not self._came:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(patience), self._line:
                await self._until_none_left()
                await asyncio.sleep(0)

    async def _until_none_left(self) -> None:
        while self._came:
            self._none_left.clear()
            await self._none_left.wait()
            self._drop()

    def _drop(self) -> None:
        """Forget the oldest ones that need no answer any more."""
        too_old = self._clock() - DUE
        while self._came:
            interaction, at = next(iter(self._came.items()))
            if at > too_old and not interaction.response.is_done():
                return
            del self._came[interaction]
        self._none_left.set()  # for those who look again
