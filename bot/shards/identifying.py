"""Begins connections to Discord in turn with all other processes of the bot."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial

from bot.wire.connections import pause_after
from storage.database import Database
from storage.several import identifies

LATE = 0.5  # seconds that the rows may take, of the one that turns are further apart than asked
log = logging.getLogger(__name__)


class Identifying:
    """``max_concurrency``: asked of Discord once, how many keys there are."""

    def __init__(self, database: Database, max_concurrency: Callable[[], Awaitable[int]]) -> None:
        self._database, self._ask = database, max_concurrency
        self._keys: int | None = None

    async def turn(self, shard_id: int) -> None:
        """Wait for the turn of a connection that is about to be begun: 6 s after the last one of its key by
        any process, and longer where the bot has begun too many in a day. StorageError while the database
        can't be asked."""
        if self._keys is None:
            self._keys = max(1, await self._ask())
        key = shard_id % self._keys
        while True:
            began = time.monotonic()
            work = partial(identifies.take, key=key, now=datetime.now(UTC))
            turn = await self._database.write(work, keys=["identifies"])
            if time.monotonic() - began < LATE:
                break  # else others may have gone by our turn meanwhile
        spent = pause_after([at.timestamp() for at in turn.before], datetime.now(UTC).timestamp())
        if spent:
            log.warning("too many connections were begun; number %d waits %.0f s", shard_id, spent)
        await asyncio.sleep(max(turn.wait.total_seconds(), spent))
