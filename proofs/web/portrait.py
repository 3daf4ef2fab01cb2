"""The pictures of the web in README.md and docs/web.md: ``python -m proofs.web.portrait`` starts the
sandbox, asks the demo models for pictures, and takes them."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from core.settings import ROOT

PROMPTS = (
    "a red boat on the sea and a yellow star in the sky",
    "a green tree in the snow",
    "a pink heart beside a blue fish",
    "an orange cat on the grass",
    "a red mushroom in a meadow",
    "a purple star at night",
    "a blue house in the snow",
    "a yellow star above a blue house at night",
    "a pink flower beside a green tree on the grass",
)
QUALITY = 82  # of WebP
WIDE = {"width": 1280, "height": 800}


async def _address(process: asyncio.subprocess.Process) -> str:
    """Where the studio is, as the sandbox prints it."""
    assert process.stdout is not None
    async for line in process.stdout:
        if b"studio: http" in line:
            return line.decode().split("studio: ")[1].strip()
    raise SystemExit("the sandbox ended")


async def made(page: Any, address: str, prompts: Sequence[str]) -> None:
    """Sign in and wait for every prompt's pictures."""
    await page.goto(address)
    await page.wait_for_selector("#bar-prompt")
    for number, prompt in enumerate(prompts, 1):
        await page.locator("#bar-prompt").fill(prompt)
        await page.locator("#bar-prompt").press("Enter")
        ready = page.locator(".job:not([aria-busy=true]) .cell a")
        await ready.nth(number * 4 - 1).wait_for(timeout=240_000)


async def _take(page: Any, name: str, scheme: str, address: str | None = None) -> None:
    await page.emulate_media(color_scheme=scheme)
    if address is not None:
        await page.goto(address)
    await page.wait_for_load_state("networkidle")
    await page.mouse.move(0, 0)
    with Image.open(io.BytesIO(await page.screenshot())) as taken:
        taken.convert("RGB").save(ROOT / "docs" / f"{name}.webp", quality=QUALITY, method=6)


@asynccontextmanager
async def sandbox(folder: Path) -> AsyncIterator[str]:
    """Run the sandbox with its data in ``folder``; yields the address that signs somebody in."""
    environment = os.environ | {"DATA_DIR": str(folder), "OPEN_BROWSER": "off", "DISK_FLOOR_MB": "0"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-u", "-m", "bot", cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield await _address(process)
    finally:
        process.terminate()
        await process.wait()


async def take(folder: Path) -> None:
    """Take them all."""
    from playwright.async_api import async_playwright

    async with sandbox(folder) as address, async_playwright() as playwright:
        home = address.partition("/in#")[0]
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = await playwright.chromium.launch(executable_path=path)
        page = await browser.new_page(viewport=WIDE, locale="en-GB")
        await made(page, address, PROMPTS)
        await _take(page, "web-create", "dark", home)
        await _take(page, "web-gallery", "light", f"{home}/pictures")
        await page.locator(".tile a").nth(5).click()
        await page.wait_for_selector("#tools button")
        await _take(page, "web-viewer", "dark")
        known = dict(playwright.devices["Pixel 7"])
        known.pop("default_browser_type", None)
        phone = await browser.new_page(**known, locale="en-GB")
        await phone.goto(address)
        await phone.wait_for_selector("#bar-prompt")
        await phone.wait_for_selector(".cell img")
        await _take(phone, "web-phone", "light")
        await browser.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(take(Path(folder)))


if __name__ == "__main__":
    main()
