"""Starts the real bot against a Discord of the tests: ``python -m proofs.wire.launch URL [--crash POINT]
[--no-resume] [--block S] [--broken METHOD] [--haste N] [--patience S] [--spin N] [--probe FILE]
[--worker MODULE:FUNCTION]``.

Everything that differs from ``python -m bot run`` is here: where Discord is, a worker that draws nothing, and
what a test asks to happen inside the bot's process. The product reads none of it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import itertools
import os
import signal
import sys
import threading
import time
from functools import partial, wraps
from pathlib import Path
from typing import Any

WORKER = "tests.bot.pretend_worker:main"
CRASHES = {  # name → (what, when): the whole process group is killed there, once it has been connected
    "acknowledged": ("jobs.queue:Queue.submit", "before"),
    "row written": ("jobs.queue:Queue.submit", "after"),
    "job claimed": ("jobs.dispatcher:Dispatcher._on_device", "before"),
    "files saved": ("jobs.runs:Saving.save", "after"),
    "job rendered": ("jobs.runs:Outcomes._rendered", "after"),
    "message stands": ("bot.delivery:Ladder.climb", "after"),
    "delivery noted": ("bot.delivery:Delivery._note", "after"),
}


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    for _ in range(arguments.spin):
        _spin()
    point_at(arguments.url)
    import host.app

    host.app.services = partial(host.app.services, target=arguments.worker)
    from storage.blobs.local import Folder

    Folder.__init__.__kwdefaults__ |= {"ballast_bytes": 2**16}
    if arguments.crash:
        _crash_at(*CRASHES[arguments.crash])
    if arguments.no_resume:
        _replace("bot.delivery:Delivery.resume", _nothing_to_resume)
    if arguments.block:
        _block(arguments.block)
    if arguments.broken:
        _replace(arguments.broken, _broken)
    if arguments.haste:
        _hasten(arguments.haste)
    if arguments.patience:
        importlib.import_module("bot.submit").PATIENCE = arguments.patience
    if arguments.probe:
        _replace(
            "bot.client:Atelier.setup_hook",
            partial(_probed, importlib.import_module("bot.client").Atelier.setup_hook, arguments.probe),
        )
    from host.cli import main as start

    return start(["run"])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--crash", choices=CRASHES)
    parser.add_argument(
        "--no-resume", action="store_true", help="a seeded bug: forget after a start what was not delivered"
    )
    parser.add_argument(
        "--block",
        type=float,
        help="a seeded bug: each submission blocks the event loop for this many seconds",
    )
    parser.add_argument("--broken", help="a seeded bug: MODULE:OWNER.METHOD fails in a way nobody foresaw")
    parser.add_argument("--haste", type=float, help="let the delivery's pauses pass so many times faster")
    parser.add_argument(
        "--patience", type=float, help="seconds for a member's settings, until an answer is private"
    )
    parser.add_argument(
        "--spin",
        type=int,
        default=0,
        help="processes beside the bot that keep a core busy each, as its workers would",
    )
    parser.add_argument("--worker", default=WORKER, help="what runs in its worker's process")
    parser.add_argument("--probe", type=Path, help="write there what the event loop does")
    return parser


def _spin() -> None:
    """Compute as a worker on the processor does: in the bot's session, whose share of the cores it has, and
    at its priority."""
    from core.process import step_back

    bot = os.getpid()
    if os.fork():
        return
    step_back()
    while os.getppid() == bot:
        pass
    os._exit(0)


def point_at(url: str) -> None:
    """discord.py's two addresses, as http://127.0.0.1:PORT."""
    import discord.gateway
    import discord.http
    import yarl

    import bot.discord_api.http

    bot.discord_api.http.check_request = lambda url: None  # the pretended Discord is on loopback
    bot.discord_api.http.check_attachment = lambda url, servers: None
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
    connected = _connected()

    @wraps(plain)
    async def crashing(*args: Any, **kwargs: Any) -> Any:
        if when == "after":
            await plain(*args, **kwargs)
        await connected.wait()
        os.killpg(0, signal.SIGKILL)

    _replace(path, crashing)


def _connected() -> asyncio.Event:
    """Return what is set as soon as a session with Discord has begun or was resumed."""
    import discord

    connected, plain = asyncio.Event(), discord.Client.dispatch

    def dispatch(self: discord.Client, event: str, /, *args: Any, **kwargs: Any) -> None:
        kept = getattr(self, "kept_sessions", None)
        resumes = kept is not None and kept.resuming  # then "connect" is said of what is remembered
        if event == "resumed" or (event == "connect" and not resumes):
            connected.set()
        plain(self, event, *args, **kwargs)

    discord.Client.dispatch = dispatch  # type: ignore[method-assign]
    return connected


def _block(seconds: float) -> None:
    from jobs.queue import Queue

    plain = Queue.submit

    async def blocking(*args: Any, **kwargs: Any) -> Any:
        time.sleep(seconds)  # noqa: ASYNC251  that is the bug
        return await plain(*args, **kwargs)

    _replace("jobs.queue:Queue.submit", blocking)


async def _broken(*_unused: Any, **_named: Any) -> Any:
    raise RuntimeError("a seeded bug")


def _hasten(times: float) -> None:
    import bot.delivery
    import bot.discord_api.http
    import host.app

    async def pause(seconds: float) -> None:
        await asyncio.sleep(seconds / times)

    host.app.Transport = partial(bot.discord_api.http.Transport, pause=pause)
    bot.delivery.FOLLOW_AGAIN = tuple(seconds / times for seconds in bot.delivery.FOLLOW_AGAIN)


async def _nothing_to_resume(self: Any) -> int:
    return 0


async def _probed(plain: Any, path: Path, client: Any) -> None:
    client.probe = _Probe(path)
    await plain(client)


class _Probe:
    """What the event loop's thread does, noted in a file, a line each, times in ms:

    late MS — by how much a short sleep ended late; turn WALL CPU CORE WHAT — a turn of the loop that took
    NOTABLE or more: its time on the clock, on a core, waiting for one (the rest: for the interpreter's lock,
    or a disk), and the callback that took most of it; gc WALL GENERATION — a collection of garbage; count N —
    turns so far.
    """

    NOTABLE, GAP = 5.0, 0.01  # ms, s
    COUNTED = 20  # gaps between two counts

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", buffering=1)
        self._schedule = os.open(f"/proc/self/task/{threading.get_native_id()}/schedstat", os.O_RDONLY)
        self._longest: tuple[float, str] = (0.0, "")
        self._began = self._now()
        self._gc_began = 0.0
        self._turns = 0
        selector = asyncio.get_running_loop()._selector
        self._select, selector.select = selector.select, self._turn
        self._run, asyncio.Handle._run = asyncio.Handle._run, self._timed(asyncio.Handle._run)
        gc.callbacks.append(self._collected)
        self.task = asyncio.create_task(self._watch())

    def _now(self) -> tuple[float, float, float]:
        """Clock, time on a core, time spent waiting for one; ms."""
        cpu, waited, _ = os.pread(self._schedule, 100, 0).split()
        return 1000 * time.perf_counter(), int(cpu) / 1e6, int(waited) / 1e6

    def _turn(self, timeout: float | None = None) -> Any:
        self._turns += 1
        if 1000 * time.perf_counter() - self._began[0] >= self.NOTABLE:
            spent = [now - before for now, before in zip(self._now(), self._began, strict=True)]
            self._file.write(
                f"turn {spent[0]:.1f} {spent[1]:.1f} {spent[2]:.1f} {self._longest[0]:.1f}"
                f" {self._longest[1]}\n"
            )
        found = self._select(timeout)
        self._longest, self._began = (0.0, ""), self._now()
        return found

    def _timed(self, plain: Any) -> Any:
        def run(handle: asyncio.Handle) -> None:
            began, task = time.perf_counter(), getattr(handle._callback, "__self__", None)
            plain(handle)
            took = 1000 * (time.perf_counter() - began)
            if took > self._longest[0]:
                what = task.get_coro() if isinstance(task, asyncio.Task) else handle._callback
                self._longest = took, getattr(what, "__qualname__", type(what).__name__)

        return run

    def _collected(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._gc_began = time.perf_counter()
        elif (took := 1000 * (time.perf_counter() - self._gc_began)) > 1:
            self._file.write(f"gc {took:.1f} {info['generation']}\n")

    async def _watch(self) -> None:
        for number in itertools.count():
            if number % self.COUNTED == 0:
                self._file.write(f"count {self._turns}\n")
            before = time.perf_counter()
            await asyncio.sleep(self.GAP)
            self._file.write(f"late {1000 * (time.perf_counter() - before - self.GAP):.1f}\n")


if __name__ == "__main__":
    sys.exit(main())
