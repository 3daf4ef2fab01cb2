"""What only a chat service knows of people and places, as one Protocol that the studio asks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from jobs.queue import Result
from studio.actor import Place


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
