"""kill -9 of the bot while people ask on the web, again and again: ``python -m proofs.web.kills``.

Each wish has a key, and whoever hears nothing asks once more with the same key, as the page does. Every wish
must become exactly one job that ends, and the page must be right again soon after each start. Every tenth
life is a Python of its own; the others are forked, which is sooner.
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
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from jobs.runs import CUT_OFF, GAVE_UP
from proofs.web.process import Browser, Program, Studio, fill, free_port, quantile, rows, token_of
from proofs.wire.launch import CRASHES
from tests.support.messages import text_of
from tests.wire.discord import Discord
from tests.wire.forked import ForkedBot
from tests.wire.process import BotProcess

POINTS = ("acknowledged", "row written", "job claimed", "files saved", "job rendered")
KINDS = (*POINTS, *["random"] * 5)
PROMPTS = ("a red house", "a blue boat", "a slow river", "a {red, blue} boat --sheet")
AT_ONCE = 3  # wishes
LONGEST = 0.8  # seconds until a kill at random
RIGHT = 5.0  # seconds from the start to a page that is right
PATIENCE = 60.0  # seconds for a point to be reached, and for the last jobs to end
PYTHON_EVERY = 10


@dataclass
class Report:
    """failed: jobs that were told to have failed: three or ten kills met them while they were drawn. right:
    seconds from a start to a page that shows all, of lives of a Python of their own and forked ones."""

    kills: Counter[str] = field(default_factory=Counter)
    wishes: int = 0
    jobs: int = 0
    failed: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    right: dict[bool, list[float]] = field(default_factory=lambda: {True: [], False: []})
    seconds: float = 0.0


class Killer:
    """One folder and one person, many lives of the bot. heard: key of a wish → id of its job."""

    def __init__(self, folder: Path, discord: Discord, browser: Browser, port: int, seed: int) -> None:
        self.folder, self.discord, self.browser, self.port = folder, discord, browser, port
        self.dice, self.report = random.Random(seed), Report()
        self.heard: dict[str, str] = {}
        self.unheard: dict[str, str] = {}
        self.sheets = set[str]()  # keys of wishes for drafts
        self._numbers = itertools.count()

    def bot(self, *, python: bool) -> BotProcess:
        kind = BotProcess if python else ForkedBot
        # the Discord of the tests knows no member: a studio of members alone would refuse all
        return kind(self.discord, self.folder, WEB_PORT=str(self.port), WEB_MEMBERS="everyone")

    async def life(self, kind: str, *, python: bool) -> None:
        """A life of the bot that ends at ``kind``."""
        bot, began = self.bot(python=python), time.monotonic()
        crash = [f"--crash={kind}"] if kind in CRASHES else []
        await bot.spawn(*crash)
        ended = asyncio.create_task(bot.ended())
        opening = asyncio.create_task(self._open(bot, began, python))
        try:
            await asyncio.wait({ended, opening}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                await opening
                await self._ask_until(ended, kind)
        finally:
            opening.cancel()
            with suppress(ProcessLookupError):
                os.killpg(bot.process.pid, signal.SIGKILL)
            await ended
        self.report.kills[kind] += 1

    async def _open(self, bot: BotProcess, began: float, python: bool) -> None:
        """Wait for the page, and see whether it shows every job that was heard of."""
        studio = Studio(self.discord, bot, self.browser.url)
        await studio.until_open(self.browser.http)
        with suppress(aiohttp.ClientError, OSError):
            status, body = await self.browser.ask("GET", "/api/jobs")
            self.report.right[python].append(time.monotonic() - began)
            shown = {job["id"] for job in json.loads(body)["jobs"]} if status == 200 else set()
            for job_id in [one for one in list(self.heard.values())[-15:] if one not in shown]:
                # of those that wait, a page shows the next ones
                status, _ = await self.browser.ask("GET", f"/api/jobs/{job_id}")
                self.report.wrong += [job_id] * (status != 200)

    async def _ask_until(self, ended: asyncio.Task[None], kind: str) -> None:
        asking = [asyncio.create_task(self._keep_asking()) for _ in range(AT_ONCE)]
        patience = self.dice.uniform(0, LONGEST) if kind == "random" else PATIENCE
        await asyncio.wait({ended}, timeout=patience)
        for task in asking:
            task.cancel()
        for ended_by in await asyncio.gather(*asking, return_exceptions=True):
            if isinstance(ended_by, Exception):
                raise ended_by

    async def _keep_asking(self) -> None:
        """Ask, and ask again for what wasn't heard, until nobody answers."""
        with suppress(aiohttp.ClientError, OSError):
            while True:
                key = next(iter(self.unheard), None) or f"wish-{next(self._numbers)}"
                prompt = self.unheard.pop(key, None) or self.dice.choice(PROMPTS)
                try:
                    job_id = await self._wish(key, prompt)
                except BaseException:
                    self.unheard[key] = prompt
                    raise
                if self.heard.setdefault(key, job_id) != job_id:
                    self.report.doubled.append(key)
                await asyncio.sleep(0.05)

    async def _wish(self, key: str, prompt: str) -> str:
        if "--sheet" in prompt:
            self.sheets.add(key)
        while True:
            status, body = await self.browser.imagine(prompt, key)
            if status == 202:
                return json.loads(body)["jobs"][0]["id"]
            assert status in (429, 503), (status, body)
            await asyncio.sleep(0.3)  # the bucket of this life is empty

    async def settle(self) -> None:
        """A last life, until every wish is heard and every job has ended. Raises TimeoutError when none has
        for a minute."""
        async with self.bot(python=False) as bot:
            await Studio(self.discord, bot, self.browser.url).until_open(self.browser.http)
            async with asyncio.timeout(PATIENCE):
                for key, prompt in list(self.unheard.items()):
                    self.heard.setdefault(key, await self._wish(key, prompt))
            while left := self._left():
                async with asyncio.timeout(PATIENCE):
                    while self._left() == left:  # noqa: ASYNC110  another process's: nothing tells us
                        await asyncio.sleep(0.2)

    def _left(self) -> int:
        """How many jobs have not ended."""
        [(left,)] = rows(self.folder, "SELECT count(*) FROM jobs WHERE delivered_at IS NULL")
        return left

    def count(self) -> Report:
        report = self.report
        made = rows(
            self.folder,
            "SELECT request_key, id, status, (SELECT count(*) FROM pictures p WHERE p.job_id = jobs.id AND"
            " position >= 0), attempts, error FROM jobs WHERE surface = 'web'",
        )
        jobs = {key.split(":")[1]: tuple(rest) for key, *rest in made}
        report.wishes, report.jobs = len(self.heard), len(made)
        for key, job_id in self.heard.items():
            found, status, pictures, attempts, error = jobs.get(key, ("", "", 0, 0, ""))
            if found == job_id and status == "failed" and error in (GAVE_UP, CUT_OFF):
                report.failed += 1
            elif (found, status, pictures) != (job_id, "delivered", 24 if key in self.sheets else 4):
                report.lost.append(
                    f"{key}: job {job_id}, found {found or 'none'}, {status}, {pictures} pictures,"
                    f" {attempts} attempts, {error}"
                )
        report.doubled += [key for key in jobs if key not in self.heard]
        told = " ".join(text_of(message) for message in self.discord.messages.values())
        report.doubled += [job_id for job_id, *_ in jobs.values() if job_id in told]
        return report


async def run(
    folder: Path, kinds: list[str], *, seed: int = 1, python_every: int = PYTHON_EVERY, programs: bool = False
) -> Report:
    """One kill for each of ``kinds``. programs: who asks is one."""
    began, [person] = time.monotonic(), fill(folder, people=1, pictures=0, files=0)
    port = free_port()
    async with Discord() as discord, aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        browser = Browser(http, f"http://127.0.0.1:{port}", person)
        if programs:
            browser = Program(http, browser.url, person, token_of(folder, person))
        killer = Killer(folder, discord, browser, port, seed)
        for number, kind in enumerate(kinds, 1):
            await killer.life(kind, python=number % python_every == 0)
        await killer.settle()
        report = killer.count()
    report.seconds = time.monotonic() - began
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--programs", action="store_true", help="by a token, with Idempotency-Key")
    arguments = parser.parse_args()
    kinds = (list(KINDS) * (arguments.kills // len(KINDS) + 1))[: arguments.kills]
    random.Random(arguments.seed).shuffle(kinds)
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(run(Path(folder), kinds, seed=arguments.seed, programs=arguments.programs))
    print(
        f"{report.kills.total()} kills in {report.seconds:.0f} s {dict(report.kills)}: {report.wishes}"
        f" wishes, {report.jobs} jobs, {report.failed} told as failed after many kills,"
        f" {len(report.lost)} lost, {len(report.doubled)} doubled,"
        f" {len(report.wrong)} missing on a page after a start"
    )
    for lost in report.lost:
        print(lost)
    for python, name in ((True, "a start"), (False, "a forked start")):
        right = report.right[python]
        print(
            f"the page is right again after {name}: p50 {quantile(right, 0.5):.2f} s, p99"
            f" {quantile(right, 0.99):.2f} s, longest {max(right, default=0):.2f} s, n={len(right)}"
        )
    slow = max((at for times in report.right.values() for at in times), default=0.0) > RIGHT
    return 1 if report.lost or report.doubled or report.wrong or slow else 0


if __name__ == "__main__":
    sys.exit(main())
