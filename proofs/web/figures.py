"""What pages weigh and how fast they are: ``python -m proofs.web.figures`` prints a row each, beside
what it has to be. A machine with other work on it is slower: trust the bytes and the counts there."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from proofs.web.filled import fill
from tests.web.conftest import Site, open_site
from web import app, guard

WEIGHT = {"/": 90_000, "/pictures": 90_000, "/settings": 90_000}  # bytes on the wire, pictures left out
USABLE = {  # what a page's own script shows once it listens
    "/": "#bar-flags:not([hidden])",
    "/pictures": ".window .tile",
    "/settings": "#here select",
}
FILES = 14  # that the first page asks for, pictures left out
ROUNDS = 5  # there and back: a page, then 20 files over the six connections of a browser
SLOW = {
    "offline": False,
    "latency": 150,
    "downloadThroughput": 200_000,
    "uploadThroughput": 100_000,
}  # 1.6 Mbit/s
WATCH = """() => {
  window.seen = { lcp: 0, cls: 0, tasks: [], events: [] };
  const watch = (type, work, more = {}) => {
    const all = (list) => list.getEntries().forEach(work);
    new PerformanceObserver(all).observe({ type, buffered: true, ...more });
  };
  watch('largest-contentful-paint', (one) => { window.seen.lcp = one.startTime; });
  watch('layout-shift', (one) => { if (!one.hadRecentInput) window.seen.cls += one.value; });
  watch('longtask', (one) => window.seen.tasks.push(one.duration));
  const note = (one) => { if (one.interactionId) window.seen.events.push(one.duration); };
  watch('event', note, { durationThreshold: 16 });
}"""
SCROLL = """(seconds) => new Promise((done) => {
  const seen = { tiles: 0, tasks: [], frames: 0, top: 0 };
  const note = (list) => list.getEntries().forEach(({ duration }) => seen.tasks.push(duration));
  new PerformanceObserver(note).observe({ type: 'longtask' });
  const began = performance.now();
  let last = began, way = 1;
  const step = (now) => {
    const end = document.documentElement.scrollHeight - innerHeight;
    if (scrollY >= end - 1) way = -1; else if (scrollY <= 0) way = 1;
    scrollBy(0, way * innerHeight * 20 * Math.min(0.1, (now - last) / 1000));
    last = now; seen.frames += 1; seen.top = Math.max(seen.top, scrollY);
    seen.tiles = Math.max(seen.tiles, document.querySelectorAll('.tile').length);
    now - began < seconds * 1000 ? requestAnimationFrame(step) : done(seen);
  };
  requestAnimationFrame(step);
})"""


@dataclass
class Report:
    """Rows as they are measured. good: every one is within its limit."""

    good: bool = True
    rows: list[str] = field(default_factory=list)

    def row(self, what: str, value: float, most: float, unit: str) -> None:
        """Print a figure and its limit."""
        held = value <= most
        self.good &= held
        number = f"{value:,.3f}" if most < 1 else f"{value:,.0f}"
        print(f"{'' if held else 'OVER: '}{what}: {number} {unit} (≤ {most:g})", flush=True)


def p95(values: list[float]) -> float:
    """Return the value that 95 of 100 are not above."""
    return sorted(values)[max(0, int(len(values) * 0.95) - 1)] if values else 0.0


@asynccontextmanager
async def page_of(browser: Any, site: Site, **options: Any) -> AsyncIterator[Any]:
    """A page of somebody who is signed in: as often as is wanted, where a link works a few times a minute."""
    context = await browser.new_context(viewport={"width": 1440, "height": 900}, **options)
    page = await context.new_page()
    with mock.patch.object(guard.Buckets, "take", lambda *_: None):
        await page.goto(f"{site.web.url}/in#a-capability")
        await page.wait_for_selector("#bar-prompt")
    yield page
    await context.close()


async def weights(browser: Any, site: Site, report: Report) -> None:
    """Bytes of a first visit: every file but pictures, compressed as they come; headers apart."""
    for path, most in WEIGHT.items():
        async with page_of(browser, site) as page:
            wire = await page.context.new_cdp_session(page)
            await wire.send("Network.enable")
            await wire.send("Network.setCacheDisabled", {"cacheDisabled": True})
            seen = Wire(site.web.url)
            wire.on("Network.requestWillBeSent", seen.asked)
            wire.on("Network.responseReceived", seen.began)
            wire.on("Network.loadingFinished", seen.ended)
            await page.goto(site.web.url + path)
            await page.wait_for_load_state("networkidle")
            whole, headers = sum(seen.whole), sum(seen.headers)
            said = f"{path} weighs without its pictures ({len(seen.whole)} files; headers {headers:,} more)"
            report.row(said, whole - headers, most, "bytes")
            if path == "/":
                report.row(f"{path} asks for", len(seen.names), FILES, "files")
            report.row(f"{path} asks elsewhere", seen.elsewhere, 0, "times")


class Wire:
    """What a page gets over the wire, told by the browser's own events; pictures and other pages left out."""

    def __init__(self, home: str) -> None:
        self._home = home
        self._urls: dict[str, str] = {}
        self._headers: dict[str, int] = {}
        self.whole: list[int] = []
        self.names: set[str] = set()  # of files, each once: a browser keeps what it has
        self.headers: list[int] = []
        self.elsewhere = 0

    def asked(self, event: Any) -> None:
        url = self._urls[event["requestId"]] = event["request"]["url"]
        self.elsewhere += url.startswith("http") and not url.startswith(self._home)

    def began(self, event: Any) -> None:
        self._headers[event["requestId"]] = event["response"]["encodedDataLength"]

    def ended(self, event: Any) -> None:
        name = event["requestId"]
        url = self._urls.get(name, "/files/")
        if not any(part in url for part in ("/files/", "/previews/", "/drawn/")):
            self.names.add(url)
            self.whole.append(event["encodedDataLength"])
            self.headers.append(min(self._headers.get(name, 0), event["encodedDataLength"]))


async def vitals(browser: Any, site: Site, report: Report, *, slow: bool) -> None:
    """Largest paint and shifts of each page; by loopback, or as on a phone far away."""
    name, most = ("at 4 × CPU, 1.6 Mbit/s, 150 ms", 2500) if slow else ("by loopback", 800)
    for path in ("/", "/pictures", "/settings"):
        async with page_of(browser, site) as page:
            wire = await page.context.new_cdp_session(page)
            await wire.send("Performance.enable", {"timeDomain": "threadTicks"})
            if slow:
                await wire.send("Network.enable")
                await wire.send("Network.setCacheDisabled", {"cacheDisabled": True})
                await wire.send("Network.emulateNetworkConditions", SLOW)
                await wire.send("Emulation.setCPUThrottlingRate", {"rate": 4})
            await page.goto(site.web.url + path, wait_until="load")
            await page.wait_for_selector(USABLE[path], state="visible")
            usable = await page.evaluate("() => performance.now()")
            told = (await wire.send("Performance.getMetrics"))["metrics"]
            work = 1000 * next(one["value"] for one in told if one["name"] == "TaskDuration")
            await page.evaluate(WATCH)
            await page.wait_for_timeout(1500 if slow else 500)
            report.row(f"{path} to usable {name}", usable, most, "ms")
            if not slow:
                # ways there and back, then bytes as they come through, then the page's work, four times as
                # long: what a machine with other work can't measure by the clock
                least = ROUNDS * SLOW["latency"] + WEIGHT[path] / SLOW["downloadThroughput"] * 1000 + 4 * work
                said = f"{path} to usable far away, counted from {work:.0f} ms of work on a core"
                report.row(f"{said} and the bytes of its limit", least, 2500, "ms")
            seen = await page.evaluate("() => window.seen")
            report.row(f"{path} largest paint {name}", seen["lcp"], most, "ms")
            report.row(f"{path} shifts {name}", seen["cls"], 0.02, "CLS")


async def finishing(browser: Any, site: Site, report: Report) -> None:
    """Shifts of Create while ten jobs that were asked for run and finish, on a slow processor."""
    drawn = await site.drawn(site.you)
    await site.opened.services.queue.pause(1)
    for number in range(8):
        shape = ("", " --ar 16:9", " --ar 2:3")[number % 3]
        asked = await site.you.post("/api/jobs", {"prompt": f"house number {number}{shape}"})
        assert asked.status == 202, asked.body
    for action in ("describe", "classify"):
        assert (await site.you.post(f"/api/jobs/{drawn['id']}/1/{action}")).status == 202
    async with page_of(browser, site) as page:
        wire = await page.context.new_cdp_session(page)
        await wire.send("Emulation.setCPUThrottlingRate", {"rate": 4})
        await page.goto(site.web.url, wait_until="networkidle")
        await page.evaluate(WATCH)
        rows = "[...document.querySelectorAll('.job')].map((one) => one.id)"
        busy = "document.querySelectorAll('.job[aria-busy=true]').length"
        before, waiting = await page.evaluate(rows), await page.evaluate(busy)
        await site.opened.services.queue.resume(1)
        async with asyncio.timeout(60):
            while await page.evaluate(busy):  # noqa: ASYNC110  another process: nothing tells us
                await asyncio.sleep(0.1)
        await page.wait_for_timeout(500)
        seen = await page.evaluate("() => window.seen")
        report.row("jobs that didn't wait at first", 10 - waiting, 0, "of 10")
        report.row("/ shifts while ten jobs run and finish at 4 × CPU", seen["cls"], 0.02, "CLS")
        moved = before != await page.evaluate(rows)
        await page.reload(wait_until="networkidle")
        moved |= before != await page.evaluate(rows)
        report.row("rows in another place when they are done, or after a reload", moved, 0, "times")


async def interactions(browser: Any, site: Site, report: Report) -> None:
    """What a press or a key takes until it is painted, over a walk through the pages."""
    found: list[float] = []
    async with page_of(browser, site) as page:

        async def gather() -> None:
            await page.wait_for_timeout(300)
            found.extend(await page.evaluate("() => window.seen.events"))

        await page.evaluate(WATCH)
        await page.locator("#bar-prompt").click()
        await page.keyboard.type("a red house by the sea --ar 3:2", delay=15)
        await page.keyboard.press("Escape")
        await page.locator("#bar-flags").click()
        await page.keyboard.press("Escape")
        await page.keyboard.press("Enter")
        await page.wait_for_timeout(700)
        await gather()
        await page.goto(site.web.url + "/pictures")
        await page.wait_for_selector(".tile img")
        await page.evaluate(WATCH)
        await page.locator(".tile a").first.focus()
        for key in (
            "ArrowRight",
            "ArrowDown",
            "Space",
            "Shift+Space",
            "l",
            "Escape",
            "End",
            "Home",
        ):
            await page.keyboard.press(key)
            await page.wait_for_timeout(60)
        await page.locator(".tile .mark").nth(3).click()
        await page.keyboard.press("Escape")
        await page.get_by_role("searchbox").fill("house")
        await page.keyboard.press("Enter")
        await page.wait_for_timeout(500)
        await gather()
        await page.locator(".tile a").first.click()
        await page.wait_for_selector("#stage")
        await page.evaluate(WATCH)
        for key in ("c", "c", "l"):
            await page.keyboard.press(key)
            await page.wait_for_timeout(80)
        await gather()
    worst = sorted(found)[int(len(found) * 0.98) - 1] if found else 0.0
    report.row(
        f"interactions to the next paint, p98 of {len(found)} that took a frame or more", worst, 150, "ms"
    )


@contextmanager
def server_times() -> Iterator[list[float]]:
    """Milliseconds of each answer of a server that is opened meanwhile, from a request to the
    response that can be sent."""
    plain, times = app.respond, list[float]()

    async def timed(*given: Any) -> Any:
        began = time.perf_counter()
        try:
            return await plain(*given)
        finally:
            times.append((time.perf_counter() - began) * 1000)

    with mock.patch.object(app, "respond", timed):
        yield times


async def gallery_rows(site: Site, report: Report, served: list[float], calls: int = 200) -> None:
    """What the server takes for a page of the gallery, anywhere."""
    times: list[float] = []
    months = (await site.you.get("/api/months")).data["months"]
    rng = random.Random(5)
    with mock.patch.object(guard.Buckets, "take", lambda *_: None):
        for _ in range(calls):
            month = rng.choice(months)
            skip = rng.randrange(0, max(1, month["pictures"] - 100), 100)
            began = time.perf_counter()
            found = await site.you.get(f"/api/pictures?limit=100&month={month['month']}&skip={skip}")
            times.append((time.perf_counter() - began) * 1000)
            assert found.status == 200
    of = f"a page of 100 anywhere, p95 of {calls}"
    report.row(
        f"{of}, as the server takes it (with the asker's time, in one process: {p95(times):.0f} ms)",
        p95(served[-calls:]),
        15,
        "ms",
    )


async def months(browser: Any, site: Site, report: Report) -> None:
    """From choosing a month to its pictures' cells."""
    counted, times = (await site.you.get("/api/months")).data["months"], []
    async with page_of(browser, site) as page:
        await page.goto(site.web.url + "/pictures")
        await page.wait_for_selector(".tile img")
        for number in random.Random(2).sample(range(len(counted)), min(20, len(counted))):
            first = sum(month["pictures"] for month in counted[:number])
            began = time.perf_counter()
            await page.locator("#month").select_option(counted[number]["month"])
            await page.wait_for_selector(f'.tile[data-index="{first}"] img')
            times.append((time.perf_counter() - began) * 1000)
            await page.wait_for_timeout(100)
    report.row(f"any month until its cells have pictures, worst of {len(times)}", max(times), 300, "ms")


def longest_on_a_core(events: list[dict[str, Any]]) -> float:
    """Milliseconds on a core of the longest task of a page's main thread. Where Chromium paints without a
    card, its painters and the server use both cores, and a task may wait for one much longer."""
    mains = {
        (one["pid"], one["tid"])
        for one in events
        if one["name"] == "thread_name" and one["args"]["name"] == "CrRendererMain"
    }
    tasks = [
        one.get("tdur", 0) / 1000
        for one in events
        if one["name"].endswith("RunTask") and (one["pid"], one["tid"]) in mains
    ]
    assert tasks, "the trace has no tasks of the page"
    return max(tasks)


async def scrolling(browser: Any, site: Site, report: Report, seconds: int) -> None:
    """Twenty screens a second, up and down."""
    async with page_of(browser, site) as page:
        await page.goto(site.web.url + "/pictures")
        await page.wait_for_selector(".tile img")
        await browser.start_tracing(page=page, categories=["toplevel"])
        seen = await page.evaluate(SCROLL, seconds)
        on_a_core = longest_on_a_core(json.loads(await browser.stop_tracing())["traceEvents"])
        wire = await page.context.new_cdp_session(page)
        await wire.send("HeapProfiler.collectGarbage")
        heap = (await wire.send("Runtime.getHeapUsage"))["usedSize"]
    said = f"{seconds} s of 20 screens/s ({seen['frames']} frames): longest task on a core"
    report.row(f"{said} (on the clock {max([0, *seen['tasks']])} ms)", on_a_core, 50, "ms")
    report.row("cells in the document at once", seen["tiles"], 400, "cells")
    report.row("heap afterwards", heap / 1e6, 60, "MB")


async def ends(browser: Any, site: Site, report: Report, count: int) -> None:
    """The last picture, whatever the density of the screen."""
    for density in (1, 2, 3):
        async with page_of(browser, site, device_scale_factor=density) as page:
            await page.goto(site.web.url + "/pictures")
            await page.wait_for_selector(".tile img")
            await page.locator(".tile a").first.focus()
            await page.keyboard.press("End")
            last = page.locator(f'.tile[data-index="{count - 1}"] a')
            await last.wait_for(timeout=5000)
            box = await last.bounding_box()
            seen = box is not None and 0 <= box["y"] <= 900
            report.row(
                f"the last of {count:,} pictures at a density of {density} is",
                0 if seen else 1,
                0,
                "out of reach",
            )


async def prove(count: int, seconds: int) -> bool:
    """Print every row; True when all hold."""
    from playwright.async_api import async_playwright

    report = Report()
    path = shutil.which("chromium") or shutil.which("google-chrome")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path)
        with tempfile.TemporaryDirectory() as folder:
            async with open_site(Path(folder)) as site:
                for _ in range(3):
                    await site.drawn(site.you, "a red house --ar 3:2")
                await weights(browser, site, report)
                await finishing(browser, site, report)
                await vitals(browser, site, report, slow=False)
                await vitals(browser, site, report, slow=True)
                await interactions(browser, site, report)
        with tempfile.TemporaryDirectory() as folder:
            with server_times() as served:
                async with open_site(Path(folder)) as site:
                    await fill(site, count)
                    await gallery_rows(site, report, served)
                    await months(browser, site, report)
                    await scrolling(browser, site, report, seconds)
                    await ends(browser, site, report, count)
        await browser.close()
    return report.good


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=60)
    given = parser.parse_args()
    return 0 if asyncio.run(prove(given.pictures, given.seconds)) else 1


if __name__ == "__main__":
    raise SystemExit(main())
