"""Many open tabs, jobs, pages and uploads at once, against the bot's own process: ``python -m
proofs.web.load``.

Reports how long the turns of its event loop took on a core, and how soon Discord was acknowledged meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from proofs.web.process import CHANNEL, Browser, Studio, fill, quantile, running
from tests.studio.conftest import png
from tests.wire.discord import Interaction

THUMBNAILS = 12  # of a gallery page, those that are seen at once
WORKER = "proofs.web.worker:main"
LONGEST, P99, ACK = 25.0, 5.0, 250.0  # ms
COMMANDS = 5  # interactions of Discord a second
COUNTERS = ("count", "turn", "gc", "late")


@dataclass(frozen=True)
class Load:
    """people: each with ``tabs`` sockets, ``jobs`` that run and ``queued`` that wait. pages, uploads: of all
    of them in a second."""

    people: int = 25
    tabs: int = 8
    jobs: int = 8
    queued: int = 20
    pages: float = 20.0
    uploads: float = 2.0
    seconds: float = 30.0


@dataclass
class Report:
    """Times in ms. turns: of 5 ms or more on the clock, with the time on a core. count: of all turns."""

    turns: list[tuple[float, float, str]] = field(default_factory=list)
    count: int = 0
    late: list[float] = field(default_factory=list)
    acknowledged: list[float] = field(default_factory=list)
    messages: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    pages: list[float] = field(default_factory=list)
    memory: float = 0.0  # MB
    cpu: float = 0.0  # share of a core
    live: int = 0

    @property
    def cpu_p99(self) -> float:
        """The 99th percentile of all turns on a core; those that weren't noted took less than 5 ms."""
        beyond = sorted((cpu for _, cpu, _ in self.turns), reverse=True)
        rank = self.count // 100
        return beyond[rank] if rank < len(beyond) else 0.0


async def run(folder: Path, load: Load) -> Report:
    people = fill(folder, people=load.people, pictures=20_000)
    probe = folder / "turns"
    settings = {
        "USER_RUNNING": str(max(1, load.jobs)),
        "USER_WAITING": "1000",
        "PROOF_SLOTS": str(max(1, load.jobs * load.people)),
    }
    options = (f"--probe={probe}", f"--worker={WORKER}")
    async with running(folder, *options, **settings) as (studio, http):
        browsers = [Browser(http, studio.url, person) for person in people]
        report = Report()
        await _queue_up(browsers, load)
        sockets = [await browser.socket() for browser in browsers for _ in range(load.tabs)]
        reading = [asyncio.create_task(_read(socket, report)) for socket in sockets]
        await asyncio.sleep(3.0)  # until all that run have begun
        skipped, cpu = len(probe.read_text().splitlines()), studio.bot.cpu_seconds
        report.messages, began = 0, time.monotonic()
        asked = await _use(studio, browsers, load, report)
        report.cpu = (studio.bot.cpu_seconds - cpu) / (time.monotonic() - began)
        report.memory = studio.bot.memory / 2**20
        report.live = len(json.loads((await browsers[0].ask("GET", "/api/jobs"))[1])["jobs"])
        _read_probe(report, probe.read_text().splitlines()[skipped:-1])
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
    report.acknowledged = [
        1000 * (made.acknowledged - made.sent) if made.acknowledged else float("inf") for made in asked
    ]
    return report


async def _queue_up(browsers: list[Browser], load: Load) -> None:
    """The jobs that run, then those that wait; a person may ask twenty times a minute, so by repetition."""
    for browser in browsers:
        for first in range(0, load.jobs, 4):
            await _several(browser, f"a slow river of 100000 steps --repeat {min(4, load.jobs - first)}")
    for browser in browsers:
        for first in range(0, load.queued, 10):
            await _several(browser, f"a house --repeat {min(10, load.queued - first)}")


async def _several(browser: Browser, prompt: str) -> None:
    status, body = await browser.imagine(prompt, os.urandom(8).hex())
    if status == 409:
        status, body = await browser.ask("POST", f"/api/drafts/{json.loads(body)['draft']}", json={})
    assert status == 202, body


async def _read(socket: aiohttp.ClientWebSocketResponse, report: Report) -> None:
    async for _ in socket:
        report.messages += 1


async def _use(studio: Studio, browsers: list[Browser], load: Load, report: Report) -> list[Interaction]:
    """Look at pages, send pictures and type commands on Discord, until the time is over."""
    dice, asked, numbers = random.Random(7), list[Interaction](), itertools.count()

    async def page() -> None:
        browser, began = dice.choice(browsers), time.monotonic()
        status, body = await browser.ask("GET", f"/api/pictures?limit=60&skip={dice.randrange(700)}")
        report.answers[f"page {status}"] += 1
        report.pages.append(1000 * (time.monotonic() - began))
        if status == 200:
            for tile in json.loads(body)["pictures"][:THUMBNAILS]:
                report.answers[f"thumbnail {(await browser.ask('GET', tile['small']))[0]}"] += 1

    async def upload() -> None:
        browser = browsers[next(numbers) % len(browsers)]
        data = png(400, 300, tuple(dice.randrange(256) for _ in range(3)))
        status, _ = await browser.ask(
            "POST", "/api/uploads", data=data, headers={"Content-Type": "image/png"}
        )
        report.answers[f"upload {status}"] += 1

    async def command() -> None:
        asked.append(studio.discord.slash("imagine", CHANNEL, 100_000 + next(numbers), prompt="a red house"))

    await asyncio.gather(
        _often(page, load.pages, load.seconds),
        _often(upload, load.uploads, load.seconds),
        _often(command, COMMANDS, load.seconds),
    )
    await studio.discord.until(lambda: all(made.acknowledged for made in asked), 30)
    return asked


async def _often(work: Callable[[], Awaitable[None]], rate: float, seconds: float) -> None:
    """Begin ``work`` so many times a second, whether or not the last one is done."""
    tasks, began = list[asyncio.Task[None]](), time.monotonic()
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        tasks.append(asyncio.create_task(work()))
    await asyncio.gather(*tasks)


def _read_probe(report: Report, notes: list[str]) -> None:
    counts = [int(line.split()[1]) for line in notes if line.startswith("count")]
    report.count = counts[-1] - counts[0]
    report.late = [float(line.split()[1]) for line in notes if line.startswith("late")]
    for line in notes:
        if line.startswith("turn"):
            wall, cpu, _, _, what = line.split(" ", 5)[1:6]
            report.turns.append((float(wall), float(cpu), what))


def lines(report: Report, load: Load) -> list[str]:
    longest = max(report.turns, key=lambda turn: turn[1], default=(0.0, 0.0, "none"))
    return [
        (
            f"{load.people * load.tabs} sockets of {load.people} people, {load.people * load.jobs} jobs of 12"
            f" steps a second, {load.people * load.queued} waiting; {report.messages / load.seconds:.0f}"
            f" messages a second; {dict(sorted(report.answers.items()))} in {load.seconds:.0f} s"
        ),
        (
            f"{report.count} turns of the loop: on a core the longest {longest[1]:.1f} ms ({longest[2]}), p99"
            f" {'under 5' if not report.cpu_p99 else f'{report.cpu_p99:.1f}'} ms; on the clock the longest"
            f" {max((wall for wall, _, _ in report.turns), default=0):.1f} ms, late p99"
            f" {quantile(report.late, 0.99):.1f} ms"
        ),
        _spread("Discord acknowledged", report.acknowledged),
        _spread("a page's pictures as JSON", report.pages),
        (
            f"{report.memory:.0f} MB, {report.cpu:.2f} of a core; load average {os.getloadavg()[0]:.1f} on"
            f" {os.cpu_count()} cores"
        ),
    ]


def _spread(what: str, times: list[float]) -> str:
    return (
        f"{what} after p50 {quantile(times, 0.5):.0f} ms, p95 {quantile(times, 0.95):.0f} ms, p99"
        f" {quantile(times, 0.99):.0f} ms, n={len(times)}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in vars(Load()).items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    load = Load(**vars(parser.parse_args()))
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(run(Path(folder), load))
    print(*lines(report, load), sep="\n")
    longest = max((cpu for _, cpu, _ in report.turns), default=0.0)
    good = longest <= LONGEST and report.cpu_p99 <= P99 and quantile(report.acknowledged, 0.99) < ACK
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
