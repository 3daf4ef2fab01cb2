"""The search above the gallery: the likest first, fields that write into the box, more like a picture."""

import pytest

from tests.studio.library.eyes import Seeing
from tests.web.conftest import Site
from tests.web.test_search import drawn

pytestmark = pytest.mark.asyncio(loop_scope="session")


EXECUTOR = Seeing


async def test_what_is_typed_or_chosen_is_found_the_likest_first(opened: Site, you) -> None:
    far, near = [await drawn(opened, f"a house --seed {seed}") for seed in (0, 90)]
    await you.goto(f"{opened.web.url}/pictures?seed=91")
    first = you.locator(".tile a").first
    await first.wait_for()
    assert await you.locator("#search-box").input_value() == "seed:91"
    assert await first.get_attribute("href") == f"/pictures/{near['id']}/2"
    await you.locator("#search-box").fill("1")
    await you.wait_for_selector(f'.tile:first-child a[href^="/pictures/{far["id"]}/"]')
    await you.locator("#more-filters summary").click()
    await you.locator('input[name="seed"]').fill("92")
    await you.locator('input[name="seed"]').press("Tab")
    await you.wait_for_selector(f'.tile:first-child a[href="/pictures/{near["id"]}/3"]')
    assert await you.locator("#search-box").input_value() == "1 seed:92"
    await first.focus()
    await you.keyboard.press("Space")
    await you.get_by_role("button", name="More like this").click()
    await you.wait_for_url(f"**/pictures?q=like:{near['id']}/3")
    await you.wait_for_selector(f'.tile:first-child a[href^="/pictures/{near["id"]}/"]')
