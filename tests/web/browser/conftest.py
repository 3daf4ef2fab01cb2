"""A real Chromium for the tests of the web studio's pages: skipped where there is none, failed there with
REQUIRE_BROWSER."""

import os
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from tests.web.browser.desk import editing
from tests.web.browser.inside import OUTSIDE, InsideBrowser
from tests.web.conftest import Site, open_site, open_site_of
from tests.web.editor.scenery import Objects, Scenes

ROOT = Path(__file__).resolve().parents[3]
STATIC = ROOT / "web" / "static"
UNITS = ROOT / "tests" / "web" / "js"
FOUR = ".job:first-child .cell a img"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self';"
    " connect-src 'self';"
    " font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none';"
    " require-trusted-types-for 'script'; trusted-types lit-html worker"
)
# Playwright turns ThirdPartyStoragePartitioning off, so frames of other sites keep nothing; Chromium has it
OFF = "AvoidUnnecessaryBeforeUnloadCheckSync,HttpsUpgrades,MediaRouter,OptimizationHints,PaintHolding"
PARTITIONED = [f"--disable-features={OFF}"]
SIDEWAYS = "() => document.documentElement.scrollWidth - innerWidth"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# What still rises or fades has colours that nobody reads: it comes to rest first.
RUN = """async (rules) => {
  const ends = (one) => one.effect.getComputedTiming().endTime !== Infinity;
  const ending = document.getAnimations().filter(ends);
  await Promise.all(ending.map((one) => one.finished.catch(() => {})));
  return (await axe.run({ runOnly: rules })).violations
    .map(({ id, nodes }) => `${id}: ${nodes[0].html.slice(0, 200)}`); }"""


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    for item in items if os.environ.get("INSIDE") else ():
        if why := OUTSIDE.get(item.originalname):
            item.add_marker(pytest.mark.skip(why))


def pages_of(site: Site) -> tuple[str, ...]:
    """Return the addresses of all pages that need nothing but somebody who is signed in."""
    pages = [route.path for route in site.web.routes if route.method == "GET" and route.is_page]
    return tuple(path for path in pages if "{" not in path and not path.startswith("/in"))


def _missing(what: str) -> None:
    if os.environ.get("REQUIRE_BROWSER") or os.environ.get("CI"):
        pytest.fail(f"{what} is missing")
    pytest.skip(f"{what} is missing, so no page is opened")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def playwright():
    """What drives the browser."""
    try:
        from playwright.async_api import async_playwright
    except ImportError:
        _missing("playwright (pip install playwright)")
    async with async_playwright() as found:
        yield found


@pytest.fixture(scope="session")
def chromium() -> str:
    """Chromium as the distribution ships it."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        _missing("Chromium (apt-get install chromium)")
    return str(path)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(playwright, chromium):
    """One browser for all tests."""
    inside = bool(os.environ.get("INSIDE"))
    found = await playwright.chromium.launch(executable_path=chromium, args=PARTITIONED if inside else [])
    yield InsideBrowser(found) if inside else found
    await found.close()


@pytest.fixture(scope="session")
def zoomed(playwright, chromium):
    """A browser of its own that is zoomed, in a window of 1280 × 900 px of the screen."""

    @asynccontextmanager
    async def opened(zoom: float) -> AsyncIterator[Any]:
        window = f"--window-size={round(1280 / zoom)},{round(900 / zoom)}"
        given = [f"--force-device-scale-factor={zoom}", window]
        found = await playwright.chromium.launch(executable_path=chromium, args=given)
        yield found
        await found.close()

    return opened


@pytest.fixture(scope="session")
def device(playwright):
    """What is known of a phone, as options of a context."""

    def found(name: str) -> dict[str, object]:
        known = dict(playwright.devices[name])
        known.pop("default_browser_type", None)
        return known

    return found


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core, as the package axe-playwright-python brings it."""
    pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is missing")
    return (resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


async def faults(page, axe: str, address: str = "") -> list[str]:
    """What axe finds wrong with a page, or with what is open."""
    if address:
        await page.goto(address)
        await page.evaluate("() => document.fonts.ready")
    await page.evaluate(axe)
    return await page.evaluate(RUN, RULES)


async def look(page, scheme: str, width: int) -> None:
    await page.emulate_media(color_scheme=scheme)
    await page.set_viewport_size({"width": width, "height": 800})


async def sign_in(site: Site, page, path: str = "") -> None:
    """Sign in, and go on to a page."""
    await page.goto(f"{site.web.url}/in#a-capability")
    await page.wait_for_selector("#bar-prompt")
    if path:
        await page.goto(site.web.url + path)


async def shot(page, name: str) -> None:
    """Keep a picture of the page where SCREENSHOTS names a folder."""
    if folder := os.environ.get("SCREENSHOTS"):
        await page.screenshot(path=f"{folder}/{name}.png", full_page=True)


@asynccontextmanager
async def served(*routes: web.AbstractRouteDef) -> AsyncIterator[str]:
    """The address of a site with these routes."""
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def _blank(request: web.Request) -> web.Response:
    page = '<!doctype html><html lang="en"><title>units</title><link rel="icon" href="/static/favicon.svg">'
    return web.Response(text=page, content_type="text/html", headers={"Content-Security-Policy": POLICY})


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def units():
    """The address of the static files, the unit tests and an empty page under the studio's policy."""
    static = (web.static("/static", STATIC), web.static("/units", UNITS))
    async with served(web.get("/", _blank), *static) as address:
        yield address


def _is_wrong(message) -> bool:
    """Whether a message tells of a fault. A 409 is a question that the page answers, a 400 a refusal; in a
    frame of another site nothing has the focus by itself."""
    return message.type == "error" and not re.search("status of 40[09]|^Blocked autofocusing", message.text)


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser):
    """A fresh page. Fails its test when anything reached the console, so every test also tests the policy."""
    context = await browser.new_context(
        locale="en-GB", timezone_id="UTC", viewport={"width": 1280, "height": 800}
    )
    opened, wrong = await context.new_page(), []
    opened.on("console", lambda message: wrong.append(message.text) if _is_wrong(message) else None)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    yield opened
    await context.close()
    assert wrong == []


@pytest_asyncio.fixture(loop_scope="session")
async def opened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site_of(request.module, tmp_path) as found:
        yield found


@pytest.fixture
def site(opened: Site) -> Site:
    return opened


@pytest_asyncio.fixture(loop_scope="session")
async def you(opened: Site, page):
    """A page of somebody who is signed in."""
    await sign_in(opened, page)
    await page.wait_for_selector("#bar-flags", state="visible")  # by then the page's scripts listen
    return page


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def scenes(tmp_path_factory) -> AsyncIterator[tuple[Site, Scenes, str]]:
    """A site that draws scenes, what draws them, and the editor's address for one of them."""
    executor = Scenes()
    async with open_site(tmp_path_factory.mktemp("editor"), executor=executor) as site:
        job = await site.drawn(site.you, "a red house on a hill --ar 3:2")
        yield site, executor, f"{site.web.url}/edit/{job['id']}/1"


@pytest_asyncio.fixture(loop_scope="session")
async def desk(browser, scenes) -> AsyncIterator[Any]:
    """A fresh page with the editor, of somebody who is signed in."""
    async with editing(browser, scenes) as page:
        yield page


@pytest.fixture
def objects(scenes) -> Iterator[Objects]:
    site, executor, _ = scenes
    eyes, found = site.opened.services.eyes, Objects(executor.width, executor.height)
    before, eyes._executor = eyes._executor, found
    yield found
    eyes._executor = before
