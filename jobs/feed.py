"""What happens to a live job, for any number of watchers: each sees the newest state, never a backlog."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

from core.errors import UserError
from core.events import TERMINAL, Event, Loading, Paused, Progress, Started


class Feed:
    """The latest event of one job. ``starts`` counts how often it was started: nobody misses that they
    were."""

    def __init__(self) -> None:
        self.latest: Event | None = None
        self.starts = 0
        self._waiters: set[asyncio.Future[None]] = set()

    def publish(self, event: Event) -> None:
        if isinstance(event, Started):
            self.starts += 1
        if isinstance(event, Progress) and event.preview is None and isinstance(self.latest, Progress):
            event = replace(
                event, preview=self.latest.preview
            )  # a slow watcher still gets the newest preview
        self.latest = event
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    def repeat(self) -> None:
        """The latest event once more; a start isn't counted twice."""
        if self.latest is not None and not isinstance(self.latest, Started):
            self.publish(replace(self.latest))

    async def changed(self) -> None:
        """Return at the next ``publish``."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)


class Watch(AsyncIterator[Event]):
    """One watcher's view. ``find`` gives the job's feed, or the event it ended with, or None for no such job.

    Every wait goes through ``wait``, which a caller may wrap.
    """

    def __init__(
        self,
        find: Callable[[], Awaitable[Feed | Event | None]],
        wait: Callable[[Awaitable[Any]], Awaitable[Any]],
    ) -> None:
        self._find, self._wait = find, wait
        self._feed: Feed | None = None
        self._seen: Event | None = None
        self._starts = 0
        self._over = False

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> Event:
        if self._over:
            raise StopAsyncIteration
        if self._feed is None:
            found = await self._wait(self._find())
            if found is None:
                raise UserError("There is no such job any more.")
            if not isinstance(found, Feed):
                return self._return(found)
            self._feed, self._starts = found, max(0, found.starts - 1)
        while True:
            latest = self._feed.latest
            if self._feed.starts > self._starts and isinstance(latest, (Started, Loading, Progress)):
                self._starts = self._feed.starts
                if isinstance(latest, Started):
                    self._seen = latest
                return Started()
            if latest is not None and latest is not self._seen:
                return self._return(latest)
            await self._wait(self._feed.changed())

    def _return(self, event: Event) -> Event:
        self._seen = event
        self._over = isinstance(event, (*TERMINAL, Paused))
        return event
