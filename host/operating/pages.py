"""Pages for whoever watches a program from outside: a small HTTP server on METRICS_BIND and METRICS_PORT."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from aiohttp import web

from core.errors import AtelierError

Answer = Callable[[web.Request], Awaitable[web.Response]]


@asynccontextmanager
async def answering(pages: Mapping[str, Answer], port: int, bind: str) -> AsyncIterator[None]:
    """Answer on ``bind`` and ``port`` while the block runs; port 0 serves nothing. pages: by path. Raises
    AtelierError when the address can't be had."""
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
            raise AtelierError(f"METRICS_PORT={port}: can't be had on {bind}: {error.strerror}.") from error
        yield
    finally:
        await runner.cleanup()


def metrics_page(text: bytes) -> web.Response:
    """Return metrics in Prometheus' text format as an answer."""
    return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})
