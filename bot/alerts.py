"""Tells the bot's owner of trouble: one direct message per new kind, not one per event."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from datetime import UTC, datetime, timedelta

import discord

from bot.client import Atelier
from bot.ui.replies import SILENT
from bot.wire.transport import FAILURES
from host.logs import redactor

WATCHED = ("jobs", "storage", "bot")
REMIND_AFTER = timedelta(days=7)  # a kind told longer ago is told again
QUIET = ("bot.alerts",)
log = logging.getLogger(__name__)


class Alerts(logging.Handler):
    """Collects errors of our own loggers by kind: logger and message before its values are filled in."""

    def __init__(self, client: Atelier) -> None:
        super().__init__(level=logging.ERROR)
        self._client, self._loop = client, asyncio.get_running_loop()
        self._redact = redactor(client.settings)
        self._told: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Alerts:
        for name in WATCHED:
            logging.getLogger(name).addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        for name in WATCHED:
            logging.getLogger(name).removeHandler(self)
        for task in self._tasks:
            task.cancel()

    def emit(self, record: logging.LogRecord) -> None:
        if record.name in QUIET:
            return
        kind = hashlib.sha256(f"{record.name}:{record.msg}".encode()).hexdigest()[:16]
        self._loop.call_soon_threadsafe(
            self._tell_once, kind, self._redact(f"{record.name}: {record.getMessage()}")
        )

    def _tell_once(self, kind: str, text: str) -> None:
        if kind in self._told:
            return
        self._told.add(kind)
        task = asyncio.create_task(self._tell(kind, text))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self, kind: str, text: str) -> None:
        """The row remembers what was told, so that a crash loop doesn't write at each start."""
        await self._client.wait_until_ready()
        for owner in self._client.authority.owner_ids:
            key, now = f"alert:{kind}", datetime.now(UTC)
            told = await self._client.queue.user_flag(owner, key)
            if told and now - datetime.fromisoformat(told) < REMIND_AFTER:
                continue
            await self._client.queue.set_user_flag(owner, key, now.isoformat())
            try:
                user = await self._client.fetch_user(owner)
                shown = text[:1500].replace("`", "")
                await user.send(
                    f"**Atelier has a new kind of trouble.** The log has the rest.\n`{shown}`",
                    allowed_mentions=SILENT,
                )
            except (discord.HTTPException, *FAILURES) as error:
                log.warning("owner %s couldn't be told (%s)", owner, type(error).__name__)
