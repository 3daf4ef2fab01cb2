"""Ten tasks by keyboard alone, from opening the page on: no click, no focus that a person couldn't give."""

import asyncio

import pytest

from tests.web.browser.conftest import FOUR
from tests.web.conftest import OTHER, YOU, Site

pytestmark = pytest.mark.asyncio(loop_scope="session")
MOST_TABS = 70
HAS_FOCUS = "(one) => one === document.activeElement || one.contains(document.activeElement)"


async def tab_to(page, selector: str, *, back: bool = False, press: str = "") -> None:
    """Press Tab until something that ``selector`` means has the focus, see that it is shown, and press a key
    on it."""
    for _ in range(MOST_TABS):
        if await page.evaluate("(selector) => document.activeElement?.matches(selector)", selector):
            break
        await page.keyboard.press("Shift+Tab" if back else "Tab")
    else:
        pytest.fail(f"Tab never comes to {selector}")
    hidden = await page.evaluate("""() => {
        const one = document.activeElement, box = one.getBoundingClientRect();
        const at = document.elementFromPoint(box.x + box.width / 2, box.y + Math.min(box.height / 2, 20));
        return !at || !(one.contains(at) || at.contains(one) || at.closest('label')?.contains(one));
    }""")
    assert not hidden, f"{selector} has the focus under something else"
    if press:
        await page.keyboard.press(press)


async def test_signing_in(opened: Site, page) -> None:
    link = await opened.opened.services.web.new(YOU, "you")
    await page.goto(f"{opened.web.url}/in#{link.partition('#')[2]}")
    await page.wait_for_selector("#sign-in button")
    await tab_to(page, "#sign-in button", press="Enter")
    await page.wait_for_selector("#bar-prompt")


async def test_asking_with_a_suggestion_and_a_parameter(opened: Site, you) -> None:
    await tab_to(you, "#bar-prompt")
    await you.keyboard.type("a red house --chao")
    await you.wait_for_selector("#bar-suggestions:not([hidden]) [role=option]")
    await you.keyboard.press("Tab")
    await you.keyboard.type("20")
    await you.keyboard.press("Escape")
    await tab_to(you, "#bar-flags", press="Enter")
    await tab_to(you, ".flag-panel .shape:nth-child(6)", press="Space")
    await you.keyboard.press("Escape")
    value = await you.locator("#bar-prompt").input_value()
    assert "--chaos 20" in value and "--ar 3:2" in value
    await tab_to(you, "#bar-prompt", back=True, press="Enter")
    await you.wait_for_selector(FOUR)


async def test_what_is_typed_before_suggestions_are_read_gets_some(opened: Site, you) -> None:
    async def late(route) -> None:
        await typed.wait()
        await route.continue_()

    typed = asyncio.Event()
    await you.route("**/completion.js*", late)
    await you.goto(opened.web.url)
    await you.wait_for_selector("body[data-started]")
    await tab_to(you, "#bar-prompt")
    await you.keyboard.type("a red house --chao")
    typed.set()
    await you.wait_for_selector("#bar-suggestions:not([hidden]) [role=option]")


async def test_stopping_a_job_that_waits(opened: Site, you) -> None:
    await opened.opened.services.queue.pause(YOU)
    await you.keyboard.press("/")
    await you.keyboard.type("a red house")
    await you.keyboard.press("Enter")
    await you.wait_for_selector(".job .status")
    await tab_to(you, ".job .job-actions button", press="Enter")
    await you.wait_for_selector("text=Stopped before it was done")


async def test_moving_among_the_pictures_of_create_and_opening_one(opened: Site, you) -> None:
    for _ in range(2):
        job = await opened.drawn(opened.you)
    await you.goto(opened.web.url)
    await you.wait_for_selector("body[data-started]")
    focused = "() => document.activeElement.getAttribute('href')"
    await you.keyboard.press("/")
    await you.keyboard.press("Escape")  # out of the prompt
    await you.keyboard.press("ArrowDown")
    assert await you.evaluate(focused) == f"/pictures/{job['id']}/1"
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowUp", "ArrowLeft"):
        await you.keyboard.press(key)
    assert await you.evaluate(focused) == f"/pictures/{job['id']}/2"
    await you.keyboard.press("e")
    await you.wait_for_url(f"{opened.web.url}/edit/{job['id']}/2")


async def test_older_jobs_follow_when_they_are_asked_for(opened: Site, you) -> None:
    for number in range(22):
        await opened.drawn(opened.you, f"house number {number}")
    await you.goto(opened.web.url)
    await you.wait_for_selector("body[data-started]")
    await you.locator("#older").click()
    await you.wait_for_function("() => document.querySelectorAll('.job').length === 22")
    assert "house number 0" in await you.locator(".job").last.inner_text()


async def test_making_a_variation_from_a_menu(opened: Site, you) -> None:
    await opened.drawn(opened.you)
    await you.goto(opened.web.url)
    await tab_to(you, "[aria-label='Actions for picture 2']", press="Enter")
    await you.wait_for_selector(".menu:popover-open")
    for _ in range(12):
        if await you.evaluate("() => document.activeElement.textContent.trim()") == "Strong":
            break
        await you.keyboard.press("ArrowDown")
    await you.keyboard.press("Enter")
    await you.wait_for_selector(".job:nth-child(2)")


async def test_looking_through_pictures_and_keeping_one(opened: Site, you) -> None:
    job = await opened.drawn(opened.you)
    await you.goto(opened.web.url)
    await tab_to(you, ".cell a", press="Enter")
    await you.wait_for_url("**/pictures/*/1")
    await you.wait_for_selector(".edge.after")
    await you.keyboard.press("ArrowRight")
    await you.wait_for_url("**/pictures/*/2")
    async with you.expect_response(lambda answer: "/favourites/" in answer.url):
        await you.keyboard.press("l")
    kept = (await opened.you.get(f"/api/jobs/{job['id']}")).data["pictures"]
    assert [picture["favourite"] for picture in kept] == [False, True, False, False]
    await you.keyboard.press("Escape")
    await you.wait_for_url(opened.web.url + "/")


async def test_comparing_two_pictures(opened: Site, you) -> None:
    job = await opened.drawn(opened.you)
    await you.goto(opened.web.url + job["pictures"][0]["href"])
    await you.wait_for_selector("#tools button")
    await tab_to(you, "#tools button", press="Enter")
    await you.keyboard.press("ArrowLeft")
    await you.keyboard.press("ArrowLeft")
    assert await you.locator(".slider").input_value() == "49"
    await you.keyboard.press("Escape")
    assert await you.locator(".slider").count() == 0


async def test_choosing_several_and_deleting_them(opened: Site, you) -> None:
    await opened.drawn(opened.you)
    await you.keyboard.press("g")
    await you.keyboard.press("p")
    await you.wait_for_selector(".tile img")
    await tab_to(you, ".tile a", press="Space")
    await you.keyboard.press("End")
    await you.keyboard.press("Shift+Space")
    assert await you.locator(".chosen-bar p").inner_text() == "4 selected"
    await tab_to(you, ".chosen-bar [aria-label^='Move to the trash']", press="Enter")
    await you.wait_for_selector(".empty")


async def test_searching_and_filtering(opened: Site, you) -> None:
    await opened.drawn(opened.you, "a red house")
    await opened.drawn(opened.you, "a blue boat")
    await you.goto(opened.web.url + "/pictures")
    await you.wait_for_selector(".tile img")
    await tab_to(you, "input[type=search]")
    await you.keyboard.type("boat")
    await you.keyboard.press("Enter")
    await you.wait_for_function("() => document.querySelectorAll('.tile img').length === 4")
    await tab_to(you, "input[name=favourite]", press="Space")
    await you.wait_for_selector(".empty")


async def test_changing_a_setting_and_the_theme(opened: Site, you) -> None:
    await you.keyboard.press("Escape")
    await you.goto(opened.web.url + "/settings")
    await tab_to(you, "#field-remix")
    async with you.expect_response(
        lambda answer: "settings" in answer.url and answer.request.method != "GET"
    ):
        await you.keyboard.press("Space")
    fields = (await opened.you.get("/api/settings")).data["fields"]
    assert next(field["value"] for field in fields if field["name"] == "remix") is True
    await tab_to(you, ".more-button", press="Enter")
    await tab_to(you, "#theme", press="Enter")
    assert await you.evaluate("() => document.documentElement.dataset.theme") == "light"


async def test_ending_a_session(opened: Site, you) -> None:
    await opened.person(YOU, "elsewhere")
    await opened.person(OTHER)
    await you.goto(opened.web.url + "/sessions")
    before = len(await opened.opened.services.web.sessions.of(YOU))
    await tab_to(you, "#sessions [aria-label^='End the session']")
    async with you.expect_response(lambda answer: "/sessions/" in answer.url):
        await you.keyboard.press("Enter")
    assert len(await opened.opened.services.web.sessions.of(YOU)) == before - 1
