"""A bot's sessions with Discord's gateway, one for each connection, that outlive this process: a restart or a
kill spends no identify and misses nothing, since Discord tells the next process what happened meanwhile.

What was received isn't told again, but for interactions that nobody had acknowledged yet when the process
ended: nothing was done about them, since every answer begins with its acknowledgement. So each is done once.
https://discord.com/developers/docs/events/gateway#resuming

discord.py begins every process with an identify and ends the session with it, so this uses its inner parts.
``keep_sessions`` looks whether they are there; with a discord.py that has changed, each start identifies.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
import logging
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import discord
import discord.shard
import yarl
from discord.gateway import DiscordWebSocket

from bot.discord_api.http import GARBLED

MAX_AGE = 300.0  # seconds; Discord keeps a session "a few minutes", an older one isn't worth the try
CLOCKS_APART = 10.0  # seconds that the wall clock and the monotonic one may differ by over a restart
MAX_PAGES = 8192  # of 4 KiB: about 3,000 servers; sessions that need more aren't kept
TRIES = 3  # connections that may fail before a session is given up
UNSETTLED = 5.0  # seconds; an interaction that isn't acknowledged within 3 never can be
TICK = 5.0  # seconds between two notes that the sessions live
REMEMBERED = 1000  # interactions, so that none is done twice
AUTOCOMPLETE = 4  # a type of interaction
READY_AFTER = 0.2  # seconds after the last server from the file; discord.py waits 2 for one from Discord
_CALLBACK = re.compile(r"/interactions/(\d+)/[^/]+/callback$")
_KEPT = {  # events that change what the client has cached of places, and of the bot itself
    *("READY", "USER_UPDATE", "GUILD_MEMBER_UPDATE"),
    *(f"GUILD_{what}" for what in ("CREATE", "UPDATE", "DELETE")),
    *(f"GUILD_ROLE_{what}" for what in ("CREATE", "UPDATE", "DELETE")),
    *(f"CHANNEL_{what}" for what in ("CREATE", "UPDATE", "DELETE")),
    *(f"THREAD_{what}" for what in ("CREATE", "UPDATE", "DELETE", "LIST_SYNC")),
}
_LEFT_OUT = (  # lists in READY and GUILD_CREATE that the bot has no use for, some about people
    *("emojis", "stickers", "soundboard_sounds", "presences", "voice_states", "stage_instances"),
    *("guild_scheduled_events", "activity_instances", "private_channels", "relationships"),
)
# No row holds a token, or a member other than the bot. Without a sync nothing is lost by a kill; after a
# crash of the whole machine the two clocks no longer agree, and the sessions aren't used.
_TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;
CREATE TABLE IF NOT EXISTS bot (owner TEXT, commands TEXT);
CREATE TABLE IF NOT EXISTS sessions (shard INTEGER PRIMARY KEY, last INTEGER, wall REAL, monotonic REAL);
CREATE TABLE IF NOT EXISTS events (
  number INTEGER PRIMARY KEY AUTOINCREMENT, shard INTEGER, name TEXT, about TEXT, payload TEXT,
  UNIQUE (shard, name, about));
CREATE TABLE IF NOT EXISTS unsettled (
  shard INTEGER, sequence INTEGER, interaction INTEGER, came REAL, PRIMARY KEY (shard, sequence));
"""
log = logging.getLogger(__name__)
Event = tuple[str, Mapping[str, Any]]  # name and payload
Statement = tuple[str, tuple[object, ...]]


@dataclass(frozen=True)
class Left:
    """What an earlier client left of one session. ``last``: the highest sequence number it received.
    ``unsettled``: those up to it that have to be told again."""

    events: tuple[Event, ...]  # READY first
    last: int
    unsettled: frozenset[int]

    @property
    def sequence(self) -> int:
        """The sequence number after which Discord shall tell again what happened."""
        return min(self.unsettled) - 1 if self.unsettled else self.last

    @property
    def ready(self) -> Mapping[str, Any]:
        """The payload that the session began with."""
        return self.events[0][1]


class KeptSessions:
    """Keeps the sessions of the bot with ``token`` and ``intents`` in the file ``path``, which only its owner
    may read. Whatever goes wrong with it costs the sessions, and never more.

    Another bot, or one that wants other events, has sessions of its own. ``on_told_again`` is called with
    the id of each interaction that Discord tells to this process instead of the one before. ``clock``:
    seconds since 1970; ``monotonic``: seconds since the machine was started.
    """

    def __init__(
        self,
        path: Path,
        token: str,
        intents: int,
        on_told_again: Callable[[int], None] = lambda interaction_id: None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        digest = hashlib.sha256(f"atelier gateway {token.strip()}".encode()).hexdigest()[:32]
        self._path, self._owner, self._on_told_again = path, f"{digest} {intents}", on_told_again
        self._clock, self._monotonic = clock, monotonic
        self._file: sqlite3.Connection | None = None
        self.left: dict[int, Left] = {}  # shard → what isn't resumed yet
        self._known: dict[int, tuple[str, yarl.URL]] = {}  # shard → session and where it is resumed
        self._tries: dict[int, int] = {}
        self._last: dict[int, int] = {}
        self._seen: dict[int, None] = {}  # ids of the last interactions, oldest first
        self._commands, self._me = "", 0

    # Start

    def load(self) -> bool:
        """Read the sessions that there are, for a new client. Return whether one may be resumed."""
        self.left, self._known = {}, {}
        try:
            self.left = self._read(self._opened())
        except (sqlite3.Error, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            log.warning("the kept sessions with Discord can't be read (%s)", type(error).__name__)
            self.remove()
        for shard, left in self.left.items():
            self._known[shard] = left.ready["session_id"], yarl.URL(left.ready["resume_gateway_url"])
        return bool(self.left)

    def _opened(self) -> sqlite3.Connection:
        if self._file is None:
            self._path.touch(mode=0o600)
            self._path.chmod(0o600)
            self._file = sqlite3.connect(self._path, timeout=0.1)
            self._file.executescript(_TABLES)
            self._file.execute(f"PRAGMA max_page_count = {MAX_PAGES}")
        return self._file

    def _read(self, file: sqlite3.Connection) -> dict[int, Left]:
        owner, self._commands = file.execute("SELECT owner, commands FROM bot").fetchone() or ("", "")
        found = {}
        for shard, last, wall, monotonic in file.execute("SELECT * FROM sessions").fetchall():
            elapsed = self._monotonic() - monotonic
            lives = 0 <= elapsed <= MAX_AGE and abs(self._clock() - wall - elapsed) <= CLOCKS_APART
            rows = file.execute("SELECT name, payload FROM events WHERE shard = ? ORDER BY number", (shard,))
            events = tuple((name, json.loads(payload)) for name, payload in rows)
            rows = file.execute("SELECT sequence FROM unsettled WHERE shard = ?", (shard,))
            found[shard] = Left(events, last, frozenset(sequence for (sequence,) in rows))
            if not lives or events[0][0] != "READY" or self._tries.get(shard, 0) >= TRIES:
                del found[shard]
        if owner != self._owner or len({left.ready["shard"][1] for left in found.values()}) > 1:
            found = {}
        if not found:
            self.remove()
        return found

    def take_up(self, user_id: int, commands: str) -> bool:
        """Take the loaded sessions for a client of this user, or forget them if they are another's. Return
        whether these ``commands`` (a digest) are known to be registered."""
        if any(int(left.ready["user"]["id"]) != user_id for left in self.left.values()):
            self.remove()
        known = bool(self.left) and self._commands == commands
        self._me, self._commands = user_id, commands
        return known

    def registered(self) -> None:
        """Note that the commands are registered."""
        self._write(("UPDATE bot SET commands = ?", (self._commands,)))

    @asynccontextmanager
    async def serving(self, client: discord.AutoShardedClient) -> AsyncIterator[None]:
        """Let ``client`` resume the loaded sessions, caches included, and keep its own while the block
        runs."""
        discord.shard.DiscordWebSocket = KeptWebSocket  # type: ignore[misc]
        if self.left:
            await self._fill_caches(client)
        tending = asyncio.create_task(self._tend(client), name="gateway sessions")
        try:
            yield
        finally:
            tending.cancel()

    async def _fill_caches(self, client: discord.AutoShardedClient) -> None:
        """Let ``client`` take in the events that the loaded sessions began with, as if they came now; forget
        sessions that it can't make sense of."""
        state = client._connection
        count = next(iter(self.left.values())).ready["shard"][1]
        client.shard_count = state.shard_count = count
        state.shard_ids = range(count)
        patience, state.guild_ready_timeout = state.guild_ready_timeout, READY_AFTER
        try:
            for name, payload in [event for left in self.left.values() for event in left.events]:
                state.parsers[name](payload)
                await asyncio.sleep(0)
        except GARBLED as error:
            log.warning("the kept sessions with Discord can't be used (%s)", type(error).__name__)
            self.remove()
        for task in state._ready_tasks.values():
            task.add_done_callback(lambda _: setattr(state, "guild_ready_timeout", patience))

    def offer(self, shard: int) -> dict[str, Any]:
        """Return the arguments with which discord.py resumes a connection's session, none where there is
        none."""
        if self._tries.get(shard, 0) >= TRIES:
            self.forget(shard)
        if shard not in self._known:
            return {}
        self._tries[shard] = self._tries.get(shard, 0) + 1
        (session, gateway), left = self._known[shard], self.left.get(shard)
        if left is not None:
            self._last[shard] = left.last
            self._write(("UPDATE unsettled SET came = ? WHERE shard = ?", (self._monotonic(), shard)))
        sequence = self._last[shard] if left is None else left.sequence
        return {"resume": True, "session": session, "sequence": sequence, "gateway": gateway}

    @property
    def resuming(self) -> bool:
        """Whether Discord hasn't told yet all that an earlier process missed."""
        return bool(self.left)

    def forget(self, shard: int) -> None:
        """Forget a connection's session: Discord has, or a new one is begun."""
        for known in (self.left, self._known, self._tries):
            known.pop(shard, None)
        self._write(*self._emptied(shard))

    def _emptied(self, shard: int) -> list[Statement]:
        return [
            ("DELETE FROM sessions WHERE shard = ?", (shard,)),
            ("DELETE FROM events WHERE shard = ?", (shard,)),
            ("DELETE FROM unsettled WHERE shard = ?", (shard,)),
        ]

    # While they live

    def receive(
        self,
        shard: int,
        sequence: int,
        name: str,
        payload: dict[str, Any],
        parse: Callable[[dict[str, Any]], None],
    ) -> None:
        """Hand an event on to ``parse``, unless an earlier process has dealt with it."""
        left = self.left.get(shard)
        if left is not None and sequence <= left.last and sequence not in left.unsettled:
            return
        new: list[Statement] = []
        if name == "READY":
            new += self._begun(shard, payload)
        elif name == "RESUMED":
            self.left.pop(shard, None)
            self._tries.pop(shard, None)
        others = name == "GUILD_MEMBER_UPDATE" and int(payload["user"]["id"]) != self._me
        if name in _KEPT and not others:  # of those with one name about one object the last is kept
            inner = payload.get("role") or payload.get("user") or payload
            object_id = payload.get("role_id") or inner.get("id") or payload.get("channel_ids")
            about = f"{payload.get('guild_id')} {object_id}"
            event = shard, name, about, json.dumps(self._trimmed(payload))
            new += [("REPLACE INTO events (shard, name, about, payload) VALUES (?, ?, ?, ?)", event)]
        self._last[shard] = max(self._last.get(shard, 0), sequence)
        wanted = True
        if name == "INTERACTION_CREATE":
            id_ = int(payload["id"])
            if wanted := self._is_news(id_, payload["type"], again=left is not None):
                values = shard, sequence, id_, self._monotonic()
                new += [("REPLACE INTO unsettled VALUES (?, ?, ?, ?)", values)]
        self._write(*new, *self._alive(shard))
        if wanted:
            parse(payload)

    def _begun(self, shard: int, ready: Mapping[str, Any]) -> list[Statement]:
        self.left.pop(shard, None)
        self._tries.pop(shard, None)
        self._last[shard] = 0
        self._known[shard] = ready["session_id"], yarl.URL(ready["resume_gateway_url"])
        try:
            self._opened()
        except (sqlite3.Error, OSError) as error:
            self._give_up(error)
        return [
            ("DELETE FROM bot", ()),
            ("INSERT INTO bot VALUES (?, ?)", (self._owner, self._commands)),
            *self._emptied(shard),
            ("INSERT INTO sessions (shard) VALUES (?)", (shard,)),
        ]

    def _is_news(self, interaction_id: int, kind: int, *, again: bool) -> bool:
        """Return False for an interaction that this process was told before, and for choices that were asked
        for too long ago. ``again``: Discord tells what an earlier process missed."""
        if interaction_id in self._seen or (again and kind == AUTOCOMPLETE):
            return False
        self._seen[interaction_id] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        if again:
            self._on_told_again(interaction_id)
        return True

    def _trimmed(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Leave out what isn't needed, and people other than the bot."""
        kept = {name: [] if name in _LEFT_OUT else value for name, value in payload.items()}
        if "members" in kept:
            ours = str(self._me)
            kept["members"] = [one for one in kept["members"] if one.get("user", {}).get("id") == ours]
        return kept

    def watch(self, trace: aiohttp.TraceConfig) -> None:
        """Settle each interaction when its acknowledgement is answered, or fails, in a session with
        ``trace``."""
        trace.on_request_end.append(self._on_request)
        trace.on_request_exception.append(self._on_request)

    async def _on_request(
        self, session: aiohttp.ClientSession, context: SimpleNamespace, request: Any
    ) -> None:
        found = _CALLBACK.search(request.url.path) if request.method == "POST" else None
        if found:
            self.settle(int(found[1]))

    def settle(self, interaction_id: int) -> None:
        """Note that an interaction need not be told again: from here on rows and notes say what is due."""
        self._write(("DELETE FROM unsettled WHERE interaction = ?", (interaction_id,)))

    async def _tend(self, client: discord.AutoShardedClient) -> None:
        """Note from time to time which sessions live."""
        while True:
            await asyncio.sleep(TICK)
            for shard, connection in client.shards.items():
                if not connection.is_closed():
                    self._write(*self._alive(shard))

    def _alive(self, shard: int) -> list[Statement]:
        now = self._monotonic()
        values = self._last.get(shard, 0), self._clock(), now, shard
        return [
            ("UPDATE sessions SET last = ?, wall = ?, monotonic = ? WHERE shard = ?", values),
            ("DELETE FROM unsettled WHERE came < ?", (now - UNSETTLED,)),
        ]

    # The file

    def _write(self, *statements: Statement) -> None:
        """Write in one step, if there is a file."""
        if self._file is None:
            return
        try:
            with self._file:
                for text, values in statements:
                    self._file.execute(text, values)
        except sqlite3.Error as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        log.warning("the sessions with Discord can't be kept over a restart (%s)", error)
        self._remove_file()

    def remove(self) -> None:
        """Forget all sessions."""
        self.left, self._known = {}, {}
        self._remove_file()

    def _remove_file(self) -> None:
        self.close()
        try:
            for end in ("", "-wal", "-shm"):
                self._path.with_name(f"{self._path.name}{end}").unlink(missing_ok=True)
        except OSError as error:
            log.warning("the kept sessions with Discord can't be removed (%s)", type(error).__name__)

    def close(self) -> None:
        """Close the file; the sessions stay in it."""
        if self._file is not None:
            self._file.close()
            self._file = None


class KeptWebSocket(DiscordWebSocket):
    """A gateway connection whose session outlives the process."""

    @classmethod
    async def from_client(
        cls, client: discord.Client, *, initial: bool = False, **options: Any
    ) -> KeptWebSocket:
        """Connect; resume what the client's sessions offer, unless discord.py itself says what to resume."""
        kept: KeptSessions | None = getattr(client, "kept_sessions", None)
        if kept is not None and "resume" not in options:
            options |= kept.offer(options["shard_id"])
        made = await super().from_client(client, initial=initial, **options)
        if kept is not None:
            parsers = made._discord_parsers
            made._discord_parsers = {
                name: partial(made._receive, kept, name, parse) for name, parse in parsers.items()
            }
        return made

    def _receive(
        self, kept: KeptSessions, name: str, parse: Callable[[Any], None], payload: dict[str, Any]
    ) -> None:
        kept.receive(self.shard_id or 0, self.sequence or 0, name, payload, parse)
        if name == "READY":  # discord.py remembers servers that the bot has left while no session lived
            told, state = {int(one["id"]) for one in payload["guilds"]}, self._connection
            for guild in [
                one for one in state.guilds if one.shard_id == self.shard_id and one.id not in told
            ]:
                state._remove_guild(guild)

    async def close(self, code: int = 4000) -> None:
        """Close, but never with 1000: the session shall go on without us."""
        await super().close(4000 if code == 1000 else code)


def keep_sessions(
    path: Path, token: str, intents: int, on_told_again: Callable[[int], None]
) -> KeptSessions | None:
    """Return what keeps the sessions in the file ``path``; None with a discord.py that has changed so much
    that each start has to begin new ones."""
    if (part := missing_part()) is None:
        return KeptSessions(path, token, intents, on_told_again)
    text = "discord.py %s has no %s any more: each start begins new sessions with Discord"
    log.warning(text, discord.__version__, part)
    return None


def missing_part() -> str | None:
    """Return an inner part of discord.py that this module needs and that isn't there."""
    from_client = getattr(DiscordWebSocket, "from_client", None)
    asked = {"client", "initial", "gateway", "shard_id", "session", "sequence", "resume"}
    if from_client is None or not asked <= inspect.signature(from_client).parameters.keys():
        return "DiscordWebSocket.from_client with what is resumed"
    if "_discord_parsers" not in inspect.unwrap(from_client).__func__.__code__.co_names:
        return "DiscordWebSocket._discord_parsers"
    if getattr(discord.shard, "DiscordWebSocket", None) is None:
        return "discord.shard.DiscordWebSocket"
    state = getattr(discord.AutoShardedClient(intents=discord.Intents.none()), "_connection", None)
    needed = ("parsers", "guild_ready_timeout", "shard_ids", "_ready_tasks", "_remove_guild")
    missing = [name for name in needed if not hasattr(state, name)]
    return f"ConnectionState.{missing[0]}" if missing else None
