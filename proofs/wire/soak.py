"""Months of one process: ``python -m proofs.wire.soak --jobs 10000 --restarts 1000``.

The bot's services and its connection to a Discord of the tests, in this process. Each round people ask, press
and are refused, always others; then the connection is lost in one of four ways; then the clock of everything
that waits is put forward by hours. Afterwards every container of the process must have its size again.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import re
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from tests.support.messages import text_of

if TYPE_CHECKING:
    from tests.wire.discord import Discord, Interaction

REST, MINUTE = 30, 60.0  # minutes, seconds
HOURS = 6  # between two rounds
PATIENCE = 6  # times that what people did is waited for
STEP = 5.0  # seconds that the clock is put forward by while something is waited for
SLACK, SLACK_OF_OTHERS = 4, 2000  # what may come and go between two counts
MEMORY = 1.05
TOLD_EVERY = 100  # rounds
NAMES = 90_000
KEPT = 200  # of what is kept on purpose: entries that a process holds thousands of
MAY_BE_TOLD_AGAIN = 200  # events of a session: an interaction whose acknowledgement was on its way is
THINKING = 128  # a message's flag
PROMPTS = ("a red house", "a {red,blue} house --seed x", "a broken wheel", "a blue boat", "a house --ar 3:2")


class Clock:
    """The monotonic clock and the wall clock of the process, as ``time`` has them, put forward at will. What
    imports them by name must be imported later."""

    def __init__(self) -> None:
        self.ahead = 0.0
        monotonic, wall = time.monotonic, time.time
        time.monotonic = lambda: monotonic() + self.ahead
        time.time = lambda: wall() + self.ahead

    async def forward(self, seconds: float) -> None:
        self.ahead += seconds
        for _ in range(3):
            await asyncio.sleep(0.01)


@dataclass
class Report:
    """``grown``: what → (after the warm-up, at the end). ``memory``: resident bytes at the same moments."""

    jobs: int = 0
    connections: int = 0
    days: float = 0.0
    grown: dict[str, tuple[int, int]] = field(default_factory=dict)
    memory: tuple[int, int] = (1, 1)
    containers: int = 0


class Soak:
    """One process with its world."""

    def __init__(self, clock: Clock, discord: Discord, channel: int, on_round: Callable[[int], None]) -> None:
        self.clock, self.discord, self.channel, self._on_round = clock, discord, channel, on_round
        self.jobs = self._rounds = 0
        self._user = 50_000

    async def round(self, jobs: int) -> None:
        """People ask for so many jobs and do other things; the connection is lost; hours pass."""
        self._rounds += 1
        asked = [self._ask(PROMPTS[i % len(PROMPTS)]) for i in range(jobs)]
        await self._every(_is_answered, asked)
        self.jobs += sum("job " in text_of(one.message) for one in asked if one.message)
        drawn = [one.message for one in asked if one.message and one.message.files]
        if not drawn:
            raise RuntimeError(f"round {self._rounds}: nothing drawn: {[one.message for one in asked]}")
        shown = drawn[0]
        buttons = re.findall(r"at:[a-z2-9]{12}:(?!delete|again|vary)[a-z0-9]+:[01]", str(shown.components))
        done = [
            *(self.discord.press(shown, custom_id, self._somebody()) for custom_id in buttons),
            self.discord.slash("info", self.channel, self._somebody()),
            self.discord.slash("show", self.channel, self._somebody(), job="nonsense"),
        ]
        await self._every(_has_ended, done)
        self._on_round(self._rounds)
        await self._lose_connection()
        self._forget()
        await self.clock.forward(3600.0 * HOURS)
        await self._until(lambda: self.discord.connected)

    async def rest(self) -> None:
        """Half an hour without anybody, in which the process does what it does every ten minutes when nothing
        is queued: a full collection, and free pages given back."""
        for _ in range(REST):
            await self.clock.forward(MINUTE)

    async def _every(self, ended: Callable[[Interaction], bool], made: list[Interaction]) -> None:
        for _ in range(PATIENCE):  # afresh each time: the machine may have stood still
            with suppress(TimeoutError):
                return await self.discord.until(lambda: all(map(ended, made)))
        left = [f"{one.payload['data']} {one.message}" for one in made if not ended(one)]
        raise RuntimeError(f"round {self._rounds}: no end of {left}")

    def _ask(self, prompt: str) -> Interaction:
        return self.discord.slash("imagine", self.channel, self._somebody(), prompt=prompt)

    def _somebody(self) -> int:
        self._user += 1
        return self._user

    async def _lose_connection(self) -> None:
        """By turns: resumed by the same client; by a new one; begun anew; begun anew by a new client."""
        before, way = self.discord.sessions_begun, self._rounds % 4
        life = self.discord.session_life
        self.discord.session_life = -1.0 if way > 1 else life
        await self.discord.drop_gateways(4000 if way % 2 == 0 else 4013)
        await self._until(lambda: self.discord.sessions_begun > before and self.discord.connected)
        self.discord.session_life = life

    async def _until(self, predicate: Callable[[], Any]) -> None:
        """Wait, and let time pass quickly when nothing comes for a while."""
        for _ in range(200):
            try:
                await self.discord.until(predicate, 0.3, every=0.05)
                return
            except TimeoutError:
                await self.clock.forward(STEP)
        raise TimeoutError("waited for in vain")

    def _forget(self) -> None:
        """The world's own memory is not what is counted."""
        for history in (self.discord.messages, self.discord.interactions, self.discord._nonces):
            history.clear()
        self.discord.close_codes.clear()
        for session in self.discord._sessions.values():
            told = max(0, len(session.events) - MAY_BE_TOLD_AGAIN)
            session.events[:told] = [""] * told  # their numbers count on


async def _all_is_quiet() -> None:
    """Until nothing is being delivered, and what was pressed has been dealt with."""
    names = ("deliver", "CommandTree")
    if left := [task for task in asyncio.all_tasks() if task.get_name().startswith(names)]:
        await asyncio.wait(left)
    await asyncio.sleep(1.0)


def _few_are_kept() -> dict[str, int]:
    """Lower the bounds of what is kept on purpose, so that each is met while the process warms up. Return
    what is kept → how much of it at most."""
    from bot.discord_api import session
    from jobs import feed, queue, waitlist
    from storage.engines import base

    base.PRAGMAS = (
        *base.PRAGMAS,
        f"PRAGMA cache_size=-{KEPT}",
    )  # KiB, where it is 2,000: ten MB in all
    session.REMEMBERED = feed.CHANGES_KEPT = queue.SEEN_AT_MOST = waitlist.MEMBERS_KEPT = KEPT
    return dict.fromkeys(
        (
            "bot.discord_api.session.KeptSessions._seen",
            "jobs.feed.Feeds._changes",
            "jobs.queue.People._seen",
            "jobs.waitlist.VirtualTime._had",
            "jobs.waitlist.VirtualTime._stamps",
            "objects of jobs.waitlist.Had",
        ),
        KEPT,
    )


def _widen_interned() -> None:
    """Have the interpreter's table of names as wide as it gets: with the 87,382nd name it doubles, by 1.9 MB.
    Where on its way this process meets that one depends on how much it has read before."""
    names = [sys.intern(f"a name that is needed once {number}") for number in range(NAMES)]
    del names


def _resident() -> int:
    rss: int = psutil.Process().memory_info().rss
    return rss


def _is_answered(one: Interaction) -> bool:
    """Told how it ended, or refused."""
    return one.message is not None and ("job " in text_of(one.message) or bool(one.message.flags & 64))


def _has_ended(one: Interaction) -> bool:
    """Acknowledged, and nothing is thought about any more."""
    return bool(one.acknowledged) and not (one.message is not None and one.message.flags & THINKING)


async def run(
    jobs: int, restarts: int, folder: Path, *, on_round: Callable[[int], None] = lambda n: None
) -> Report:
    """A tenth of it to warm up, then the rest; count before and after."""
    clock = Clock()
    from core.settings import load_settings
    from host import app, process
    from host.services import services
    from proofs.wire import launch
    from tests.support.census import census, growth
    from tests.wire.discord import GUILD, TOKEN, Discord

    settings = load_settings(
        {
            "DISCORD_TOKEN": TOKEN,
            "DATA_DIR": str(folder),
            "DEVICES": "cpu",
            "DISK_FLOOR_MB": "0",
            "GUILD_WAITING": "20000",
        },
        folder / "none.env",
    )
    process.configure_heap()  # this, and what collects garbage, as app.run does
    bounds = _few_are_kept()
    stopping = asyncio.Event()
    async with Discord() as discord, services(settings, target=launch.WORKER) as built:
        launch.point_at(discord.url)
        with closing(app.PendingInteractions(folder / "unanswered")) as pending:
            process.configure_gc()
            collecting = asyncio.create_task(process.collect_garbage(lambda: built.queue.unfinished > 0))
            serving = asyncio.create_task(app._serve_discord(built, pending, stopping))
            soak = Soak(clock, discord, GUILD + 1, on_round)
            await soak._until(lambda: discord.connected and discord.commands)
            _widen_interned()
            warm = max(4, restarts // 10)
            for _ in range(warm):
                await soak.round(max(3, jobs // restarts))
            await _all_is_quiet()
            await soak.rest()
            census()  # has the objects that stay make their dicts, which Python puts off until somebody looks
            before = census()  # whose own 1 MB is there at both moments
            await soak.rest()
            settled = _resident()
            for _ in range(restarts - warm):
                await soak.round(max(3, jobs // restarts))
            await _all_is_quiet()
            await soak.rest()
            resident = _resident()
            after = census()
            grown = growth(before, after, bounds=bounds, slack=SLACK, slack_of_others=SLACK_OF_OTHERS)
            report = Report(
                soak.jobs,
                discord.sessions_begun,
                clock.ahead / 86400,
                grown,
                (settled, resident),
                len(after),
            )
            stopping.set()
            await serving
            collecting.cancel()
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--restarts", type=int, default=1000)
    parser.add_argument("--bug", action="store_true", help="a seeded bug: one entry a round is never let go")
    parser.add_argument("--any-memory", action="store_true", help="memory has not settled in a short run")
    parser.add_argument("--log", type=Path, help="a file for what the program logs")
    arguments = parser.parse_args()
    kept: dict[int, str] = {}

    def on_round(number: int) -> None:
        if number % TOLD_EVERY == 0:
            print(f"round {number}: {_resident() / 2**20:.0f} MB", flush=True)
        if arguments.bug:
            import bot.client

            vars(bot.client).setdefault("LEAK", kept)[number] = "never let go"

    form = "%(asctime)s %(levelname)s %(name)s %(message)s"
    level = logging.INFO if arguments.log else logging.ERROR
    logging.basicConfig(level=level, filename=arguments.log, format=form)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(run(arguments.jobs, arguments.restarts, Path(folder), on_round=on_round))
    ratio = report.memory[1] / report.memory[0]
    print(
        f"{report.jobs} jobs, {report.connections} connections in {report.days:.0f} days of virtual time,"
        f" {time.perf_counter() - began:.0f} s: {len(report.grown)} of {report.containers} sizes have grown;"
        f" memory {report.memory[0] / 2**20:.0f} → {report.memory[1] / 2**20:.0f} MB ({ratio:.3f})"
    )
    for what, (before, after) in sorted(report.grown.items(), key=lambda item: item[1][0] - item[1][1])[:40]:
        print(f"  {what}: {before} → {after}")
    return 1 if report.grown or (ratio > MEMORY and not arguments.any_memory) else 0


if __name__ == "__main__":
    sys.exit(main())
