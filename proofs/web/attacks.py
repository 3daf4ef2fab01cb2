"""Attacks in numbers: ``python -m proofs.web.attacks`` uses one link a thousand times at once, sends
every hostile picture, floods the studio, and looks for canaries in its log."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import logging
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from unittest import mock

from core.redact import RedactingFormatter
from host.process import redactor
from studio.requests.prompts import Requests
from tests.security.hostile import known, mutated
from tests.studio.conftest import png
from tests.web.conftest import COOKIE, Browser, Site, open_site
from web import guard

USES, PICTURES, CLIENTS = 1000, 300, 200


async def links(site: Site) -> tuple[bool, str]:
    """One link, a thousand browsers at once."""
    token = (await site.opened.services.web.new(77, "mira") or "").partition("#")[2]
    with mock.patch.object(guard.Buckets, "take", lambda *_: None):
        answers = await asyncio.gather(*(site.stranger().sign_in(token) for _ in range(USES)))
    signed = sum(answer.status == 204 for answer in answers)
    sessions = await site.opened.services.web.sessions.of(77)
    text = f"one link used {USES:,} times at once by HTTP: {signed} signed in, {len(sessions)} session"
    return signed == len(sessions) == 1, text


async def pictures(site: Site) -> tuple[bool, str]:
    """Every attack of docs/evidence/security.md with a picture, as an upload of the web."""
    kept, statuses = 0, Counter[int]()
    with (
        mock.patch.object(guard.Buckets, "take", lambda *_: None),
        mock.patch("studio.inputs.Pace.take", lambda *_: 0.0),
    ):
        for _, data in chain(known(), (("", one) for one in mutated(PICTURES, 5))):
            answer = await site.you.ask(
                "POST", "/api/uploads", data=data, headers={"Content-Type": "image/png", "X-Name": "a.png"}
            )
            statuses[answer.status] += 1
            if answer.status == 201:
                path = site.opened.services.files.path(answer.data["sha256"])
                kept += path.suffix != ".png" or b"<script" in path.read_bytes()
    total = sum(statuses.values())
    said = ", ".join(f"{count} × {status}" for status, count in sorted(statuses.items()))
    text = f"hostile pictures as uploads: {total} ({said}), {kept} kept as they came"
    return kept == 0 and not any(status >= 500 for status in statuses), text


async def flood(site: Site) -> tuple[bool, str]:
    """Browsers that send slowly or too much, beside somebody whose calls are timed."""
    host, port = site.web.url.removeprefix("http://").split(":")
    head = f"POST /api/jobs HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: {site.web.url}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: 60000\r\nCookie: {COOKIE}={site.you.cookie}"
    slow = [await asyncio.open_connection(host, int(port)) for _ in range(CLIENTS)]
    for number, (_, writer) in enumerate(slow):
        writer.write(f"{head}\r\n\r\n".encode() if number % 2 else b"GET / HTTP/1.1\r\nX-Slow: ")
    timed = await site.person(42)
    greedy = Browser(site.http, site.web.url, (await site.person(43)).cookie)
    refused = Counter[int]()

    async def ask_for_ever() -> None:
        while True:
            refused[(await greedy.get("/api/jobs")).status] += 1

    asking = [asyncio.create_task(ask_for_ever()) for _ in range(8)]
    times = []
    for _ in range(60):
        began = time.perf_counter()
        assert (await timed.get("/api/jobs")).status == 200
        times.append(time.perf_counter() - began)
        await asyncio.sleep(0.05)
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    for _, writer in slow:
        writer.close()
    worst = sorted(times)[-3] * 1000
    text = (
        f"{CLIENTS} slow connections and 8 that ask without end ({refused[429]:,} × 429): a call beside them"
    )
    return worst < 500 and refused[
        429
    ] > 0, f"{text} takes {sorted(times)[30] * 1000:.0f} ms (p95 {worst:.0f})"


@contextlib.contextmanager
def _log(folder: Path, site: Site) -> Iterator[io.StringIO]:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    handler.setFormatter(RedactingFormatter(form, redactor(site.opened.services.settings)))
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    for noisy in ("aiosqlite", "alembic", "asyncio", "PIL", "aiohttp"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        yield out
    finally:
        root.removeHandler(handler)
        root.setLevel(before)


async def canaries(site: Site) -> tuple[bool, str]:
    """Words, names, tokens and addresses of people who use the studio well and badly; none is in the log."""
    planted: list[str] = []

    def new() -> str:
        planted.append(f"canary{len(planted):05d}x")
        return planted[-1]

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("unexpected")

    with (
        _log(site.opened.services.settings.data_dir, site) as out,
        mock.patch.object(guard.Buckets, "take", lambda *_: None),
    ):
        for number in range(40):
            browser = await site.person(100 + number, new())
            await browser.sign_in(new())
            await browser.post("/api/jobs", {"prompt": f"{new()} a boat --sede 5", "key": new()})
            await browser.post("/api/jobs", {"prompt": f"{new()} a boat"})
            await browser.get(f"/api/pictures?q={new()}&before={new()}")
            await browser.get(f"/files/{new()}/1?x={new()}", headers={"Cookie": f"{COOKIE}={new()}"})
            headers = {"Content-Type": "image/png", "X-Name": f"{new()}.png", "User-Agent": new()}
            await browser.ask("POST", "/api/uploads", data=png(40 + number)[:-9], headers=headers)
            await browser.ask("PATCH", "/api/settings", json={"suffix": f"--{new()}"})
            planted.append(browser.cookie or new())
            with mock.patch.object(Requests, "imagine", broken):
                answer = await browser.post("/api/jobs", {"prompt": new()})
            assert answer.status == 500 and planted[-1].encode() not in answer.body
        logging.getLogger("tests").error("%s", control := new())
    text = out.getvalue()
    found = [canary for canary in planted if canary in text]
    seen = control in found
    said = f"canaries in the log: {len(found) - seen} of {len(planted) - 1}; one logged on purpose is"
    return found == [control], f"{said} {'found' if seen else 'missed'}"


async def prove() -> bool:
    """Print what each attack came to; True when all were refused."""
    good = True
    for attack in (links, pictures, flood, canaries):
        with tempfile.TemporaryDirectory() as folder:
            async with open_site(Path(folder)) as site:
                held, text = await attack(site)
                good &= held
                print(f"{'' if held else 'FAILED: '}{text}", flush=True)
    return good


def main() -> int:
    argparse.ArgumentParser(description=__doc__).parse_args()
    return 0 if asyncio.run(prove()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
