"""Begins connections to Discord in turn with all other processes of the bot."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial

from bot.wire.connections import pause_after
from storage.database import Database
from storage.several import identifies

LATE = 0.5  # seconds that the rows may take, of the one that turns are further apart than asked
NEAR = timedelta(seconds=12)  # until a turn when a connection is opened for it
# Until a turn that is taken. A connection that is open and hears nothing for a minute is given up
LONGEST = timedelta(seconds=40)
log = logging.getLogger(__name__)


class Identifying:
    """``max_concurrency``: asked of Discord once, how many keys there are."""

    def __init__(self, database: Database, max_concurrency: Callable[[], Awaitable[int]]) -> None:
        self._database, self._ask = database, max_concurrency
        self._keys: int | None = None

    async def near(self, shard_id: int) -> None:
        """Wait until a connection's turn is near, before it is opened: 6 s after the last one of its key by
        any process, and longer where the bot has begun too many in a day. StorageError while the database
        can't be asked."""
        key = await self._key(shard_id)
        while True:
            work = partial(identifies.following, key=key, now=datetime.now(UTC), pause=pause_after)
            wait = (await self._database.read(work, once=True)).wait
            if wait <= NEAR:
                return
            log.info("connection %d is begun in %.0f s", shard_id, wait.total_seconds())
            await asyncio.sleep((wait - NEAR / 2).total_seconds())

    async def turn(self, shard_id: int) -> None:
        """Wait for the turn of a connection that is open. StorageError while the database can't be asked,
        TimeoutError when the turn is so far away that the connection would be lost: then none is taken."""
        key = await self._key(shard_id)
        while True:
            began = time.monotonic()
            take = partial(identifies.take, key=key, within=LONGEST, pause=pause_after)
            turn = await self._database.write(partial(take, now=datetime.now(UTC)), keys=["identifies"])
            if turn.wait > LONGEST:
                raise TimeoutError(f"connection {shard_id} is begun in {turn.wait.total_seconds():.0f} s")
            if time.monotonic() - began < LATE:
                break  # else others may have gone by our turn meanwhile
        await asyncio.sleep(turn.wait.total_seconds())

    async def _key(self, shard_id: int) -> int:
        if self._keys is None:
            self._keys = max(1, await self._ask())
        return shard_id % self._keys
