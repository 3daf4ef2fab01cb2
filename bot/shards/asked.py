"""SHARDS=auto: how many connections Discord asks for, which is asked before anything is opened."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import aiohttp
import discord

from bot.wire.private_api import connections_asked_for
from bot.wire.serving import TOKEN_REFUSED
from core.errors import AtelierError
from core.settings import Settings
from core.sharding.settings import AUTO, MOST

FILE = "connections-asked-for"  # in DATA_DIR: the last answer
PATIENCE = 15.0  # seconds for an answer
PAUSES = (2.0, 5.0, 15.0, 60.0)  # seconds before another try; the last one again and again
AWAY = (discord.HTTPException, discord.GatewayNotFound, aiohttp.ClientError, OSError, TimeoutError)
log = logging.getLogger(__name__)


async def ask(token: str) -> int:
    """Return how many connections Discord asks for. Raises LoginFailure, or one of AWAY."""
    async with asyncio.timeout(PATIENCE), discord.Client(intents=discord.Intents.none()) as client:
        await client.login(token)
        return await connections_asked_for(client)


async def with_connections(
    settings: Settings, stopping: asyncio.Event, ask: Callable[[str], Awaitable[int]] = ask
) -> Settings:
    """Return settings that say how many connections the bot has: as many as Discord asks for, or did when it
    last answered. Waits where it never has, until ``stopping``; then the number stays open. Raises
    AtelierError when Discord refuses the token."""
    if settings.shards != AUTO or not settings.discord_token:
        return replace(settings, shards=settings.shards or 1)
    path, tries = settings.data_dir / FILE, 0
    while not stopping.is_set():
        try:
            asked = min(MOST, max(1, await ask(settings.discord_token)))
        except discord.LoginFailure as error:
            raise AtelierError(TOKEN_REFUSED) from error
        except AWAY as error:
            if (known := await asyncio.to_thread(_known, path)) is not None:
                log.warning("Discord isn't reached (%s); it last asked for %d", type(error).__name__, known)
                return replace(settings, shards=known)
            pause = PAUSES[min(tries, len(PAUSES) - 1)]
            log.warning("Discord isn't reached (%s): asked again in %.0f s", type(error).__name__, pause)
            tries += 1
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await stopping.wait()
            continue
        log.info("Discord asks for %d connections", asked)
        await asyncio.to_thread(_note, path, asked)
        return replace(settings, shards=asked)
    return settings


def _known(path: Path) -> int | None:
    try:
        found = int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return found if 1 <= found <= MOST else None


def _note(path: Path, asked: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(asked), encoding="ascii")
