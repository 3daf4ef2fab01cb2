"""``/healthz``, ``/readyz``, ``/livez`` and ``/metrics``, for whoever watches from outside (METRICS_PORT).

Healthy means that jobs make progress: an unhealthy process wants a look, or a restart. Ready means that it
can serve members now: Discord's gateway is connected and the database answers. A process may be healthy and
not ready, as while Discord is away, which no restart mends. Alive is less: the event loop turns, and no job
hangs; what isn't alive may be ended and started again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from aiohttp import web

from core.errors import StorageError
from host.operating.metrics import Metrics
from host.operating.pages import answering, metrics_page
from jobs.queue import Queue
from storage import people
from storage.database import Database

PATIENCE = 3.0  # seconds for the database to answer


async def not_ready(database: Database, connected: Callable[[], bool]) -> list[str]:
    """Return a sentence for each thing that keeps this process from serving members now. connected: whether
    the connection to Discord is there."""
    problems = [] if connected() else ["Discord's gateway is not connected"]
    try:
        async with asyncio.timeout(PATIENCE):
            await database.read(partial(people.setting, key="paused"), once=True)
    except (StorageError, TimeoutError):
        problems.append("the database does not answer")
    return problems


@asynccontextmanager
async def serve(
    metrics: Metrics, queue: Queue, port: int, connected: Callable[[], bool], bind: str = "127.0.0.1"
) -> AsyncIterator[None]:
    """Answer on ``bind`` and ``port`` while the block runs; port 0 serves nothing. connected: whether the
    connection to Discord is there. Raises AtelierError when the address can't be had."""

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
