"""The studio inside Discord, in Chromium with a Discord of the tests: ``python -m proofs.web.activity``
measures the way to its first page, and the editor's brush in the frame beside the same outside."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from proofs.web.editor.__main__ import MOVES, OPENED
from proofs.web.figures import Report, p95
from tests.web.conftest import COOKIE, YOU, Site
from tests.web.editor.scenery import Scenes
from tests.web.fake_discord import INSTANCE, FakeDiscord, open_inside

ROUNDS = 4  # of brushing, in the frame and outside, each first as often


async def first_page(browser: Any, discord: FakeDiscord) -> float:
    """Return the seconds from opening the Activity until the studio's page listens, of somebody new."""
    context = await browser.new_context()
    page = await context.new_page()
    began = time.monotonic()
    await page.goto(discord.page)
    studio = page.frame_locator("iframe").frame_locator("iframe")
    await studio.locator("body[data-started]").wait_for(state="attached")
    took = time.monotonic() - began
    await context.close()
    return took


async def brushing(browser: Any, site: Site, discord: FakeDiscord, page_of: str, *, inside: bool) -> Any:
    """Return what a stroke takes: milliseconds of its handler, and between frames."""
    context = await browser.new_context(viewport={"width": 1440, "height": 900})
    page = await context.new_page()
    if inside:
        site.opened.services.web.launch(INSTANCE, YOU, page_of)
        await page.goto(discord.page)
        studio = page.frame_locator("iframe").frame_locator("iframe")
        await studio.locator("#tools button").first.wait_for()
        shown = page.frames[2]
    else:
        place = {"domain": "127.0.0.1", "path": "/", "secure": True}
        token = (await site.person(YOU)).cookie  # a new one: each way in ends the oldest of ten
        await context.add_cookies([{"name": COOKIE, "value": token, **place}])
        await page.goto(discord.target + page_of)
        await page.wait_for_selector("#tools button")
        shown = page
    await shown.evaluate(OPENED)
    found = await shown.evaluate(MOVES, "brush")
    await context.close()
    return found


async def prove(times: int) -> bool:
    """Print every row; True when all hold."""
    from playwright.async_api import async_playwright

    path = shutil.which("chromium") or shutil.which("google-chrome")
    handled: dict[bool, list[float]] = {True: [], False: []}
    gaps: dict[bool, list[float]] = {True: [], False: []}
    with tempfile.TemporaryDirectory() as folder:
        async with async_playwright() as playwright, open_inside(Path(folder), Scenes()) as opened:
            site, discord = opened
            browser = await playwright.chromium.launch(executable_path=path)
            took = [await first_page(browser, discord) for _ in range(times)]
            job = await site.drawn(site.you, "a house")
            for turn in range(2 * ROUNDS):
                found = await brushing(
                    browser, site, discord, f"/edit/{job['id']}/1", inside=(inside := turn % 4 in (0, 3))
                )
                handled[inside] += found["handled"]
                gaps[inside] += found["gaps"]
            await browser.close()
    report = Report()
    report.row(f"to the first page, signed in, p95 of {times}", p95(took), 2, "s")
    report.row("handler of a move in the frame, p95", p95(handled[True]), 1.1 * p95(handled[False]), "ms")
    report.row("gap of frames brushing in the frame, p95", p95(gaps[True]), 1.1 * p95(gaps[False]), "ms")
    return report.good


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="how often it is opened")
    raise SystemExit(0 if asyncio.run(prove(parser.parse_args().times)) else 1)
