"""What only one of several processes does, and which of them does it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import sqlalchemy as sa

from jobs.queue import Queue
from storage.database import Database
from storage.records import set_setting, setting

EPOCH = "leader_epoch"  # the setting that counts leaders, one after the other


class Leading:
    """Whether this process starts jobs, and does what only one may. ``epoch``: number of its term as the
    leader; 0 = it is the only bot, or hasn't had one."""

    def __init__(self, database: Database) -> None:
        self.epoch = 0
        self._database = database
        self._leads, self._follows = asyncio.Event(), asyncio.Event()
        self.note(not database.is_shared)

    def note(self, leads: bool) -> None:
        """Note that this has changed."""
        yes, no = (self._leads, self._follows) if leads else (self._follows, self._leads)
        no.clear()
        yes.set()

    @property
    def leads(self) -> bool:
        """Whether it does now."""
        return self._leads.is_set()

    async def begin(self) -> None:
        """Begin a term: agents that have heard of it obey no earlier leader. Raises NotLeading."""
        self.epoch = await self._database.write(_next, leads=True)

    def queue_class(self, bus: Any) -> Callable[..., Queue]:
        """Return what makes the queue: of the only bot, or of one of several."""
        if not self._database.is_shared:
            return Queue
        from jobs.sharing.queue import SharedQueue  # here: a bot alone needs neither it nor the bus

        return partial(SharedQueue, line=bus, on_term=self.begin, on_leading=self.note)

    async def whenever(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do ``work`` whenever this process leads, from its beginning each time."""
        while True:
            await self._leads.wait()
            doing, until = asyncio.create_task(work()), asyncio.create_task(self._follows.wait())
            try:
                ended, _ = await asyncio.wait((doing, until), return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (doing, until):
                    task.cancel()
                await asyncio.gather(doing, until, return_exceptions=True)
            if doing in ended:
                return await doing


def _next(connection: sa.Connection) -> int:
    number = int(setting(connection, EPOCH) or 0) + 1
    set_setting(connection, EPOCH, number)
    return number
