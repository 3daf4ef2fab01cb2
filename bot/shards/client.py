"""The client of a bot with several connections to Discord: those of this process, beside those of others."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from discord.ext import commands

from bot.client import DAY, Atelier, Tree
from bot.shards.elsewhere import Elsewhere
from bot.shards.identifying import Identifying
from bot.wire.directory import DiscordDirectory
from core.errors import StorageError
from storage.records import set_setting, setting
from storage.several import handled
from studio.services import Services

COMMANDS = "commands"  # the setting that says which commands Discord knows
EVERY = 30.0  # seconds between two looks at what other processes have left, and at their servers
log = logging.getLogger(__name__)


class ShardedAtelier(Atelier, commands.AutoShardedBot):
    """The bot, with connections by number. It begins new ones with each start: no session is kept."""

    def __init__(self, services: Services, *arguments: Any, **named: Any) -> None:
        shards = services.settings.sharding
        super().__init__(services, *arguments, shard_count=shards.count, shard_ids=list(shards.mine), **named)
        self._database, self._delivers = services.database, shards.ids != ()
        self._identifying = Identifying(services.database, self._max_concurrency)
        self._elsewhere = Elsewhere(self, services.queue.people, shards)
        self._looking: asyncio.Task[None] | None = None

    async def _max_concurrency(self) -> int:
        return (await self.fetch_session_start_limits()).max_concurrency

    def _directory(self, owner_ids: set[int]) -> DiscordDirectory:
        return DiscordDirectory(self, owner_ids, self.sharing.post, self._elsewhere)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Wait for this connection's turn among those of all processes."""
        await self._identifying.turn(shard_id or 0)

    @property
    def is_connected(self) -> bool:
        """Whether all connections of this process are open."""
        return bool(self.shards) and not any(one.is_closed() for one in self.shards.values())

    async def handles(self, *event: object, within: float = DAY) -> bool:
        """Return whether this process deals with an event that each with the same connection is told: the
        first of them that asks, and nobody again ``within`` so many seconds. False where the rows can't be
        asked: another may have it. Presses and commands need none of this, which have rows of their own."""
        if not self._delivers:
            return True
        name, age = " ".join(map(str, event)), timedelta(seconds=within)
        work = partial(handled.take, event=name, within=age, now=datetime.now(UTC))
        try:
            return await self._database.write(work, keys=())
        except StorageError as error:
            log.warning("a message or reaction isn't answered (%s)", type(error).__name__)
            return False

    async def _register_commands(self) -> None:
        """Register the commands, unless a process of this bot has registered the same ones."""
        tree = self.tree
        assert isinstance(tree, Tree)
        ours = f"{self.user.id if self.user else 0} {tree.digest()}"
        if await self._database.read(partial(setting, key=COMMANDS), once=True) != ours:
            await tree.sync_all()
            await self._database.write(partial(set_setting, key=COMMANDS, value=ours))

    async def setup_hook(self) -> None:
        """As of any client; then begin to look at the other processes."""
        await super().setup_hook()
        self._looking = asyncio.create_task(self._look_for_ever(), name="other processes")

    async def _look_for_ever(self) -> None:
        while True:
            try:
                await self._elsewhere.look()
                if self._delivers and self.is_ready():
                    await self.delivery.resume()  # what another process with these connections has left
            except StorageError as error:
                log.warning("other processes can't be looked at (%s)", type(error).__name__)
            await asyncio.sleep(EVERY)

    async def close(self) -> None:
        """Stop, and look at the others no more."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        await super().close()
