"""A newcomer's ten tasks, done three ways: ``python -m proofs.web.tasks`` opens an empty studio for each of
keyboard, touch and mouse, goes by what is seen and read alone (roles and names), and prints what each task
took in presses.

A press is a click, a tap or a key that isn't a letter of a text; a text that is typed counts apart. The
keyboard goes from one control to the next by Tab, and past the side bar by the link that a page begins with.
The studio draws at once, as presses are what is counted; ``--models`` starts the sandbox and its models.
``--trees FOLDER`` keeps what a screen reader has at the end of each task, and a screenshot."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs.executors.base import Outcome, Report
from proofs.web.process import sandbox
from tests.studio.talker import Talker
from tests.web.conftest import open_site
from tests.web.teacher import Teacher
from vision.protocol import Run

LONG = 300_000  # ms that a drawing may take on a machine with other work
FAR = 150  # presses of Tab until a control is called out of reach
PROMPT = "a red house in the snow"
WAY = """(one) => {
  const held = document.activeElement;
  if (one === held) return "";
  if (held === document.body || held === null) return "Tab";
  const isBefore = Boolean(held.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_PRECEDING);
  const isInList = one.tabIndex < 0 && held.closest("ul, [role=toolbar]")?.contains(one);
  if (isInList) return isBefore ? "ArrowLeft" : "ArrowRight"; // Tab stops at one of them
  return isBefore ? "Shift+Tab" : "Tab";
}"""


@dataclass
class Mouse:
    """A hand at a page. Finds what it presses by what it is called."""

    page: Any
    name: str = "mouse, 1366 × 720"
    presses: int = 0
    texts: int = 0

    async def press(self, place: Any) -> None:
        """Press a control, as soon as it is there."""
        await place.click()
        self.presses += 1

    async def write(self, place: Any, words: str, send: Any = None) -> None:
        """Write into a field, and press what sends it; None = Enter."""
        await self.press(place)
        await place.fill(words)
        self.texts += 1
        await (self.press(send) if send else self.key("Enter"))

    async def key(self, name: str) -> None:
        await self.page.keyboard.press(name)
        self.presses += 1

    async def paint(self, canvas: Any) -> None:
        """Paint a stroke over the middle of a canvas."""
        x, y = await _middle(canvas)
        await self.page.mouse.move(x - 60, y)
        await self.page.mouse.down()
        await self.page.mouse.move(x + 60, y + 20, steps=8)
        await self.page.mouse.up()
        self.presses += 1


@dataclass
class Fingers(Mouse):
    """A hand at a telephone, which has no Enter to send by but what is on its page."""

    name: str = "touch, 390 px"

    async def press(self, place: Any) -> None:
        await place.tap()
        self.presses += 1

    async def paint(self, canvas: Any) -> None:
        x, y = await _middle(canvas)
        wire = await self.page.context.new_cdp_session(self.page)
        for step in range(9):
            at = [{"x": x - 60 + 15 * step, "y": y + 2 * step}]
            kind = "touchMove" if step else "touchStart"
            await wire.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})
        await wire.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        self.presses += 1


@dataclass
class Keys(Mouse):
    """A keyboard and no pointer."""

    name: str = "keyboard alone"

    async def reach(self, place: Any) -> None:
        """Go to a control by Tab, or by arrows within a list of which Tab reaches one."""
        await place.wait_for()
        main = self.page.get_by_role("main")
        skip = self.page.get_by_role("link", name=re.compile("^Skip to"))
        for _ in range(FAR):
            way = await place.evaluate(WAY)
            if not way:
                return
            held = await skip.evaluate("(one) => one === document.activeElement")
            inside = "(main, one) => main.contains(one)"
            if held and await main.evaluate(inside, await place.element_handle()):
                way = "Enter"
            await self.key(way)
        raise AssertionError(f"{place} isn't reached by {FAR} keys")

    async def press(self, place: Any) -> None:
        await self.reach(place)
        await self.key("Enter")

    async def write(self, place: Any, words: str, send: Any = None) -> None:
        await self.reach(place)
        await self.page.keyboard.type(words)
        self.texts += 1
        await (self.press(send) if send else self.key("Enter"))

    async def paint(self, canvas: Any) -> None:
        await self.reach(canvas)
        for name in ("Space", "Alt+ArrowRight", "Alt+ArrowDown", "Space"):
            await self.key(name)


async def _middle(canvas: Any) -> tuple[float, float]:
    box = await canvas.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


@dataclass
class Tasks:
    """What a newcomer does in the first hour, one after the other; each begins where the last one ended."""

    hand: Mouse
    page: Any = field(init=False)

    def __post_init__(self) -> None:
        self.page = self.hand.page

    def named(self, role: str, name: str | re.Pattern[str], within: Any = None) -> Any:
        """A control by its role and what it is called."""
        exact = isinstance(name, str)
        return (within or self.page).get_by_role(role, name=name, exact=exact).first

    @property
    def _touch(self) -> bool:
        return isinstance(self.hand, Fingers)

    async def _comes(self, name: re.Pattern[str]) -> None:
        """Wait for a result beside the picture, as it is drawn or done."""
        made = self.page.get_by_role("region", name="Made from it")
        await made.get_by_text(name).or_(made.get_by_role("link", name=name)).first.wait_for()

    async def draw(self) -> None:
        box = self.named("textbox", "Prompt")
        await self.hand.write(box, PROMPT, self.named("button", "Send") if self._touch else None)
        await self.named("link", f"{PROMPT} (picture 4)").wait_for(timeout=LONG)

    async def enlarge(self) -> None:
        await self.hand.press(self.named("link", f"{PROMPT} (picture 1)"))
        await self.hand.press(self.named("button", "Upscale"))
        await self._comes(re.compile("Upscale"))

    async def change(self) -> None:
        await self.hand.press(self.named("button", "Edit"))
        box, send = self.named("textbox", "What to change"), self.named("button", "Change it")
        await self.hand.write(box, "make the house blue", send)
        await self._comes(re.compile("Edit"))

    async def mask(self) -> None:
        paint = self.named("link", "Paint in the editor")
        if not await paint.is_visible():
            await self.hand.press(self.named("button", "Edit"))
        await self.hand.press(paint)
        canvas = self.named("application", re.compile("^Canvas"))
        await canvas.wait_for()
        await self.named("button", "Brush").wait_for()
        await self.hand.paint(canvas)
        await self.hand.write(self.named("textbox", "Words"), "a yellow star", self.named("button", "Draw"))
        await self.named("button", re.compile("^(Stop|Cancel)|^Keep$")).wait_for()

    async def film(self) -> None:
        await self.hand.press(self.named("link", "Leave the editor"))
        await self.hand.press(self.named("button", "Animate"))
        await self._comes(re.compile("Video|Animate|motion"))

    async def ask(self) -> None:
        box = self.named("textbox", "Ask about it")
        await self.hand.write(box, "what is this?", self.named("button", "Ask") if self._touch else None)
        said = self.page.get_by_role("region", name="Earlier answers")
        await said.get_by_text("house").first.wait_for(timeout=LONG)

    async def find(self) -> None:
        await self.hand.press(self.named("link", "Pictures"))
        await self.hand.write(self.named("searchbox", "Search"), "red house")
        await self.named("link", f"{PROMPT} (picture 1)").wait_for()

    async def share(self) -> None:
        await self.hand.press(self.named("link", f"{PROMPT} (picture 1)"))
        await self.hand.press(self.named("button", "Share by link"))
        await self.hand.press(self.named("button", "Make the link"))
        await self.page.get_by_text("/s/").or_(self.page.get_by_role("textbox", name="Link")).first.wait_for()

    async def folder(self) -> None:
        close = self.named("button", re.compile("^(Close|Done)"))
        if await close.is_visible():
            await self.hand.press(close)
        await self.hand.press(self.named("button", "Add to a folder"))
        await self.hand.write(self.named("textbox", re.compile("New folder|Name")), "houses")
        await self.page.get_by_text(re.compile("Added|in “?houses|houses")).first.wait_for()

    async def own_model(self) -> None:
        await self.hand.press(self.named("link", "Custom models"))
        await self.hand.press(self.named("button", "Start with washers"))
        await self.hand.press(self.named("button", "Train"))
        await self.page.get_by_text("A version is being trained").wait_for(timeout=LONG)


class AtHand(Teacher):
    """An executor that draws and answers at once, and trains until its gate is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.talker = Talker()
        self.talker.say["what is this?"] = "a house"
        self.gate.clear()

    async def run(self, device: str, run: Run, report: Report) -> Outcome:
        if run.talk is not None:
            return await self.talker.run(device, run, report)
        return await super().run(device, run, report)


@asynccontextmanager
async def studio(folder: Path, models: bool) -> AsyncIterator[str]:
    """An empty studio; yields the address that signs somebody in."""
    if models:
        async with sandbox(folder) as address:
            yield address
    else:
        chats = "http://chat.example:9/v1"  # never called: the executor answers
        executor = AtHand()
        async with open_site(folder, executor, VLM_URL=chats) as site:
            yield site.web.local_address("a-capability")
            executor.gate.set()


WAYS: dict[type[Mouse], dict[str, Any]] = {
    Keys: {"viewport": {"width": 1366, "height": 720}},
    Fingers: {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
    Mouse: {"viewport": {"width": 1366, "height": 720}},
}
ORDER = ("draw", "enlarge", "change", "mask", "film", "ask", "find", "share", "folder", "own_model")


async def walk(browser: Any, way: type[Mouse], trees: Path | None, models: bool) -> dict[str, str]:
    """Do all tasks one way in a studio of its own. Return what each took, or why it ended."""
    took: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with studio(Path(folder), models) as address:
            context = await browser.new_context(locale="en-GB", **WAYS[way])
            page = await context.new_page()
            page.set_default_timeout(60_000)
            await page.goto(address)
            hand = way(page)
            await page.get_by_role("textbox", name="Prompt").wait_for()
            tasks = Tasks(hand)
            for name in ORDER:
                hand.presses = hand.texts = 0
                try:
                    await getattr(tasks, name)()
                    took[name] = f"{hand.presses}"
                except (
                    Exception
                ) as error:  # whatever ends a task is its result; the next one goes on from home
                    took[name] = "not done: " + str(error).splitlines()[0]
                print(f"{hand.name}: {name}: {took[name]} ({hand.texts} texts)", flush=True)
                if trees:
                    await _keep(page, trees / f"{way.__name__.lower()}-{name}")
            await context.close()
    return took


async def _keep(page: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=path.with_suffix(".png"))
    path.with_suffix(".txt").write_text(await page.locator("body").aria_snapshot(), encoding="utf-8")


async def prove(ways: list[type[Mouse]], trees: Path | None, models: bool) -> bool:
    """Print the table; True when everything was done."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"))
        tables = {way: await walk(browser, way, trees, models) for way in ways}
        await browser.close()
    print("| task |" + "".join(f" {way.name} |" for way in ways))
    print("|---|" + "---|" * len(ways))
    for task in ORDER:
        print(f"| {task.replace('_', ' ')} |" + "".join(f" {table[task]} |" for table in tables.values()))
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return not any("not done" in took for table in tables.values() for took in table.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    known = {way.__name__.lower(): way for way in WAYS}
    parser.add_argument("--way", choices=sorted(known), help="one of them; all three without it")
    parser.add_argument("--trees", type=Path, help="folder for screenshots and what a screen reader has")
    parser.add_argument("--models", action="store_true", help="of the sandbox, with its models")
    given = parser.parse_args()
    ways = [known[given.way]] if given.way else list(WAYS)
    return 0 if asyncio.run(prove(ways, given.trees, given.models)) else 1


if __name__ == "__main__":
    sys.exit(main())
