"""Who asks for something, where, and how often they may; and what only a chat service knows of people and
places, as one Protocol."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from core.job import Surface
from jobs.queue import Result


@dataclass(frozen=True)
class Place:
    """Where something is shown, by the rows. guild_id None = a direct message."""

    guild_id: int | None
    channel_id: int


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
    reads: Callable[[int], bool] = field(default=lambda _: False, repr=False, compare=False)
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


class Unanswered(Exception):
    """The chat service doesn't answer at the moment."""


@dataclass(frozen=True)
class Member:
    """Somebody in a server, with the roles that they had when they were looked up.

    server: its name. manages: has Manage Server there. reads: whether they can read a channel of it, by the
    rules that it has now. channels: ids of all that it has now, threads included. writes: the name of a
    channel where both they and the bot may send pictures, None of any other.
    """

    user_id: int
    guild_id: int
    server: str
    manages: bool
    reads: Callable[[int], bool] = field(repr=False, compare=False)
    channels: Callable[[], Collection[int]] = field(repr=False, compare=False)
    writes: Callable[[int], str | None] = field(default=lambda _: None, repr=False, compare=False)


class Directory(Protocol):
    """People and places of a chat service. ``None`` means that it can't be told at the moment."""

    @property
    def owner_ids(self) -> Set[int]:
        """User ids of the people the bot belongs to."""

    @property
    def server_ids(self) -> Set[int]:
        """The ids of the servers that the bot is in."""

    def age_restricted(self, place: Place) -> bool | None:
        """Return whether a place is for adults only; a thread is what its channel is."""

    async def adult(self, place: Place) -> bool | None:
        """Return the same, asked of the chat service where that isn't known at once; False of a place that is
        gone."""

    async def roles(self, user_id: int, guild_id: int) -> frozenset[int] | None:
        """Return the ids of a person's roles in a server now; none for somebody who has left."""

    def role_names(self, guild_id: int) -> Mapping[int, str]:
        """Return the roles that a server's members can be given, id → name; none while that can't be told."""

    async def can_read(self, user_id: int, place: Place) -> bool:
        """Return whether a person can read what is written in a place; False while that can't be told."""

    async def member(self, user_id: int, guild_id: int) -> Member | None:
        """Return what a person is in a server now, None where they aren't. Raises Unanswered."""

    async def post(self, place: Place, result: Result, index: int, user_id: int) -> None:
        """Send picture ``index`` (from 0) of a result to a channel in a person's name. Raises UserError when
        the chat service refuses, Unanswered while it can't be asked."""


class CurrentDirectory:
    """The directory of whichever connection to a chat service is open; it knows nothing while none is.

    The studio is built before a connection and outlives it: ``with directory.connected(other):`` lets
    ``other`` answer for the length of a block.
    """

    def __init__(self) -> None:
        self._connected: list[Directory] = []

    @contextmanager
    def connected(self, directory: Directory) -> Iterator[None]:
        """Ask ``directory`` until the block ends, or a newer one while there is one."""
        self._connected.append(directory)
        try:
            yield
        finally:
            self._connected.remove(directory)

    @property
    def _newest(self) -> Directory | None:
        return self._connected[-1] if self._connected else None

    @property
    def owner_ids(self) -> Set[int]:
        """User ids of the people the bot belongs to; none while no connection is open."""
        return self._newest.owner_ids if self._newest else frozenset()

    @property
    def server_ids(self) -> Set[int]:
        """The ids of the servers that the bot is in; none while no connection is open."""
        return self._newest.server_ids if self._newest else frozenset()

    def age_restricted(self, place: Place) -> bool | None:
        """Return whether a place is for adults only; never a direct message. None: it can't be told."""
        if place.guild_id is None:
            return False
        return self._newest.age_restricted(place) if self._newest else None

    async def adult(self, place: Place) -> bool | None:
        """Return whether a place is age-restricted, asked of the chat service if need be; None: it can't be
        told."""
        if (known := self.age_restricted(place)) is not None or self._newest is None:
            return known
        return await self._newest.adult(place)

    async def roles(self, user_id: int, guild_id: int) -> frozenset[int] | None:
        """Return the ids of a person's roles in a server now; None: it can't be told."""
        return await self._newest.roles(user_id, guild_id) if self._newest else None

    def role_names(self, guild_id: int) -> Mapping[int, str]:
        """Return the roles of a server, id → name; none while no connection is open."""
        return self._newest.role_names(guild_id) if self._newest else {}

    async def can_read(self, user_id: int, place: Place) -> bool:
        """Return whether a person can read what is written in a place; False while that can't be told."""
        return await self._newest.can_read(user_id, place) if self._newest else False

    async def member(self, user_id: int, guild_id: int) -> Member | None:
        """Return what a person is in a server now, None where they aren't. Raises Unanswered, also while no
        connection is open."""
        if self._newest is None:
            raise Unanswered
        return await self._newest.member(user_id, guild_id)

    async def post(self, place: Place, result: Result, index: int, user_id: int) -> None:
        """Send a picture to a channel. Raises UserError, Unanswered, the latter also while no connection is
        open."""
        if self._newest is None:
            raise Unanswered
        await self._newest.post(place, result, index, user_id)


Who = TypeVar("Who", bound=Hashable)


class Pace(Generic[Who]):
    """Lets each person do something ``burst`` times at once, and once more every ``every`` seconds.

    It keeps one number a person, and forgets whoever may do it ``burst`` times again. Generic cell rate
    algorithm: https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm.
    """

    def __init__(self, burst: int, every: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._slack, self._every, self._clock = (burst - 1) * every, every, clock
        self._full_at: dict[Who, float] = {}  # when their bucket is full again, oldest use first

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, who: Who) -> float:
        """Count once for a person and return 0, or count nothing and return the seconds they have to wait."""
        now = self._clock()
        while self._full_at and next(iter(self._full_at.values())) <= now:
            del self._full_at[next(iter(self._full_at))]
        full_at = max(self._full_at.pop(who, now), now)
        wait = full_at - now - self._slack
        self._full_at[who] = full_at if wait > 0 else full_at + self._every
        return max(wait, 0.0)
