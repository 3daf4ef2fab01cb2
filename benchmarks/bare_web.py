"""aiohttp alone, which answers with bytes that it was given: ``python -m benchmarks.bare_web FILE…``. The
n-th file, from 0, is at /n; the port is printed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from aiohttp import web


async def serve(answers: list[bytes]) -> None:
    """Answer until the process is ended."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=answers[int(request.match_info["n"])])

    app = web.Application()
    app.router.add_get("/{n}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve([Path(name).read_bytes() for name in sys.argv[1:]]))
