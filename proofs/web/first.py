"""A newcomer's first minute: the sandbox from a fresh clone without Node, its printed address in a real
browser, a prompt, four pictures: ``python -m proofs.web.first``. Needs a Chromium.

What `make run` does after everything is installed; how long installing takes depends on the network.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.settings import ROOT
from proofs.web.process import quantile

PREVIEW, PICTURES = 10.0, 20.0  # seconds from opening the address
STARTS = 120.0  # seconds until an address is printed, at most
LONG = 90_000  # ms that the browser waits for anything
PROMPT = "a red house in the snow"


@dataclass
class Report:
    """Seconds: to the printed address; from opening it to the first preview, and to four pictures."""

    address: list[float] = field(default_factory=list)
    preview: list[float] = field(default_factory=list)
    pictures: list[float] = field(default_factory=list)


def clone(folder: Path) -> Path:
    """Clone the repository as it is committed."""
    target = folder / "atelier"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(target)], check=True)
    return target


def chromium() -> str | None:
    """Return the path of a Chromium."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def path_without_node(folder: Path) -> str:
    """Return the search path without node; of folders that hold it, all else is linked in ``folder``."""
    found = []
    for number, one in enumerate(map(Path, os.environ.get("PATH", "").split(os.pathsep))):
        if (one / "node").exists():
            others = folder / f"path-{number}"
            others.mkdir(exist_ok=True)
            for program in one.iterdir():
                if (
                    program.name not in ("node", "npm", "npx", "corepack")
                    and not (others / program.name).exists()
                ):
                    (others / program.name).symlink_to(program)
            one = others
        found.append(str(one))
    return os.pathsep.join(found)


async def run(folder: Path, browser: Any, report: Report) -> None:
    """One newcomer: a new folder of data and a new profile of the browser."""
    began = time.monotonic()
    async with sandbox(folder) as address:
        report.address.append(time.monotonic() - began)
        await _first_pictures(browser, address, report)


@asynccontextmanager
async def sandbox(folder: Path) -> AsyncIterator[str]:
    """Run the sandbox of the clone in ``folder`` with a new folder of data; yield the address that it
    prints."""
    data = Path(tempfile.mkdtemp(dir=folder))
    environment = {
        **os.environ,
        "PATH": path_without_node(folder),
        "DATA_DIR": str(data),
        "DISCORD_TOKEN": "",
        "OPEN_BROWSER": "off",
        "PYTHONUNBUFFERED": "1",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot",
        cwd=folder / "atelier",
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield await _address(process)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _address(process: asyncio.subprocess.Process) -> str:
    async with asyncio.timeout(STARTS):
        assert process.stdout is not None
        async for line in process.stdout:
            if b"Atelier's studio: " in line:
                return line.decode().split("studio: ")[1].strip()
    raise RuntimeError("the sandbox ended before it printed an address")


async def _first_pictures(browser: Any, address: str, report: Report) -> None:
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    page = await context.new_page()
    page.set_default_timeout(LONG)
    opened = time.monotonic()
    await page.goto(address)
    await page.locator("#bar-prompt").fill(PROMPT)
    await page.keyboard.press("Enter")
    await _until(page, "[...document.querySelectorAll('.job img')].some((one) => one.naturalWidth)")
    report.preview.append(time.monotonic() - opened)
    shown = "[...document.querySelectorAll('.job .cell a img')].filter((one) => one.complete)"
    await _until(page, f"{shown}.filter((one) => one.naturalWidth).length === 4")
    report.pictures.append(time.monotonic() - opened)
    await context.close()


async def _until(page: Any, expression: str) -> None:
    """Wait until ``expression`` holds. Playwright's own wait evaluates text in the page, which its policy
    forbids."""
    async with asyncio.timeout(LONG / 1000):
        while not await page.evaluate(expression):  # noqa: ASYNC110  another process: nothing tells us
            await asyncio.sleep(0.05)


async def measure(folder: Path, times: int) -> Report:
    from playwright.async_api import async_playwright

    report = Report()
    clone(folder)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium())
        for _ in range(times):
            await run(folder, browser, report)
        await browser.close()
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(measure(Path(folder), arguments.times))
    for name, values in (
        ("from the start to the printed address", report.address),
        ("from opening it to the first preview", report.preview),
        ("from opening it to four pictures", report.pictures),
    ):
        print(
            f"{name}: p50 {quantile(values, 0.5):.1f} s, shortest {min(values):.1f} s, longest"
            f" {max(values):.1f} s, n={len(values)}"
        )
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return 0 if max(report.preview) <= PREVIEW and max(report.pictures) <= PICTURES else 1


if __name__ == "__main__":
    sys.exit(main())
