"""A newcomer teaches an inspection on the web: the sandbox from a fresh clone, its printed address in a real
browser, twenty good pictures dropped, Train, then a scratched part and a good one: ``python -m
proofs.web.learning``. Needs a Chromium and the extra ``train``.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from proofs.web.first import chromium, clone, sandbox
from proofs.web.process import quantile
from tests.vision.custom_models.parts import picture

PART, GOOD, DEFECT = "plate", 20, "scratch"
SOON = 180.0  # seconds from opening the address to a verdict with its heat map
PILE, NEXT = 24, 1.0  # pictures without a label; seconds from a label's key to the next picture, 95 of 100
LONG = 600_000  # ms that the browser waits for anything
DROP = """(files) => {
  const data = new DataTransfer();
  for (const [name, text] of files) {
    const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
    data.items.add(new File([bytes], name, { type: "image/png" }));
  }
  const at = document.querySelector("h1");
  for (const type of ["dragover", "drop"])
    at.dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
}"""


PRESS = """async (count) => {
  const shown = () => document.querySelector(".desk img");
  const times = [];
  for (let n = 0; n < count; n++) {
    const [before, began] = [shown().src, performance.now()];
    document.dispatchEvent(new KeyboardEvent("keydown", { key: "1", bubbles: true }));
    while (shown().src === before || !shown().complete) await new Promise((done) => setTimeout(done, 5));
    times.push((performance.now() - began) / 1000);
  }
  return times;
}"""


def part(seed: int, defect: str | None = None) -> tuple[str, str]:
    """Return the name and the bytes (base64) of a picture of a part."""
    held = io.BytesIO()
    picture(PART, seed, defect)[0].save(held, "PNG")
    return f"{defect or 'good'}-{seed}.png", base64.b64encode(held.getvalue()).decode()


async def teach(browser: Any, address: str, shots: Path | None) -> dict[str, float]:
    """Go through it, and return after how many seconds each step was done."""
    context = await browser.new_context(viewport={"width": 1440, "height": 900})
    page = await context.new_page()
    page.set_default_timeout(LONG)
    began, done = time.monotonic(), dict[str, float]()

    async def step(name: str) -> None:
        done[name] = time.monotonic() - began
        print(f"{name}: {done[name]:.1f} s", flush=True)
        if shots is not None:
            await page.wait_for_load_state("networkidle")
            await page.screenshot(path=shots / f"learning-{len(done)}.png", full_page=True)

    await page.goto(address)
    await page.wait_for_selector("#bar-prompt")
    await page.wait_for_selector("#bar-flags", state="visible")
    await page.get_by_role("link", name="Custom models").click()
    await page.get_by_role("button", name="New project").click()
    await page.get_by_label("Name", exact=True).fill("plates")
    await page.get_by_role("button", name="Create").click()
    await page.locator("#add-own").wait_for()  # by then the page's scripts listen
    await step("a project")
    await page.evaluate(DROP, [part(seed) for seed in range(GOOD)])
    await page.get_by_text(f"good {GOOD}", exact=True).wait_for()
    await step(f"{GOOD} pictures are there")
    await page.get_by_role("button", name="Train").click()
    await page.locator("#training progress").wait_for()
    await step("it trains")
    await page.get_by_role("heading", name="Version 1").wait_for()
    await step("a report")
    await page.get_by_role("link", name="Try it").click()
    await page.locator("#try-own").wait_for()
    await page.evaluate(DROP, [part(900, DEFECT)])
    await page.get_by_text("Not like the good ones").first.wait_for()
    await page.locator(".map img").wait_for()
    await step("a verdict with its heat map")
    await page.locator("#try-own").wait_for()
    await page.evaluate(
        DROP, [part(seed, defect) for seed, defect in ((901, None), (902, DEFECT), (903, None))]
    )
    await page.get_by_text("ike the good ones").nth(3).wait_for()
    await step("four verdicts")
    pressed = await label(page)
    print(
        f"a label's key to the next picture while it trains: p50 {quantile(pressed, 0.5):.2f} s", flush=True
    )
    done["the next picture"] = quantile(pressed, 0.95)
    if shots is not None:
        await page.screenshot(path=shots / "learning-label.png", full_page=True)
    await context.close()
    return done


async def label(page: Any) -> list[float]:
    """Label a pile while the worker trains; return the seconds from each key to the next picture."""
    await page.get_by_role("link", name="Pictures", exact=True).last.click()
    await page.locator("#add-own").wait_for()
    await page.get_by_role("combobox", name="Label").first.fill("")
    await page.evaluate(DROP, [part(seed) for seed in range(100, 100 + PILE)])
    await page.get_by_text(f"No label yet {PILE}", exact=True).wait_for()
    await page.get_by_role("button", name="Train").click()
    await page.locator("#training progress").wait_for()
    await page.get_by_role("link", name="Label", exact=True).click()
    await page.locator(".desk-frame img").wait_for()
    times: list[float] = await page.evaluate(PRESS, PILE - 1)
    return times


async def measure(folder: Path, shots: Path | None) -> dict[str, float]:
    """Run the sandbox and teach it."""
    from playwright.async_api import async_playwright

    clone(folder)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium())
        try:
            async with sandbox(folder) as address:
                return await teach(browser, address, shots)
        finally:
            await browser.close()


def main() -> int:
    """Measure, and return 0 unless something came late."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shots", type=Path, help="a folder for pictures of the pages")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        done = asyncio.run(measure(Path(folder), given.shots))
    late, slow = done["a verdict with its heat map"], done["the next picture"]
    print(f"{late:.1f} s of {SOON:.0f} to a verdict, {slow:.2f} s of {NEXT:.0f} to the next picture (p95)")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return int(late > SOON or slow > NEXT)


if __name__ == "__main__":
    sys.exit(main())
