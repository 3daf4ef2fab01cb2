"""The editor in Chromium, for its tests: a site that draws scenes, a page of it, and what is in it."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.studio.editor import reference


def script(body: str, arguments: str = "") -> str:
    """A script for the page, in which ``editor`` is its editor."""
    opened = "const { editor } = await import(document.querySelector('script[type=module]').src);"
    return f"async ({arguments}) => {{ {opened} {body} }}"


PLACE = """() => { const box = document.querySelector('#stage').getBoundingClientRect();
  return [box.left, box.top, box.width, box.height]; }"""
READ = script("""
  const { view, mask, state, size } = editor;
  const { words, images, layers, width, height } = state;
  return { scale: view.scale, left: view.left, top: view.top, density: view.density, count: mask.count,
    bounds: mask.bounds, width, height, words, images, layers, strokes: state.mask.strokes, size,
    shown: editor.instead !== null, past: editor.history.past.length };""")
OPENED = script("return editor.view.width > 1 && editor.pictures.loaded.size > 0;")
BIT = script("return editor.mask.bits[y * editor.mask.width + x];", "[x, y]")
SPOT = script("return editor.lastSpot;")
SHOWN = """async ([x, y]) => {
  const { editor } = await import(document.querySelector('script[type=module]').src);
  await new Promise(requestAnimationFrame); await new Promise(requestAnimationFrame);
  const [u, v] = editor.view.toScreen(x, y);
  const { data } = editor.parts.picture.getContext('2d').getImageData(Math.floor(u), Math.floor(v), 1, 1);
  return [...data]; }"""
DIGEST = script("""
  const found = new Uint8Array(await crypto.subtle.digest('SHA-256', editor.mask.bits));
  return [...found].map((byte) => byte.toString(16).padStart(2, '0')).join('');""")


@asynccontextmanager
async def editing(browser, scenes, path: str = "", status: int = 412, **options: Any) -> AsyncIterator[Any]:
    """A fresh page with the editor, of somebody who is signed in; fails when the console tells of a fault.

    status: of answers that are no faults; 412 is a question that the page answers.
    """
    site, _, address = scenes
    window = {} if options.get("no_viewport") else {"viewport": {"width": 1280, "height": 800}}
    given: dict[str, Any] = {"locale": "en-GB", **window, **options}
    context = await browser.new_context(**given)
    await context.add_cookies(site.you.jar)
    page, wrong = await context.new_page(), []

    def said(message) -> None:
        expected = (
            f"status of {status}",
            "Blocked autofocusing",
        )  # in a frame nothing has the focus by itself
        if message.type == "error" and not any(words in message.text for words in expected):
            wrong.append(f"{message.text} {message.location['url']}")

    page.on("console", said)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    await ready(page, path or address)
    yield page
    await context.close()
    assert wrong == [], wrong


async def save(page) -> None:
    """Save the document and wait until that is said."""
    await page.locator("#stage").press("Control+s")
    await page.wait_for_selector(".saved >> text='Saved'")


async def ready(page, address: str) -> None:
    await page.goto(address)
    await page.wait_for_selector("#tools button")
    await until(page, OPENED)


async def until(page, script: str, arg: Any = None) -> None:
    """Wait until an asynchronous script returns something that is true."""
    async with asyncio.timeout(20):
        while not await page.evaluate(script, arg):  # noqa: ASYNC110 - the page has no event for it
            await asyncio.sleep(0.02)


async def point(page, x: float, y: float) -> tuple[float, float]:
    """Return where a point of the document is in the window, CSS px."""
    seen, [left, top, *_] = await page.evaluate(READ), await page.evaluate(PLACE)
    return (
        left + (x * seen["scale"] + seen["left"]) / seen["density"],
        top + (y * seen["scale"] + seen["top"]) / seen["density"],
    )


async def drag(page, *points: tuple[float, float], steps: int = 4) -> None:
    """Draw with the mouse through points of the document."""
    places = [await point(page, *one) for one in points]
    await page.mouse.move(*places[0])
    await page.mouse.down()
    for place in places[1:]:
        await page.mouse.move(*place, steps=steps)
    await page.mouse.up()


async def painted(page) -> dict[str, Any]:
    """Return what is in the editor, whose mask is exactly what its strokes say in Python."""
    seen = await page.evaluate(READ)
    bits = reference.replay(seen["width"], seen["height"], None, seen["strokes"])
    assert await page.evaluate(DIGEST) == hashlib.sha256(bits).hexdigest()
    return seen
