"""The wall of styles in a browser: by keys, narrow and wide; axe is content."""

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from studio.library.wall import WallDrawing
from tests.jobs.conftest import eventually
from tests.web.browser.conftest import SIDEWAYS, faults, look, shot, sign_in
from tests.web.browser.test_examples import ALL_THERE, LOOKS
from tests.web.conftest import Site

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def hung(site: Site, count: int) -> None:
    """Draw the first tiles, as the studio does while nobody waits."""
    services = site.opened.services
    settings = replace(services.settings, wall_seconds=600)
    drawing = WallDrawing(services.database, services.queue, settings)
    for place in range(count):
        assert await drawing.ask_for_next(), place

        async def idle() -> bool:
            return not services.queue.unfinished

        await eventually(idle)


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
async def test_axe_finds_nothing_and_nothing_is_cut_off(site: Site, page, axe, scheme, width) -> None:
    await hung(site, 7)
    await sign_in(site, page)
    await look(page, scheme, width)
    await page.goto(f"{site.web.url}/wall")
    assert await page.locator(".style img").count() == 7
    for path in ("/wall", "/wall?q=zebra", "/wall?q=mist&prompt=a+boat"):
        assert await faults(page, axe, site.web.url + path) == [], path
        assert await page.evaluate(SIDEWAYS) <= 0, path
        assert await page.evaluate(ALL_THERE), path
        await shot(page, f"wall{path[5:10].replace('?', '-')}-{width}-{scheme}")


async def test_styles_are_liked_mixed_and_tried_by_keys(site: Site, page) -> None:
    await sign_in(site, page, "/wall?q=woodcut")
    await page.wait_for_selector("body[data-started]")
    like = page.locator("[data-like]").first
    await like.press("Enter")
    await page.locator('[data-like][aria-pressed="true"]').wait_for()
    await page.locator("#prompt").fill("a boat")
    use = await page.locator("[data-use]").first.get_attribute("href")
    first, second = [await page.locator("[data-number]").nth(n).get_attribute("data-number") for n in (0, 1)]
    assert parse_qs(urlsplit(use).query)["prompt"] == [f"a boat --sref {first}"]
    for number in (0, 1):
        await page.locator("input[name=mix]").nth(number).press("Space")
    await page.get_by_text(f"--sref {first}::2 {second}::1").wait_for()
    await page.locator("#mix").press("Enter")
    await page.wait_for_selector("#bar-prompt")
    assert await page.locator("#bar-prompt").input_value() == f"a boat --sref {first}::2 {second}::1"
