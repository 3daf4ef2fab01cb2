"""What a process knows of servers that another one is told of: by asking Discord, and never by guessing."""

from types import SimpleNamespace
from typing import Any
from unittest import mock

import discord
import pytest

from bot.shards import elsewhere
from bot.shards.elsewhere import Elsewhere
from bot.wire.directory import DiscordDirectory
from core.sharding.shards import Shards
from studio.actor import Place
from studio.directory import Unanswered

HERE, ABROAD, GONE = 2 << 22, 1 << 22, 3 << 22  # of two shards: 0, 1, 1
MEMBER, CHANNEL = 7, 70


def _refusal(kind: type[discord.HTTPException], status: int) -> discord.HTTPException:
    return kind(SimpleNamespace(status=status, reason=""), "no")  # type: ignore[arg-type]


class Client:
    """A client that is told of HERE. asked: what it asked Discord for. silent: Discord doesn't answer."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.silent = False
        self.user = SimpleNamespace(id=1)
        self.guilds = [SimpleNamespace(id=HERE)]
        self.http = SimpleNamespace(get_channel=self.get_channel)
        self.channels = {CHANNEL: {"type": 0, "guild_id": str(ABROAD), "nsfw": True}}

    def get_guild(self, guild_id: int) -> Any:
        return None

    def is_ready(self) -> bool:
        return True

    async def get_channel(self, channel_id: int) -> Any:
        self._ask(channel_id)
        if channel_id not in self.channels:
            raise _refusal(discord.NotFound, 404)
        return self.channels[channel_id]

    async def fetch_guild(self, guild_id: int, *, with_counts: bool) -> Any:
        self._ask(guild_id)
        if guild_id != ABROAD:
            raise _refusal(discord.Forbidden, 403)
        member = mock.Mock(spec=discord.Member, roles=[SimpleNamespace(id=9)])
        member.guild_permissions.manage_guild = True
        return mock.Mock(
            spec=discord.Guild,
            id=ABROAD,
            fetch_member=mock.AsyncMock(return_value=member),
            fetch_channels=mock.AsyncMock(return_value=[]),
            active_threads=mock.AsyncMock(return_value=[]),
        )

    def _ask(self, what: Any) -> None:
        self.asked.append(what)
        if self.silent:
            raise OSError("no route")


class People:
    async def guilds(self) -> frozenset[int]:
        return frozenset({HERE, ABROAD})


@pytest.fixture
async def client() -> Client:
    return Client()


@pytest.fixture
async def directory(client: Client) -> DiscordDirectory:
    others = Elsewhere(client, People(), Shards(2, (0,)))  # type: ignore[arg-type]
    await others.look()
    return DiscordDirectory(client, set(), mock.AsyncMock(), others)  # type: ignore[arg-type]


async def test_roles_and_rights_of_a_server_elsewhere_are_asked_of_discord(
    client: Client, directory: DiscordDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert directory.server_ids == {HERE, ABROAD}
    assert await directory.roles(MEMBER, ABROAD) == {9}
    member = await directory.member(MEMBER, ABROAD)
    assert member is not None and member.manages
    assert client.asked == [ABROAD]  # kept for a moment
    monkeypatch.setattr(elsewhere, "KEPT", 0.0)
    assert await directory.roles(MEMBER, ABROAD) == {9}
    assert client.asked == [ABROAD, ABROAD]


async def test_while_discord_is_silent_nothing_is_known_of_a_server_elsewhere(
    client: Client, directory: DiscordDirectory
) -> None:
    client.silent = True
    assert await directory.roles(MEMBER, ABROAD) is None
    assert await directory.adult(Place(ABROAD, CHANNEL)) is None
    assert not await directory.can_read(MEMBER, Place(ABROAD, CHANNEL))
    with pytest.raises(Unanswered):
        await directory.member(MEMBER, ABROAD)


async def test_of_a_server_that_the_bot_has_left_nobody_has_a_role(directory: DiscordDirectory) -> None:
    assert await directory.roles(MEMBER, GONE) == frozenset()
    assert await directory.member(MEMBER, GONE) is None


async def test_a_channel_elsewhere_is_what_discord_says_and_a_thread_what_its_channel_is(
    client: Client, directory: DiscordDirectory
) -> None:
    client.channels[71] = {"type": 11, "guild_id": str(ABROAD), "parent_id": CHANNEL}
    client.channels[72] = {"type": 0, "guild_id": str(ABROAD)}
    assert directory.age_restricted(Place(ABROAD, CHANNEL)) is None
    assert await directory.adult(Place(ABROAD, CHANNEL)) is True
    assert await directory.adult(Place(ABROAD, 71)) is True
    assert await directory.adult(Place(ABROAD, 72)) is False
    assert await directory.adult(Place(ABROAD, 73)) is False  # gone
    assert await directory.adult(Place(HERE, CHANNEL)) is False  # of another server than it says
