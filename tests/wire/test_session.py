"""A gateway session outlives its process: what is kept of it, when it is resumed, and what is told again."""

from __future__ import annotations

import asyncio
import gc
import json
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import discord
import pytest
import yarl
from discord.gateway import DiscordWebSocket

from bot.discord_api import private_api, session
from bot.discord_api.session import REMEMBERED, KeptSessions
from tests.wire.discord import BOT, GUILD, TOKEN, Discord

INTENTS = 1
CHANNEL = GUILD + 1
READY = {"session_id": "s1", "resume_gateway_url": "wss://gateway-x.discord.gg", "user": {"id": str(BOT)}}
READY |= {"guilds": [{"id": "1", "unavailable": True}], "shard": [0, 1]}


class _Told:
    """One life of a process: what a session hands on. ``now``: seconds since the machine was started."""

    def __init__(self, path: Path, token: str = TOKEN, intents: int = INTENTS, now: float = 1000.0) -> None:
        self.now, self.heard, self.again = now, [], []
        self.apart = 1e9  # seconds, of the two clocks
        clocks = (lambda: self.apart + self.now), (lambda: self.now)
        self.session = KeptSessions(path, token, intents, self.again.append, *clocks)
        self._sequence = 0

    def tell(self, name: str, payload: dict[str, Any], sequence: int | None = None, shard: int = 0) -> None:
        self._sequence = sequence or self._sequence + 1
        parse = lambda data: self.heard.append((name, data))  # noqa: E731
        self.session.receive(shard, self._sequence, name, payload, parse)

    def begin(self) -> _Told:
        assert not self.session.load()
        assert not self.session.take_up(BOT, "commands")
        self.tell("READY", dict(READY))
        return self

    def resume(self) -> dict[str, Any]:
        assert self.session.load()
        assert self.session.take_up(BOT, "commands")
        return self.session.offer(0)


def _asked(number: int, kind: int = 2) -> dict[str, Any]:
    return {"id": str(number), "type": kind, "token": "t"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway-session"


def test_what_was_told_is_there_for_the_next_process_and_names_nobody(path: Path) -> None:
    first = _Told(path).begin()
    people = [{"user": {"id": "77", "username": "alice"}}, {"user": {"id": str(BOT)}, "roles": ["5"]}]
    first.tell("GUILD_CREATE", {"id": "1", "members": people, "presences": [{"user": {"id": "77"}}]})
    first.tell("GUILD_MEMBER_UPDATE", {"guild_id": "1", "user": {"id": "77", "username": "alice"}})
    first.tell("MESSAGE_CREATE", {"id": "9", "content": "a secret"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    next_one = _Told(path)
    offered = next_one.resume()
    assert offered == {
        "resume": True,
        "session": "s1",
        "sequence": 4,
        "gateway": yarl.URL("wss://gateway-x.discord.gg"),
    }
    events = dict(next_one.session.left[0].events)
    assert list(events) == ["READY", "GUILD_CREATE"]
    assert events["GUILD_CREATE"]["members"] == people[1:] and events["GUILD_CREATE"]["presences"] == []
    kept = json.dumps(next_one.session.left[0].events)
    assert all(word not in kept for word in ("alice", "77", "secret", TOKEN))
    assert TOKEN not in path.read_text("latin-1")


@pytest.mark.parametrize(
    ("token", "intents", "user", "later"),
    [
        ("another", INTENTS, BOT, 10),
        (TOKEN, 2, BOT, 10),
        (TOKEN, INTENTS, BOT + 1, 10),
        (TOKEN, INTENTS, BOT, session.MAX_AGE + 1),
        (TOKEN, INTENTS, BOT, -500),
    ],
    ids=["another bot", "other events", "another user", "too old", "the machine was started again"],
)
def test_a_session_that_cannot_be_resumed_is_forgotten(path: Path, token, intents, user, later) -> None:
    _Told(path).begin()
    next_one = _Told(path, token, intents, now=1000.0 + later)
    next_one.session.load()
    assert not next_one.session.take_up(user, "commands")
    assert next_one.session.offer(0) == {} and not next_one.session.resuming and not path.exists()


def test_a_session_is_forgotten_when_the_two_clocks_disagree(path: Path) -> None:
    """The machine was asleep, or its clock was set."""
    _Told(path).begin()
    next_one = _Told(path, now=1010.0)
    next_one.apart += 5000
    assert not next_one.session.load()


@pytest.mark.parametrize("damage", [b"", b"{", b"x" * 4096, None])
def test_a_damaged_file_costs_the_session_and_no_more(path: Path, damage: bytes | None) -> None:
    _Told(path).begin().session.close()
    path.write_bytes(path.read_bytes()[:9000] if damage is None else damage)
    next_one = _Told(path)
    assert not next_one.session.load() and not path.exists()
    next_one.tell("READY", dict(READY))
    next_one.session.close()
    assert _Told(path).session.load()


def test_each_connection_has_a_session_of_its_own(path: Path) -> None:
    first = _Told(path)
    for shard in (0, 1):
        first.tell("READY", {**READY, "session_id": f"s{shard}", "shard": [shard, 2]}, 1, shard)
        first.tell("GUILD_CREATE", {"id": str(shard)}, 2, shard)
    first.tell("INTERACTION_CREATE", _asked(21), 3, 1)
    next_one = _Told(path)
    assert next_one.session.load()
    assert [next_one.session.offer(shard)["session"] for shard in (0, 1)] == ["s0", "s1"]
    next_one.tell("RESUMED", {}, 3, 0)
    next_one.tell("INTERACTION_CREATE", _asked(22), 4, 0)
    assert next_one.session.resuming and next_one.again == []  # the other has not been told all yet
    next_one.session.forget(0)
    next_one.tell("INTERACTION_CREATE", _asked(21), 3, 1)
    next_one.tell("RESUMED", {}, 4, 1)
    assert next_one.again == [21] and not next_one.session.resuming
    third = _Told(path)
    assert third.session.load()
    assert third.session.offer(0) == {} and third.session.offer(1)["session"] == "s1"


def test_a_session_that_is_not_resumed_is_given_up_after_three_tries(path: Path) -> None:
    _Told(path).begin()
    next_one = _Told(path)
    assert next_one.resume()
    assert next_one.session.offer(0) and next_one.session.load() and next_one.session.offer(0)
    assert next_one.session.offer(0) == {} and not next_one.session.load()


def test_a_session_of_this_process_goes_on_where_it_was(path: Path) -> None:
    one = _Told(path).begin()
    one.tell("MESSAGE_CREATE", {"id": "9"})
    assert one.session.offer(0)["sequence"] == 2


def test_only_what_nobody_has_dealt_with_is_heard_again(path: Path) -> None:
    first = _Told(path).begin()
    for number in (21, 22, 23):
        first.tell("INTERACTION_CREATE", _asked(number))
    first.session.settle(21)
    first.session.settle(23)
    first.tell("MESSAGE_CREATE", {"id": "9"})
    next_one = _Told(path)
    assert next_one.resume()["sequence"] == 2  # the one after it, of 22, was not acknowledged
    next_one.tell("INTERACTION_CREATE", _asked(22), 3)
    next_one.tell("INTERACTION_CREATE", _asked(23), 4)
    next_one.tell("MESSAGE_CREATE", {"id": "9"}, 5)
    next_one.tell("INTERACTION_CREATE", _asked(24), 6)
    next_one.tell("INTERACTION_CREATE", _asked(25, kind=4), 7)  # choices, asked for long ago
    next_one.tell("RESUMED", {}, 8)
    next_one.tell("INTERACTION_CREATE", _asked(26, kind=4), 9)
    assert [data.get("id") for _, data in next_one.heard] == ["22", "24", None, "26"]
    assert next_one.again == [22, 24] and not next_one.session.resuming


def test_what_nobody_acknowledged_in_time_is_not_heard_again(path: Path) -> None:
    first = _Told(path).begin()
    first.tell("INTERACTION_CREATE", _asked(21))
    first.now += 6
    first.tell("MESSAGE_CREATE", {"id": "9"})
    assert _Told(path, now=1010.0).resume()["sequence"] == 3


def test_an_interaction_that_is_told_twice_is_heard_once(path: Path) -> None:
    one = _Told(path).begin()
    for number in (21, 21, *range(100, 100 + REMEMBERED), 100 + REMEMBERED - 1):
        one.tell("INTERACTION_CREATE", _asked(number))
    assert len(one.heard) == 2 + REMEMBERED  # READY among them
    assert len(one.session._seen) == REMEMBERED


def test_the_last_state_of_each_object_is_kept_when_a_process_takes_over(path: Path) -> None:
    first = _Told(path).begin()
    first.tell("GUILD_CREATE", {"id": "1"})
    first.tell("GUILD_ROLE_DELETE", {"guild_id": "1", "role_id": "5"})
    first.tell("GUILD_ROLE_DELETE", {"guild_id": "1", "role_id": "6"})
    for number in range(500):
        first.tell("CHANNEL_UPDATE", {"id": "2", "guild_id": "1", "name": f"channel {number}"})
        first.tell("GUILD_ROLE_UPDATE", {"guild_id": "1", "role": {"id": "7", "name": f"role {number}"}})
    next_one = _Told(path)
    next_one.resume()
    events = next_one.session.left[0].events
    assert [name for name, _ in events] == [
        *("READY", "GUILD_CREATE", "GUILD_ROLE_DELETE", "GUILD_ROLE_DELETE"),
        *("CHANNEL_UPDATE", "GUILD_ROLE_UPDATE"),
    ]
    assert events[-2][1]["name"] == "channel 499"


def test_sessions_that_grow_too_large_are_not_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "MAX_PAGES", 16)
    one = _Told(path).begin()
    for number in range(100):
        one.tell("CHANNEL_CREATE", {"id": str(number), "guild_id": "1", "name": "x" * 1000})
    assert len(one.heard) == 101 and not path.exists()


def test_a_disk_that_takes_nothing_costs_the_session_and_no_event(path: Path) -> None:
    one = _Told(path / "not a folder")
    path.write_text("")
    one.tell("READY", dict(READY))
    one.tell("INTERACTION_CREATE", _asked(21))
    assert len(one.heard) == 2


# Over the wire, with discord.py


class _Client(discord.AutoShardedClient):
    """As much of the bot as its sessions need. ``heard``: names of events, ids of interactions."""

    def __init__(self, path: Path) -> None:
        super().__init__(intents=discord.Intents(guilds=True))
        self.kept_sessions = session.keep_sessions(path, TOKEN, self.intents.value, lambda _: None)
        self.heard: list[str | int] = []
        self.identified = 0

    async def setup_hook(self) -> None:
        if self.kept_sessions is not None:
            self.kept_sessions.load()
            self.kept_sessions.take_up(BOT, "")

    async def connect(self, *, reconnect: bool = True) -> None:
        async with self.kept_sessions.serving(self) if self.kept_sessions else nullcontext():
            await super().connect(reconnect=reconnect)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        if self.kept_sessions is not None:
            self.kept_sessions.forget(shard_id)
        self.identified += 1

    async def on_ready(self) -> None:
        self.heard.append("ready")

    async def on_resumed(self) -> None:
        self.heard.append("resumed")

    async def on_shard_resumed(self, shard_id: int) -> None:
        self.heard.append(f"resumed {shard_id}")

    async def on_guild_available(self, guild: discord.Guild) -> None:
        if self.identified:
            self.heard.append("identified")

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        self.heard.append(interaction.id)


Making = Callable[[Discord], _Client]


@pytest.fixture
def client(path: Path, monkeypatch: pytest.MonkeyPatch) -> Making:
    monkeypatch.setattr(discord.shard, "DiscordWebSocket", DiscordWebSocket)

    def make(server: Discord) -> _Client:
        gateway = yarl.URL(f"{server.url.replace('http', 'ws')}/gateway/")
        monkeypatch.setattr(discord.http.Route, "BASE", f"{server.url}/api/v10")
        monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", gateway)
        return _Client(path)

    return make


async def _serve(server: Discord, client: _Client, *awaited: str | int) -> None:
    """Connect, wait until the client has heard what is ``awaited``, and close it."""
    running = asyncio.create_task(client.start(TOKEN))
    await server.until(lambda: set(awaited) <= set(client.heard) and server.connected, 10, every=0.02)
    await client.close()
    await running


async def test_a_resumed_client_knows_its_server_and_hears_what_it_missed(client: Making) -> None:
    async with Discord() as server:
        await _serve(server, client(server), "ready")
        assert server.close_codes == [4000]
        missed = server.press(server.post(CHANNEL), "x", 77)
        renamed = {"id": str(CHANNEL), "guild_id": str(GUILD), "type": 0, "name": "later", "position": 0}
        server.dispatch("CHANNEL_UPDATE", {**renamed, "permission_overwrites": []})
        for _ in range(2):
            resumed = client(server)
            await _serve(server, resumed, "ready", "resumed")
            assert resumed.get_channel(CHANNEL).name == "later" and resumed.identified == 0
            assert missed.id in resumed.heard  # nobody has acknowledged it
        resumed.kept_sessions.settle(missed.id)
        last = client(server)
        await _serve(server, last, "resumed")
        assert missed.id not in last.heard
        assert (server.identifies, server.resumes) == (1, 3)


async def test_a_client_that_is_closed_before_it_is_ready_leaves_no_traceback(client: Making) -> None:
    problems: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, problem: problems.append(problem))
    async with Discord() as server:
        await _serve(server, client(server), "ready")
        again = client(server)
        await again.login(TOKEN)
        async with again.kept_sessions.serving(again):
            await private_api.cancel_ready(again)
            await again.close()
        await asyncio.sleep(0.3)
        gc.collect()
    assert again.heard == [] and problems == []


async def test_a_session_that_the_library_makes_no_sense_of_is_begun_anew(client: Making, path: Path) -> None:
    async with Discord() as server:
        first = client(server)
        await _serve(server, first, "ready")
        first.kept_sessions.close()
        with closing(sqlite3.connect(path)) as file, file:
            file.execute("UPDATE events SET payload = '{}' WHERE name = 'GUILD_CREATE'")
        again = client(server)
        running = asyncio.create_task(again.start(TOKEN))
        await server.until(lambda: server.identifies == 2, 10)
        await server.until(lambda: again.get_channel(CHANNEL), 10, every=0.02)
        await again.close()
        await running


async def test_a_connection_that_is_lost_is_resumed_in_the_same_process(client: Making) -> None:
    async with Discord() as server:
        one = client(server)
        running = asyncio.create_task(one.start(TOKEN))
        await server.until(lambda: "ready" in one.heard, 10, every=0.02)
        await server.drop_gateways(4000)
        await server.until(lambda: "resumed" in one.heard, 10, every=0.02)
        asked = server.press(server.post(CHANNEL), "x", 77)
        await server.until(lambda: asked.id in one.heard, 10, every=0.02)
        await one.close()
        await running
        assert (server.identifies, server.resumes) == (1, 1)


async def test_a_session_that_discord_has_forgotten_is_begun_anew(client: Making) -> None:
    async with Discord() as server:
        await _serve(server, client(server), "ready")
        server.session_life = 0.0
        refused = client(server)
        running = asyncio.create_task(refused.start(TOKEN))
        await server.until(lambda: server.identifies == 2, 10)
        server.session_life = 180.0
        await server.until(lambda: refused.kept_sessions._file is not None, 10, every=0.02)
        asked = server.press(server.post(CHANNEL), "x", 77)
        await server.until(lambda: asked.id in refused.heard, 10, every=0.02)
        await refused.close()
        await running
        assert refused.identified == 1 and not refused.kept_sessions.resuming
        await _serve(server, client(server), "resumed")


async def test_each_connection_is_resumed_and_hears_what_it_missed(client: Making) -> None:
    async with Discord() as server:
        server.shards = 2
        await _serve(server, client(server), "ready")
        missed = server.press(server.post(CHANNEL), "x", 77)
        resumed = client(server)
        await _serve(server, resumed, "ready", "resumed 0", "resumed 1", missed.id)
        assert not resumed.kept_sessions.resuming and resumed.shard_count == 2
        assert [guild.id for guild in resumed.guilds] == [GUILD] and resumed.heard.count("ready") == 1
        assert (server.identifies, server.resumes) == (2, 2)


async def test_a_server_that_was_left_while_no_session_lived_is_forgotten(client: Making) -> None:
    async with Discord() as server:
        await _serve(server, client(server), "ready")
        server.session_life, server.servers = 0.0, [GUILD + (1 << 22)]
        again = client(server)
        await _serve(server, again, "ready", "identified")
        assert [guild.id for guild in again.guilds] == server.servers


async def test_with_a_changed_discord_py_each_start_begins_a_session(
    client: Making, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plain = DiscordWebSocket.from_client.__func__

    async def changed(cls: Any, client: Any, *, session_to_resume: object = None, **options: Any) -> Any:
        return await plain(cls, client, **options)

    monkeypatch.setattr(DiscordWebSocket, "from_client", classmethod(changed))
    async with Discord() as server:
        for _ in range(2):
            one = client(server)
            assert one.kept_sessions is None
            await _serve(server, one, "ready")
        assert (server.identifies, server.resumes) == (2, 0)
    assert caplog.text.count("each start begins new sessions with Discord") == 2


@pytest.mark.parametrize("part", ["parsers", "guild_ready_timeout", "_ready_tasks", "_remove_guild"])
def test_an_inner_part_that_is_gone_is_named(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Changed:
        def __init__(self) -> None:
            self.parsers = self.guild_ready_timeout = self.shard_ids = self._ready_tasks = 1
            self._remove_guild, self.shard_count = 1, 1
            delattr(self, part)

    assert session.missing_part() is None
    monkeypatch.setattr(discord.AutoShardedClient, "_get_state", lambda self, **options: Changed())
    assert session.missing_part() == f"ConnectionState.{part}"
