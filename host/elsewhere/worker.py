"""``atelier worker``: keeps the workers of this machine for a bot elsewhere, until SIGINT or SIGTERM. Needs
neither the database nor Discord."""

from __future__ import annotations

import asyncio
import logging
import os

from bus.connection import connected
from core.errors import AtelierError, SettingsError
from core.settings import Settings
from core.telemetry.release import release
from host import memory
from host.elsewhere.watching import health, serve
from host.logs import set_up_logs
from host.operating.manager import ServiceManager
from host.operating.signals import stop_on_signals
from host.workers import worker_configs
from jobs.agents.agent import Agent, Known
from jobs.agents.fetching import Fetching
from jobs.agents.models import digest
from jobs.workers.local import LocalExecutor
from storage.filing.cache import Cache
from storage.filing.opening import open_files

log = logging.getLogger(__name__)
NO_BUS = "BUS_URL: names the bus by which the bot is heard, such as tls://bus.example.org:4222."
NO_DEVICES = "DEVICES=none: a worker needs devices."


def work(settings: Settings, *, target: str = "vision.worker:main") -> int:
    """Serve until a signal comes. Return the exit status. Raises SettingsError without a bus, AtelierError
    when no device can be used."""
    if not settings.bus_url:
        raise SettingsError([NO_BUS])
    memory.configure_heap()
    set_up_logs(settings)
    return asyncio.run(_serve(settings, target))


async def _serve(settings: Settings, target: str) -> int:
    stopping = asyncio.Event()
    stop_on_signals(stopping)
    configs = await worker_configs(settings)
    if not configs:
        raise AtelierError(NO_DEVICES)
    models = await asyncio.to_thread(digest, configs[0])
    known = Known(settings.node, models, release(), settings.models["clip"])
    floor = settings.disk_floor_mb * 10**6
    cached = settings.data_dir / "cache" / "elsewhere"
    cache = Cache(cached, most=settings.files_cache_mb * 10**6, keep_free=2 * floor)
    await asyncio.to_thread(cache.scan)
    store = open_files(settings) if settings.files_url is not None else None
    async with connected(settings) as bus:
        agent = Agent(
            bus,
            known,
            LocalExecutor(configs, target=target),
            Fetching(bus, settings.node, cache, store),
            settings.data_dir / "elsewhere",
            checkpoints=settings.data_dir / "cache" / "checkpoints",
        )
        await agent.start()
        watched = serve(agent, bus, settings.metrics_port, settings.metrics_bind)
        manager = ServiceManager(os.environ)
        async with watched, manager.serving(lambda: health(agent, bus), stopping):
            print(f"Atelier's workers on {settings.node} wait for a bot. Ctrl+C stops.", flush=True)
            await stopping.wait()
            await agent.stop(settings.grace_seconds)
    return 0
