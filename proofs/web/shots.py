"""Pictures of every page for people to look at: ``python -m proofs.web.shots FOLDER [--only NAME]``."""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from tests.web.browser.conftest import pages_of
from tests.web.browser.test_accessibility import fail
from tests.web.conftest import Site, open_site

WIDTHS, SCHEMES, STATES = (360, 768, 1440), ("light", "dark"), ("empty", "full", "failing")


async def shoot(page: Any, site: Site, folder: Path, state: str, paths: list[str]) -> None:
    """Take a picture of each page at each width in each scheme."""
    for path in paths:
        name = path.split("?")[0].strip("/").replace("/", "-") or "create"
        for scheme in SCHEMES:
            await page.emulate_media(color_scheme=scheme)
            for width in WIDTHS:
                await page.set_viewport_size({"width": width, "height": 900 if width > 500 else 780})
                await page.goto(site.web.url + path)
                await page.wait_for_load_state("networkidle")
                await page.screenshot(path=folder / f"{name}-{state}-{scheme}-{width}.png")


async def take(folder: Path, only: str | None) -> None:
    """Take all pictures, or those of one page."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = await playwright.chromium.launch(executable_path=path)
        for state in STATES:
            with tempfile.TemporaryDirectory() as data:
                async with open_site(Path(data)) as site:
                    context = await browser.new_context(locale="en-GB", timezone_id="UTC")
                    page = await context.new_page()
                    await page.goto(f"{site.web.url}/in#a-capability")
                    await page.wait_for_selector("#bar-prompt")
                    paths = [*pages_of(site), *await _more(site, state)]
                    chosen = [one for one in paths if only is None or re.search(only, one)]
                    await shoot(page, site, folder, state, chosen)
                    await context.close()
        await browser.close()


async def _more(site: Site, state: str) -> list[str]:
    if state == "empty":
        return ["/pictures?q=zebra"]
    if state == "failing":
        await fail(site)
        return ["/none"]
    jobs = [
        await site.drawn(site.you, f"a red house number {number} --ar 3:2 --chaos 20") for number in range(5)
    ]
    await site.you.post(f"/api/jobs/{jobs[-1]['id']}/1/strong")
    await site.you.ask("PUT", f"/api/favourites/{jobs[0]['id']}/1")
    return [jobs[-1]["pictures"][0]["href"]]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(take(given.folder, given.only))


if __name__ == "__main__":
    main()
