"""A session with Discord's gateway that outlives this process, so that a restart or a kill spends no identify
and misses nothing: Discord tells the next process what happened meanwhile.

What was received isn't told again, but for interactions that nobody had acknowledged yet when the process
ended: nothing was done about them, since every answer begins with its acknowledgement. So each is done once.
https://discord.com/developers/docs/events/gateway#resuming
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import time
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import discord
import yarl

from bot.wire import private_api
from bot.wire.session_file import COMMANDS, Event, SessionFile, StoredSession
from bot.wire.transport import GARBLED

TRIES = 3  # connections that may fail before a session is given up
UNSETTLED = 5.0  # seconds; an interaction that isn't acknowledged within 3 never can be
TICK = 5.0  # seconds between two notes that the session lives
TOLD_AGAIN = 256  # interactions at most, the newest: in a crowd the slot is written for each
REMEMBERED = 1000  # interactions, so that none is done twice
AUTOCOMPLETE = 4  # a type of interaction
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
log = logging.getLogger(__name__)


class KeptSession:
    """Keeps the session of the bot with ``token`` and ``intents`` in the file ``path``.

    Another bot, or one that wants other events, has a session of its own. ``on_told_again`` is called with
    the id of each interaction that Discord tells to this process instead of the one before.
    """

    def __init__(
        self,
        path: Path,
        token: str,
        intents: int,
        on_told_again: Callable[[int], None] = lambda interaction_id: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        digest = hashlib.sha256(f"atelier gateway {token.strip()}".encode()).hexdigest()[:32]
        self._owner, self._file = f"{digest} {intents}", SessionFile(path, monotonic=monotonic)
        self._on_told_again, self._monotonic = on_told_again, monotonic
        self._stored: StoredSession | None = None
        self._commands = ""
        self._me = 0
        self._tries = 0
        self._last = 0
        self._open: dict[int, tuple[int, float]] = {}  # sequence → interaction's id, seconds when it came
        self._numbers: dict[int, int] = {}  # interaction's id → sequence
        self._seen: dict[int, None] = {}  # ids of the last interactions, oldest first

    # Start

    def load(self) -> bool:
        """Read the session that there is, for a new client. Return whether it may be resumed."""
        self._file.close()
        stored = self._file.read()
        if stored is not None and (stored.owner != self._owner or self._tries >= TRIES):
            self.forget()
            stored = None
        self._stored = stored
        return stored is not None

    def take_up(self, user_id: int, commands: str) -> bool:
        """Take the loaded session for a client of this user, or forget it if it is another's. Return whether
        these ``commands`` (a digest) are known to be registered."""
        self._me, self._commands = user_id, commands
        before = self._stored.commands if self._stored else ""
        if self._stored is not None and int(self._stored.ready["user"]["id"]) != user_id:
            self.forget()
        if self._stored is None:
            return False
        self._file.write(self._stored)
        return before == commands

    def registered(self) -> None:
        """Note that the commands are registered."""
        self._file.add(COMMANDS, {"digest": self._commands})

    @property
    def events(self) -> tuple[Event, ...]:
        """What fills the caches of a client that will resume the loaded session; nothing for any other."""
        return self._stored.events if self._stored else ()

    async def fill_caches(self, client: discord.Client) -> None:
        """Let ``client`` know what the loaded session told; forget a session that it can't make sense of."""
        try:
            await private_api.fill_caches(client, self.events)
        except GARBLED as error:
            log.warning("the kept session with Discord can't be used (%s)", type(error).__name__)
            self.forget()

    def offer(self) -> dict[str, Any]:
        """Return the arguments with which discord.py resumes the loaded session, none if there is none."""
        stored = self._stored
        if stored is None:
            return {}
        now = self._monotonic()
        self._last = stored.last
        self._open = {number: (0, now) for number in sorted(stored.unsettled)}
        self._numbers = {}
        self._tries += 1
        address = yarl.URL(stored.ready["resume_gateway_url"])
        session = stored.ready["session_id"]
        return {"resume": True, "session": session, "sequence": stored.sequence, "gateway": address}

    @property
    def resuming(self) -> bool:
        """Whether Discord hasn't told yet all that an earlier process missed."""
        return self._stored is not None

    def forget(self) -> None:
        """Forget the session: Discord has, or a new one is begun."""
        self._stored = None
        self._file.remove()

    # While it lives

    def receive(
        self, sequence: int, name: str, payload: dict[str, Any], parse: Callable[[dict[str, Any]], None]
    ) -> None:
        """Hand an event on to ``parse``, unless an earlier process has dealt with it."""
        if self._stored is not None and sequence <= self._stored.last and sequence not in self._open:
            return
        if name == "READY":
            self._begin(payload)
        elif name == "RESUMED":
            self._tries, self._stored = 0, None
        elif name in _KEPT and self._is_about_us(name, payload):
            self._file.add(name, self._trimmed(payload))
        self._last = max(self._last, sequence)
        wanted = name != "INTERACTION_CREATE" or self._take_in(sequence, int(payload["id"]), payload["type"])
        self._note()
        if wanted:
            parse(payload)

    def _begin(self, ready: Mapping[str, Any]) -> None:
        self._stored, self._tries, self._last = None, 0, 0
        self._open, self._numbers = {}, {}
        events = (("READY", self._trimmed(ready)),)
        self._file.write(StoredSession(self._owner, self._commands, events, 0, frozenset()))

    def _take_in(self, sequence: int, interaction_id: int, kind: int) -> bool:
        """Note an interaction. Return False for one that this process was told before, and for choices that
        were asked for too long ago."""
        if interaction_id in self._seen or (self.resuming and kind == AUTOCOMPLETE):
            return False
        self._seen[interaction_id] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        self._open[sequence] = interaction_id, self._monotonic()
        self._numbers[interaction_id] = sequence
        if self.resuming:
            self._on_told_again(interaction_id)
        return True

    def _is_about_us(self, name: str, payload: Mapping[str, Any]) -> bool:
        return name != "GUILD_MEMBER_UPDATE" or int(payload["user"]["id"]) == self._me

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
        sequence = self._numbers.pop(interaction_id, None)
        if sequence is not None:
            self._open.pop(sequence, None)
            self._note()

    async def tend(self, connected: Callable[[], bool]) -> None:
        """Note from time to time that the session lives, while it is ``connected``."""
        while True:
            await asyncio.sleep(TICK)
            if connected():
                self._note()

    def _note(self) -> None:
        too_late = self._monotonic() - UNSETTLED
        while self._open and (oldest := next(iter(self._open.items())))[1][1] < too_late:
            del self._open[oldest[0]]
            self._numbers.pop(oldest[1][0], None)
        self._file.note(self._last, islice(reversed(self._open), TOLD_AGAIN))
