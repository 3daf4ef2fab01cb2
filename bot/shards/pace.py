"""A process's part of the requests a second that Discord takes from the whole bot.

https://discord.com/developers/docs/topics/rate-limits#global-rate-limit: 50 requests a second, of all
processes together. What answers an interaction doesn't count.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import aiohttp

AT_ONCE = 1.0  # seconds whose requests may come at once after a silence
_COUNTS = re.compile(r"^/api/(?!(?:v\d+/)?(?:webhooks|interactions)/)")


class Pace:
    """Holds requests back that would be more than ``rate`` a second."""

    def __init__(
        self,
        rate: float,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._rate, self._clock, self._pause = rate, clock, pause
        self._next = 0.0  # when the next request may be made, if none was saved up

    def watch(self, trace: aiohttp.TraceConfig) -> None:
        """Hold back the requests of a session with ``trace``."""
        trace.on_request_start.append(self._on_start)

    async def _on_start(self, session: aiohttp.ClientSession, context: SimpleNamespace, request: Any) -> None:
        if _COUNTS.match(request.url.path):
            await self.turn()

    async def turn(self) -> None:
        """Wait until one more request may be made; whoever asks first is first."""
        now = self._clock()
        self._next = max(self._next, now - AT_ONCE) + 1 / self._rate
        if self._next > now:
            await self._pause(self._next - now)
