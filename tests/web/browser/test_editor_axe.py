"""axe finds nothing in the editor: light and dark, narrow and wide, empty, full and failing."""

import pytest

from tests.web.browser.conftest import RULES, RUN, SIDEWAYS
from tests.web.browser.desk import READ, drag, editing, point, script, until

pytestmark = pytest.mark.asyncio(loop_scope="session")
LOOKS = [(scheme, width) for scheme in ("light", "dark") for width in (360, 768, 1440)]
QUIET = script("return !editor.picking.now;")


def of(scheme: str, width: int) -> dict[str, object]:
    return {"color_scheme": scheme, "viewport": {"width": width, "height": 800}}


async def sound(page) -> None:
    assert await page.evaluate(SIDEWAYS) <= 0
    assert await page.evaluate(RUN, RULES) == []


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
async def test_axe_finds_nothing_in_an_editor_in_use(browser, scenes, objects, axe, scheme, width) -> None:
    async with editing(browser, scenes, status=400, **of(scheme, width)) as page:
        await page.evaluate(axe)
        await sound(page)
        await page.locator("#name").fill("x" * 81)
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#name-problem >> text=up to 80")
        await sound(page)
        await page.keyboard.press("Escape")
        stage = page.locator("#stage")
        await stage.press("s")
        await page.wait_for_selector("[name=object]")
        await page.mouse.click(*await point(page, 300, 250))
        await until(page, QUIET)
        assert (await page.evaluate(READ))["count"] > 0
        await sound(page)
        await stage.press("Shift+J")
        await stage.press("o")
        await sound(page)
        await stage.press("v")
        await drag(page, (300, 250), (400, 150))
        await page.get_by_role("button", name="Draw").click()
        await page.wait_for_selector(".candidate img")
        await stage.press("1")
        await sound(page)


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
async def test_axe_finds_nothing_where_objects_fail(browser, scenes, objects, axe, scheme, width) -> None:
    _, executor, _ = scenes
    objects.declines, executor.error = True, "There isn't enough memory. Try a smaller canvas."
    try:
        async with editing(browser, scenes, status=429, **of(scheme, width)) as page:
            await page.evaluate(axe)
            await page.locator("#stage").press("s")
            await page.wait_for_selector("#notice >> text=Picking is unavailable")
            await sound(page)
            await page.get_by_role("button", name="Cut out and fill the hole").click()
            await page.locator("#words").fill("a blue door")
            await page.get_by_role("button", name="Draw").click()
            await page.wait_for_selector(".strip.trouble >> text=enough memory")
            await sound(page)
    finally:
        executor.error = ""
