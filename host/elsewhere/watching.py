"""``/healthz``, ``/livez`` and ``/metrics`` of a machine with workers (METRICS_PORT), and what the service
manager is told of it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from core.errors import AtelierError
from host.operating.metrics import of_bus, of_devices
from host.operating.pages import answering, metrics_page
from jobs.cluster.agent import Agent
from jobs.cluster.nats import Bus
from jobs.queue import Health

log = logging.getLogger(__name__)
OWN = "atelier_agent"  # the bot tells of the same devices and steps: sums must not count them twice


def health(agent: Agent, bus: Bus) -> Health:
    """Return how it is, as the service manager is told it. That the bus is away, no restart mends."""
    return Health(bus.is_up, None, len(agent.runs), 0, None if bus.is_up else "the bus is away")


class AgentMetrics:
    """What Prometheus is told of a machine with workers; all is read when it is asked for."""

    def __init__(self, agent: Agent, bus: Bus) -> None:
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
        runs = GaugeMetricFamily(f"{OWN}_runs", "Runs in hand", labels=["state"])
        for state, over in (("going on", False), ("being told", True)):
            runs.add_metric([state], sum(work.over is over for work in self._agent.runs))
        yield runs
        ends = CounterMetricFamily(f"{OWN}_ends", "Runs that ended", labels=["end"])
        for end, count in self._agent.ends.items():
            ends.add_metric([end], count)
        yield ends
        yield CounterMetricFamily(f"{OWN}_steps", "Steps that were drawn", value=self._agent.steps)


@asynccontextmanager
async def serve(agent: Agent, bus: Bus, port: int, bind: str) -> AsyncIterator[None]:
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
