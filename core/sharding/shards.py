"""Which of a bot's connections to Discord is told of a server, and which of them this process has.

https://discord.com/developers/docs/events/gateway#sharding
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shards:
    """``count``: of the whole bot. ``ids``: those of this process, from 0; none = all of them."""

    count: int = 1
    ids: tuple[int, ...] = ()

    @property
    def mine(self) -> tuple[int, ...]:
        """Return the ids of this process's."""
        return self.ids or tuple(range(self.count))

    @property
    def part(self) -> float:
        """Return which part of the whole bot's connections are this process's, 0 to 1."""
        return len(self.mine) / self.count

    def of(self, guild_id: int | None) -> int:
        """Return the one that is told of a server; None: of direct messages."""
        return 0 if guild_id is None else (guild_id >> 22) % self.count

    def hold(self, guild_id: int | None) -> bool:
        """Return whether this process is told of a server; None: of direct messages."""
        return not self.ids or self.of(guild_id) in self.ids
