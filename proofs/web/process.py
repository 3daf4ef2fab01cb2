"""A studio with people and pictures in its database, and the bot as a process of its own, its web open."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import random
import secrets
import socket
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from PIL import Image

from core.job import new_job_id
from core.requests import ImagineRequest, to_json
from core.settings import ROOT
from storage.blobs.local import Folder
from storage.sessions import hash_of
from storage.tokens import PREFIX
from studio.library.rendition import SIZES
from studio.moderation.moderator import PictureCheck
from studio.programs import Scope
from tests.studio.conftest import png
from tests.support.fresh import fresh_database
from tests.web.conftest import COOKIE
from tests.wire.discord import GUILD, Discord
from tests.wire.process import BotProcess

FIRST = 700_000  # id of the first person
CHANNEL = GUILD + 1
WORDS = ("red", "blue", "boat", "house", "river", "winter", "tower", "garden", "lantern", "storm")
EACH = 4  # pictures of a job
SIDE = 512  # px
PATIENCE = 60.0  # seconds for the web to open
_JOB = """INSERT INTO jobs (id, request, prompt, user_id, channel_id, guild_id, created_at, started_at,
    rendered_at, finished_at, delivered_at, kind, cost_key, status, lane, max_running, file_limit, private,
    roles, parameters) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'imagine', 'imagine||image', 'delivered',
    'fast', 3, 10000000, 0, '[]', '{}')"""
_PICTURE = "INSERT INTO pictures VALUES (?, ?, ?, 'image/png', ?, ?, ?, ?)"
_SCORE = "INSERT INTO picture_scores VALUES (?, ?, 0.0)"
_SESSION = "INSERT INTO sessions VALUES (?, ?, ?, ?, 'a proof', ?, ?)"

_TOKEN = """INSERT INTO api_tokens (token_hash, id, user_id, name, label, scopes, created_at, ends_at,
    used_from) VALUES (?, ?, ?, ?, ?, ?, ?, ?, '')"""


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in. cookie: the token of their session."""

    id: int
    cookie: str


def fill(folder: Path, *, people: int, pictures: int, files: int = 200) -> list[Person]:
    """Make a database in ``folder`` in which ``people`` are signed in and ``pictures`` are spread among them
    over two years; ``files`` different ones, which have been judged fit and have their small copies."""
    fresh_database(folder / "atelier.db")
    stored, judge = _files(folder, files), PictureCheck("").name
    dice, now = random.Random(5), time.time()
    signed_in = [Person(FIRST + number, secrets.token_urlsafe(32)) for number in range(people)]
    with closing(sqlite3.connect(folder / "atelier.db")) as db, db:
        db.executemany(_SCORE, [(name, judge) for name in stored])
        for person in signed_in:
            digest = hashlib.sha256(person.cookie.encode()).hexdigest()
            db.execute(_SESSION, (digest, new_job_id(), person.id, f"person {person.id}", *[_micro(now)] * 2))
        for number in range(pictures // EACH):
            at = [_micro(now - 63_000_000 * (1 - number * EACH / max(1, pictures)))] * 5
            words, job_id = " ".join(dice.sample(WORDS, 4)), new_job_id()
            owner = signed_in[number % people].id
            request = to_json(ImagineRequest(prompt=words, seed=number))
            db.execute(_JOB, (job_id, request, words, owner, CHANNEL, GUILD, *at))
            names = dice.sample(stored, EACH)
            db.executemany(
                _PICTURE, [(job_id, k, name, SIDE, SIDE, number + k, 3000) for k, name in enumerate(names)]
            )
    return signed_in


def _files(folder: Path, count: int) -> list[str]:
    files = Folder(folder / "pictures", ballast_bytes=2**16, derived=folder / "cache" / "derived")
    dice, small = random.Random(6), _small()
    colours = [tuple(dice.randrange(256) for _ in range(3)) for _ in range(count)]

    async def put() -> list[str]:
        names = [await files.put(png(SIDE, SIDE, colour), "image/png") for colour in colours]
        for name in names:
            for side in SIZES:
                await files.put_derived(name, f"{side}.webp", small)
        return names

    with ThreadPoolExecutor(1) as aside:  # of an event loop that may run here
        return aside.submit(asyncio.run, put()).result()


def _small() -> bytes:
    """A small copy of the usual size, some 10 kB."""
    out, dice = io.BytesIO(), random.Random(8)
    coarse = Image.frombytes("RGB", (64, 64), dice.randbytes(3 * 64 * 64))
    coarse.resize((256, 256), Image.Resampling.BICUBIC).save(out, "WEBP", quality=60)
    return out.getvalue()


def _micro(seconds: float) -> int:
    return int(seconds * 1_000_000)


def free_port() -> int:
    with closing(socket.socket()) as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


@dataclass
class Studio:
    """The running bot, and the address of its web."""

    discord: Discord
    bot: BotProcess
    url: str

    async def until_open(self, http: aiohttp.ClientSession) -> None:
        """Wait until the web answers."""
        async with asyncio.timeout(PATIENCE):
            while True:
                with suppress(aiohttp.ClientError, OSError):
                    async with http.get(f"{self.url}/in") as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.02)  # another process's: nothing tells us


@asynccontextmanager
async def running(
    folder: Path, *options: str, process: type[BotProcess] = BotProcess, **settings: str
) -> AsyncIterator[tuple[Studio, aiohttp.ClientSession]]:
    """The bot with its web open, beside a Discord of the tests. ``options``: of ``proofs.wire.launch``."""
    port = free_port()
    everybody = aiohttp.TCPConnector(limit=0)  # as many connections at once as there are tabs and pages
    jar = aiohttp.DummyCookieJar()
    async with Discord() as discord, aiohttp.ClientSession(connector=everybody, cookie_jar=jar) as http:
        async with process(discord, folder, *options, WEB_PORT=str(port), **settings) as bot:
            studio = Studio(discord, bot, f"http://127.0.0.1:{port}")
            await studio.until_open(http)
            yield studio, http


async def _printed_address(process: asyncio.subprocess.Process) -> str:
    """Where the studio is, as the sandbox prints it."""
    assert process.stdout is not None
    async for line in process.stdout:
        if b"studio: http" in line:
            return line.decode().split("studio: ")[1].strip()
    raise SystemExit("the sandbox ended")


@asynccontextmanager
async def sandbox(folder: Path) -> AsyncIterator[str]:
    """Run the sandbox with its data in ``folder``; yields the address that signs somebody in."""
    environment = os.environ | {"DATA_DIR": str(folder), "OPEN_BROWSER": "off", "DISK_FLOOR_MB": "0"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-u", "-m", "bot", cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield await _printed_address(process)
    finally:
        process.terminate()
        await process.wait()


async def made(page: Any, address: str, prompts: Sequence[str]) -> None:
    """Sign in and wait for every prompt's pictures."""
    await page.goto(address)
    await page.wait_for_selector("#bar-prompt")
    for number, prompt in enumerate(prompts, 1):
        await page.locator("#bar-prompt").fill(prompt)
        await page.locator("#bar-prompt").press("Enter")
        ready = page.locator(".job:not([aria-busy=true]) .cell a")
        await ready.nth(number * 4 - 1).wait_for(timeout=240_000)


class Browser:
    """A person's browser."""

    def __init__(self, http: aiohttp.ClientSession, url: str, person: Person) -> None:
        self.http, self.url, self.person = http, url, person
        self.headers = {"Origin": url, "Cookie": f"{COOKIE}={person.cookie}"}

    async def ask(self, method: str, path: str, **kw: Any) -> tuple[int, bytes]:
        headers = self.headers | kw.pop("headers", {})
        async with self.http.request(method, self.url + path, headers=headers, **kw) as answer:
            return answer.status, await answer.read()

    async def imagine(self, prompt: str, key: str) -> tuple[int, bytes]:
        return await self.ask("POST", "/api/jobs", json={"prompt": prompt, "key": key})

    async def socket(self) -> aiohttp.ClientWebSocketResponse:
        return await self.http.ws_connect(f"{self.url}/api/live", headers=self.headers)


class Program(Browser):
    """A program of a person's, which names its calls by ``Idempotency-Key``."""

    def __init__(self, http: aiohttp.ClientSession, url: str, person: Person, token: str) -> None:
        super().__init__(http, url, person)
        self.headers = {"Authorization": f"Bearer {token}"}

    async def imagine(self, prompt: str, key: str) -> tuple[int, bytes]:
        return await self.ask("POST", "/api/jobs", json={"prompt": prompt}, headers={"Idempotency-Key": key})


def token_of(folder: Path, person: Person) -> str:
    """A token of a person's that opens all, for the bot that has not begun yet."""
    secret, now = PREFIX + secrets.token_urlsafe(32), time.time()
    row = (hash_of(secret), new_job_id(), person.id, f"person {person.id}", "a proof", " ".join(Scope))
    with closing(sqlite3.connect(folder / "atelier.db")) as db, db:
        db.execute(_TOKEN, (*row, _micro(now), _micro(now + 86_400)))
    return secret


def quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def rows(folder: Path, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """What the database holds, read from outside."""
    with closing(sqlite3.connect(f"file:{folder / 'atelier.db'}?mode=ro", uri=True)) as db:
        return db.execute(statement, values).fetchall()
