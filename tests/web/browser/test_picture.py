"""A picture's own page in Chromium: what is asked there comes there and stays, nothing moves meanwhile, and
whoever goes back finds the page as it was."""

import asyncio
import os

import pytest

from core.errors import UserError
from proofs.web.shift import MOST, WATCH, largest_window
from tests.studio.talker import Talker
from tests.web.browser.conftest import faults, look
from tests.web.conftest import Site

pytestmark = pytest.mark.asyncio(loop_scope="session")
EXECUTOR = Talker
SETTINGS = {"VLM_URL": "http://chat.example:9/v1", "EDIT_MODEL": "owner/kontext", "VIDEO_MODEL": "owner/wan"}


async def begun(site: Site, page) -> dict:
    """Open the page of a picture that is there; its job."""
    job = await site.drawn(site.you)
    await page.goto(site.web.url + job["pictures"][0]["href"])
    await page.wait_for_function("() => 'started' in document.body.dataset")
    return job


async def test_results_and_answers_come_where_they_were_asked_for_and_stay(opened: Site, you) -> None:
    await begun(opened, you)
    await you.evaluate(WATCH)
    await you.locator(".firsts").get_by_role("button", name="Vary").click()
    await you.wait_for_selector("#made .result:not([aria-busy=true]) a >> nth=3")
    await you.click("#more-button")
    await you.get_by_role("button", name="Classify").click()
    await you.wait_for_selector("#answers .answer:not([aria-busy=true]) .scores")
    assert not await you.locator("#more-actions").is_visible()
    await you.fill("#ask textarea", "What is it?")
    await you.press("#ask textarea", "Enter")
    await you.wait_for_selector("#answers .answer:not([aria-busy=true]) .answer-text")
    assert await you.locator("#answers h2").all_inner_texts() == ["What is it?", "Classify"]
    assert await you.input_value("#ask textarea") == ""
    assert await you.locator(".toast").count() == 0, "what is shown in its place is told there alone"
    if "INSIDE" not in os.environ:  # in a frame of a frame Chromium takes no input for the cause of a shift
        assert largest_window(await you.evaluate("() => window.shifts")) <= MOST
    await you.reload()
    await you.wait_for_selector("#made .result a >> nth=3")
    assert await you.locator("#answers h2").all_inner_texts() == ["What is it?", "Classify"]
    await you.get_by_role("button", name="Delete this answer").first.click()
    await you.locator("dialog").get_by_role("button", name="Delete").click()
    await you.wait_for_function("() => document.querySelectorAll('#answers .answer').length === 1")


async def test_the_first_folder_is_made_from_a_pictures_page(opened: Site, you) -> None:
    job = await begun(opened, you)
    await you.get_by_role("button", name="Add to a folder").click()
    await you.get_by_role("textbox", name="New folder").fill("houses")
    await you.keyboard.press("Enter")
    await you.get_by_text("1 picture added to houses").wait_for()
    [folder] = (await opened.you.get("/api/folders")).data["folders"]
    shown = (await opened.you.get(f"/api/pictures?folder={folder['id']}")).data["pictures"]
    assert [(one["job"], one["n"]) for one in shown] == [(job["id"], 1)]


async def test_what_is_refused_says_so_in_its_place(opened: Site, browser) -> None:
    context = await browser.new_context()  # of its own: a refusal reaches the console
    await context.add_cookies(opened.you.jar)
    page = await context.new_page()
    await begun(opened, page)
    requests = opened.opened.studio.from_button

    async def refuses(*args, **kw):
        raise UserError("That would be 8192×8192 px; up to 4096 a side fit: try 2x.")

    opened.opened.studio.from_button = refuses  # type: ignore[method-assign]
    await page.locator(".firsts").get_by_role("button", name="Upscale").click()
    refused = page.locator("#made .result")
    await refused.get_by_text("try 2x").wait_for()
    opened.opened.studio.from_button = requests  # type: ignore[method-assign]
    await refused.get_by_role("button", name="Try again").click()
    await page.wait_for_selector("#made .result a")
    assert await page.locator(".toast").count() == 0 and await refused.count() == 1
    await context.close()


async def test_escape_and_back_lead_to_the_page_as_it_was_left(opened: Site, you) -> None:
    for colour in ("red", "blue", "green", "white", "black", "pink"):
        await opened.drawn(opened.you, f"a {colour} house")
    await you.goto(opened.web.url + "/")
    await you.wait_for_selector(".job .cell a")
    await you.evaluate("() => scrollTo(0, 600)")
    shown = you.locator(".job:nth-child(4) .cell a").first
    await shown.scroll_into_view_if_needed()
    await you.evaluate("() => addEventListener('pagehide', () => (sessionStorage.left = scrollY))")
    await asyncio.gather(you.wait_for_url("**/pictures/**"), shown.click())
    first = you.url
    before = await you.evaluate("() => history.length")
    await you.locator(".firsts").get_by_role("button", name="Vary").click()
    await asyncio.gather(
        you.wait_for_url(lambda url: url != first), you.locator("#made .result a").first.click()
    )
    await you.wait_for_function("() => 'started' in document.body.dataset")
    await you.keyboard.press("Escape")
    await you.wait_for_url(first)
    assert await you.evaluate("() => history.length") == before + 1
    await you.wait_for_function("() => 'started' in document.body.dataset")
    await you.keyboard.press("Escape")
    await you.wait_for_url(opened.web.url + "/")
    await you.wait_for_function("() => Math.abs(scrollY - sessionStorage.left) < 5")
    assert await you.evaluate("() => scrollY") > 200


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_first_row_more_and_edit_are_fit_for_everyone(opened: Site, you, axe: str, scheme: str) -> None:
    await begun(opened, you)
    await look(you, scheme, 1366)
    words = await you.locator(".firsts .first").all_inner_texts()
    assert [word.strip() for word in words] == ["Vary", "Upscale", "Edit", "Animate"]
    await you.locator(".firsts").get_by_role("button", name="Edit").press("Enter")
    assert await you.evaluate("() => document.activeElement.name") == "words"
    assert await faults(you, axe) == []
    await you.keyboard.press("Escape")
    assert await you.evaluate("() => document.activeElement.textContent.trim()") == "Edit"
    await you.press("#more-button", "Enter")
    names = await you.locator("#more-actions h2").all_inner_texts()
    assert names == ["Upscale", "Animate", "Vary", "Frame", "Pan", "Read", "Keep"]
    assert await faults(you, axe) == []
    await you.keyboard.press("Escape")
    assert "/pictures/" in you.url and not await you.locator("#more-actions").is_visible()
