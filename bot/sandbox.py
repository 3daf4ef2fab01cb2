"""The sandbox: the same bot inside simcord, its preview page on loopback. Nothing of the bot is stubbed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import discord
import simcord

from bot.client import Atelier
from bot.discord_api import private_api
from bot.discord_api.http import SIMULATED
from bot.discord_api.interactions import PendingInteractions
from bot.ui import help
from bot.ui.replies import SILENT
from core.job import Job
from studio.authority import Actor
from studio.services import Services
from studio.studio import Studio

log = logging.getLogger(__name__)
SETTLE = 60.0  # seconds an action may take before simcord gives up on it
QUIET = 0.15  # seconds between an edit and the redraw of the page
TICK = 1.0  # seconds between two settings of the simulator's clock
PAGE = Path(__file__).with_name("page")  # what is added to simcord's page
TEXTS = {  # of simcord's page → what stands there instead
    "<title>SimCord Preview</title>": "<title>Atelier</title>",
    "<strong>SimCord</strong><small>Preview</small>": "<strong>Atelier</strong><small>Sandbox</small>",
    'aria-hidden="true">S</span>': 'aria-hidden="true">A</span>',
    'aria-label="SimCord preview"': 'aria-label="Atelier sandbox"',
    "No messages in this channel.": "Nothing here yet.",
}
SHOWN = 30  # messages
SETTLED = 3.0  # seconds after which the browser shows an edit for sure


@dataclass(frozen=True)
class Page:
    """What the page shows: the studio's channel, or (``dm``) the direct messages with the bot, ``uploads``
    sent there first."""

    dm: bool = False
    uploads: tuple[Path, ...] = ()


Announce = Callable[[str, Mapping[str, int]], None]


async def serve_sandbox(
    built: Services,
    studio: Studio,
    pending: PendingInteractions,
    stopping: asyncio.Event,
    page: Page,
    announce: Announce,
    *,
    on_delivered: Callable[[Job, str], None] = lambda job, rung: None,
) -> int:
    """Serve the page until ``stopping`` is set; what runs then still ends on it.

    announce: is told the page's address and who is in it, name → user id, as soon as it is there.
    on_delivered: see Delivery.
    """
    edits = Edits()

    def outside(awaitable: Awaitable[Any]) -> Awaitable[Any]:
        """Waiting for the queue is waiting for the world outside: the page must not hang on it."""
        return env.external_wait(awaitable, reason="the queue")

    client = Atelier(
        built, studio, pending, servers=SIMULATED, on_edit=edits.note, wait=outside, on_delivered=on_delivered
    )
    env = simcord.Env(client, settle_timeout=SETTLE, shard_count=1, check_errors=False)
    env.backend.bot_user.name = "Atelier"
    channel, viewers = create_world(env, page)
    await env.start()
    try:
        with env.time_context():
            page_shown = env.preview(
                channel, viewers=viewers, layout="channel", port=built.settings.sandbox_port or None
            )
            private_api.show_newest(SHOWN)
            added = {"/preview.css": "sandbox.css", "/timeline.js": "sandbox.js"}  # to the page's files
            files = {path: (PAGE / name).read_text(encoding="utf-8") for path, name in added.items()}
            private_api.dress_preview(page_shown, TEXTS, files)
            async with page_shown as preview:
                beside = [
                    asyncio.create_task(Redraw(preview, edits).run(), name="page"),
                    asyncio.create_task(_keep_time(env), name="clock"),
                ]
                # 1. Say in the empty channel what this is, what to type, and what is kept of earlier starts.
                you = viewers[0]
                held = await studio.own.holdings(Actor(you.id, None))
                examples = [f"/imagine {prompt}" for prompt in studio.hints.prompts[:3]]
                text = help.welcome(examples, held.jobs)
                await client.get_partial_messageable(channel.id).send(text, allowed_mentions=SILENT)
                # 2. The page's own composer sends no files, so they are sent from here, in your name.
                if page.uploads:
                    uploads = [(path.name, path.read_bytes()) for path in page.uploads]
                    stored = env.backend.store_attachments(you.dm_channel.id, uploads)
                    await you.send_dm("", attachments=stored)
                announce(preview.url, {viewer.name: viewer.id for viewer in viewers})
                await stopping.wait()
                await built.queue.stop(built.settings.grace_seconds)  # first: nothing more may start
                await client.delivery.close()
                for task in beside:
                    task.cancel()
                await asyncio.gather(*beside, return_exceptions=True)
    finally:
        await env.shutdown()
    return 0


def create_world(env: simcord.Env, page: Page) -> tuple[Any, list[Any]]:
    """Make a server with a channel, you, who may administer, and a guest, who may not; return the channel to
    show and who looks at it.

    They have the same ids in every run. Only then is the clock set, so that what comes later has ids of its
    own time: else a command would be taken for one of an earlier run and answered with its picture.
    """
    user = env.create_user("you")
    guild = env.create_guild("Atelier")
    channel = guild.create_text_channel(
        "studio", topic="Type / to see the commands. /imagine a red house in the snow"
    )
    staff = guild.create_role("Studio staff", permissions=discord.Permissions(manage_guild=True))
    you = guild.add_member(user, roles=[staff])
    guest = guild.add_member(env.create_user("guest"))
    dm = user.dm_channel
    env.backend.clock.advance(max(0.0, (datetime.now(UTC) - env.now()).total_seconds()))
    return (dm, [user]) if page.dm else (channel, [you, guest])


async def _keep_time(env: simcord.Env) -> None:
    """Let the simulator's clock go with the real one: it stands still by itself, and all messages would bear
    the time of the start."""
    while True:
        env.backend.clock.advance(max(0.0, (datetime.now(UTC) - env.now()).total_seconds()))
        await asyncio.sleep(TICK)


class Edits:
    """Remembers which messages were edited, and when."""

    def __init__(self) -> None:
        self.happened = asyncio.Event()
        self._times: dict[int, float] = {}  # message → monotonic seconds

    def note(self, message_id: int) -> None:
        """Note an edit of the message, made now."""
        self._times[message_id] = monotonic()
        self.happened.set()

    def age(self, message_id: int) -> float:
        """Return the seconds since the message's last edit."""
        return monotonic() - self._times.get(message_id, float("-inf"))


class Redraw:
    """Redraws the page after edits. An action and a redraw exclude each other in simcord, so both take one
    lock."""

    def __init__(self, preview: Any, edits: Edits) -> None:
        self._preview, self._edits, self._lock = preview, edits, asyncio.Lock()
        private_api.wrap_preview_action(preview, self._guarded)

    async def run(self) -> None:
        """Redraw until cancelled, a moment after each edit."""
        while True:
            await self._edits.happened.wait()
            await asyncio.sleep(QUIET)
            self._edits.happened.clear()
            async with self._lock:
                try:
                    await self._preview.refresh()
                except simcord.SetupError as error:
                    log.debug("redraw skipped: %s", error)
                    self._edits.happened.set()

    async def _guarded(
        self, act: private_api.PreviewAction, context_id: str | None, body: Mapping[str, Any]
    ) -> dict[str, Any]:
        async with self._lock:
            return await act(context_id, self._forgiven(context_id, body))

    def _forgiven(self, context_id: str | None, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """A press on a message that stood still is taken as it was seen, even if another message has changed
        the page since."""
        target = str(body.get("target_id", ""))
        age = self._edits.age(int(target)) if target.isdigit() else float("inf")
        if "published_revision" not in body or age < SETTLED:
            return body
        return {**body, "published_revision": private_api.preview_revision(self._preview, context_id)}
