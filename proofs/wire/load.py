"""Many interactions against the bot's own process: ``python -m proofs.wire.load --rate 50 --seconds 60``, or
``--rate 100 --seconds 2``.

Reports when each was acknowledged, how late the bot's event loop was, its memory, and that no tensor library
is in it. A worker is busy all the time, and ``--spin`` processes take the processor besides.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from proofs.wire.kill import quantile
from tests.support.messages import text_of
from tests.wire.discord import GUILD, Discord, Interaction
from tests.wire.process import BotProcess

PEOPLE = 2000
CHANNELS = 50
ACK_PATIENCE = 30.0  # seconds; later counts as never


@dataclass
class Report:
    """Times in ms."""

    sent: int = 0
    rate: float = 0.0  # sent a second, as it came out
    acknowledged: list[float] = field(default_factory=list)
    first_words: list[float] = field(default_factory=list)  # from the press to the first text in the answer
    stalls: list[float] = field(default_factory=list)
    turns: list[tuple[float, float, float]] = field(
        default_factory=list
    )  # of 5 ms or more: on the clock, on a core, waiting for one
    collections: list[float] = field(default_factory=list)  # of garbage, 1 ms or more
    cpu: float = 0.0  # of the bot's own process, for each interaction
    memory: float = 0.0  # MB, the highest seen
    torch: bool = False
    delivered: int = 0
    cores: int = 0
    busy: float = 0.0  # load average at the end


async def run(
    folder: Path,
    rate: float,
    seconds: float,
    *options: str,
    queued: int = 0,
    spinning: int = 0,
    process: type[BotProcess] = BotProcess,
) -> Report:
    """``rate`` interactions a second for ``seconds`` with a worker at work, ``queued`` of them waiting before
    it starts.
    ``options``: of ``proofs.wire.launch``."""
    probe = folder / "stalls"
    settings = {"USER_WAITING": "10000", "GUILD_WAITING": "100000"}
    async with (
        Discord() as discord,
        process(discord, folder, f"--probe={probe}", f"--spin={spinning}", *options, **settings) as bot,
    ):
        await _queue_up(discord, bot, queued)
        _slash(discord, 0, "a slow river")  # the worker has something to do
        await discord.until(lambda: any("%" in text_of(m) for m in discord.messages.values()))
        skipped = len(probe.read_text().splitlines())
        report, asked, before = Report(cores=os.cpu_count() or 1), [], bot.cpu_seconds
        watching = asyncio.create_task(_watch_memory(bot, report))
        await _ask(discord, asked, rate, seconds, report)
        await _acknowledged(discord, asked)
        await asyncio.sleep(1.0)  # the loop goes on under what came last
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        report.cpu = 1000 * (bot.cpu_seconds - before) / len(asked)
        report.torch = "libtorch" in bot.libraries()
        notes = probe.read_text().splitlines()[skipped:-1]
        report.stalls = [float(line.split()[1]) for line in notes if line.startswith("late")]
        report.turns = [tuple(map(float, line.split()[1:4])) for line in notes if line.startswith("turn")]
        report.collections = [float(line.split()[1]) for line in notes if line.startswith("gc")]
        report.delivered = sum(1 for m in discord.messages.values() if "job " in text_of(m))
    report.busy = os.getloadavg()[0]
    report.sent = len(asked)
    report.acknowledged = [
        1000 * (made.acknowledged - made.sent) if made.acknowledged else float("inf") for made in asked
    ]
    report.first_words = [1000 * (at - made.sent) for made in asked if (at := _first_word(made)) is not None]
    return report


def _slash(discord: Discord, number: int, prompt: str = "a red house") -> Interaction:
    return discord.slash("imagine", GUILD + 1 + number % CHANNELS, 100_000 + number % PEOPLE, prompt=prompt)


async def _queue_up(discord: Discord, bot: BotProcess, count: int) -> None:
    """``count`` jobs in the queue, in portions that are acknowledged in time."""
    for start in range(0, count, 50):
        portion = [_slash(discord, number, "a slow river") for number in range(start, min(start + 50, count))]
        await discord.until(lambda portion=portion: all(made.acknowledged for made in portion), 30)
    while len(bot.rows()) < count:  # noqa: ASYNC110  another process's: nothing tells us
        await asyncio.sleep(0.5)


async def _ask(
    discord: Discord, asked: list[Interaction], rate: float, seconds: float, report: Report
) -> None:
    """Open loop: the next one comes when its time comes, whatever the bot does."""
    began = time.monotonic()
    for number in range(round(rate * seconds)):
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        asked.append(_slash(discord, number))
    report.rate = len(asked) / (time.monotonic() - began)


async def _acknowledged(discord: Discord, asked: list[Interaction]) -> None:
    with suppress(TimeoutError):
        await discord.until(lambda: all(made.acknowledged for made in asked), ACK_PATIENCE)


async def _watch_memory(bot: BotProcess, report: Report) -> None:
    while True:
        report.memory = max(report.memory, bot.memory / 2**20)
        await asyncio.sleep(0.25)


def _first_word(made: Interaction) -> float | None:
    return next((at for at, text in made.message.versions if text), None) if made.message else None


def lines(report: Report) -> list[str]:
    ack, late = report.acknowledged, report.stalls
    found = [
        (
            f"{report.sent} interactions at {report.rate:.0f}/s on {report.cores} cores, load average"
            f" {report.busy:.1f}; {report.delivered} results meanwhile"
        ),
        (
            f"acknowledged after p50 {quantile(ack, 0.5):.0f} ms, p99 {quantile(ack, 0.99):.0f} ms, p99.9"
            f" {quantile(ack, 0.999):.0f} ms, longest {max(ack):.0f} ms"
        ),
        (
            f"event loop late by p50 {quantile(late, 0.5):.1f} ms, p99 {quantile(late, 0.99):.1f} ms, longest"
            f" {max(late):.1f} ms, n={len(late)}"
        ),
        (
            f"turns of the loop of 5 ms or more: {len(report.turns)}; the longest {_longest(report.turns, 0)}"
            f" ms on the clock, {_longest(report.turns, 1)} ms on a core, {_longest(report.turns, 2)} ms"
            f" waiting for one; longest collection of garbage {max(report.collections, default=0):.1f} ms"
        ),
        f"{report.cpu:.1f} ms on a core for each interaction",
        f"memory up to {report.memory:.0f} MB; torch in the bot's process: {'yes' if report.torch else 'no'}",
    ]
    if report.first_words:
        found.append(
            f"first words for {len(report.first_words)} after p50"
            f" {statistics.median(report.first_words):.0f} ms"
        )
    return found


def _longest(turns: list[tuple[float, float, float]], which: int) -> str:
    return f"{max((turn[which] for turn in turns), default=0):.1f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--queued", type=int, default=0, help="jobs that wait already")
    parser.add_argument(
        "--spin", type=int, default=2, help="processes that keep a core busy each, as workers would"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(
            run(
                Path(folder),
                arguments.rate,
                arguments.seconds,
                queued=arguments.queued,
                spinning=arguments.spin,
            )
        )
    print(*lines(report), sep="\n")
    small = (
        report.memory < 150 or arguments.queued > 1000
    )  # MB; ten thousand jobs and their watchers take some
    return 0 if max(report.acknowledged) < 2500 and small and not report.torch else 1


if __name__ == "__main__":
    sys.exit(main())
