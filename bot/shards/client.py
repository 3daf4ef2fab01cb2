"""The client of a bot with several connections to Discord: those of this process, beside those of others."""

from __future__ import annotations

import asyncio
import itertools
import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import yarl
from discord.ext import commands

from bot.client import DAY, Atelier, Tree
from bot.shards.elsewhere import Elsewhere
from bot.shards.identifying import Identifying
from bot.wire import private_api
from bot.wire.directory import DiscordDirectory
from bot.wire.pending import PendingInteractions
from bot.wire.transport import Transport
from core.errors import StorageError
from storage.records import set_setting, setting
from storage.several import handled, holders
from studio.services import Services
from studio.studio import Studio

COMMANDS = "commands"  # the setting that says which commands Discord knows
EVERY = 10.0  # seconds between two looks at what other processes have left
THIRD = 3  # of these looks, one is at their servers, too
IN_HAND = 5.0  # seconds that a process that stops has for what it was told before
log = logging.getLogger(__name__)


class ShardedAtelier(Atelier, commands.AutoShardedBot):
    """The bot, with connections by number. It begins new ones with each start: no session is kept."""

    def __init__(
        self,
        services: Services,
        studio: Studio,
        pending: PendingInteractions,
        transport: Transport,
        **named: Any,
    ) -> None:
        shards = services.settings.sharding
        named |= {"shard_count": shards.count, "shard_ids": list(shards.mine)}
        super().__init__(services, studio, pending, transport, **named)
        self._database, self._delivers, self._unsure = services.database, shards.ids != (), transport.unsure
        self._mine = frozenset(shards.mine)
        self._alone = frozenset[int]() if self._delivers else self._mine  # which no other process has
        self._identifying = Identifying(services.database, self._max_concurrency)
        self._elsewhere = Elsewhere(self, services.queue.people, shards)
        self._looking: asyncio.Task[None] | None = None
        self._launching: asyncio.Task[None] | None = None

    async def _max_concurrency(self) -> int:
        return (await self.fetch_session_start_limits()).max_concurrency

    def _directory(self, owner_ids: set[int]) -> DiscordDirectory:
        return DiscordDirectory(self, owner_ids, self.sharing.post, self._elsewhere)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Wait for this connection's turn among those of all processes. TimeoutError when it is far away."""
        await self._identifying.turn(shard_id or 0)

    def tells(self, guild_id: int | None) -> bool:
        """As of any client, but while another process has the same connection: it follows what it has taken,
        and of two who edit one message the later may have the older news."""
        return super().tells(guild_id) and self.settings.sharding.of(guild_id) in self._alone

    async def launch_shards(self) -> None:
        """Begin the connections of this process, as long as it is to have any: discord.py would try to begin
        the next one for ever after its end."""
        self._launching = asyncio.create_task(super().launch_shards(), name="begin connections")
        try:
            await asyncio.wait({self._launching})
        finally:
            self._launching.cancel()
        if not self._launching.cancelled():
            self._launching.result()

    async def launch_shard(self, gateway: yarl.URL, shard_id: int, *, initial: bool = False) -> None:
        """Begin a connection when its turn is near."""
        await self._identifying.near(shard_id)
        await super().launch_shard(gateway, shard_id, initial=initial)

    @property
    def is_connected(self) -> bool:
        """Whether all connections of this process are open."""
        shards = self.shards
        return self._mine <= shards.keys() and not any(one.is_closed() for one in shards.values())

    def is_anothers(self, interaction_id: int) -> bool:
        """Return whether an interaction that is acknowledged already is dealt with by another process with
        the same connection. Not where Discord's answer to our own acknowledgement was lost."""
        return self._delivers and interaction_id not in self._unsure

    async def hang_up(self) -> None:
        """End the connections, and finish what came by them: another process with the same ones would
        answer what this one refuses, since it stops."""
        if self._launching is not None:
            self._launching.cancel()
        if not self._delivers:
            return
        await asyncio.gather(*(one.disconnect() for one in self.shards.values()), return_exceptions=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(IN_HAND):
                while tasks := private_api.answering():
                    await asyncio.wait(tasks)

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
        ours = f"{self.user.id if self.user else 0} {await tree.digest()}"
        if await self._database.read(partial(setting, key=COMMANDS), once=True) != ours:
            await tree.sync_all()
            await self._database.write(partial(set_setting, key=COMMANDS, value=ours))

    async def setup_hook(self) -> None:
        """As of any client; then begin to look at the other processes."""
        await super().setup_hook()
        self._looking = asyncio.create_task(self._look_for_ever(), name="other processes")

    async def _look_for_ever(self) -> None:
        for number in itertools.count():
            try:
                if number % THIRD == 0:
                    await self._elsewhere.look()
                if self._delivers:
                    work = partial(holders.alone, numbers=self._mine)
                    self._alone = await self._database.write(work, keys=())
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
