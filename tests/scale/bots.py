"""Two processes that are one bot: real processes, a PostgreSQL and a NATS server, and a Discord of the tests.

``python -m tests.scale.bots --rounds 5``, or ``make scale-proof``: in each round the process without the
asker's server leads, then is killed, then the other is; every ask gets one answer, from the process that
Discord told of it.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests import nats, postgres
from tests.scale.leaders import _spread
from tests.wire.discord import GUILD, Discord, Message
from tests.wire.process import BotProcess

CHANNEL, MEMBER = 4242, 77
SHARDS = 2
HOLDS = (GUILD >> 22) % SHARDS  # the one that is told of the asker's server
APART = 5.0  # seconds that Discord asks for between two identifies
PATIENCE = 60.0


@dataclass
class Figures:
    """asked: interactions. seconds: until each was answered. taken: from a kill to an answer by the next
    leader. problems: what went wrong."""

    asked: int = 0
    kills: int = 0
    seconds: list[float] = field(default_factory=list)
    taken: list[float] = field(default_factory=list)
    too_soon: int = 0
    identified: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.asked} asks, {self.kills} kills of a process, {len(self.problems)} problems;"
            f" {self.identified} identifies, {self.too_soon} sooner than {APART:.0f} s after another;"
            f" answered within {_spread(self.seconds)}; after a leader's death {_spread(self.taken)}"
        )


class Bots:
    """Both processes, and what is asked of them."""

    def __init__(self, discord: Discord, folder: Path, **settings: str) -> None:
        self.discord, self.figures = discord, Figures()
        self.running = [
            BotProcess(
                discord, _made(folder / f"bot{n}"), DATA_DIR=str(_made(folder / "data")), SHARDS=str(SHARDS),
                SHARD_IDS=str(n), NODE_NAME=f"bot{n}", OWNER_IDS="", **settings,
            )
            for n in range(SHARDS)
        ]  # fmt: skip

    @property
    def told(self) -> BotProcess:
        """The one that is told of the asker's server."""
        return self.running[HOLDS]

    @property
    def other(self) -> BotProcess:
        """The one that isn't."""
        return self.running[1 - HOLDS]

    async def ask(self, prompt: str) -> float:
        """Ask for a picture and wait for the answer; the seconds that took."""
        self.figures.asked += 1
        began = time.monotonic()
        words = f"{prompt} number{self.figures.asked}."
        self.discord.slash("imagine", CHANNEL, MEMBER, prompt=words)
        with suppress(TimeoutError):
            await self.discord.until(lambda: self._answers(words), PATIENCE, every=0.05)
        if len(self._answers(words)) != 1:
            shown = [(one.content[:80], len(one.files)) for one in self.discord.messages.values()]
            self.figures.problems.append(f"{len(self._answers(words))} answers to {words}: {shown[-3:]}")
        self.figures.seconds.append(time.monotonic() - began)
        return time.monotonic() - began

    def _answers(self, words: str) -> list[Message]:
        return [one for one in self.discord.messages.values() if one.files and words in one.content]

    async def leads(self, one: BotProcess) -> None:
        """Wait until a process says that it leads."""
        await self.discord.until(lambda: "this Atelier starts the jobs" in one.log, PATIENCE, every=0.05)

    async def kill(self, one: BotProcess) -> None:
        """Kill a process and its workers."""
        self.figures.kills += 1
        one.log_file.write_text("")
        await one.kill()
        one.log_file.write_text("")

    async def round(self) -> None:
        """The other leads and is killed; then the one that is told, which comes back."""
        await self.ask("a red house")  # written by the one, drawn by the other
        at = time.monotonic()
        await self.kill(self.other)
        await self.ask("a green house")
        self.figures.taken.append(time.monotonic() - at)
        await self.other.start()
        await self.ask("a blue house")
        await self.kill(self.told)
        await self.leads(self.other)
        await self.told.start()
        await self.ask("a grey house")


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


async def measure(folder: Path, rounds: int) -> Figures:
    """Play so many rounds."""
    server = postgres.Server()
    async with AsyncExitStack() as stack:
        stack.callback(server.remove)
        server.start()
        await asyncio.to_thread(postgres.make_template, server.folder)
        bus = stack.enter_context(nats.server())
        discord = await stack.enter_async_context(Discord())
        discord.shards, discord.apart = SHARDS, APART
        bots = Bots(
            discord, folder, DATABASE_URL=postgres.address(server.folder, postgres.TEMPLATE), BUS_URL=bus.url
        )
        for one in (bots.other, bots.told):
            await one.start()
            stack.push_async_callback(one.kill)
        await bots.leads(bots.other)
        for _ in range(rounds):
            await bots.round()
        bots.figures.too_soon, bots.figures.identified = discord.too_soon, len(discord.identified)
        if bots.figures.problems:
            for one in bots.running:
                print(one.folder.name, one.log[-4000:])
    return bots.figures


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        figures = asyncio.run(measure(Path(folder), arguments.rounds))
    print(f"{figures}; {time.monotonic() - began:.0f} s")
    print("\n".join(figures.problems[:20]))
    raise SystemExit(1 if figures.problems or figures.too_soon else 0)


if __name__ == "__main__":
    main()
