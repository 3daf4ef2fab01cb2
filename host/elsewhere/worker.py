"""``atelier worker``: keeps the workers of this machine for a bot elsewhere, until SIGINT or SIGTERM. Needs
neither the database nor Discord."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from contextlib import suppress

from core.errors import AtelierError, FilesAway, SettingsError
from core.settings import Settings
from core.tracing import release
from host import memory
from host.elsewhere.watching import health, serve
from host.logs import set_up_logs
from host.operating.manager import ServiceManager
from host.operating.signals import stop_on_signals
from host.workers import worker_configs
from jobs.cluster.agent import Agent, Fetching, Known
from jobs.cluster.nats import connected
from jobs.cluster.protocol import digest
from jobs.executors.local import LocalExecutor
from storage.blobs import open_files
from storage.blobs.cache import Cache

log = logging.getLogger(__name__)
NO_BUS = "BUS_URL: names the bus by which the bot is heard, such as tls://bus.example.org:4222."
NO_DEVICES = "DEVICES=none: a worker needs devices."


def work(settings: Settings, *, target: str = "vision.worker.main:main", attached: bool = False) -> int:
    """Serve until a signal comes. Return the exit status. attached: serve no longer than whoever has started
    this: once standard input ends, what runs is given back at once. Raises SettingsError without a bus,
    AtelierError when no device can be used."""
    if not settings.bus_url:
        raise SettingsError([NO_BUS])
    memory.configure_heap()
    set_up_logs(settings)
    return asyncio.run(_serve(settings, target, attached))


async def _serve(settings: Settings, target: str, attached: bool) -> int:
    stopping, left_alone = asyncio.Event(), asyncio.Event()
    stop_on_signals(stopping)
    if attached:
        _stop_when_left_alone(stopping, left_alone)
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
    if store is not None:
        with suppress(FilesAway):
            await store.owner()  # from now on its disk is missed when it isn't mounted
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
            await _stop(agent, settings.grace_seconds, left_alone)
    return 0


async def _stop(agent: Agent, grace: float, left_alone: asyncio.Event) -> None:
    """Stop in order, and without grace from the moment on in which nobody waits for it any more."""
    drain = asyncio.create_task(agent.drain(grace))
    alone = asyncio.create_task(left_alone.wait())
    await asyncio.wait((drain, alone), return_when=asyncio.FIRST_COMPLETED)
    for task in (drain, alone):
        task.cancel()
    await asyncio.gather(drain, alone, return_exceptions=True)
    await agent.stop(0)


def _stop_when_left_alone(stopping: asyncio.Event, left_alone: asyncio.Event, file: int = 0) -> None:
    """Set both when standard input ends: whoever has started this process is gone. file: its number."""
    loop = asyncio.get_running_loop()

    def end() -> None:
        left_alone.set()
        stopping.set()

    def read() -> None:
        while os.read(file, 4096):
            pass
        loop.call_soon_threadsafe(end)

    threading.Thread(target=read, name="standard input", daemon=True).start()
