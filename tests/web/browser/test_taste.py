"""Pages of nine to rate in a browser: by keys and touch, narrow and wide; axe is content."""

import pytest

from tests.web.browser.conftest import SIDEWAYS, faults, look, shot, sign_in
from tests.web.browser.test_examples import ALL_THERE, LOOKS
from tests.web.browser.test_wall import hung
from tests.web.conftest import Site

pytestmark = pytest.mark.asyncio(loop_scope="session")
PRESSED = '#nine [aria-pressed="true"]'


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
async def test_axe_finds_nothing_and_nothing_is_cut_off(site: Site, page, axe, scheme, width) -> None:
    await hung(site, 10)
    await sign_in(site, page)
    await look(page, scheme, width)
    assert await faults(page, axe, f"{site.web.url}/taste/nine") == []
    await page.locator("#nine button").nth(8).wait_for()
    await page.locator("#nine button").nth(2).click()
    assert await page.locator(PRESSED).count() == 1
    assert await page.evaluate(SIDEWAYS) <= 0
    assert await page.evaluate(ALL_THERE)
    await shot(page, f"nine-{width}-{scheme}")


async def test_pages_are_rated_by_keys_and_said_again(site: Site, page) -> None:
    await hung(site, 28)
    await sign_in(site, page, "/taste/nine")
    await page.locator("#nine button").nth(8).wait_for()
    words = "[...document.querySelectorAll('#nine img')].map((one) => one.src)"
    first = await page.evaluate(words)
    for key in ("1", "5", "5", "9"):
        await page.keyboard.press(key)
    assert await page.locator(PRESSED).count() == 2
    assert await page.locator("#next").inner_text() == "Next"
    async with page.expect_response("**/api/taste/nine") as answered:
        await page.keyboard.press("Space")
    assert (await answered.value).status == 200
    second = await page.evaluate(words)
    assert not {*first} & {*second} and await page.locator("#next").inner_text() == "None of these"
    await page.keyboard.press("ArrowLeft")
    assert await page.evaluate(words) == first and await page.locator(PRESSED).count() == 2
    await page.keyboard.press("1")
    async with page.expect_response("**/api/taste/nine") as answered:
        await page.keyboard.press("ArrowRight")
    said = (await answered.value).request.post_data_json
    assert len(said["liked"]) == 1 and len(said["passed"]) == 8
    likes = await site.opened.services.database.read(lambda c: c.exec_driver_sql(COUNT).scalar())
    assert likes == 1
    async with page.expect_response("**/api/taste/nine"):
        await page.keyboard.press("ArrowRight")
    third = await page.evaluate(words)
    assert len(third) == 9 and not {*third} & {*first, *second}
    async with page.expect_response("**/api/taste/nine"):
        await page.keyboard.press("ArrowRight")
    await page.get_by_text("no more pictures to rate").wait_for()


COUNT = "SELECT count(*) FROM taste_choices WHERE liked = 1"
