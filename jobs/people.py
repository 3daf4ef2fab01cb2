"""Who was seen here and what they sent: names for logs and exports, small flags, uploaded files."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import sqlalchemy as sa

from core.errors import StorageError
from storage import people, privacy
from storage.database import Database

log = logging.getLogger(__name__)
SEEN_AGAIN, SEEN_AT_MOST = 3600.0, 10_000  # s, people


class People:
    """What is known of people beside their jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: dict[int, tuple[str, float]] = {}  # user → name, monotonic seconds

    async def user_seen(self, user_id: int, name: str) -> None:
        """Note a person's name; written once an hour at most, unless the name is another. Where the database
        can't, that is only logged: whoever asks this has just queued a job, which goes on."""
        known, at = self._seen.get(user_id, ("", 0.0))
        if known == name and time.monotonic() - at < SEEN_AGAIN:
            return
        if len(self._seen) >= SEEN_AT_MOST:
            self._seen.clear()
        self._seen[user_id] = name, time.monotonic()
        work = partial(people.user_seen, user_id=user_id, name=name, now=datetime.now(UTC))
        try:
            await self._database.write(work)
        except StorageError as error:
            self._seen.pop(user_id, None)
            log.warning("the name of user %d isn't noted (%s)", user_id, error)

    async def names(self, user_ids: Iterable[int]) -> dict[int, str]:
        """Return the names of these people, as far as they are known."""
        return await self._database.read(partial(people.names, user_ids=user_ids), once=True)

    async def guild_seen(self, guild_id: int, name: str) -> None:
        """Note a guild's name."""
        work = partial(people.guild_seen, guild_id=guild_id, name=name, now=datetime.now(UTC))
        await self._database.write(work)

    async def guilds_are(self, here: Mapping[int, str], mine: Callable[[int], bool]) -> None:
        """Note which guilds the bot is in, id → name, of those that are ``mine`` to tell of: it has left the
        others."""
        now = datetime.now(UTC)

        def work(connection: sa.Connection) -> None:
            there = people.guilds_there(connection)
            people.guilds_left(connection, (one for one in there - here.keys() if mine(one)), now=now)
            for guild_id in here.keys() - there:
                people.guild_seen(connection, guild_id, here[guild_id], now=now)

        await self._database.write(work)

    async def guild_left(self, guild_id: int) -> None:
        """Note that the bot is no longer in a guild."""
        await self._database.write(partial(people.guilds_left, guild_ids=[guild_id], now=datetime.now(UTC)))

    async def guilds(self) -> frozenset[int]:
        """Return the ids of the guilds that the bot is in, by the rows of all its processes."""
        return await self._database.read(people.guilds_there, once=True)

    async def user_flag(self, user_id: int, key: str) -> Any:
        """Return a small setting of the user, None when it was never set."""
        return await self._database.read(partial(people.flag, user_id=user_id, key=key), once=True)

    async def set_user_flag(self, user_id: int, key: str, value: Any) -> None:
        """Keep a small setting of the user. ``value``: anything JSON takes; None removes it."""
        work = partial(people.set_flag, user_id=user_id, key=key, value=value)
        await self._database.write(work)

    async def note_upload(self, user_id: int, sha256: str) -> None:
        """Note that the person has sent this file."""
        work = partial(privacy.note_upload, user_id=user_id, sha256=sha256, now=datetime.now(UTC))
        await self._database.write(work)

    async def has_sent(self, user_id: int, sha256: str) -> bool:
        """Return whether the person has sent this file."""
        return await self._database.read(partial(privacy.sent, user_id=user_id, sha256=sha256), once=True)
