"""What the bot's process bears: ``python -m proofs.web.strain``. Many requests of every status leave
nothing behind in memory; many people who upload large videos slowly cost it little, and others' pages wait no
longer than twice as long."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from proofs.web.load import WORKER
from proofs.web.process import Browser, Person, Studio, fill, quantile, running
from tests.web.conftest import COOKIE

MIB = 2**20
PIECE = 64 * 1024  # bytes that an uploader sends at a time
CLIENTS, ADDRESSES = 16, 400  # that ask at once, and where strangers come from
PAGES = ("/", "/pictures", "/queue", "/settings", "/api/pictures?limit=60")
EVERY = {200, 304, 400, 401, 403, 404, 405, 413, 415, 421, 429, 500}
BROKEN = "studio.library.gallery:Gallery.preview"  # fails whenever it is asked
KEPT, GROWN, SLOWER = 5.0, 60.0, 2.0  # MiB after refusals; MiB while people upload; times


@dataclass
class Report:
    """kept: MiB more after all requests. grown: MiB more at most while people upload. calm, busy: ms of
    others' pages before and while they do. ends: how uploads were answered."""

    statuses: Counter[int] = field(default_factory=Counter)
    kept: float = 0.0
    grown: float = 0.0
    calm: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    ends: Counter[int] = field(default_factory=Counter)


async def run(folder: Path, requests: int, people: int, size: int, seconds: float) -> Report:
    signed_in = fill(folder, people=people + 4, pictures=4000)
    report = Report()
    options = [f"--worker={WORKER}", *([f"--broken={BROKEN}"] if requests else [])]
    async with running(folder, *options) as (studio, http):
        browsers = [Browser(http, studio.url, person) for person in signed_in]
        if requests:
            small = [await _small_copy(browser) for browser in browsers]
            await _asked(browsers, small, max(2000, requests // 10), Counter())
            before = studio.bot.memory
            await _asked(browsers, small, requests, report.statuses)
            report.kept = (studio.bot.memory - before) / MIB
        if people:
            await _uploading(studio, browsers[people:], signed_in[:people], size, seconds, report)
    return report


async def _small_copy(browser: Browser) -> tuple[str, str]:
    """Return the address of a small copy of somebody's picture, and its ETag."""
    _, body = await browser.ask("GET", "/api/pictures?limit=1")
    path = json.loads(body)["pictures"][0]["small"]
    async with browser.http.get(browser.url + path, headers=browser.headers) as answer:
        return path, answer.headers["ETag"]


async def _asked(
    browsers: list[Browser], small: list[tuple[str, str]], requests: int, statuses: Counter[int]
) -> None:
    """Ask for what is there, and for what isn't, isn't theirs, is too much or can't be read: strangers and
    members. small: address and ETag of a picture of each."""
    left = iter(range(requests))

    async def client(number: int) -> None:
        dice, member = random.Random(number), browsers[number % len(browsers)]
        path_of_small, etag = small[number % len(browsers)]
        for _ in left:
            stranger = {"X-Forwarded-For": f"203.0.{dice.randrange(ADDRESSES // 100)}.{dice.randrange(100)}"}
            method, path, more = dice.choice(
                (
                    ("GET", path_of_small, {}),
                    ("GET", path_of_small, {"headers": {"If-None-Match": etag}}),
                    ("GET", "/api/pictures?limit=60", {}),
                    ("GET", "/s/" + "A" * 43, {"headers": {**stranger, "Cookie": ""}}),
                    ("GET", "/api/jobs", {"headers": {**stranger, "Cookie": ""}}),
                    ("GET", "/none", {"headers": {**stranger, "Cookie": ""}}),
                    ("POST", "/api/sign-in/look", {"json": {"token": "x" * 43}, "headers": {**stranger}}),
                    ("PUT", "/api/jobs", {}),
                    ("GET", "/previews/abcd2345efgh/1", {}),  # which fails: see BROKEN
                    ("POST", "/api/folders", {"json": {}, "headers": {"Origin": "https://example.org"}}),
                    ("POST", "/api/folders", {"json": {"name": "a" * 70_000}}),
                    ("GET", path_of_small, {"headers": {"Host": "example.org"}}),
                    ("GET", "/pictures/abcd2345efgh/1", {}),
                    ("GET", "/api/pictures?before=x", {}),
                    ("POST", "/api/projects/abcd2345efgh/remove", {"json": {"pictures": ["a" * 64]}}),
                    ("POST", "/api/folders", {"data": b"[" * 60_000, "headers": {"Content-Type": "x/y"}}),
                )
            )
            status, _ = await member.ask(method, path, **more)
            statuses[status] += 1

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))


async def _uploading(
    studio: Studio, others: list[Browser], people: list[Person], size: int, seconds: float, report: Report
) -> None:
    await _look(others, 2.0)  # what is compiled and read once
    report.calm = await _look(others, seconds / 2)
    before, highest = studio.bot.memory, 0
    work = [asyncio.create_task(_upload(studio, person, size, seconds)) for person in people]
    done = asyncio.gather(*work)
    while not done.done():
        report.busy += await _look(others, 1.0)
        highest = max(highest, studio.bot.memory)
    report.ends.update(done.result())
    report.grown = (highest - before) / MIB


async def _upload(studio: Studio, person: Person, size: int, seconds: float) -> int:
    """Send a video of ``size`` bytes evenly over some seconds; return the status of the answer."""
    host = studio.url.removeprefix("http://")
    reader, writer = await asyncio.open_connection(*host.split(":"))
    head = f"POST /api/clips HTTP/1.1\r\nHost: {host}\r\nOrigin: {studio.url}\r\nConnection: close\r\n"
    head += f"Cookie: {COOKIE}={person.cookie}\r\nContent-Type: video/mp4\r\nContent-Length: {size}\r\n\r\n"
    writer.write(head.encode())
    began, sent, piece = time.monotonic(), 0, bytes(PIECE)
    while sent < size:
        writer.write(piece[: size - sent])
        await writer.drain()
        sent += min(PIECE, size - sent)
        await asyncio.sleep(max(0.0, began + seconds * sent / size - time.monotonic()))
    answer = await reader.read()
    writer.close()
    return int(answer.split(b" ", 2)[1])


async def _look(others: list[Browser], seconds: float) -> list[float]:
    """Return the milliseconds that others' pages took, one after the other."""
    found, until = list[float](), time.monotonic() + seconds
    while time.monotonic() < until:
        for number, path in enumerate(PAGES):
            began = time.perf_counter()
            status, _ = await others[number % len(others)].ask("GET", path)
            assert status == HTTPStatus.OK, (path, status)
            found.append(1000 * (time.perf_counter() - began))
            await asyncio.sleep(0.02)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--mib", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=90.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = run(Path(folder), given.requests, given.people, given.mib * MIB, given.seconds)
        report = asyncio.run(work)
    calm, busy = quantile(report.calm, 0.95), quantile(report.busy, 0.95)
    refused = dict(sorted(report.statuses.items()))
    print(f"{given.requests} requests ended so: {refused}; {report.kept:.1f} MiB more in memory")
    print(
        f"{given.people} people uploaded {given.mib} MiB each in {given.seconds:g} s, ended so:"
        f" {dict(report.ends)}; {report.grown:.1f} MiB more in memory at most; {len(report.busy)} pages of"
        f" others: p95 {calm:.0f} ms before, {busy:.0f} ms beside them"
    )
    wrong = EVERY ^ set(report.statuses) if given.requests else ()
    slow = bool(given.people) and busy > SLOWER * calm
    good = report.kept <= KEPT and report.grown <= GROWN and set(report.ends) <= {422}
    return 0 if good and not slow and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
