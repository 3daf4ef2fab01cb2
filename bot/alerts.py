"""Tells the bot's owners of trouble: one direct message for each new kind, not one for each event."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Set
from datetime import UTC, datetime, timedelta
from time import monotonic

import discord

from bot.discord_api.http import FAILURES
from bot.ui.replies import SILENT
from core.errors import StorageError
from core.redact import Redactor
from jobs.queue import Queue

REMIND_AFTER = timedelta(days=7)  # a kind told longer ago is told again
LOOK_AFTER = 3600.0  # seconds until the row of a kind that comes again is looked at
log = logging.getLogger(__name__)
QUIET = (  # beginnings of what is logged as an error and needs nobody: logger, message
    (__name__, ""),
    ("discord.client", "Attempting a reconnect"),
    ("discord.shard", "Attempting a reconnect"),
)


class Alerts(logging.Handler):
    """Collects every error that is logged in this process while its block runs, by kind: the logger, the
    first line of the message before its values are filled in, and the exception's class.

    ``client`` sends to those whom ``owner_ids`` names; ``queue`` remembers what was told; what ``redact``
    finds is never sent.
    """

    def __init__(
        self, client: discord.Client, queue: Queue, owner_ids: Callable[[], Set[int]], redact: Redactor
    ) -> None:
        super().__init__(level=logging.ERROR)
        self._client, self._queue, self._owner_ids, self._redact = client, queue, owner_ids, redact
        self._loop = asyncio.get_running_loop()
        self._seen: dict[str, float] = {}  # kind → monotonic seconds when its row was last looked at
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Alerts:
        logging.getLogger().addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self)
        for task in self._tasks:
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
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

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
        except (discord.HTTPException, *FAILURES) as error:
            log.warning("owner %s couldn't be told (%s)", owner_id, type(error).__name__)
            return False
        return True
