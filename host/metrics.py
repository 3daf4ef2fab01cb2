"""``/healthz`` and Prometheus metrics on loopback, off by default (METRICS_PORT). Healthy means that jobs
make progress."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from core.job import Job, Lane
from jobs.queue import Queue

SECONDS = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800)


class Metrics:
    """Counts deliveries and durations as they happen; reads the rest from the queue when it is asked for."""

    def __init__(self, queue: Queue, invalid_requests: Callable[[], int]) -> None:
        self._queue, self._invalid_requests = queue, invalid_requests
        self.registry = CollectorRegistry()
        self._delivered = Counter(
            "atelier_deliveries", "Results and notices delivered", ["rung"], registry=self.registry
        )
        self._wait = Histogram(
            "atelier_wait_seconds",
            "From asking to the start of the run",
            ["kind"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._run = Histogram(
            "atelier_run_seconds",
            "From the start of the run to the result",
            ["kind"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.registry.register(self)

    def delivered(self, job: Job, rung: str) -> None:
        """Count a delivery. ``job``: as it stands in its row. ``rung``: of the delivery's ladder."""
        self._delivered.labels(rung).inc()
        if job.started_at:
            self._wait.labels(job.request.kind).observe(
                max(0.0, (job.started_at - job.created_at).total_seconds())
            )
            if job.rendered_at:
                self._run.labels(job.request.kind).observe(
                    max(0.0, (job.rendered_at - job.started_at).total_seconds())
                )

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges of this moment, as prometheus_client's collector protocol wants it."""
        health = self._queue.health()
        depth = GaugeMetricFamily("atelier_queue_depth", "Waiting jobs", labels=["lane"])
        for lane in Lane:
            depth.add_metric([lane.value], self._queue.depth(lane))
        yield depth
        yield GaugeMetricFamily("atelier_running_jobs", "Running jobs", value=health.running)
        yield GaugeMetricFamily("atelier_healthy", "1 while work moves", value=int(health.ok))
        yield GaugeMetricFamily(
            "atelier_invalid_requests",
            "401, 403 and 429 answers in the last 10 minutes",
            value=self._invalid_requests(),
        )
        yield CounterMetricFamily("atelier_steps", "Finished steps of all workers", value=self._queue.steps)
        if health.last_step is not None:
            yield GaugeMetricFamily(
                "atelier_last_step_age_seconds", "Since the last finished step", value=health.last_step
            )
        restarts = GaugeMetricFamily("atelier_worker_restarts", "Restarts of each worker", labels=["device"])
        for device in self._queue.executor.devices:
            restarts.add_metric([device.name], device.restarts)
        yield restarts


@asynccontextmanager
async def serve(metrics: Metrics, queue: Queue, port: int) -> AsyncIterator[None]:
    """Answer on 127.0.0.1:``port`` while the block runs; port 0 serves nothing."""
    if not port:
        yield
        return

    async def healthz(_: web.Request) -> web.Response:
        health = queue.health()
        body = {
            "ok": health.ok,
            "running": health.running,
            "waiting": health.waiting,
            "last_step": health.last_step,
            "problem": health.problem,
        }
        return web.json_response(body, status=200 if health.ok else 503)

    async def read(_: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(metrics.registry),
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/metrics", read)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()
