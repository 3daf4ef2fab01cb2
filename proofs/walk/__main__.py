"""``python -m proofs.walk [--python PATH] [--shots FOLDER] [--write FILE]``: exit status 1 when a step
was not
as expected. Needs playwright (``make setup EXTRAS=browser``) and a Chromium; without them it says so and
ends."""

from __future__ import annotations

import argparse
import datetime
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from proofs.walk.report import Report
from proofs.walk.sandbox import ROOT, Sandbox

PARTS = ("video_recorder", "inspector", "asker", "talker")
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
HEAD = """# A walk through the sandbox

`make walk` starts the sandbox from an empty folder and does what a newcomer, a member, a guest, an admin and
a host do in a real browser, with a screenshot and a check for each step; `ARGS="--write build/walk.md"`
writes this table. {day}, {browser}, {system}, {seconds:.0f} s in all:
**{right} of {all} steps were as expected.**

"""


def main() -> int:
    """Walk, and report. Return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m proofs.walk")
    own = ROOT / ".venv" / "bin" / "python"
    parser.add_argument("--python", default=str(own if own.exists() else sys.executable), help="runs Atelier")
    parser.add_argument("--shots", type=Path, help="folder for the screenshots; a temporary one without it")
    parser.add_argument("--part", choices=("all", *PARTS), default="all", help="which part is walked")
    parser.add_argument("--write", type=Path, help="Markdown file for the table")
    arguments = parser.parse_args()
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        print("Not walked: playwright is not installed (make setup EXTRAS=browser).")
        return 0
    shots = arguments.shots or Path(tempfile.mkdtemp(prefix="atelier-walk-"))
    shots.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        here = next(filter(None, map(shutil.which, CHROMIUM)), None)
        try:
            browser = playwright.chromium.launch(executable_path=here, args=["--no-sandbox"])
        except Error as error:
            print(
                f"Not walked: no browser ({str(error).splitlines()[0]}). Try `playwright install chromium`."
            )
            return 0
        report = Report(shots)
        with tempfile.TemporaryDirectory() as data:
            _walk(browser, Sandbox(arguments.python, Path(data)), report, arguments.part)
        name = f"Chromium {browser.version}"
    right, total = len(report.steps) - len(report.wrong), len(report.steps)
    print(f"\n{right} of {total} steps were as expected; screenshots in {shots}")
    if arguments.write:
        seconds, system = (
            sum(step.seconds for step in report.steps),
            f"{platform.system()} {platform.machine()}",
        )
        day = f"{datetime.date.today():%-d %B %Y}"
        head = HEAD.format(day=day, browser=name, system=system, seconds=seconds, right=right, all=total)
        table = report.table().replace(data, "DATA_DIR")
        arguments.write.write_text(head + table + "\n", encoding="utf-8")
    return int(bool(report.wrong))


def _walk(browser, sandbox: Sandbox, report: Report, part: str) -> None:
    from proofs.walk import admin, asker, host, inspector, member, newcomer, talker, video_recorder
    from proofs.walk.page import Page

    try:
        with report.step("newcomer", "starts Atelier", "an address to open") as step:
            address = sandbox.start()
            step.saw(address.partition("#")[0])
        page = Page(browser, address)
        report.shoot = page.shoot
        if part == "all":
            newcomer.walk(page, report)
            member.walk(page, report)
            admin.walk(page, report)
            host.walk(page, report, sandbox)
            sandbox.interrupt()
            page.open(sandbox.start())
        walks = dict(zip(PARTS, (video_recorder, inspector, asker, talker), strict=True))
        for name in (part,) if part in walks else PARTS:
            walks[name].walk(page, report, sandbox)
    finally:
        sandbox.kill()


if __name__ == "__main__":
    sys.exit(main())
