"""Who asks for something, and where, whatever door they came by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from core.job import Surface


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

    guild_id: None outside of servers. channel_id: 0 for somebody who came by no channel.
    manages: has Manage Server there, as this very interaction says. barred: banned or in a time-out there.
    reads: whether they can read another channel of that server; the one they ask in always counts.
    name: to be kept with the id, "" = nothing new. roles: ids of their roles, for limits. parent_channel_id:
    of the thread they ask in. surface: the door they came by. sole: the bot is in no other server than the
    one they ask in.
    """

    user_id: int
    guild_id: int | None
    channel_id: int = 0
    manages: bool = False
    barred: bool = False
    reads: Callable[[int], bool] = field(default=_only_here, repr=False, compare=False)
    name: str = ""
    roles: tuple[int, ...] = ()
    parent_channel_id: int | None = None
    surface: Surface = Surface.DISCORD
    sole: bool = False

    @property
    def place(self) -> Place:
        """Where what they ask for is shown."""
        return Place(self.guild_id, self.channel_id)

    def sees(self, place: Place) -> bool:
        """Return whether the actor can look at what is shown in ``place``.

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
