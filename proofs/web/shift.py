"""How much a picture's page moves while its actions run: ``python -m proofs.web.shift`` starts the sandbox,
presses them one after the other with the processor slowed four times, and prints Chromium's layout shift.

The figure is that of https://web.dev/articles/cls: the largest window of five seconds, without what follows a
press within half a second. At most 0.02 is let through."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from proofs.web.process import made, sandbox

MOST = 0.02
SIZES = ((1366, 720), (390, 844))
MORE = ("2× creative", "Zoom out 2×", "Left", "Cut out", "Describe", "Classify", "Read text")
WATCH = """() => {
  window.shifts = [];
  new PerformanceObserver((list) => {
    for (const one of list.getEntries()) {
      if (one.hadRecentInput) continue;
      const what = one.sources.map(({ node }) => node?.className || node?.nodeName).join(" ");
      window.shifts.push([one.startTime, one.value, what]);
    }
  }).observe({ type: "layout-shift", buffered: false });
}"""
DONE = """() => !document.querySelector("#made [aria-busy=true], #answers [aria-busy=true]")"""


def largest_window(shifts: list[tuple[float, float, str]]) -> float:
    """Return the largest sum of shifts, (ms, value, what), less than 1 s apart within 5 s."""
    best, total, first, last = 0.0, 0.0, 0.0, float("-inf")
    for at, value, _ in shifts:
        if at - last > 1000 or at - first > 5000:
            total, first = 0.0, at
        total, last = total + value, at
        best = max(best, total)
    return best


async def measure(page: Any, href: str, width: int, height: int) -> list[tuple[float, float, str]]:
    """Press everything on a picture's page, wait for what comes of it, and return what moved."""
    await page.set_viewport_size({"width": width, "height": height})
    await page.goto(href)
    await page.wait_for_function("() => 'started' in document.body.dataset")
    devices = await page.context.new_cdp_session(page)
    await devices.send("Emulation.setCPUThrottlingRate", {"rate": 4})
    await page.evaluate(WATCH)
    for word in ("Vary", "Upscale"):
        await page.locator(".firsts").get_by_role("button", name=word).click()
        await page.wait_for_timeout(700)
    for word in MORE:
        await page.click("#more-button")
        await page.locator("#more-actions").get_by_role("button", name=word, exact=True).click()
        await page.wait_for_timeout(700)
    await page.fill("#ask textarea", "What colour is it?")
    await page.press("#ask textarea", "Enter")
    await page.wait_for_function(DONE, timeout=300_000)
    await page.wait_for_timeout(1000)
    await devices.send("Emulation.setCPUThrottlingRate", {"rate": 1})
    assert await page.locator("#made .result").count() == len(MORE) + 2 - 3
    assert await page.locator("#toasts .toast").count() == 0
    return [tuple(one) for one in await page.evaluate("() => window.shifts")]


async def main() -> None:
    """Measure at both sizes."""
    from playwright.async_api import async_playwright

    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        async with sandbox(Path(folder)) as address, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"))
            page = await browser.new_page(locale="en-GB")
            await made(page, address, ["a red house in the snow"])
            hrefs = await page.eval_on_selector_all(".job .cell a", "all => all.map(({ href }) => href)")
            for href, size in zip(hrefs, SIZES, strict=False):
                shifts = await measure(page, href, *size)
                worst = max(worst, value := largest_window(shifts))
                print(f"{size[0]} × {size[1]}: {value:.4f}, {len(shifts)} shifts")
                for at, one, what in sorted(shifts, key=lambda shift: -shift[1])[:3]:
                    print(f"  {one:.4f} at {at / 1000:.1f} s: {what}")
            await browser.close()
    sys.exit(worst > MOST)


if __name__ == "__main__":
    asyncio.run(main())
