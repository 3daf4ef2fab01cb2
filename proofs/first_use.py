"""A model's first use, by the whole program in a browser: ``python -m proofs.first_use [--shots FOLDER]``.

The demo's image model stands on a hub on this machine. In turn nobody answers there, its licence isn't
accepted, the disk is full, the line is slow (20 kB/s), and the worker is killed in the middle; then it comes,
and the job is drawn. Prints what members and the host read, and how many attempts of the job were spent.
Needs playwright and a Chromium, as ``proofs.walk`` does. About five minutes.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import psutil

from core.profiles import DEMO
from proofs.walk.page import Page
from proofs.walk.sandbox import ROOT, Sandbox
from tests.support.hub import COMMIT, open_hub

PATIENCE = 120.0  # seconds for each thing to be read
PORT = 18_431  # nobody answers there at first
SLOW = 20_000.0  # bytes a second
NAME = f"black-forest-labs/FLUX.2-klein-4B@{COMMIT}"  # by which the model is called here


def attempts(data: Path) -> list[tuple[str, int]]:
    """Return status and spent attempts of each job; the one that is being made isn't spent."""
    with closing(sqlite3.connect(data / "atelier.db")) as rows:
        found = rows.execute("SELECT status, attempts FROM jobs").fetchall()
    return [(status, spent - (status not in ("queued", "failed"))) for status, spent in found]


class FirstUse:
    """The sandbox, its two pages, and what was read on them."""

    def __init__(self, browser: Any, sandbox: Sandbox, shots: Path) -> None:
        self.sandbox, self.shots, self.wrong = sandbox, shots, 0
        self.discord = Page(browser, sandbox.start())
        self.discord.run("imagine", prompt="a red house")
        self.web = browser.new_page(viewport={"width": 1100, "height": 700})
        line = next(line for line in sandbox.log if "studio: http" in line)
        self.web.goto(line.split("studio: ")[1].strip())
        self.web.get_by_role("button", name="Sign in").click()
        self.web.get_by_role("textbox").first.fill("a blue boat")
        self.web.keyboard.press("Enter")

    def read(self, what: str, pattern: str) -> None:
        """Wait until both pages show ``pattern``, print it, and make a screenshot of each."""
        print(f"\n{what}")
        texts: dict[str, Callable[[], str]] = {
            "Discord": self.discord.last,
            "web": lambda: str(self.web.locator(".job").first.inner_text()),
        }
        for name, text in texts.items():
            end, found = time.monotonic() + PATIENCE, None
            while found is None and time.monotonic() < end:
                self.discord.tab.wait_for_timeout(200)
                found = re.search(pattern, " ".join(text().split()))
            self.wrong += found is None
            print(f"  {name}: {found.group() if found else f'WRONG: {text()!r}'}")
        self.discord.shoot(self.shots / f"first-use-{what.replace(' ', '-')}-discord.png")
        self.web.screenshot(path=self.shots / f"first-use-{what.replace(' ', '-')}-web.png")
        spent = [count for _, count in attempts(self.sandbox.data)]
        self.wrong += any(spent)
        print(f"  attempts spent: {spent}")


def walk(browser: Any, sandbox: Sandbox, stack: ExitStack, shots: Path) -> int:
    """Go through all of it. Return how many things were not as expected."""
    again = r"It is tried again in \d+ (s|min); the job keeps its place\."
    use = FirstUse(browser, sandbox, shots)
    use.read(
        "no network",
        (r"\S+ can't be downloaded: .+? The operator needs to check this machine's network\. ") + again,
    )
    hub = stack.enter_context(open_hub(DEMO / "stable-diffusion", PORT))
    hub.refuses = "GatedRepo"
    use.read("gated", r"\S+ is given only to those who accept its licence: .+? to set HF_TOKEN\. " + again)
    cache = sandbox.data / "cache" / "hub" / "models--black-forest-labs--FLUX.2-klein-4B"
    part = cache / "snapshots" / COMMIT / f"{hub.largest()}.part"
    part.parent.mkdir(parents=True)
    part.symlink_to("/dev/full")  # which takes nothing
    hub.refuses = ""
    use.read("full disk", r"\S+ can't be stored: the disk is full\. .+? " + again)
    part.unlink()
    hub.slow, hub.rate = hub.largest(), SLOW
    told = r"The model \S+ is being downloaded, \d+ %, about \d+ (min|h|s)( \d+ min)?"
    use.read("slow", told)
    workers = [one for one in psutil.Process().children(recursive=True) if "spawn_main" in str(one.cmdline())]
    for worker in workers:
        worker.send_signal(signal.SIGKILL)
    come = part.stat().st_size
    use.read(
        "killed",
        r"The worker stopped while it downloaded the model\. The part that has arrived is kept\. " + again,
    )
    hub.rate = 0.0
    end = time.monotonic() + 3 * PATIENCE
    while {status for status, _ in attempts(sandbox.data)} & {"running", "queued"}:
        if time.monotonic() > end:
            break
        use.discord.tab.wait_for_timeout(300)
    last = [begun for name, begun in hub.handed if name == hub.largest()][-1]
    print(f"\ngone on at byte {last:,}; {come:,} had come; the jobs: {attempts(sandbox.data)}")
    ended = {status for status, _ in attempts(sandbox.data)}
    use.wrong += last < come or not ended <= {"rendered", "delivered"}
    use.discord.shoot(shots / "first-use-drawn-discord.png")
    print("\nThe host's log:")
    told = [
        line
        for line in sandbox.log
        if re.search((r"fetch|stored|licence|waits on|being (fetched|downloaded)"), line)
    ]
    print(*(f"  {line.rstrip()}" for line in told), sep="\n")
    sandbox.interrupt()
    return use.wrong


def main() -> int:
    """Walk; return 1 when something was not as expected."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(prog="python -m proofs.first_use")
    parser.add_argument("--shots", type=Path, default=Path(tempfile.mkdtemp(prefix="atelier-first-use-")))
    shots = parser.parse_args().shots
    shots.mkdir(parents=True, exist_ok=True)
    own = ROOT / ".venv" / "bin" / "python"
    here = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with (
        tempfile.TemporaryDirectory() as data,
        ExitStack() as stack,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=here, args=["--no-sandbox"])
        sandbox = Sandbox(str(own if own.exists() else sys.executable), Path(data))
        sandbox.environment |= {"IMAGE_MODEL": NAME, "DEVICES": "cpu", "HF_HUB_OFFLINE": "0"}
        sandbox.environment["HF_ENDPOINT"] = f"http://127.0.0.1:{PORT}"
        for name in ("HF_HOME", "HF_HUB_CACHE"):
            sandbox.environment.pop(name, None)
        try:
            wrong = walk(browser, sandbox, stack, shots)
        except BaseException:
            print(json.dumps(sandbox.log[-40:], indent=1))
            raise
        finally:
            sandbox.kill()
    print(f"\n{wrong} things were not as expected; screenshots in {shots}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
