"""The connection to Discord while the process runs: made, made again when it fails, and closed in order.

Three objects belong to it: a budget of identifies, kept on disk, so that a crash loop can't burn the day's
1,000 while a person may restart as often as a person does; the serving of one client after the other; and
the messages to the bot's owners of what is logged as an error meanwhile.

https://discord.com/developers/docs/events/gateway#rate-limiting: at more than 1,000 IDENTIFY calls in 24
hours Discord resets the token. Its other rule, one call in 5 seconds, discord.py keeps: it waits and asks
again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Callable, Sequence, Set
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from json import JSONDecodeError
from pathlib import Path
from time import monotonic

import aiohttp
import discord

from bot.client import Atelier
from bot.discord_api.http import FAILURES
from bot.discord_api.session import KeptSessions
from bot.ui.replies import SILENT
from core.errors import AtelierError, StorageError
from core.redact import Redactor
from core.settings import Settings
from jobs.queue import Queue

DAY = 86_400.0  # seconds
AT_ONCE = 250  # identifies that may be spent without a pause, after a day without any
REFILL = 150.0  # seconds until one more may be spent: 250 + 576 in the first day, 576 in each after it
CLOSE_ENOUGH = 1.0  # seconds that an identify may come early, since a sleep isn't exact


class BudgetSpent(Exception):
    """An identify that has to wait."""


class Connections:
    """Remembers the times of identifies in the file ``path``. ``clock``: seconds since 1970."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path, self._clock = path, clock

    def pause(self) -> float:
        """Return the seconds to wait before the next identify."""
        return pause_after(self._times(), self._clock())

    @property
    def left(self) -> int:
        """How many identifies may be sent without a pause."""
        return int(max(0.0, _left(self._times(), self._clock())))

    def spend(self) -> None:
        """Note that an identify is sent now. Raises BudgetSpent when it may not be."""
        times = self._times()
        if pause_after(times, self._clock()) > CLOSE_ENOUGH:
            raise BudgetSpent("there were too many identifies")
        temporary = self._path.with_suffix(".new")
        temporary.write_text(json.dumps([*times, self._clock()]))
        temporary.replace(self._path)

    def _times(self) -> list[float]:
        """Times of the last day, oldest first; those after now don't count: the clock was put back."""
        now = self._clock()
        try:
            times = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return []
        return sorted(at for at in times if isinstance(at, (int, float)) and now - DAY < at <= now)


def pause_after(times: Sequence[float], now: float) -> float:
    """Return the seconds to wait before the next identify after those at ``times`` of the last day, oldest
    first. Seconds since 1970."""
    return max(0.0, (1 - _left(times, now)) * REFILL)


def _left(times: Sequence[float], now: float) -> float:
    """What is left of the budget now."""
    left, before = float(AT_ONCE), 0.0
    for at in times:
        left, before = min(AT_ONCE, left + (at - before) / REFILL) - 1, at
    return min(AT_ONCE, left + (now - before) / REFILL)


log = logging.getLogger(__name__)
# What a connection that can't be made or kept raises; BudgetSpent when a session is refused that was to be
# resumed, and an identify has to wait; the AttributeError is discord.py's own when the very
# first connection is refused, the JSONDecodeError when a message of the gateway can't be read
LOST = (
    discord.HTTPException,
    discord.GatewayNotFound,
    discord.ConnectionClosed,
    aiohttp.ClientError,
    OSError,
    AttributeError,
    JSONDecodeError,
    BudgetSpent,
)
FIRST_AGAIN, LAST_AGAIN = 1.0, 60.0  # seconds from a connection that failed to the next one
HELD = 300.0  # seconds after which a connection that ends hasn't failed
TOKEN_REFUSED = "Discord refuses DISCORD_TOKEN. Copy it again: developer portal, Bot, Reset Token."
INTENTS_REFUSED = (
    "Discord refuses the intents; Atelier needs no privileged ones, so the library's defaults changed."
)


class Serving:
    """Keeps one client connected. ``make_client`` makes a new one for each connection, since discord.py can't
    use one twice. ``beside`` is entered with the client for as long as it is connected."""

    def __init__(
        self,
        make_client: Callable[[], Atelier],
        beside: Callable[[Atelier], AbstractContextManager[object]],
        connections: Connections,
        sessions: KeptSessions | None,
        queue: Queue,
        settings: Settings,
    ) -> None:
        self._make_client, self._beside = make_client, beside
        self._connections, self._sessions = connections, sessions
        self._queue, self._settings = queue, settings
        self._client: Atelier | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a connection to Discord's gateway now."""
        return self._client is not None and self._client.is_connected

    @property
    def shards(self) -> tuple[bool, ...]:
        """Whether each of the bot's connections to Discord is open."""
        shards = self._client.shards.values() if self._client is not None else ()
        return tuple(not one.is_closed() for one in shards) or (False,)

    async def until(self, stopping: asyncio.Event) -> None:
        """Serve until ``stopping`` is set. discord.py resumes lost sessions itself; this connects again when
        that fails, and resumes the last sessions or, after pauses that outlive the process, begins new ones.
        Raises AtelierError when Discord refuses for good."""
        again = 0.0  # seconds; longer after each connection that fails
        while not stopping.is_set():
            resumes = self._sessions is not None and self._sessions.load()
            pause = max(again, 0.0 if resumes else self._connections.pause())
            if pause:
                log.warning("the next connection to Discord is made in %.0f s", pause)
            if await _is_set_within(stopping, pause):
                return
            began = monotonic()
            if await self._connect(stopping):
                return
            held = monotonic() - began > HELD
            again = FIRST_AGAIN if held else min(LAST_AGAIN, max(FIRST_AGAIN, 2 * again))

    async def _connect(self, stopping: asyncio.Event) -> bool:
        """Serve with a new client until stopped (True), or until its connection fails (False)."""
        client = self._client = self._make_client()
        try:
            async with client:
                with self._beside(client):
                    await self._run(client, stopping)
        except discord.LoginFailure as error:
            raise AtelierError(TOKEN_REFUSED) from error
        except discord.PrivilegedIntentsRequired as error:
            raise AtelierError(INTENTS_REFUSED) from error
        except LOST as error:
            log.warning("no connection to Discord (%s)", type(error).__name__)
            return False
        finally:
            self._client = None
        return True

    async def _run(self, client: Atelier, stopping: asyncio.Event) -> None:
        """Run ``client`` until it fails, or stop it in order: the queue, then deliveries, then the connection
        that they need."""
        serving = asyncio.create_task(client.start(self._settings.discord_token), name="discord")
        stop = asyncio.create_task(stopping.wait(), name="stop")
        try:
            await asyncio.wait((serving, stop), return_when=asyncio.FIRST_COMPLETED)
            if not serving.done():
                await self._queue.stop(self._settings.grace_seconds)
                await client.delivery.close()
                await client.close()
            await serving
        finally:
            stop.cancel()


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


REMIND_AFTER = timedelta(days=7)  # a kind told longer ago is told again
LOOK_AFTER = 3600.0  # seconds until the row of a kind that comes again is looked at
QUIET = (  # beginnings of what is logged as an error and needs nobody: logger, message
    (__name__, ""),
    ("discord.client", "Attempting a reconnect"),
    ("discord.shard", "Attempting a reconnect"),
)


class Alerts(logging.Handler):
    """Collects every error that is logged in this process while its block runs, by kind: the logger, the
    first line of the message before its values are filled in, and the exception's class.

    ``client`` sends to those whom ``owner_ids`` names; ``queue`` remembers what was told; what ``redact``
    finds is never sent. ``tasks``: what is being sent.
    """

    def __init__(
        self, client: discord.Client, queue: Queue, owner_ids: Callable[[], Set[int]], redact: Redactor
    ) -> None:
        super().__init__(level=logging.ERROR)
        self._client, self._queue, self._owner_ids, self._redact = client, queue, owner_ids, redact
        self._loop = asyncio.get_running_loop()
        self._seen: dict[str, float] = {}  # kind → monotonic seconds when its row was last looked at
        self.tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Alerts:
        logging.getLogger().addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self)
        for task in self.tasks:
            task.cancel()

    def emit(self, record: logging.LogRecord) -> None:
        """Take an error, on whichever thread it was logged."""
        pattern, _, _ = str(record.msg).partition("\n")  # asyncio's goes on with the values of one event
        if any(record.name == name and pattern.startswith(begin) for name, begin in QUIET):
            return
        cause = record.exc_info[0] if record.exc_info else None
        named = f" ({cause.__name__})" if cause else ""
        kind = hashlib.sha256(f"{record.name}:{pattern}{named}".encode()).hexdigest()[:16]
        text = self._redact(f"{record.name}: {record.getMessage().partition(chr(10))[0]}{named}")
        self._loop.call_soon_threadsafe(self._tell_once, kind, text)

    def _tell_once(self, kind: str, text: str) -> None:
        now = monotonic()
        if now < self._seen.get(kind, float("-inf")) + LOOK_AFTER:
            return
        self._seen[kind] = now
        task = asyncio.create_task(self._tell(kind, text))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _tell(self, kind: str, text: str) -> None:
        """A row remembers what was told, so that a crash loop doesn't send a message at each start."""
        await self._client.wait_until_ready()
        for owner_id in self._owner_ids():
            key, now = f"alert:{kind}", datetime.now(UTC)
            try:
                told = await self._queue.people.user_flag(owner_id, key)
                if told and now - datetime.fromisoformat(told) < REMIND_AFTER:
                    continue
                if await self._send(owner_id, text):
                    await self._queue.people.set_user_flag(owner_id, key, now.isoformat())
            except StorageError as error:
                log.warning("owner %s isn't told: %s", owner_id, error)

    async def _send(self, owner_id: int, text: str) -> bool:
        """Return whether the message was sent; one that wasn't is tried when the trouble comes again."""
        shown = text[:1500].replace("`", "")
        content = f"**Atelier has a new problem.** The log has the details.\n`{shown}`"
        try:
            user = await self._client.fetch_user(owner_id)
            await user.send(content, allowed_mentions=SILENT)
        except FAILURES as error:
            log.warning("owner %s couldn't be told (%s)", owner_id, type(error).__name__)
            return False
        return True
