"""The sandbox: the same bot inside simcord, its preview page on loopback. Nothing of the bot is stubbed."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import webbrowser
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import simcord

from bot.client import Atelier
from core.settings import Settings

if TYPE_CHECKING:
    from bot.app import Services

log = logging.getLogger(__name__)
SETTLE = 60.0  # seconds an action may take before simcord gives up on it
QUIET = 0.15  # seconds without an edit before the page is drawn anew


async def serve_sandbox(built: Services, stopping: asyncio.Event) -> int:
    """Serve the page until ``stopping`` is set."""
    client = Atelier(built.settings, built.queue, built.files)
    async with simcord.run(client, settle_timeout=SETTLE, check_errors=False) as env:
        built.queue.wait = _outside(env)
        guild, channel = _furnish(env)
        you, guest = _people(env, guild, built.settings, client)
        async with env.preview(channel, viewers=[you, guest], layout="channel", port=built.settings.sandbox_port or None) as preview:
            drawer = Redraw(preview)
            client.delivery.on_edit.append(drawer.wanted)
            async with asyncio.TaskGroup() as group:
                drawing = group.create_task(drawer.run())
                _announce(preview.url, built.settings)
                await stopping.wait()
                drawing.cancel()
            await built.queue.stop(built.settings.grace_seconds)
            await client.delivery.close()
    return 0


def _outside(env: Any) -> Callable[[Awaitable[Any]], Awaitable[Any]]:
    """Waiting for the queue is waiting for the world outside: the page must not hang on it."""

    def wait(awaitable: Awaitable[Any]) -> Awaitable[Any]:
        return env.external_wait(awaitable, reason="the queue")

    return wait


def _furnish(env: Any) -> tuple[Any, Any]:
    guild = env.create_guild("Atelier")
    return guild, guild.create_text_channel("studio", topic="Type / to see the commands. /imagine a red house in the snow")


def _people(env: Any, guild: Any, settings: Settings, client: Atelier) -> tuple[Any, Any]:
    """You, who may administer, and a guest, who may not."""
    import discord

    staff = guild.create_role("Studio staff", permissions=discord.Permissions(manage_guild=True))
    you = guild.add_member(env.create_user("you"), roles=[staff])
    guest = guild.add_member(env.create_user("guest"))
    return you, guest


class Redraw:
    """Redraws the page after edits. An action and a redraw exclude each other in simcord, so both take one lock."""

    def __init__(self, preview: Any) -> None:
        self._preview, self._wanted, self._lock = preview, asyncio.Event(), asyncio.Lock()
        self._guard_actions()

    def wanted(self) -> None:
        self._wanted.set()

    async def run(self) -> None:
        while True:
            await self._wanted.wait()
            await asyncio.sleep(QUIET)
            self._wanted.clear()
            async with self._lock:
                try:
                    await self._preview.refresh()
                except simcord.SetupError as error:
                    log.debug("redraw skipped: %s", error)
                    self._wanted.set()

    def _guard_actions(self) -> None:
        act = self._preview._action

        async def guarded(*args: Any, **kwargs: Any) -> Any:
            async with self._lock:
                return await act(*args, **kwargs)

        self._preview._action = guarded


def _announce(url: str, settings: Settings) -> None:
    print(f"\nAtelier's sandbox: {url}\nOpen it in a browser; Ctrl+C stops.\n", flush=True)
    desktop = sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if settings.open_browser and desktop:
        webbrowser.open(url)
