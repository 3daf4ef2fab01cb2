"""Several processes with several connections each that are one bot, replaced one after another while members
ask: real processes, a worker elsewhere, a PostgreSQL and a NATS server, and a Discord of the tests.

``python -m tests.scale.shards``, or ``make scale-proof PROOF=shards``: four processes with eight connections
each and 20 interactions a second. ``--way overlap``: the new process begins the same connections, and the old
one gets SIGTERM when ``/readyz`` of the new one is 200. ``--way gap``: the old one ends before; what Discord
could tell nobody isn't counted then. ``--bug``: processes that don't wait for each other, that all deal with
what all were told, or that are told more while they stop.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from core.settings import ROOT
from tests import nats, postgres
from tests.scale.crowd import Crowd, Figures
from tests.wire.discord import GUILD, Discord
from tests.wire.kill import quantile
from tests.wire.process import BotProcess

APART = 5.0  # seconds that Discord asks for between two identifies of one key
PATIENCE = 60.0  # seconds for the last answers
START = 60.0  # seconds for a process to start, beside its turns
BUGS = ("no turns", "all answer", "no hanging up")
HOPELESS = 20  # sessions refused with opcode 9
AGENT = "from tests.scale.shards import agent; agent()"


class NotReady(Exception):
    """A process has ended, or can't begin its connections."""


@dataclass(frozen=True)
class Plan:
    """shards: of each process. concurrency: Discord's max_concurrency. quiet: seconds of asking before the
    first process is replaced, and after the last. beside: seconds that old and new are left side by side."""

    processes: int = 4
    shards: int = 8
    concurrency: int = 1
    rate: float = 20.0
    way: str = "overlap"
    rounds: int = 1
    quiet: float = 10.0
    beside: float = 1.0
    apart: float = APART
    bug: str | None = None
    seed: int = 1

    @property
    def all_shards(self) -> int:
        """Of the whole bot."""
        return self.processes * self.shards

    @property
    def longest(self) -> float:
        """Seconds that identifying may take."""
        return START + 4 * (self.apart + 1) * self.all_shards


@dataclass
class Result:
    """What came of a plan. identified: seconds until all connections were there, after the first start;
    replaced: seconds that each replacement took. closest: seconds between two identifies of one key."""

    identified: float = 0.0
    replaced: list[float] = field(default_factory=list)
    closest: float = float("inf")
    identifies: int = 0
    too_soon: int = 0
    invalid: int = 0
    jobs: int = 0
    doubled_jobs: int = 0
    memory: float = 0.0
    busy: float = 0.0
    crowd: Figures = field(default_factory=Figures)
    problems: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        """What shouldn't have been."""
        return [*self.problems, *self.crowd.problems]

    def __str__(self) -> str:
        crowd, ack, drawn = self.crowd, self.crowd.acknowledged, self.crowd.pictures
        replaced = ", ".join(f"{one:.0f}" for one in self.replaced)
        return "\n".join(
            (
                f"all identified after {self.identified:.1f} s; replaced in {replaced} s;"
                f" {self.identifies} identifies, of one key at least {self.closest:.2f} s apart,"
                f" {self.too_soon} too soon, {self.invalid} with opcode 9",
                f"{crowd.sent} interactions at {crowd.rate:.1f}/s ({dict(crowd.kinds)}),"
                f" {crowd.unheard} told to nobody; {crowd.both} acknowledged by one and tried by another",
                f"{crowd.unacknowledged} unacknowledged, {crowd.doubled} doubled, {crowd.unanswered}"
                f" without an answer, {crowd.refused} refused; {self.jobs} jobs, {self.doubled_jobs} doubled,"
                f" {crowd.again} results sent again to their place",
                f"acknowledged after p50 {quantile(ack, 0.5):.0f} ms, p99 {quantile(ack, 0.99):.0f} ms,"
                f" longest {max(ack, default=0.0):.0f} ms; pictures after p50 {quantile(drawn, 0.5):.1f},"
                f" p99 {quantile(drawn, 0.99):.1f}, longest {max(drawn, default=0.0):.1f} s;"
                f" a process has {self.memory:.0f} MB; load average {self.busy:.1f}",
            )
        )


class Bots:
    """The processes, each with the numbers of its connections."""

    def __init__(self, plan: Plan, discord: Discord, folder: Path, **settings: str) -> None:
        self._plan, self._discord, self._folder, self._settings = plan, discord, folder, settings
        self._options = (f"--bug={plan.bug}",) if plan.bug else ()
        self.running: list[tuple[BotProcess, int]] = []  # with the port of /readyz
        self.all: list[BotProcess] = []

    def numbers(self, place: int) -> range:
        """The connections of a process."""
        return range(place * self._plan.shards, (place + 1) * self._plan.shards)

    async def begin(self, place: int) -> tuple[BotProcess, int]:
        """Start a process for a place, without waiting."""
        port, mine = nats.free_port(), self.numbers(place)
        folder = self._folder / f"bot{place}-{len(self.all)}"
        folder.mkdir()
        bot = BotProcess(
            self._discord, folder, *self._options,
            SHARDS=str(self._plan.all_shards), SHARD_IDS=f"{mine[0]}-{mine[-1]}", OWNER_IDS="",
            DEVICES="none", METRICS_PORT=str(port), **self._settings,
        )  # fmt: skip
        self.all.append(bot)
        await bot.spawn()
        return bot, port

    async def ready(self, bot: BotProcess, port: int) -> None:
        """Wait until ``/readyz`` is 200, as the documentation says. Raises NotReady."""
        end = time.monotonic() + self._plan.longest
        async with aiohttp.ClientSession() as session:
            while True:
                with suppress(aiohttp.ClientError):
                    async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
                        if answer.status == 200:
                            return
                gone = bot.process is None or bot.process.returncode is not None
                if gone or time.monotonic() > end or self._discord.invalid > HOPELESS:
                    raise NotReady(f"a process isn't ready: {bot.log[-300:]}")
                await asyncio.sleep(0.25)

    async def start(self) -> None:
        """Start all at once, and wait for them."""
        self.running = [await self.begin(place) for place in range(self._plan.processes)]
        await asyncio.gather(*(self.ready(*one) for one in self.running))

    async def replace(self, place: int) -> list[str]:
        """Put another process in a place; return what was wrong."""
        old, _ = self.running[place]
        if self._plan.way == "gap":
            await self.stop(old)
        new = self.running[place] = await self.begin(place)
        await self.ready(*new)
        wanted = 1 if self._plan.way == "gap" else 2
        missing = [one for one in self.numbers(place) if self._discord.holding(one) < wanted]
        if self._plan.way == "overlap":
            await asyncio.sleep(self._plan.beside)
            await self.stop(old)
        return [f"ready without the connections {missing}"] if missing else []

    async def stop(self, bot: BotProcess) -> None:
        """SIGTERM, and wait for the end."""
        assert bot.process is not None
        bot.process.send_signal(signal.SIGTERM)
        await bot.ended()

    async def kill(self) -> None:
        """End all of them."""
        for one in self.all:
            await one.kill()


def agent() -> None:
    """Be a machine with a worker that draws nothing."""
    from core.settings import load
    from host.elsewhere.worker import work

    sys.exit(work(load(), target="tests.bot.pretend_worker:main"))


@contextmanager
def _agent(folder: Path, **settings: str) -> Iterator[None]:
    folder.mkdir()
    settings = {
        "DATA_DIR": str(folder),
        "DEVICES": "cpu",
        "NODE_NAME": "cards",
        "DISK_FLOOR_MB": "0",
        **settings,
    }
    with (folder / "process.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", AGENT], cwd=ROOT, env=os.environ | settings, stdout=log, stderr=log
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _closest(discord: Discord) -> float:
    keys: dict[int, list[float]] = defaultdict(list)
    for at, shard in discord.identified:
        keys[shard % discord.max_concurrency].append(at)
    gaps = [b - a for times in keys.values() for a, b in zip(times, times[1:], strict=False)]
    return min(gaps, default=float("inf"))


def _jobs(folder: Path) -> tuple[int, int]:
    """How many jobs there are, and how many too many by the words of their prompts."""
    import psycopg

    with psycopg.connect(f"host={folder} dbname={postgres.TEMPLATE} user=atelier") as server:
        [(jobs, prompts)] = server.execute("SELECT count(*), count(DISTINCT prompt) FROM jobs").fetchall()
    return jobs, jobs - prompts


async def measure(folder: Path, plan: Plan) -> Result:
    """Play a plan."""
    server, result = postgres.Server(), Result()
    async with AsyncExitStack() as stack:
        stack.callback(server.remove)
        server.start()
        await asyncio.to_thread(postgres.make_template, server.folder)
        bus = stack.enter_context(nats.server())
        discord = await stack.enter_async_context(Discord())
        discord.shards, discord.apart = plan.all_shards, plan.apart
        discord.max_concurrency = plan.concurrency
        discord.servers = [(number << 22) | GUILD for number in range(2 * plan.all_shards)]
        (folder / "data").mkdir()
        stack.enter_context(_agent(folder / "agent", BUS_URL=bus.url))
        address = postgres.address(server.folder, postgres.TEMPLATE)
        bots = Bots(
            plan, discord, folder, DATABASE_URL=address, BUS_URL=bus.url, DATA_DIR=str(folder / "data")
        )
        stack.push_async_callback(bots.kill)
        try:
            await _play(plan, bots, discord, result)
        except NotReady as error:
            result.problems.append(str(error))
        result.busy = os.getloadavg()[0]
        result.jobs, result.doubled_jobs = await asyncio.to_thread(_jobs, server.folder)
        result.identifies, result.closest = len(discord.identified), _closest(discord)
        result.too_soon, result.invalid = discord.too_soon, discord.invalid
        _note_problems(result)
        _keep_logs(folder, bots)
    return result


async def _play(plan: Plan, bots: Bots, discord: Discord, result: Result) -> None:
    """Start all processes; then replace each in turn while members ask."""
    began = time.monotonic()
    await bots.start()
    missing = [one for one in range(plan.all_shards) if not discord.holding(one)]
    result.problems += [f"ready without the connections {missing}"] if missing else []
    result.identified = time.monotonic() - began
    crowd, stopping = Crowd(discord, discord.servers, plan.rate, plan.seed), asyncio.Event()
    asking = asyncio.create_task(crowd.ask_until(stopping))
    await asyncio.sleep(plan.quiet)
    for place in (place for _ in range(plan.rounds) for place in range(plan.processes)):
        began = time.monotonic()
        result.problems += await bots.replace(place)
        result.replaced.append(time.monotonic() - began)
    await asyncio.sleep(plan.quiet)
    stopping.set()
    await asking
    await crowd.answered(PATIENCE)
    result.crowd, result.memory = crowd.figures(), max(one.memory for one, _ in bots.running) / 2**20


def _note_problems(result: Result) -> None:
    for count, what in ((result.too_soon, "identifies too soon"), (result.invalid, "opcode 9"),
                        (result.doubled_jobs, "jobs doubled")):  # fmt: skip
        if count:
            result.problems.append(f"{count} {what}")


def _keep_logs(folder: Path, bots: Bots) -> None:
    """Show what processes said of what went wrong."""
    for bot in bots.all:
        lines = [line for line in bot.log.splitlines() if "Traceback" in line or " ERROR " in line]
        if lines:
            print(bot.folder.name, *lines[:5], sep="\n  ")


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name, plain in vars(Plan()).items():
        choices = {"way": ("overlap", "gap"), "bug": BUGS}.get(name)
        parser.add_argument(f"--{name}", type=type(plain) if plain is not None else str, default=plain,
                            choices=choices)  # fmt: skip
    parser.add_argument("--folder", type=Path, help="kept, with the logs; else a temporary one")
    arguments = vars(parser.parse_args())
    kept = arguments.pop("folder")
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        result = asyncio.run(measure(kept or Path(folder), Plan(**arguments)))
    print(f"{result}\n{len(result.wrong)} problems; {time.monotonic() - began:.0f} s")
    print("\n".join(result.wrong[:30]))
    raise SystemExit(1 if result.wrong else 0)


if __name__ == "__main__":
    main()
