"""What the studio on the web costs the bot's process in memory: ``python -m proofs.web.memory``.

The same database and the same jobs in three lives: with the web off, asked for on Discord; with it open; and
with open tabs whose people ask for them there and look at pages.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from core.settings import ROOT
from proofs.web.load import WORKER
from proofs.web.process import CHANNEL, Browser, Person, Studio, fill, running
from tests.support.messages import text_of
from tests.wire.discord import Discord
from tests.wire.process import BotProcess

SETTLE = 8.0  # seconds until a life has done what it does at its start
MORE, MOST = 12.0, 150.0  # MiB
PAGES = ("/", "/pictures", "/queue", "/settings", "/api/months")
TABS = 5  # of a person
IMPORTS = 80.0  # ms on a core


@dataclass
class Report:
    """MiB. used: with sockets and pages, at the end and at its highest. imports: ms on a core."""

    off: float = 0.0
    idle: float = 0.0
    used: float = 0.0
    highest: float = 0.0
    answers: list[int] = field(default_factory=list)
    imports: float = 0.0


async def run(folder: Path, sockets: int, pictures: int, seconds: float) -> Report:
    people = fill(folder, people=max(1, sockets // TABS), pictures=pictures)
    report = Report(imports=imports_cost())
    async with Discord() as discord, BotProcess(discord, folder, f"--worker={WORKER}") as bot:
        await _on_discord(discord, people)
        report.off = bot.memory / 2**20
    async with running(folder, f"--worker={WORKER}") as (studio, http):
        await _on_discord(studio.discord, people)
        report.idle = studio.bot.memory / 2**20
        browsers = [Browser(http, studio.url, person) for person in people]
        opened = [await browser.socket() for browser in browsers for _ in range(TABS)]
        await _use(studio, browsers, people, seconds, report)
        report.used = studio.bot.memory / 2**20
        assert len(opened) == len(people) * TABS
    return report


async def _on_discord(discord: Discord, people: list[Person]) -> None:
    """Each person asks for a job and sees its end."""
    await asyncio.sleep(SETTLE)
    asked = [discord.slash("imagine", CHANNEL, one.id, prompt="a river of 60 steps") for one in people]
    ends = "job "
    await discord.until(lambda: all(made.message and ends in text_of(made.message) for made in asked), 120)


async def _use(
    studio: Studio, browsers: list[Browser], people: list[Person], seconds: float, report: Report
) -> None:
    """Each person asks for a job and looks at every page, its pictures and two original ones."""
    dice, loop = random.Random(3), asyncio.get_running_loop()
    until = loop.time() + seconds
    for number, browser in enumerate(browsers):
        assert (await browser.imagine("a river of 60 steps", f"a{number}"))[0] == 202
    while loop.time() < until:
        browser = dice.choice(browsers)
        for path in PAGES:
            report.answers.append((await browser.ask("GET", path))[0])
        _, body = await browser.ask("GET", f"/api/pictures?limit=60&skip={dice.randrange(1000)}")
        tiles = json.loads(body)["pictures"]
        for tile in tiles[:24]:
            report.answers.append((await browser.ask("GET", tile["small"]))[0])
        for tile in tiles[:2]:
            report.answers.append((await browser.ask("GET", f"/files/{tile['job']}/{tile['n']}"))[0])
        report.highest = max(report.highest, studio.bot.memory / 2**20)
        await asyncio.sleep(0.1)


def imports_cost() -> float:
    """Milliseconds on a core that importing the web adds to what the bot has imported."""
    code = (
        "import time, host.app, bot.client; b = time.process_time(); import web.app;"
        " print(1000 * (time.process_time() - b))"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        for _ in range(3)
    ]
    return min(float(run.stdout) for run in runs)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sockets", type=int, default=50)
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=30)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = run(Path(folder), arguments.sockets, arguments.pictures, arguments.seconds)
        report = asyncio.run(work)
    print(
        f"{arguments.pictures} pictures: the bot's process has {report.off:.1f} MiB with the web off,"
        f" {report.idle:.1f} with it open, {report.used:.1f} with {arguments.sockets} sockets after"
        f" {len(report.answers)} answers (at its highest {report.highest:.1f}); importing the web takes"
        f" {report.imports:.0f} ms on a core"
    )
    wrong = [status for status in report.answers if status != 200]
    print(f"answers that weren't 200: {len(wrong)}")
    good = report.idle - report.off <= MORE and report.highest <= MOST and report.imports <= IMPORTS
    return 0 if good and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
