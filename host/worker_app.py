"""``atelier worker``: keeps the workers of this machine for a bot elsewhere, until SIGINT or SIGTERM, and
answers ``/healthz``, ``/livez`` and ``/metrics`` (METRICS_PORT). Needs neither the database nor Discord."""

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from core.errors import AtelierError, FilesAway, SettingsError
from core.settings import Settings
from core.traces import release
from host import process
from host.metrics import answering, labelled, metrics_page, of_bus, of_devices
from host.process import ServiceManager, set_up_logs, stop_on_signals
from host.services import worker_configs
from jobs.cluster.file_transfer import FileFetcher
from jobs.cluster.nats import Bus, connected
from jobs.cluster.protocol import models_digest
from jobs.cluster.remote_worker import Identity, RemoteWorker
from jobs.executors.local import LocalExecutor
from jobs.queue import Health
from storage.blobs import open_files
from storage.blobs.local import Cache

OWN = "atelier_agent"  # the bot tells of the same devices and steps: sums must not count them twice


def health(agent: RemoteWorker, bus: Bus) -> Health:
    """Return how it is, as the service manager is told it. That the bus is away, no restart mends."""
    return Health(bus.is_up, None, len(agent.runs), 0, None if bus.is_up else "the bus is away")


class AgentMetrics:
    """What Prometheus is told of a machine with workers; all is read when it is asked for."""

    def __init__(self, agent: RemoteWorker, bus: Bus) -> None:
        self._agent, self._bus = agent, bus
        self._lag: float | None = None
        self._registry = CollectorRegistry()
        self._registry.register(self)

    async def text(self) -> bytes:
        """Return all metrics of this moment in Prometheus' text format."""
        self._lag = await self._bus.lag()
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of this moment, as prometheus_client's collector protocol wants it."""
        yield from of_devices(self._agent.devices, OWN)
        yield from of_bus(self._bus, self._lag, f"{OWN}_bus")
        told = sum(work.over for work in self._agent.runs)
        runs = {"going on": len(self._agent.runs) - told, "being told": told}
        yield labelled(GaugeMetricFamily, f"{OWN}_runs", "Runs in hand", "state", runs)
        yield labelled(CounterMetricFamily, f"{OWN}_ends", "Runs that ended", "end", self._agent.ends)
        yield CounterMetricFamily(f"{OWN}_steps", "Steps that were drawn", value=self._agent.steps)


@asynccontextmanager
async def serve_worker_metrics(agent: RemoteWorker, bus: Bus, port: int, bind: str) -> AsyncIterator[None]:
    """Answer on ``bind`` and ``port`` while the block runs; port 0 serves nothing. Where the address can't be
    had, as beside a bot with the same settings, that is told in the log: jobs are done all the same."""
    metrics = AgentMetrics(agent, bus)

    async def healthz(_: web.Request) -> web.Response:
        found = health(agent, bus)
        body = {"ok": found.ok, "running": found.running, "problem": found.problem}
        return web.json_response(body, status=200 if found.ok else 503)

    async def livez(_: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def read(_: web.Request) -> web.Response:
        return metrics_page(await metrics.text())

    async with AsyncExitStack() as stack:
        pages = {"/healthz": healthz, "/livez": livez, "/metrics": read}
        try:
            await stack.enter_async_context(answering(pages, port, bind))
        except AtelierError as error:
            log.error("%s Nobody can watch this machine.", error)
        yield


log = logging.getLogger(__name__)
NO_BUS = "BUS_URL: must be the address of the NATS server, such as tls://bus.example.org:4222."
NO_DEVICES = "DEVICES=none: a worker needs devices."


def work(settings: Settings, *, target: str = "vision.worker.main:main", attached: bool = False) -> int:
    """Serve until a signal comes. Return the exit status. attached: serve no longer than whoever has started
    this: once standard input ends, what runs is given back at once. Raises SettingsError without a bus,
    AtelierError when no device can be used."""
    if not settings.bus_url:
        raise SettingsError([NO_BUS])
    process.configure_heap()
    set_up_logs(settings)
    return asyncio.run(_serve(settings, target, attached))


async def _serve(settings: Settings, target: str, attached: bool) -> int:
    stopping, left_alone = asyncio.Event(), asyncio.Event()
    stop_on_signals(stopping)
    if attached:
        stop_when_left_alone(stopping, left_alone)
    configs = await worker_configs(settings)
    if not configs:
        raise AtelierError(NO_DEVICES)
    models = await asyncio.to_thread(models_digest, configs[0])
    known = Identity(settings.node, models, release(), settings.models["clip"])
    floor = settings.disk_floor_mb * 10**6
    cached = settings.data_dir / "cache" / "elsewhere"
    cache = Cache(cached, most=settings.files_cache_mb * 10**6, keep_free=2 * floor)
    await asyncio.to_thread(cache.scan)
    store = open_files(settings) if settings.files_url is not None else None
    if store is not None:
        with suppress(FilesAway):
            await store.owner()  # from now on its disk is missed when it isn't mounted
    async with connected(settings) as bus:
        agent = RemoteWorker(
            bus,
            known,
            LocalExecutor(configs, target=target),
            FileFetcher(bus, settings.node, cache, store),
            settings.data_dir / "elsewhere",
            checkpoints=settings.data_dir / "cache" / "checkpoints",
        )
        await agent.start()
        watched = serve_worker_metrics(agent, bus, settings.metrics_port, settings.metrics_bind)
        manager = ServiceManager(os.environ)
        async with watched, manager.serving(lambda: health(agent, bus), stopping):
            print(f"Atelier's workers on {settings.node} wait for a bot. Ctrl+C stops.", flush=True)
            await stopping.wait()
            await _stop(agent, settings.grace_seconds, left_alone)
    return 0


async def _stop(agent: RemoteWorker, grace: float, left_alone: asyncio.Event) -> None:
    """Stop in order, and without grace from the moment on in which nobody waits for it any more."""
    drain = asyncio.create_task(agent.drain(grace))
    alone = asyncio.create_task(left_alone.wait())
    await asyncio.wait((drain, alone), return_when=asyncio.FIRST_COMPLETED)
    for task in (drain, alone):
        task.cancel()
    await asyncio.gather(drain, alone, return_exceptions=True)
    await agent.stop(0)


def stop_when_left_alone(stopping: asyncio.Event, left_alone: asyncio.Event, file: int = 0) -> None:
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
