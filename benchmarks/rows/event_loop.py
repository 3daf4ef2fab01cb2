"""How long the event loop of the bot stands still while its worker imports, loads, draws and encodes."""

from __future__ import annotations

import asyncio
from pathlib import Path

from benchmarks.bot import RealBot, answered, imagine, picture, stalls
from benchmarks.measure import ROUNDED, Chart, Figure, Goal, Result, check, mean_apart, quantile, times_less
from benchmarks.rows import Options
from tests.wire.discord import GUILD, Discord

TITLE = "Event loop: longest stall with cold import, model load, 4 results, 100 interactions"
AGAINST = "the same bot with its worker in a thread, as many bots have it"
INTERACTIONS, JOBS, RATE = 100, 4, 40.0  # RATE: interactions a second
PAUSE = 2.0  # seconds from the start until the worker is started
WAYS = {"process": (), "thread": ("--thread",)}


def measure(options: Options) -> Result:
    """A cold bot for each value."""
    late: dict[str, list[list[float]]] = {name: [] for name in WAYS}
    differences = []
    for repeat in range(options.repeats):
        pictures = {}
        for name in sorted(WAYS, reverse=repeat % 2 == 1):
            folder = options.folder / f"{name}{repeat}"
            folder.mkdir()
            found, pictures[name] = asyncio.run(_run(folder, *WAYS[name]))
            late[name].append(found)
        differences += [
            mean_apart(a, b) for a, b in zip(pictures["process"], pictures["thread"], strict=True)
        ]
    longest = {name: tuple(max(found) for found in each) for name, each in late.items()}
    figures = (
        Figure("longest stall", longest["process"], "ms", "wall", Goal(at_most=25)),
        Figure(
            "longest stall, against a thread",
            times_less(longest["thread"], longest["process"]),
            "× less",
            "wall",
            Goal(at_least=10),
        ),
        Figure("longest stall in a thread", longest["thread"], "ms", "wall"),
        Figure("99th percentile", tuple(quantile(found, 0.99) for found in late["process"]), "ms", "wall"),
        Figure(
            "99th percentile in a thread",
            tuple(quantile(found, 0.99) for found in late["thread"]),
            "ms",
            "wall",
        ),
    )
    series = {f"longest, {name}": longest[name] for name in WAYS} | {
        f"99th percentile, {name}": [quantile(found, 0.99) for found in late[name]] for name in WAYS
    }
    checks = (check("grids of process and thread, mean difference of 255", differences, ROUNDED),)
    return Result(figures, checks, Chart("bars", TITLE, "ms late", series, log=True))


async def _run(folder: Path, *options: str) -> tuple[list[float], list]:
    """ms late, and the grids."""
    probe = folder / "stalls"
    async with (
        Discord() as discord,
        RealBot(discord, folder, f"--probe={probe}", f"--pause={PAUSE}", *options) as bot,
    ):
        await discord.until(lambda: "imagine" in discord.commands)
        asked = []
        for number in range(INTERACTIONS):
            if number % (INTERACTIONS // JOBS) == 0:
                asked.append(imagine(discord, number, f"a red house --steps 2 --seed {number}"))
            else:
                discord.slash("help", GUILD + 1 + number % 20, 60_000 + number)
            await asyncio.sleep(1 / RATE)
        messages = await answered(discord, asked)
        found = stalls(probe)
        if "libtorch" not in bot.libraries() and options:
            raise RuntimeError("the worker was no thread of the bot")
        return found, [picture(message) for message in messages]
