"""kill -9 of the bot while somebody paints and sends edits: ``python -m proofs.web.edit_kills``.

Each stroke is saved at once over the version that the page knows, as the page's autosave does; whoever hears
nothing reads the document and goes on from there, and begins another one before it is full. What was heard of
must be there after each start, every version must be what was sent as that version, in the end each stroke
must be there once, in its order, and none may be missing after a kill for which the server had 2 s.
Every edit has a key and must become exactly one job that ends.

Seconds are those in which this process ran: a machine that is held up holds up the bot as well.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import signal
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from proofs.web.process import Browser, Studio, fill, free_port, quantile, rows
from studio.editor.document import MOST_STROKES
from tests.wire.discord import Discord
from tests.wire.forked import ForkedBot
from tests.wire.process import BotProcess

LONGEST = 3.0  # seconds until a kill, from the page's being right again
PATIENCE = 60.0  # seconds for the last jobs to end
PYTHON_EVERY = 10
SIDE = 64  # px of the pictures that the worker here draws
FULL = MOST_STROKES - 100  # strokes of a document, before the page begins another one
OLD = 2.0  # seconds after which a stroke has to be there, whatever becomes of the page
BEAT, LONGEST_BEAT = 0.05, 0.5  # seconds between two looks at the clock, and what counts of one
BUSY = (429, 503)
DOWN = (aiohttp.ClientError, OSError)
MADE = """SELECT request_key, id, status, status = 'failed' AND attempts = 3 AND error IS NOT NULL FROM jobs
    WHERE request_key LIKE 'web:edit-%'"""


@dataclass
class Report:
    """What was painted, and what is wrong. given_up: edits that were told to have failed, as three kills in a
    row met them while they were drawn. unsaved: of each stroke that wasn't there after a kill, seconds
    that the server had for it: from the stroke, or from its own start, to the kill."""

    kills: int = 0
    documents: int = 0
    strokes: int = 0
    edits: int = 0
    given_up: int = 0
    wrong: list[str] = field(default_factory=list)
    unsaved: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def lost(self) -> int:
        """How many strokes the server had 2 s for, and weren't there."""
        return sum(age > OLD for age in self.unsaved)


class Clock:
    """Counts the seconds in which this process ran."""

    def __init__(self) -> None:
        self.now = 0.0

    async def run(self) -> None:
        """Count on, without end."""
        before = time.monotonic()
        while True:
            await asyncio.sleep(BEAT)
            now = time.monotonic()
            self.now += min(now - before, LONGEST_BEAT)
            before = now


class Page:
    """The editor's page of one person. strokes: all that were painted in its document, each with its time.
    version, saved: of the document as the server has said last. full: the documents before. opened, killed:
    when the server was, last. most: strokes of a document."""

    def __init__(self, browser: Browser, seed: int, most: int = FULL) -> None:
        self.browser, self.dice, self.report, self.most = browser, random.Random(seed), Report(), most
        self.clock = Clock()
        self.strokes: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.full: dict[str, list[dict[str, Any]]] = {}
        self.opened = self.killed = 0.0
        self.document, self.job = "", ""
        self.version, self.saved = 0, 0
        self.jobs: dict[str, str] = {}
        self.unheard: list[str] = []
        self._keys = itertools.count()
        self.right = asyncio.Event()

    async def _ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        while True:
            kw: dict[str, Any] = {"headers": headers} | ({} if body is None else {"json": body})
            status, data = await self.browser.ask(method, path, **kw)
            if status not in BUSY:
                return status, json.loads(data)
            await asyncio.sleep(0.2)

    async def begin(self) -> None:
        """Have a picture drawn, and open a document over it."""
        status, body = await self.browser.imagine("a red house", "first")
        assert status == 202, body
        self.job = json.loads(body)["jobs"][0]["id"]
        async with asyncio.timeout(PATIENCE):
            while not (await self._ask("GET", f"/api/jobs/{self.job}"))[1]["over"]:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        await self.turn()

    async def turn(self) -> None:
        """Open a document without strokes over the picture; the one before stays as it is."""
        status, made = await self._ask("POST", "/api/documents", {"document": self._whole(0)})
        assert status == 201, made
        if self.document:
            self.full[self.document] = self.strokes
        self.document, self.version, self.saved = made["id"], 1, 0
        self.strokes, self.times = [], []

    def _whole(self, count: int) -> dict[str, Any]:
        layer = {"id": "a", "source": {"job": self.job, "n": 1}}
        mask = {"base": None, "strokes": self.strokes[:count]}
        return {"v": 1, "width": SIDE, "height": SIDE, "layers": [layer], "mask": mask, "images": 1}

    async def open(self) -> None:
        """Read the document as a page does that has heard nothing; compare it with what was said and sent."""
        found = await self._read(self.document)
        there = found["document"]["mask"]["strokes"]
        if found["version"] < self.version or len(there) < self.saved:
            self.report.wrong.append(f"version {self.version} was heard, {found['version']} is there")
        if there != self.strokes[: len(there)]:
            self.report.wrong.append(f"version {found['version']} was never sent")
        ages = [self.killed - max(at, self.opened) for at in self.times[len(there) :]]
        self.report.unsaved += [max(0.0, age) for age in ages]
        self.version, self.saved, self.opened = found["version"], len(there), self.clock.now

    async def _read(self, document: str) -> dict[str, Any]:
        status, found = await self._ask("GET", f"/api/documents/{document}")
        assert status == 200, found
        return dict(found)

    async def check_full(self) -> None:
        """Compare each document that is full with what was painted in it."""
        for document, strokes in self.full.items():
            if (await self._read(document))["document"]["mask"]["strokes"] != strokes:
                self.report.wrong.append(f"{document} was full, and is another")

    async def paint(self) -> None:
        """Paint and save, and beside it send an edit after the other, until nobody answers."""
        with suppress(*DOWN):
            await self.open()
            self.right.set()
            await asyncio.gather(self._keep_saving(), self._keep_editing())

    async def _keep_saving(self) -> None:
        with suppress(*DOWN):
            while True:
                await self.save()
                await asyncio.sleep(0.05)

    async def _keep_editing(self) -> None:
        with suppress(*DOWN):
            while True:
                if not self.unheard:
                    self.unheard.append(f"edit-{next(self._keys)}")
                await self._edit(self.unheard[0])

    async def save(self) -> None:
        """Send what the server hasn't got; without anything, paint a stroke first."""
        if self.saved == len(self.strokes) >= self.most:
            await self.turn()
        if self.saved == len(self.strokes):
            at = [8 * self.dice.randrange(SIDE) + 4 for _ in range(2)]
            self.strokes.append({"tool": "brush", "value": 1, "r": [40], "at": at, "xy": ""})
            self.times.append(self.clock.now)
        sent = {"keep": self.saved, "strokes": self.strokes[self.saved :]}
        path, known = f"/api/documents/{self.document}", f'"{self.version}"'
        status, said = await self._ask("PATCH", path, sent, **{"If-Match": known})
        assert status == 200, said
        self.version, self.saved = said["version"], len(self.strokes)

    async def _edit(self, key: str) -> None:
        whole = {**self._whole(4), "words": f"a boat, {key}"}
        status, said = await self._ask("POST", "/api/edits", {"document": whole, "key": key})
        assert status == 202, said
        job_id = said["jobs"][0]["id"]
        if self.jobs.setdefault(key, job_id) != job_id:
            self.report.wrong.append(f"{key} was queued twice")
        self.unheard.remove(key)


async def life(bot: BotProcess, discord: Discord, page: Page) -> None:
    """A life of the bot, which is killed while the page saves."""
    page.right.clear()
    await bot.spawn()
    ended = asyncio.create_task(bot.ended())
    try:
        await Studio(discord, bot, page.browser.url).until_open(page.browser.http)
        painting = asyncio.create_task(page.paint())
        right = asyncio.create_task(page.right.wait())
        await asyncio.wait({ended, painting, right}, return_when=asyncio.FIRST_COMPLETED)
        right.cancel()
        await asyncio.wait({ended, painting}, timeout=page.dice.uniform(0, LONGEST))
    finally:
        with suppress(ProcessLookupError):
            os.killpg(bot.process.pid, signal.SIGKILL)
        page.killed = page.clock.now
        await ended
    await painting  # raises what was answered wrongly
    page.report.kills += 1


async def settle(page: Page, folder: Path) -> None:
    """Save the rest, hear of every edit, and count what has become of them."""
    await page.open()
    if page.saved < len(page.strokes):
        await page.save()
    for key in list(page.unheard):
        await page._edit(key)
    await page.open()
    await page.check_full()
    report = page.report
    report.documents, report.edits = len(page.full) + 1, len(page.jobs)
    report.strokes = len(page.strokes) + sum(map(len, page.full.values()))
    if page.saved != len(page.strokes):
        report.wrong.append(f"{page.saved} of {len(page.strokes)} strokes are there")
    left = "SELECT 1 FROM jobs WHERE delivered_at IS NULL LIMIT 1"
    async with asyncio.timeout(PATIENCE):
        while rows(folder, left):  # noqa: ASYNC110  another process's: nothing tells us
            await asyncio.sleep(0.1)
    report.wrong += ended_wrongly(page, rows(folder, MADE))


def ended_wrongly(page: Page, made: list[tuple[Any, ...]]) -> list[str]:
    """Return what is wrong with the jobs that edits became, and count those that were given up. made: of
    each, its request key, id and status, and whether it was given up."""
    there = {key.split(":")[1]: tuple(rest) for key, *rest in made}
    given_up = [key for key, job in page.jobs.items() if there.get(key) == (job, "failed", 1)]
    page.report.given_up = len(given_up)
    wanted = {key: (job, "delivered", 0) for key, job in page.jobs.items() if key not in given_up}
    wrong = [f"{key} became {there.get(key)}" for key in wanted if there.get(key) != wanted[key]]
    return wrong + [f"{key} is nobody's" for key in there if key not in page.jobs]


async def run(folder: Path, kills: int, seed: int = 1, python_every: int = PYTHON_EVERY) -> Report:
    """Kill so often."""
    began, [person], port = time.monotonic(), fill(folder, people=1, pictures=0), free_port()
    settings = {"WEB_PORT": str(port)}
    async with Discord() as discord, aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        page = Page(Browser(http, f"http://127.0.0.1:{port}", person), seed)
        ticking = asyncio.create_task(page.clock.run())
        async with ForkedBot(discord, folder, **settings) as bot:
            await Studio(discord, bot, page.browser.url).until_open(http)
            await page.begin()
        for number in range(1, kills + 1):
            kind = ForkedBot if number % python_every else BotProcess
            await life(kind(discord, folder, **settings), discord, page)
        async with ForkedBot(discord, folder, **settings) as bot:
            await Studio(discord, bot, page.browser.url).until_open(http)
            await settle(page, folder)
        ticking.cancel()
    page.report.seconds = time.monotonic() - began
    return page.report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(run(Path(folder), given.kills, given.seed))
    print(
        f"{report.kills} kills in {report.seconds:.0f} s: {report.strokes} strokes in {report.documents}"
        f" documents, {report.edits} edits, {report.given_up} of them told as failed after three kills,"
        f" {len(report.wrong)} wrong"
    )
    unsaved = report.unsaved
    print(f"{report.lost} strokes older than {OLD:g} s lost in {report.kills} kills")
    print(
        f"on their way when one came, and sent again by the page: {len(unsaved)} strokes,"
        f" p50 {quantile(unsaved, 0.5):.2f} s, longest {max(unsaved, default=0):.2f} s old"
    )
    for words in report.wrong[:10]:
        print(f"  {words}")
    return int(bool(report.wrong or report.lost))


if __name__ == "__main__":
    sys.exit(main())
