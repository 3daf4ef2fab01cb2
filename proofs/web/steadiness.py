"""Whether a gallery stands still and answers at once, on a processor slowed four times: ``python -m
proofs.web.steadiness`` walks through 3,000 pictures for some minutes as a person would, with wheel, keys and
mouse, and prints how far things moved by themselves (CLS) and how long a press waited for its paint (INP)."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from proofs.web.figures import Report, page_of
from proofs.web.filled import fill
from tests.web.conftest import Site, open_site

SHIFT, DELAY = 0.02, 120.0  # CLS of a page at most; ms of 98 of 100 presses at most
WATCH = """() => {
  const seen = window.steady = { cls: 0, moved: {}, presses: {} };
  const watch = (type, work, more = {}) => {
    const all = (list) => list.getEntries().forEach(work);
    new PerformanceObserver(all).observe({ type, buffered: true, ...more });
  };
  watch('layout-shift', (one) => {
    if (one.hadRecentInput) return;
    seen.cls += one.value;
    for (const { node } of one.sources) {
      const name = node?.nodeType === 1 ? node.tagName + '.' + node.className : 'gone';
      seen.moved[name] = (seen.moved[name] ?? 0) + one.value / one.sources.length;
    }
  });
  watch('event', ({ interactionId, duration, name }) => {
    const known = seen.presses[interactionId]?.[0] ?? 0;
    if (interactionId && duration > known) seen.presses[interactionId] = [duration, name];
  }, { durationThreshold: 16 });
}"""


class Walk:
    """A person's way through the pages, and what was measured on each."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.shifts: list[tuple[float, str, dict[str, float]]] = []
        self.waits: list[tuple[float, str]] = []
        self.pressed = 0

    async def begin(self) -> None:
        """Slow the processor down, and watch every page from its first moment."""
        wire = await self.page.context.new_cdp_session(self.page)
        await wire.send("Emulation.setCPUThrottlingRate", {"rate": 4})
        await self.page.add_init_script(f"({WATCH})()")

    async def open(self, address: str) -> None:
        """Go to a page, and wait until its pictures are there."""
        await self.gather()
        await self.page.goto(address)
        await self.page.wait_for_selector(".window .tile img")
        await self.page.wait_for_timeout(400)

    async def gather(self) -> None:
        """Keep what this page has measured: the next one begins anew."""
        await self.page.wait_for_timeout(300)
        seen = await self.page.evaluate("() => window.steady ?? { cls: 0, moved: {}, presses: {} }")
        self.shifts.append((seen["cls"], self.page.url, seen["moved"]))
        self.waits += [(wait, name) for wait, name in seen["presses"].values()]

    async def press(self, *keys: str) -> None:
        """Press keys one after another, as fast as a hand does."""
        for key in keys:
            await self.page.keyboard.press(key)
            self.pressed += 1
            await self.page.wait_for_timeout(120)

    async def click(self, place: Any, **how: Any) -> None:
        """Press something with the mouse."""
        await place.click(**how)
        self.pressed += 1
        await self.page.wait_for_timeout(150)

    async def roll(self, times: int, by: int) -> None:
        """Turn the wheel."""
        for _ in range(times):
            await self.page.mouse.wheel(0, by)
            await self.page.wait_for_timeout(60)


async def one_round(walk: Walk, home: str) -> None:
    """Scroll, go about by keys, choose, like, jump, search, look at a picture and come back."""
    page = walk.page
    await walk.open(f"{home}/pictures")
    await page.mouse.move(700, 500)
    await walk.roll(25, 600)
    await walk.roll(25, -500)
    await page.evaluate("() => scrollTo(0, 0)")
    await page.locator(".window .tile a").first.focus()
    await walk.press(*["ArrowRight"] * 6, *["ArrowDown"] * 8, "ArrowLeft", "l", "l", "Space", "Shift+Space")
    await walk.press("Escape", "End", "ArrowUp", "Home")
    for number in (2, 5):
        tile = page.locator(".window .tile[data-index]").nth(number)
        await tile.hover()
        await walk.click(tile.locator(".mark"), modifiers=["Shift"] if number == 5 else [])
    await walk.press("Escape")
    if await page.locator("#sizes").count():
        await page.locator("#sizes").focus()
        await walk.press("ArrowLeft", "ArrowLeft", "ArrowRight", "ArrowRight")
        await page.mouse.move(700, 500)
        before = await page.evaluate("() => window.steady.cls")
        await page.keyboard.down("Control")
        await walk.roll(4, 120)
        await walk.roll(8, -120)
        await page.keyboard.up("Control")
        await page.wait_for_timeout(300)
        # a wheel counts as no input, so what is made larger by hand counts as moved by itself
        await page.evaluate("(before) => { window.steady.cls = before; }", before)
    label = page.locator(".scale a").nth(2)
    if await label.count():
        await walk.click(label)
        await page.wait_for_timeout(500)
        await walk.roll(10, 500)
    search = page.get_by_role("searchbox")
    await walk.click(search)
    for letter in "house":
        await walk.press(letter)
    await page.wait_for_timeout(900)
    await search.fill("")
    await page.wait_for_timeout(900)
    await walk.gather()
    await page.evaluate("() => scrollTo(0, 4000)")
    await page.wait_for_timeout(500)
    await walk.gather()
    await page.mouse.click(700, 500)
    await page.wait_for_selector("#stage")
    await page.wait_for_timeout(500)
    await page.go_back()
    await page.wait_for_selector(".window .tile img")
    await page.wait_for_timeout(800)


async def measured(browser: Any, site: Site, report: Report, seconds: float) -> None:
    """Walk for so long, and print what was measured."""
    async with page_of(browser, site) as page:
        walk = Walk(page)
        await walk.begin()
        began, rounds = time.monotonic(), 0
        while time.monotonic() - began < seconds:
            await one_round(walk, site.web.url)
            rounds += 1
        await walk.gather()
    worst, where, _ = max(walk.shifts)
    moved = Counter[str]()
    for _, _, parts in walk.shifts:
        moved.update(parts)
    # a press that is painted within a frame isn't told by the browser: it counts as one of 16 ms
    waits = sorted([wait for wait, _ in walk.waits] + [16.0] * max(0, walk.pressed - len(walk.waits)))
    said = f"in {rounds} rounds of {time.monotonic() - began:.0f} s"
    report.row(f"shifts of a page, the worst ({where}) of {len(walk.shifts)} {said}", worst, SHIFT, "CLS")
    p98 = waits[max(0, int(len(waits) * 0.98) - 1)]
    report.row(f"presses to the next paint, p98 of {len(waits)} {said}", p98, DELAY, "ms")
    print("slowest presses:", sorted(walk.waits, reverse=True)[:6])
    print("what moved:", [(name, round(value, 4)) for name, value in moved.most_common(6)])


async def prove(count: int, seconds: float) -> bool:
    """Print both rows; True when they hold."""
    from playwright.async_api import async_playwright

    report = Report()
    path = shutil.which("chromium") or shutil.which("google-chrome")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path)
        with tempfile.TemporaryDirectory() as folder:
            async with open_site(Path(folder)) as site:
                await fill(site, count)
                await measured(browser, site, report, seconds)
        await browser.close()
    return report.good


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=3000)
    parser.add_argument("--seconds", type=float, default=180)
    given = parser.parse_args()
    return 0 if asyncio.run(prove(given.pictures, given.seconds)) else 1


if __name__ == "__main__":
    raise SystemExit(main())
