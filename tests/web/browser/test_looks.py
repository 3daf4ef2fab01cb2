"""Looks that people ask their system for: less motion, colours of their own, 400 % zoom, a phone."""

import pytest

from tests.web.browser.conftest import FOUR, SIDEWAYS, pages_of
from tests.web.conftest import Site

pytestmark = pytest.mark.asyncio(loop_scope="session")
PHONES = ("Pixel 7", "iPhone 15")
SMALL = """() => [...document.querySelectorAll('a, button, input, select, textarea, summary')]
    .filter((one) => one.checkVisibility({ opacityProperty: true, visibilityProperty: true }))
    .filter((one) => !one.closest('p, .skip, .sr, .veil, .meta') && !one.labels?.length)
    .map((one) => [one, one.getBoundingClientRect()])
    .filter(([, box]) => box.width && (box.width < 24 || box.height < 24))
    .map(([one]) => one.outerHTML.slice(0, 120))"""
BARE = """() => [...document.querySelectorAll('.button, .switch, .chip')]
    .filter((one) => one.checkVisibility() && getComputedStyle(one).borderTopWidth === '0px')
    .map((one) => one.outerHTML.slice(0, 80))"""
SAME = """() => [...document.querySelectorAll('[aria-pressed=true], .toggle:has(:checked), [aria-current]')]
    .filter((one) => one.checkVisibility() && getComputedStyle(one).outlineStyle === 'none')
    .map((one) => one.outerHTML.slice(0, 80))"""  # chosen, and not to be told from what isn't
SHOWN = """() => {
  const one = document.activeElement, box = one.getBoundingClientRect();
  if (one === document.body) return true;
  const at = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  return Boolean(at) && (one.contains(at) || at.contains(one));
}"""
OUTLINE = "() => parseFloat(getComputedStyle(document.activeElement).outlineWidth)"
MOVING = "() => document.getAnimations().filter((one) => one.effect.getComputedTiming().duration > 1).length"


async def test_with_less_motion_nothing_moves(opened: Site, you) -> None:
    await you.emulate_media(reduced_motion="reduce")
    await opened.opened.services.queue.pause(1)
    await you.goto(opened.web.url)
    await you.locator("#bar-prompt").fill("a red house")
    await you.locator("#bar-prompt").press("Enter")
    await you.wait_for_selector(".job")
    assert await you.evaluate(MOVING) == 0


async def test_with_colours_of_ones_own_everything_has_an_edge(opened: Site, you) -> None:
    job = await opened.drawn(opened.you)
    await you.emulate_media(forced_colors="active")
    for path in (*pages_of(opened), job["pictures"][0]["href"]):
        await you.goto(opened.web.url + path)
        assert await you.evaluate(BARE) == [], path
        assert await you.evaluate(SAME) == [], path
        await you.keyboard.press("Tab")
        assert await you.evaluate(OUTLINE) >= 1, path


async def test_at_400_percent_pages_fit_and_show_what_has_the_focus(opened: Site, you) -> None:
    job = await opened.drawn(opened.you, "a red house --ar 3:2 --chaos 20")
    await you.set_viewport_size({"width": 320, "height": 256})
    for path in (*pages_of(opened), job["pictures"][0]["href"]):
        await you.goto(opened.web.url + path)
        assert await you.evaluate(SIDEWAYS) <= 0, path
    await you.goto(opened.web.url + "/settings")
    for _ in range(25):
        await you.keyboard.press("Tab")
        assert await you.evaluate(SHOWN), await you.evaluate(
            "() => document.activeElement.outerHTML.slice(0, 200)"
        )


@pytest.mark.parametrize("name", PHONES)
async def test_a_phone_creates_compares_and_never_scrolls_sideways(
    opened: Site, browser, device, name
) -> None:
    context = await browser.new_context(**device(name), locale="en-GB")
    page = await context.new_page()
    await page.goto(f"{opened.web.url}/in#a-capability")
    await page.locator("#bar-prompt").tap()
    await page.keyboard.type("a red house --ar 3:2")
    await page.get_by_role("button", name="Send").tap()
    await page.wait_for_selector(FOUR)
    await page.locator(FOUR).first.tap()
    await page.wait_for_selector("#tools button")
    await page.locator("#tools button").tap()
    await page.locator(".slider").fill("20")
    assert "20%" in await page.locator(".divider").get_attribute("style")
    await page.get_by_role("button", name="Done").tap()
    for path in (*pages_of(opened), page.url.removeprefix(opened.web.url)):
        await page.goto(opened.web.url + path)
        assert await page.evaluate(SIDEWAYS) <= 0, path
        assert await page.evaluate(SMALL) == [], path
    await context.close()
