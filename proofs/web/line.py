"""How soon a page in Chromium knows that its line is dead, that it slept, that its session or its studio is
gone, and that none of a person's work is lost by it: ``python -m proofs.web.line``. Exit status 1 when
a limit is broken.

No clock is moved: the line is silent for as long as it takes; to sleep, the browser's processes are stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.web.browser.line import Line, open_line
from tests.web.conftest import COOKIE, YOU, Site, open_site

KNOWS, WAKES = 45.0, 4.0  # seconds at most
DRAWN = ".job:first-child .cell a img"


@asynccontextmanager
async def chromium() -> AsyncIterator[tuple[Any, int]]:
    """Yield a browser and the group of its processes."""
    from playwright.async_api import async_playwright

    found = shutil.which("chromium")
    assert found, "apt-get install chromium"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        given = ["--headless=new", "--no-sandbox", "--remote-debugging-port=0", f"--user-data-dir={folder}"]
        run = await asyncio.create_subprocess_exec(
            found, *given, "about:blank", stderr=asyncio.subprocess.PIPE, start_new_session=True
        )
        assert run.stderr is not None
        async for text in run.stderr:
            if b"DevTools listening on " in text:
                break
        try:
            async with async_playwright() as playwright:
                yield (
                    await playwright.chromium.connect_over_cdp(text.decode().split(" on ")[1].strip()),
                    run.pid,
                )
        finally:
            os.killpg(run.pid, signal.SIGKILL)
            await run.wait()


async def opened(browser: Any, site: Site, line: Line) -> Any:
    """A page of Create by the line, with its socket open."""
    context = await browser.new_context()
    cookie = {"name": COOKIE, "value": site.you.cookie, "domain": "127.0.0.1", "path": "/", "secure": True}
    await context.add_cookies([cookie])
    page, sockets = await context.new_page(), line.sockets
    await page.goto(line.url)
    await page.wait_for_function("() => document.body.dataset.started !== undefined")
    while line.sockets == sockets:
        await page.evaluate("() => new Promise(requestAnimationFrame)")
    return page


async def seconds(work: Any) -> float:
    began = time.monotonic()
    await work
    return time.monotonic() - began


async def silent(site: Site, line: Line, page: Any, pid: int) -> float:
    """A line that goes dead: seconds until the page shows what is done since."""
    line.silence()
    job = await site.drawn(site.you)
    return await seconds(page.locator(f"#job-{job['id']} .cell a img").first.wait_for(timeout=120_000))


async def asleep(site: Site, line: Line, page: Any, pid: int) -> float:
    """A laptop that sleeps for a minute and finds its line dead: seconds from its waking."""
    line.silence()
    os.killpg(pid, signal.SIGSTOP)
    job = await site.drawn(site.you)
    await asyncio.sleep(60)
    os.killpg(pid, signal.SIGCONT)
    return await seconds(page.locator(f"#job-{job['id']} .cell a img").first.wait_for(timeout=120_000))


async def restarted(site: Site, line: Line, page: Any, pid: int) -> float:
    """A studio that is away for 10 s while a prompt is sent, another one typed and a heart given: seconds
    from its being back until all is there."""
    job = await site.drawn(site.you)
    await page.locator(f"#job-{job['id']} .cell a img").first.wait_for()
    line.cut()
    await page.locator(f"#job-{job['id']}").get_by_label("Favourite, picture 1").dispatch_event("click")
    await page.locator("#bar-prompt").fill("a boat that was sent")
    await page.keyboard.press("Enter")
    await page.locator("#bar-prompt").fill("a boat that was typed")
    await asyncio.sleep(10)
    line.is_cut = False

    async def all_there() -> None:
        await page.get_by_text("a boat that was sent").first.wait_for()
        await page.locator("#bar[aria-busy=false]").wait_for()
        assert await page.locator("#bar-prompt").input_value() == "a boat that was typed"
        while not (await site.you.get(f"/api/jobs/{job['id']}")).data["pictures"][0]["favourite"]:
            await page.evaluate("() => new Promise(requestAnimationFrame)")

    return await seconds(all_there())


async def ended(site: Site, line: Line, page: Any, pid: int) -> float:
    """A session that ends while the line is silent, with words in the bar: seconds until the page leads to
    where people sign in. Whoever signs in again finds the words."""
    await page.locator("#bar-prompt").fill("a house that was typed")
    line.silence()
    sessions = site.opened.services.web.sessions
    [session] = await sessions.of(YOU)
    await sessions.end(YOU, session.id)
    took = await seconds(page.wait_for_url("**/in?next=**", timeout=120_000))
    site.you.cookie = await sessions.begin(YOU, "you", "a proof")
    cookie = {"name": COOKIE, "value": site.you.cookie, "domain": "127.0.0.1", "path": "/", "secure": True}
    await page.context.add_cookies([cookie])
    await page.goto(line.url)
    assert await page.locator("#bar-prompt").input_value() == "a house that was typed"
    return took


async def main() -> int:
    argparse.ArgumentParser(description=__doc__).parse_args()
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        async with open_site(Path(folder)) as site, chromium() as (browser, pid):
            async with open_line(int(site.web.url.rpartition(":")[2])) as line:
                for work, most in ((restarted, 20.0), (silent, KNOWS), (asleep, WAKES), (ended, KNOWS)):
                    page = await opened(browser, site, line)
                    took = await work(site, line, page, pid)
                    await page.context.close()
                    bad += took > most
                    print(f"{work.__name__:10} {took:5.1f} s (at most {most:.0f}); nothing lost", flush=True)
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
