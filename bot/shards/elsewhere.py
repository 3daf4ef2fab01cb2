"""Servers that other processes of the bot are told of: asked of Discord by request, kept for a moment."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Set

import aiohttp
import discord

from bot.wire import private_api
from core.recent import Recent
from core.sharding.shards import Shards
from jobs.people import People

KEPT = 60.0  # seconds that what Discord told of a server is good for
MOST = 200  # servers
PATIENCE = 5.0  # seconds for Discord to tell
log = logging.getLogger(__name__)


class Elsewhere:
    """``people`` has the rows of all servers; ``shards`` says which are this process's."""

    def __init__(self, client: discord.Client, people: People, shards: Shards) -> None:
        self._client, self._people, self._shards = client, people, shards
        self._ids: frozenset[int] = frozenset()
        self._told = Recent[int, tuple[discord.Guild, float]](MOST)

    @property
    def ids(self) -> Set[int]:
        """Servers of other processes, as of the last look."""
        return self._ids

    async def look(self) -> None:
        """Read which servers other processes are told of. StorageError when that can't be read."""
        found = await self._people.guilds()
        self._ids = frozenset(one for one in found if not self._shards.hold(one))

    def known(self, guild_id: int) -> discord.Guild | None:
        """Return a server that was told of lately."""
        guild, at = self._told.get(guild_id, (None, 0.0))
        return guild if guild is not None and time.monotonic() - at < KEPT else None

    async def guild(self, guild_id: int) -> discord.Guild | None:
        """Return a server with its roles, channels and threads, and with the bot as its member. None for one
        of this process, where the bot isn't, or that Discord doesn't tell of now."""
        if self._shards.hold(guild_id) or (known := self.known(guild_id)) is not None:
            return None if self._shards.hold(guild_id) else known
        try:
            async with asyncio.timeout(PATIENCE):
                guild = await self._client.fetch_guild(guild_id, with_counts=False)
                me = self._client.user
                ours = [] if me is None else [await guild.fetch_member(me.id)]
                places = [*await guild.fetch_channels(), *await guild.active_threads()]
        except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
            log.info("server %d can't be looked up (%s)", guild_id, type(error).__name__)
            return None
        private_api.fill_guild(guild, places, ours)
        self._told[guild_id] = guild, time.monotonic()
        return guild
