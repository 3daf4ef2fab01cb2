"""The bot in a process that is forked instead of started: it does the same, and is there sooner. In the real
profile it is started."""

import asyncio
import os
import sys
import time
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from core.settings import ROOT
from tests.support import REAL
from tests.support.forks import forks
from tests.wire.process import BotProcess

# Seconds for a member's settings: with one, on a busy machine, answers are for their askers alone
PATIENCE = 2.0


class ForkedBot(BotProcess):
    """``async with ForkedBot(discord, folder) as bot``."""

    async def spawn(self, *options: str) -> None:
        if REAL:
            return await super().spawn(*options)
        words = [self.discord.url, f"--patience={PATIENCE}", *self.options, *options]
        self.started = time.monotonic()
        ours, theirs = forks().Pipe(duplex=False)
        process = forks().Process(target=_live, args=(theirs, words, self._env, self.log_file))
        process.start()
        theirs.close()
        await asyncio.to_thread(ours.recv)
        ours.close()
        self.process = _Life(process)


class _Life:
    """Looks like a process of asyncio's."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process, self.pid = process, process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    async def wait(self) -> int:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._process.sentinel, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(self._process.sentinel)
        return self.returncode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)


def _live(begun: Connection, words: list[str], environment: dict[str, str], log: Path) -> None:
    """Be the bot in a session of its own, which is what gets killed."""
    os.setsid()
    begun.send(None)
    begun.close()
    os.chdir(ROOT)
    with log.open("ab") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    os.environ.clear()
    os.environ.update(environment)
    from proofs.wire import launch

    sys.exit(launch.main(words))
