"""axe finds nothing on any page: light and dark, narrow and wide, empty and full, failing."""

from __future__ import annotations

from importlib import resources

import pytest

from tests.web.browser.conftest import PAGES
from tests.web.conftest import Site

pytestmark = pytest.mark.asyncio(loop_scope="session")
LOOKS = [(scheme, width) for scheme in ("light", "dark") for width in (320, 768, 1440)]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN = """async (rules) => (await axe.run({ runOnly: rules })).violations
    .map(({ id, nodes }) => `${id}: ${nodes[0].html.slice(0, 200)}`)"""


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core, as the package axe-playwright-python brings it."""
    pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is missing")
    return (resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


async def faults(page, axe: str, address: str) -> list[str]:
    await page.goto(address)
    await page.wait_for_load_state("networkidle")
    await page.evaluate(axe)
    return await page.evaluate(RUN, RULES)


async def look(page, scheme: str, width: int) -> None:
    await page.emulate_media(color_scheme=scheme)
    await page.set_viewport_size({"width": width, "height": 800})


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
async def test_axe_finds_nothing_on_full_pages(opened: Site, you, axe, scheme, width) -> None:
    job = await opened.drawn(opened.you, "a red house --ar 3:2 --chaos 20")
    await look(you, scheme, width)
    for path in (*PAGES, job["pictures"][0]["href"], "/in"):
        assert await faults(you, axe, opened.web.url + path) == [], path


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 320)])
async def test_axe_finds_nothing_on_empty_pages(opened: Site, you, axe, scheme, width) -> None:
    await look(you, scheme, width)
    for path in ("/", "/pictures", "/pictures?q=zebra", "/queue"):
        assert await faults(you, axe, opened.web.url + path) == [], path


async def test_axe_finds_nothing_in_menus_and_dialogs(opened: Site, you, axe) -> None:
    await opened.drawn(opened.you)
    await you.goto(opened.web.url)
    await you.evaluate(axe)
    await you.locator(".cell").first.hover()
    await you.get_by_label("Actions for picture 1").click()
    await you.wait_for_selector(".menu [role=menuitem]")
    assert await you.evaluate(RUN, RULES) == []
    await you.keyboard.press("Escape")
    await you.locator("#bar-flags").click()
    await you.wait_for_selector(".flag-panel .shape")
    assert await you.evaluate(RUN, RULES) == []
    await you.keyboard.press("Escape")
    await you.get_by_role("button", name="Delete").click()
    await you.wait_for_selector("dialog[open]")
    assert await you.evaluate(RUN, RULES) == []
