"""Runs the process: opens the services and what runs jobs, as the settings say, then the client on Discord or
in the sandbox, and stops in order."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from functools import partial
from typing import TYPE_CHECKING

from discord import app_commands

from bot.client import Atelier, wanted_intents
from bot.discord_api.http import Transport
from bot.discord_api.interactions import PendingInteractions, is_trouble
from bot.discord_api.session import keep_sessions
from bot.gateway import Alerts, Connections, Serving
from core.job import Job
from core.settings import Settings
from host import process
from host.metrics import Metrics, Wire, note_delivered, serve_metrics
from host.process import ServiceManager, redactor, set_up_logs, stop_on_signals
from host.services import run_beside, services
from studio.services import Services
from studio.studio import Studio

if TYPE_CHECKING:
    from bot.sandbox import Page

log = logging.getLogger(__name__)
# seconds; the event loop gets the interpreter from a thread that computes after this time, not after 5 ms
SWITCH_INTERVAL = 0.0005


def run(settings: Settings, *, sandbox: Page | None = None, adopt: bool = False) -> int:
    """Serve Discord, or the ``sandbox``, until a signal; return the exit status. adopt: see ``services``."""
    process.configure_heap()
    set_up_logs(settings)
    sys.setswitchinterval(SWITCH_INTERVAL)
    process.watch_children()
    return asyncio.run(_serve(settings, sandbox, adopt))


async def _serve(settings: Settings, sandbox: Page | None, adopt: bool) -> int:
    stopping = asyncio.Event()
    stop_on_signals(stopping)
    wanted = [
        ("WEB_PORT", settings.web_host, settings.web_port),
        ("METRICS_PORT", settings.metrics_bind, settings.metrics_port),
        ("SANDBOX_PORT", "127.0.0.1", settings.sandbox_port if sandbox else 0),
    ]
    ports = [one for one in wanted if one[-1]]
    async with services(settings, adopt=adopt, ports=ports) as built:
        process.configure_gc()
        keep, queue = built.database.supervisor, built.queue

        async def stop_when_taken() -> None:  # what this process runs can't be written any more
            await built.database.taken.wait()
            log.error("another Atelier has taken the database; this one stops")
            stopping.set()

        async def report_models() -> None:  # before a member finds out
            from host.doctor import model_problems

            for line in await asyncio.to_thread(model_problems, settings):
                log.error("%s", line)

        collecting = run_beside(
            "garbage", partial(process.collect_garbage, lambda: queue.unfinished > 0), keep
        )
        reporting = run_beside("models", report_models, keep)
        losing = run_beside("database", stop_when_taken, keep)
        async with collecting, reporting, losing:
            with closing(PendingInteractions(settings.data_dir / "unanswered")) as pending:
                if sandbox is not None:
                    return await _serve_sandbox(built, pending, stopping, sandbox)
                return await _serve_discord(built, pending, stopping)


@asynccontextmanager
async def open_web(built: Services, studio: Studio) -> AsyncIterator[None]:
    """Serve the studio on the web while the block runs, if the host has given it a port."""
    if not built.settings.web_port:
        yield
        return
    from web.app import serve_web

    async with serve_web(built, studio, port=built.settings.web_port) as opened:
        print(f"Atelier on the web: {opened.url}", flush=True)
        yield


@asynccontextmanager
async def _watched(
    built: Services, metrics: Metrics, connected: Callable[[], bool], stopping: asyncio.Event
) -> AsyncIterator[None]:
    """Let others see how this process is while the block runs. connected: whether Discord is there."""
    settings, queue = built.settings, built.queue
    endpoint = serve_metrics(metrics, queue, settings.metrics_port, connected, settings.metrics_bind)
    async with endpoint, ServiceManager(os.environ).serving(queue.health, stopping):
        yield


async def _serve_sandbox(
    built: Services, pending: PendingInteractions, stopping: asyncio.Event, page: Page
) -> int:
    """Serve the studio on the web for the sandbox's people, and a simulated Discord beside it."""
    from bot.sandbox import serve_sandbox  # here: not everybody has the simulator
    from web.app import serve_web

    studio, people, discord = Studio(built), dict[str, int](), list[str]()
    metrics, port = Metrics(built.queue, bus=built.bus), built.settings.web_port

    def elsewhere() -> str | None:
        return discord[0] if discord else None

    web = serve_web(built, studio, port=port, local=lambda: people, elsewhere=elsewhere)
    watched = _watched(built, metrics, lambda: bool(discord), stopping)
    async with (
        watched,
        studio.dialogues.running(),
        studio.webhooks.running(),
        studio.pushes.running(),
        studio.watches.running(),
        web as opened,
    ):

        def announce(url: str, viewers: Mapping[str, int]) -> None:
            people.update(viewers)
            discord.append(url)
            address = opened.local_address(secrets.token_urlsafe(32))
            print(f"\nAtelier's studio: {address}", flush=True)
            print(f"Its menu More leads to a simulated Discord, the sandbox: {url}", flush=True)
            print("Ctrl+C stops.\n", flush=True)
            has_display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
            if built.settings.open_browser and (sys.platform in ("darwin", "win32") or has_display):
                import webbrowser

                webbrowser.open(address)

        return await serve_sandbox(
            built, studio, pending, stopping, page, announce, on_delivered=metrics.delivered
        )


async def _serve_discord(built: Services, pending: PendingInteractions, stopping: asyncio.Event) -> int:
    settings, queue, studio = built.settings, built.queue, Studio(built)
    transport = Transport()
    connections = Connections(settings.data_dir / "connections.json")
    intents = wanted_intents(mentions=settings.talk != "off").value
    path = settings.data_dir / "gateway-session"
    sessions = keep_sessions(path, settings.discord_token, intents, pending.take_over)

    def delivered(job: Job, rung: str) -> None:
        metrics.delivered(job, rung)
        note_delivered(queue.tracing, job, rung)

    def make_client() -> Atelier:
        spend = connections.spend
        return Atelier(
            built, studio, pending, transport, sessions=sessions, on_identify=spend, on_delivered=delivered
        )

    def alerts(client: Atelier) -> Alerts:
        return Alerts(client, queue, lambda: studio.rights.authority.owner_ids, redactor(settings))

    logging.getLogger(app_commands.tree.__name__).addFilter(is_trouble)
    serving = Serving(make_client, alerts, connections, sessions, queue, settings)

    def wire() -> Wire:
        invalid, left = transport.breaker.invalid, connections.left
        return Wire(invalid, left, serving.shards, serving.connected, transport.rest.counts)

    metrics = Metrics(queue, wire, built.bus)
    watched = _watched(built, metrics, lambda: serving.connected, stopping)
    async with (
        watched,
        studio.dialogues.running(),
        studio.webhooks.running(),
        studio.pushes.running(),
        studio.watches.running(),
        open_web(built, studio),
    ):
        await serving.until(stopping)
    return 0
