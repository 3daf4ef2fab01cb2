"""``/healthz``, ``/readyz``, ``/livez`` and ``/metrics``, for whoever watches from outside (METRICS_PORT).

Healthy means that jobs make progress: an unhealthy process wants a look, or a restart. Ready means that it
can serve members now: Discord's gateway is connected and the database answers. A process may be healthy and
not ready, as while Discord is away, which no restart mends. Alive is less: the event loop turns, and no job
hangs; what isn't alive may be ended and started again.

What metrics tell is counted elsewhere and read when somebody asks; deliveries are counted here. A host may
name a collector of the traces of jobs, too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from time import time
from typing import TYPE_CHECKING, Any

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from core.errors import AtelierError, StorageError
from core.events import TERMINAL
from core.job import Job, Lane
from core.traces import Timings, Tracing
from jobs.executors.base import SEPARATOR, Device
from jobs.queue import Queue
from storage import people
from storage.database import Database

if TYPE_CHECKING:
    from jobs.cluster.nats import Bus


SECONDS = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800)


@dataclass(frozen=True)
class Wire:
    """The connection to Discord as far as it is counted. invalid_requests: 401, 403 and 429 answers in the
    last ten minutes. identifies_left: sessions that may be begun without a pause. shards: whether each
    connection is open. connected: whether the gateway is. rest_requests: answers by route and status."""

    invalid_requests: int
    identifies_left: int
    shards: tuple[bool, ...]
    connected: bool
    rest_requests: Mapping[tuple[str, int], int]


class Metrics:
    """Counts deliveries and durations as they happen; reads the rest from the queue when it is asked for.
    wire: None where nobody is connected to Discord. bus: None where no other machine works."""

    def __init__(self, queue: Queue, wire: Callable[[], Wire] | None = None, bus: Bus | None = None) -> None:
        self._queue, self._wire, self._bus = queue, wire, bus
        self._free: int | None = None  # bytes on the disk, when somebody last asked
        self._lag: float | None = None  # seconds of the bus, the same
        self.registry = CollectorRegistry()
        told = "Results and notices delivered, by which way"
        self._delivered = Counter("atelier_deliveries", told, ["rung"], registry=self.registry)
        how: dict[str, Any] = {"labelnames": ["kind"], "buckets": SECONDS, "registry": self.registry}
        self._wait = Histogram("atelier_wait_seconds", "From asking to the start of the run", **how)
        self._run = Histogram("atelier_run_seconds", "From the start of the run to the result", **how)
        self.registry.register(self)

    def delivered(self, job: Job, rung: str) -> None:
        """Count a delivery. ``job``: as it stands in its row. ``rung``: of the delivery's ladder."""
        self._delivered.labels(rung).inc()
        for histogram, began, ended in (
            (self._wait, job.created_at, job.started_at),
            (self._run, job.started_at, job.rendered_at),
        ):
            if began and ended:
                histogram.labels(job.request.kind).observe(max(0.0, (ended - began).total_seconds()))

    async def text(self) -> bytes:
        """Return all metrics of this moment in Prometheus' text format."""
        try:
            self._free = await asyncio.to_thread(self._queue.files.free_bytes)
        except OSError:
            self._free = None
        self._lag = await self._bus.lag() if self._bus is not None else None
        return generate_latest(self.registry)

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges of this moment, as prometheus_client's collector protocol wants it."""
        yield from self._of_queue()
        yield from of_devices(self._queue.executor.devices)
        database, files = self._queue.database, self._queue.files
        yield _histogram("atelier_db_seconds", "Reads, writes and commits of the database", database.timings)
        yield CounterMetricFamily(
            "atelier_db_unknown_commits",
            "Commits whose answer was lost",
            value=database.unknown_commits,
        )
        yield _histogram("atelier_files_seconds", "Work of the store of pictures", files.timings)
        if self._wire is not None:
            yield from _of_wire(self._wire())
        if self._bus is not None:
            yield from of_bus(self._bus, self._lag)
            yield self._remote_workers()

    def _of_queue(self) -> Iterator[Metric]:
        health = self._queue.health()
        dispatcher = self._queue.dispatcher
        depth = {lane.value: dispatcher.waitlist.by_lane[lane] for lane in Lane}
        yield labelled(GaugeMetricFamily, "atelier_queue_depth", "Waiting jobs", "lane", depth)
        yield GaugeMetricFamily("atelier_running_jobs", "Running jobs", value=health.running)
        yield GaugeMetricFamily("atelier_healthy", "1 while jobs make progress", value=int(health.ok))
        ends = {end: dispatcher.feeds.ends[end] for end in (event.__name__.lower() for event in TERMINAL)}
        yield labelled(CounterMetricFamily, "atelier_jobs", "Jobs that ended, by how", "end", ends)
        yield CounterMetricFamily("atelier_steps", "Finished steps of all workers", value=dispatcher.steps)
        if health.last_step is not None:
            name, age = "atelier_last_step_age_seconds", health.last_step
            yield GaugeMetricFamily(name, "Seconds since the last finished step", value=age)
        if self._free is not None:
            name, free = "atelier_disk_free_bytes", self._free
            yield GaugeMetricFamily(name, "Free space where pictures are written", value=free)

    def _remote_workers(self) -> Metric:
        hosts: dict[str, bool] = {}  # whether any of its devices takes jobs
        for device in self._queue.executor.devices:
            host, elsewhere, _ = device.name.partition(SEPARATOR)
            if elsewhere:
                hosts[host] = hosts.get(host, False) or device.state == "ready"
        ready = sum(hosts.values())
        states = {"ready": ready, "down": len(hosts) - ready}
        return labelled(GaugeMetricFamily, "atelier_agents", "Machines with workers", "state", states)


def of_devices(devices: Sequence[Device], whose: str = "atelier") -> Iterator[Metric]:
    """Yield how devices are. whose: what the names begin with."""
    restarts = {one.name: one.restarts for one in devices}
    busy = {one.name: min(1.0, one.running / max(1, one.slots)) for one in devices}
    up = {one.name: int(one.state == "ready") for one in devices}
    for family, name, help, values in (
        (CounterMetricFamily, "worker_restarts", "Restarts of a worker", restarts),
        (GaugeMetricFamily, "device_busy", "Part of its slots in use, 0..1", busy),
        (GaugeMetricFamily, "device_up", "1 while a device takes jobs", up),
    ):
        yield labelled(family, f"{whose}_{name}", help, "device", values)


def labelled(
    family: type[CounterMetricFamily | GaugeMetricFamily],
    name: str,
    help: str,
    label: str,
    values: Mapping[str, float],
) -> Metric:
    """Return a metric with a value for each value of its ``label``."""
    made = family(name, help, labels=[label])
    for key, value in values.items():
        made.add_metric([key], value)
    return made


def of_bus(bus: Bus, lag: float | None, whose: str = "atelier_bus") -> Iterator[Metric]:
    """Yield how a program's connection to the bus is. lag: seconds to its server and back, None where it
    hasn't answered. whose: what the names begin with."""
    counts = bus.counts
    yield GaugeMetricFamily(f"{whose}_up", "1 while the bus is connected", value=int(bus.is_up))
    for name, help, count in (
        ("reconnects", "Connections to the bus after the first", counts.reconnects),
        ("refused", "What the bus refused for lack of rights", counts.refused),
        ("unread", "Messages that could not be read", counts.unread),
    ):
        yield CounterMetricFamily(f"{whose}_{name}", help, value=count)
    if lag is not None:
        yield GaugeMetricFamily(f"{whose}_lag_seconds", "Seconds to the bus and back", value=lag)


def _of_wire(wire: Wire) -> Iterator[Metric]:
    for name, help, value in (
        ("invalid_requests", "401, 403 and 429 answers in the last 10 minutes", wire.invalid_requests),
        ("identifies_left", "Sessions that may be begun without a pause", wire.identifies_left),
        ("gateway_up", "1 while Discord's gateway is connected", int(wire.connected)),
    ):
        yield GaugeMetricFamily(f"atelier_{name}", help, value=value)
    shards = {"open": wire.shards.count(True), "closed": wire.shards.count(False)}
    yield labelled(GaugeMetricFamily, "atelier_shards", "Connections to Discord's gateway", "state", shards)
    requests = CounterMetricFamily(
        "atelier_rest_requests", "Answers of Discord's interface", labels=["route", "status"]
    )
    for (route, status), count in list(wire.rest_requests.items()):
        requests.add_metric([route, str(status)], count)
    yield requests


def _histogram(name: str, help: str, timings: Timings) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, help, labels=["op"])
    for operation, timing in timings.by_operation.items():
        family.add_metric([operation], list(timing.cumulative()), timing.total)
    return family


Answer = Callable[[web.Request], Awaitable[web.Response]]


@asynccontextmanager
async def answering(pages: Mapping[str, Answer], port: int, bind: str) -> AsyncIterator[None]:
    """Serve ``pages`` by path on ``bind``; port 0 serves none. Raises AtelierError for an address in use."""
    if not port:
        yield
        return
    app = web.Application()
    app.add_routes([web.get(path, answer) for path, answer in pages.items()])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, bind, port).start()
        except OSError as error:
            raise AtelierError(f"METRICS_PORT={port}: can't be used on {bind}: {error.strerror}.") from error
        yield
    finally:
        await runner.cleanup()


def metrics_page(text: bytes) -> web.Response:
    """Return metrics in Prometheus' text format as an answer."""
    return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


PATIENCE = 3.0  # seconds for the database to answer


async def not_ready(database: Database, connected: Callable[[], bool]) -> list[str]:
    """Return a sentence for each object that keeps this process from serving. connected: to Discord."""
    problems = [] if connected() else ["Discord's gateway is not connected"]
    try:
        async with asyncio.timeout(PATIENCE):
            await database.read(partial(people.read_setting, key="paused"), once=True)
    except (StorageError, TimeoutError):
        problems.append("the database does not answer")
    return problems


@asynccontextmanager
async def serve_metrics(
    metrics: Metrics, queue: Queue, port: int, connected: Callable[[], bool], bind: str = "127.0.0.1"
) -> AsyncIterator[None]:
    """Answer on ``bind`` and ``port`` while the block runs; port 0 serves nothing. connected: whether the
    connection to Discord is there. Raises AtelierError when the address can't be had."""

    async def healthz(_: web.Request) -> web.Response:
        health = queue.health()
        told = ("ok", "running", "waiting", "last_step", "problem")
        body = {name: getattr(health, name) for name in told}
        return web.json_response(body, status=200 if health.ok else 503)

    async def livez(_: web.Request) -> web.Response:
        hung = queue.health().hung
        return web.json_response({"alive": not hung}, status=503 if hung else 200)

    async def readyz(_: web.Request) -> web.Response:
        problems = await not_ready(queue.database, connected)
        return web.json_response(
            {"ready": not problems, "problems": problems}, status=503 if problems else 200
        )

    async def read(_: web.Request) -> web.Response:
        return metrics_page(await metrics.text())

    pages = {"/healthz": healthz, "/readyz": readyz, "/livez": livez, "/metrics": read}
    async with answering(pages, port, bind):
        yield


def note_delivered(tracing: Tracing, job: Job, rung: str) -> None:
    """Take the span from a job's result to its delivery. rung: of the delivery's ladder."""
    now = time()
    tracing.note(job.id, "deliver", job.rendered_at.timestamp() if job.rendered_at else now, now, rung=rung)
