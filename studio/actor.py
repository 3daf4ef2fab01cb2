"""Who asks for something, and where, whatever door they came by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Place:
    """Where something is shown, by the rows. guild_id None = a direct message."""

    guild_id: int | None
    channel_id: int


def _only_here(channel_id: int) -> bool:
    return False


@dataclass(frozen=True)
class Actor:
    """Who asks, and where.

    manages: has Manage Server there, as this very interaction says. barred: banned or in a time-out there.
    reads: whether they can read another channel of that server; the one they ask in always counts.
    """

    user_id: int
    guild_id: int | None
    channel_id: int = 0
    manages: bool = False
    barred: bool = False
    reads: Callable[[int], bool] = field(default=_only_here, repr=False, compare=False)

    def sees(self, place: Place) -> bool:
        """Whether the actor can look at what is shown in ``place``.

        Only members of a server see what is shown there; a copy sent to somebody is seen in that very direct
        message, where nobody else is. Channel 0 is no place: it is what somebody has who came by no channel.
        """
        if place.channel_id == 0:
            return False
        if place.guild_id != self.guild_id:
            return False
        if self.guild_id is None:
            return place.channel_id == self.channel_id
        return place.channel_id == self.channel_id or self.reads(place.channel_id)
