"""The strip of docs/editor.md: ``python -m proofs.web.strip`` starts the sandbox, has the demo models
draw a picture, edits it as a person would, and puts what was on the screen meanwhile into one picture."""

from __future__ import annotations

import asyncio
import io
import shutil
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from core.settings import ROOT
from proofs.web.process import made, sandbox
from tests.web.browser.desk import drag, ready, until

PROMPT = "a pink flower beside a green tree on the grass --seed 9"
WINDOW = {"width": 1120, "height": 720}
FRAME, COLUMNS, GAP, FOOT = (784, 504), 2, 16, 40  # px
PAPER, INK = "#faf9f7", "#1c1b19"
ROUND = ((310, 300), (400, 270), (490, 310), (500, 440), (400, 480), (305, 440))  # px of the canvas
QUALITY = 80  # of WebP
PATIENCE = 240_000  # ms for the models to draw
PREVIEWED = """async () => {
  const { editor } = await import(document.querySelector('script[type=module]').src);
  return editor.preview !== null || document.querySelector('.candidate img') !== null; }"""
FOUND = """async () => {
  const { editor } = await import(document.querySelector('script[type=module]').src);
  return editor.mask.bounds !== null && !editor.picking.now; }"""
LOADED = """async (count) => {
  const { editor } = await import(document.querySelector('script[type=module]').src);
  return editor.pictures.loaded.size >= count; }"""


class Session:
    """Somebody at work. frames: what was on the screen, each with its words."""

    def __init__(self, page: Any) -> None:
        self.page, self.stage = page, page.locator("#stage")
        self.frames: list[tuple[str, Image.Image]] = []

    async def take(self, words: str) -> None:
        """Keep what is on the screen."""
        await self.page.wait_for_timeout(1500)  # until all of it is drawn, and said what would be
        with Image.open(io.BytesIO(await self.page.screenshot())) as taken:
            self.frames.append((words, taken.convert("RGB").resize(FRAME, Image.Resampling.LANCZOS)))

    async def press(self, name: str) -> None:
        await self.page.get_by_role("button", name=name, exact=True).click()

    async def results(self) -> None:
        """Wait for the pictures that were asked for."""
        await self.page.wait_for_selector(".candidate img", timeout=PATIENCE)

    async def work(self) -> None:
        """Edit a picture from its opening to its last result."""
        page, stage = self.page, self.stage
        await page.locator("#name").fill("The meadow")
        await page.locator("#name").press("Enter")
        await stage.press("s")
        await page.locator("[name=object]").fill("the green tree")
        await page.locator("[name=object]").press("Enter")
        await until(page, FOUND)
        await self.take("An object is picked by its name")
        await self.press("Cut out and fill the hole")
        await drag(page, *await self._moved(0, 60))
        await page.locator("#words").fill("the grass")
        await self.take("Cut out and put elsewhere; what it leaves will be drawn")
        await self.press("Draw")
        await until(page, PREVIEWED)
        await self.take("It sharpens in its place")
        await self.results()
        await stage.press("5")
        await until(page, LOADED, 5)
        await self.take("All results beside each other, zoomed together")
        await stage.press("1")
        await self.press("Keep")
        await self.press("3:2")
        await stage.press("f")
        await stage.press("l")
        await drag(page, *ROUND, steps=6)
        await page.get_by_label("Seed").fill("9")
        await page.locator("#words").fill("a red mushroom on the grass")
        await self.take("A wider canvas and a painted part, drawn in one go")
        await self.press("Draw")
        await self.results()
        await stage.press("2")
        await page.get_by_label("How much of the new picture is shown").fill("100")
        await self.take("The result; the line between before and after can be dragged")

    async def _moved(self, x: int, y: int) -> list[tuple[float, float]]:
        """Return the middle of the selected layer, and where it is once the layer was moved."""
        left, top, right, bottom = await self.page.evaluate(
            """async () => {
            const { editor } = await import(document.querySelector('script[type=module]').src);
            return editor.boxOf(editor.layer); }"""
        )
        middle = (left + right) / 2, (top + bottom) / 2
        return [middle, (middle[0] + x, middle[1] + y)]


def strip(frames: list[tuple[str, Image.Image]]) -> Image.Image:
    """Return the frames in rows, each with its number and its words below it."""
    (width, height), rows = FRAME, -(-len(frames) // COLUMNS)
    size = COLUMNS * (width + GAP) + GAP, rows * (height + FOOT + GAP) + GAP
    sheet, font = Image.new("RGB", size, PAPER), ImageFont.load_default(20)
    draw = ImageDraw.Draw(sheet)
    for at, (words, frame) in enumerate(frames):
        x = GAP + at % COLUMNS * (width + GAP)
        y = GAP + at // COLUMNS * (height + FOOT + GAP)
        sheet.paste(frame, (x, y))
        draw.rectangle((x - 1, y - 1, x + width, y + height), outline="#8b877f")
        draw.text((x + 2, y + height + 8), f"{at + 1}  {words}", fill=INK, font=font)
    return sheet


async def video(folder: Path) -> Image.Image:
    """Return the strip of a session in a fresh sandbox."""
    from playwright.async_api import async_playwright

    async with sandbox(folder) as address, async_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = await playwright.chromium.launch(executable_path=path)
        page = await browser.new_page(viewport=WINDOW, locale="en-GB", color_scheme="light")
        await made(page, address, [PROMPT])
        href = await page.locator(".job .cell a").first.get_attribute("href")
        await ready(page, address.partition("/in#")[0] + href.replace("/pictures/", "/edit/"))
        session = Session(page)
        await session.work()
        await browser.close()
    return strip(session.frames)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        sheet = asyncio.run(video(Path(folder)))
    sheet.save(ROOT / "docs" / "editor-session.webp", quality=QUALITY, method=6)


if __name__ == "__main__":
    main()
