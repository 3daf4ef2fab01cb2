"""A chat service with servers, channels and members, for tests that need no Discord."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from functools import partial

from jobs.queue import Result
from studio.authority import CurrentDirectory, Member, Place, Unanswered


@dataclass
class Channel:
    """readers, writers: user ids."""

    readers: set[int] = field(default_factory=set)
    writers: set[int] = field(default_factory=set)
    name: str = "hall"
    adult: bool = False


@dataclass
class Server:
    """channels: by id. members: user id → whether they have Manage Server. roles: id → name, and ``given``
    who has which."""

    name: str = "Test"
    channels: dict[int, Channel] = field(default_factory=dict)
    members: dict[int, bool] = field(default_factory=dict)
    roles: dict[int, str] = field(default_factory=dict)
    given: dict[int, set[int]] = field(default_factory=dict)


class Servers(CurrentDirectory):
    """servers: by id. asked: the members that were looked up. silent: it doesn't answer. posted: place, job,
    picture from 0, and user id."""

    def __init__(self, servers: dict[int, Server] | None = None) -> None:
        super().__init__()
        self.servers = servers or {}
        self.asked: list[tuple[int, int]] = []
        self.silent = False
        self.posted: list[tuple[Place, str, int, int]] = []
        self.told: list[tuple[Place, str]] = []

    @property
    def owner_ids(self) -> Set[int]:
        return frozenset()

    @property
    def server_ids(self) -> Set[int]:
        return self.servers.keys()

    def age_restricted(self, place: Place) -> bool | None:
        found = self._channel(place.guild_id, place.channel_id)
        return False if place.guild_id is None else found.adult if found else None

    async def member(self, user_id: int, guild_id: int) -> Member | None:
        self.asked.append((user_id, guild_id))
        if self.silent:
            raise Unanswered
        server = self.servers.get(guild_id)
        if server is None or user_id not in server.members:
            return None
        reads = partial(self._reads, user_id, guild_id)
        channels, writes = lambda: list(server.channels), partial(self._writes, user_id, guild_id)
        return Member(user_id, guild_id, server.name, server.members[user_id], reads, channels, writes)

    async def roles(self, user_id: int, guild_id: int) -> frozenset[int] | None:
        server = self.servers.get(guild_id)
        return frozenset(server.given.get(user_id, set())) if server and not self.silent else None

    def role_names(self, guild_id: int) -> Mapping[int, str]:
        server = self.servers.get(guild_id)
        return server.roles if server else {}

    async def post(self, place: Place, result: Result, index: int, user_id: int) -> None:
        if self.silent:
            raise Unanswered
        self.posted.append((place, result.job.id, index, user_id))

    async def tell(self, place: Place, text: str, user_id: int | None = None) -> None:
        if self.silent:
            raise Unanswered
        self.told.append((place, text))

    async def send(self, user_id: int, result: Result, index: int) -> None:
        if self.silent:
            raise Unanswered
        self.posted.append((Place(None, user_id), result.job.id, index, user_id))

    def _channel(self, guild_id: int | None, channel_id: int) -> Channel | None:
        server = self.servers.get(guild_id or 0)
        return server.channels.get(channel_id) if server else None

    def _writes(self, user_id: int, guild_id: int, channel_id: int) -> str | None:
        channel = self._channel(guild_id, channel_id)
        return channel.name if channel is not None and user_id in channel.writers else None

    def _reads(self, user_id: int, guild_id: int, channel_id: int) -> bool:
        channel = self._channel(guild_id, channel_id)
        return channel is not None and user_id in channel.readers
