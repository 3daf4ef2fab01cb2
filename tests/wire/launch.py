"""Starts the real bot against a Discord of the tests: ``python -m tests.wire.launch URL [--crash POINT] [--no-resume] [--block S] [--probe FILE]``.

Everything that differs from ``python -m bot run`` is here: where Discord is, a worker that draws nothing, and what a test asks to
happen inside the bot's process. The product reads none of it.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import signal
import sys
import time
from functools import partial, wraps
from pathlib import Path
from typing import Any

WORKER = "tests.bot.pretend_worker:main"
CRASHES = {  # name → (what, when): the whole process group is killed there, once
    "row written": ("jobs.queue:Queue._submit", "after"),
    "job claimed": ("jobs.dispatcher:Dispatcher._on_device", "before"),
    "files saved": ("jobs.dispatcher:Dispatcher._save", "after"),
    "job rendered": ("jobs.dispatcher:Dispatcher._rendered", "after"),
    "message stands": ("bot.delivery:Delivery._climb", "after"),
    "delivery noted": ("bot.delivery:Delivery._finish", "after"),
}


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    point_at(arguments.url)
    import bot.app

    bot.app.services = partial(bot.app.services, target=WORKER)
    if arguments.crash:
        _crash_at(*CRASHES[arguments.crash])
    if arguments.no_resume:
        _replace("bot.delivery:Delivery.resume", _nothing_to_resume)
    if arguments.block:
        _block(arguments.block)
    if arguments.probe:
        _replace("bot.client:Atelier.setup_hook", partial(_probed, importlib.import_module("bot.client").Atelier.setup_hook, arguments.probe))
    from bot.__main__ import main as start

    return start(["run"])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--crash", choices=CRASHES)
    parser.add_argument("--no-resume", action="store_true", help="a seeded bug: forget after a start what was not delivered")
    parser.add_argument("--block", type=float, help="a seeded bug: each submission blocks the event loop for this many seconds")
    parser.add_argument("--probe", type=Path, help="write the stalls of the event loop there, ms, one a line")
    return parser


def point_at(url: str) -> None:
    """discord.py's two addresses, as http://127.0.0.1:PORT."""
    import discord.gateway
    import discord.http
    import yarl

    import bot.hosts

    bot.hosts.check_request = lambda url: None  # the pretended Discord is on loopback
    bot.hosts.check_attachment = lambda url, servers: None
    discord.http.Route.BASE = f"{url}/api/v10"
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(url.replace("http", "ws") + "/gateway/")


def _replace(path: str, value: Any) -> None:
    module, _, names = path.partition(":")
    owner_name, name = names.split(".")
    owner = getattr(importlib.import_module(module), owner_name)
    getattr(owner, name)  # must exist
    setattr(owner, name, value if not isinstance(value, partial) else lambda self: value(self))


def _crash_at(path: str, when: str) -> None:
    module, _, names = path.partition(":")
    owner_name, name = names.split(".")
    plain = getattr(getattr(importlib.import_module(module), owner_name), name)

    @wraps(plain)
    async def crashing(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            os.killpg(0, signal.SIGKILL)
        await plain(*args, **kwargs)
        os.killpg(0, signal.SIGKILL)

    _replace(path, crashing)


def _block(seconds: float) -> None:
    from jobs.queue import Queue

    plain = Queue._submit

    async def blocking(*args: Any, **kwargs: Any) -> Any:
        time.sleep(seconds)  # noqa: ASYNC251  that is the bug
        return await plain(*args, **kwargs)

    _replace("jobs.queue:Queue._submit", blocking)


async def _nothing_to_resume(self: Any) -> int:
    return 0


async def _probed(plain: Any, path: Path, client: Any) -> None:
    client.probe = asyncio.create_task(_watch_loop(path))
    await plain(client)


async def _watch_loop(path: Path, gap: float = 0.01) -> None:
    """Notes by how much each short sleep was late, in ms."""
    with path.open("w", buffering=1) as file:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(gap)
            file.write(f"{1000 * (time.perf_counter() - before - gap):.1f}\n")


if __name__ == "__main__":
    sys.exit(main())
