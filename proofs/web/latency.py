"""How soon a worker's step is on the socket of a tab, and a job of one door on the other: ``python -m
proofs.web.latency``.

Measured with open tabs that all read, then beside one that reads nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from proofs.web.load import WORKER
from proofs.web.process import CHANNEL, Browser, Studio, fill, quantile, running
from tests.support.messages import text_of
from tests.web.conftest import COOKIE

TABS = 5  # of a person
SOON, LIVE = 250.0, 1000.0  # ms
HELD = 256 * 1024  # bytes that a client that reads nothing may cost


@dataclass
class Report:
    """steps, beside: ms from a step in the worker to a socket, and that beside a client that reads nothing.
    there, here: ms from asking on Discord to the web, and the other way. grown: bytes of the bot's process
    while somebody reads nothing, and as many seconds before."""

    steps: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    there: list[float] = field(default_factory=list)
    here: list[float] = field(default_factory=list)
    grown: tuple[int, int] = (0, 0)


@dataclass
class Tab:
    """A socket, and when each step and each change came: (job, step), job → monotonic seconds."""

    steps: dict[tuple[str, int], float] = field(default_factory=dict)
    changed: dict[str, float] = field(default_factory=dict)

    async def read(self, connection: aiohttp.ClientWebSocketResponse) -> None:
        async for message in connection:
            now, news = time.monotonic(), json.loads(message.data)
            for job in news["jobs"]:
                self.changed.setdefault(job["id"], now)
                if job["state"] == "progress":
                    self.steps.setdefault((job["id"], job["step"]), now)
            for job_id in news["changed"]:
                self.changed.setdefault(job_id, now)


async def run(folder: Path, sockets: int, seconds: float, tries: int) -> Report:
    people = fill(folder, people=max(1, sockets // TABS), pictures=4000)
    noted, settings = folder / "steps", {"USER_RUNNING": "8", "PROOF_SLOTS": "16"}
    os.environ["PROOF_STEPS"] = str(noted)
    report = Report()
    async with running(folder, f"--worker={WORKER}", **settings) as (studio, http):
        browsers = [Browser(http, studio.url, person) for person in people]
        tabs = [(browser, Tab()) for browser in browsers for _ in range(TABS)]
        reading = [asyncio.create_task(tab.read(await browser.socket())) for browser, tab in tabs]
        for number, browser in enumerate(browsers):
            assert (await browser.imagine("a river of 100000 steps", f"r{number}"))[0] == 202
        await asyncio.sleep(2.0)
        first, memory = await _watched(tabs, seconds), studio.bot.memory
        report.steps = _lags(noted, first)
        await _watched(tabs, seconds)
        calm, memory = studio.bot.memory - memory, studio.bot.memory
        async with _deaf(studio, browsers[0]):
            second = await _watched(tabs, seconds)
            report.grown = studio.bot.memory - memory, calm
        report.beside = _lags(noted, second)
        await _both_ways(studio, browsers[0], tabs[0][1], tries, report)
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
    return report


async def _watched(tabs: list[tuple[Browser, Tab]], seconds: float) -> list[dict[tuple[str, int], float]]:
    """What comes within ``seconds``."""
    for _, tab in tabs:
        tab.steps.clear()
    await asyncio.sleep(seconds)
    return [dict(tab.steps) for _, tab in tabs]


def _lags(noted: Path, came: list[dict[tuple[str, int], float]]) -> list[float]:
    """Milliseconds from each step that a tab was told of to when it was told."""
    sent = {}
    for line in noted.read_text().splitlines():
        job, step, at = line.split()
        sent[job, int(step)] = float(at)
    return [1000 * (at - sent[step]) for tab in came for step, at in tab.items() if step in sent]


@asynccontextmanager
async def _deaf(studio: Studio, browser: Browser) -> AsyncIterator[None]:
    """A client that opens a socket with the smallest buffer there is, and reads nothing."""
    host, port = studio.url.removeprefix("http://").split(":")
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    await asyncio.to_thread(connection.connect, (host, int(port)))
    connection.sendall(
        (
            f"GET /api/live HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: {studio.url}\r\n"
            f"Cookie: {COOKIE}={browser.person.cookie}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode()
    )
    try:
        yield
    finally:
        connection.close()


async def _both_ways(studio: Studio, browser: Browser, tab: Tab, tries: int, report: Report) -> None:
    """Ask on Discord and look on the web's socket; ask on the web and look at /queue mine on Discord."""
    person = browser.person.id
    for number in range(tries):
        known = set(tab.changed)
        asked = studio.discord.slash("imagine", CHANNEL, person, prompt="a red house")
        async with asyncio.timeout(10):
            while not (new := [job for job in tab.changed if job not in known]):  # noqa: ASYNC110
                await asyncio.sleep(0.005)  # the socket's reader notes it
        report.there.append(1000 * (tab.changed[new[0]] - asked.sent))
        status, body = await browser.imagine("a boat of 60 steps", f"b{number}")
        answered = time.monotonic()
        assert status == 202, body
        job_id = json.loads(body)["jobs"][0]["id"]
        looked = await _queue_mine(studio, person, job_id)
        report.here.append(1000 * (looked - answered))
        await browser.ask("POST", f"/api/jobs/{job_id}/cancel", json={})


async def _queue_mine(studio: Studio, person: int, job_id: str) -> float:
    """Type /queue mine until the job stands there; when it did."""
    async with asyncio.timeout(10):
        while True:
            made = studio.discord.slash("queue mine", CHANNEL, person)
            await studio.discord.until(lambda made=made: made.message and text_of(made.message), 10)
            if job_id in text_of(made.message):
                return made.message.versions[-1][0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sockets", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--tries", type=int, default=20, help="jobs asked on each side")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(run(Path(folder), arguments.sockets, arguments.seconds, arguments.tries))
    for name, values in (
        ("a step in the worker is on a socket", report.steps),
        ("beside a client that reads nothing", report.beside),
        ("asked on Discord, on the web", report.there),
        ("asked on the web, in /queue mine on Discord", report.here),
    ):
        print(
            f"{name}: after p50 {quantile(values, 0.5):.0f} ms, p95 {quantile(values, 0.95):.0f} ms, longest"
            f" {max(values):.0f} ms, n={len(values)}"
        )
    print(
        f"a client that reads nothing: the process grew by {report.grown[0] / 1024:.0f} kB, without it by"
        f" {report.grown[1] / 1024:.0f} kB"
    )
    cost = report.grown[0] - max(0, report.grown[1])
    soon = max(quantile(report.steps, 0.95), quantile(report.beside, 0.95)) <= SOON
    live = max(*report.there, *report.here) <= LIVE
    return 0 if soon and live and cost <= HELD else 1


if __name__ == "__main__":
    sys.exit(main())
