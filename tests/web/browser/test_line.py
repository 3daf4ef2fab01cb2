"""The page's line to the studio in Chromium: it goes silent, sleeps, loses its session or its studio."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode

import pytest
import pytest_asyncio

from tests.web.browser.conftest import FOUR
from tests.web.browser.line import Line, open_line
from tests.web.conftest import GUEST, YOU, Site
from tests.web.fake_discord import opened_at
from tests.web.test_projects import project

pytestmark = pytest.mark.asyncio(loop_scope="session")
STILL = 41_000  # ms: the page asks itself each second whether it heard something within 40 s
SWEPT = 1600  # ms: connections that the browser kept are given up by then


@pytest_asyncio.fixture(loop_scope="session")
async def line(opened: Site) -> AsyncIterator[Line]:
    async with open_line(int(opened.web.url.rpartition(":")[2])) as found:
        if around := opened_at.get(opened.web.url):
            opened_at[found.url] = f"{around}/?{urlencode({'frame': found.url})}"
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def context(opened: Site, browser) -> AsyncIterator:
    """Somebody who is signed in; calls that fail are no faults here."""
    found = await browser.new_context(locale="en-GB", timezone_id="UTC")
    await found.add_cookies(opened.you.jar)
    yield found
    await found.close()


async def visit(context, line: Line, path: str = "/"):
    """Return a page by the line whose clock can be moved, with its scripts listening."""
    page = await context.new_page()
    await page.clock.install()
    await page.goto(line.url + path)
    await page.wait_for_function("() => document.body.dataset.started !== undefined")
    return page


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(context, line: Line):
    """A page of Create with its socket open."""
    page = await visit(context, line)
    await sockets(page, line, 1)
    return page


async def sockets(page, line: Line, count: int) -> None:
    """Wait until so many were opened; each turn asks the page."""
    while line.sockets < count:
        await page.evaluate("() => new Promise((done) => done())")


async def test_a_line_that_went_silent_is_noticed_and_what_was_missed_is_shown(
    opened: Site, line: Line, open_page
) -> None:
    line.silence()
    await opened.drawn(opened.you)
    await open_page.clock.fast_forward(STILL - 10_000)
    assert line.sockets == 1 and await open_page.locator(FOUR).count() == 0
    await open_page.clock.fast_forward(10_000)
    await open_page.clock.fast_forward(SWEPT)
    await open_page.wait_for_selector(FOUR)
    assert line.sockets == 2 and not await open_page.locator("#banner").is_visible()


async def test_a_laptop_that_wakes_up_hears_at_once(opened: Site, line: Line, open_page) -> None:
    line.silence()
    await opened.drawn(opened.you)
    await open_page.clock.set_system_time(datetime.now(UTC) + timedelta(minutes=5))
    await open_page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
    await sockets(open_page, line, 2)
    await open_page.clock.fast_forward(SWEPT)
    await open_page.wait_for_selector(FOUR)


async def test_a_session_that_ended_while_the_line_was_away_leads_to_signing_in_and_back(
    opened: Site, line: Line, open_page
) -> None:
    await open_page.evaluate("() => history.replaceState(null, '', '/?a=b#prompt')")
    line.cut()
    [session] = await opened.opened.services.web.sessions.of(YOU)
    await opened.opened.services.web.sessions.end(YOU, session.id)
    line.is_cut = False
    await open_page.clock.fast_forward(2000)
    await open_page.wait_for_url(re.compile(r"/in\?next=%2F%3Fa%3Db%23prompt$"))


async def test_a_tab_of_somebody_who_has_left_the_browser_does_nothing_as_the_next(
    opened: Site, context
) -> None:
    """Its form and its settings reach the studio after another person has taken the browser over."""
    form, settings = await context.new_page(), await context.new_page()
    await form.goto(f"{opened.web.url}/privacy")
    await settings.goto(f"{opened.web.url}/settings")
    for one in (form, settings):
        await one.wait_for_function("() => document.body.dataset.started !== undefined")
    guest = await opened.person(GUEST)
    await context.add_cookies(guest.jar)
    await form.get_by_label("I am sure").check()
    await form.get_by_role("button", name="Delete everything").click()
    await form.get_by_text("Somebody else has signed in here").wait_for()
    await settings.locator("#settings select").first.select_option(index=1)
    await settings.wait_for_function("(id) => document.body.dataset.person === id", arg=str(GUEST))
    assert (await guest.get("/api/jobs")).status == 200, "and nothing of theirs was deleted"


@pytest.mark.parametrize(
    ("wanted", "led"), [("/pictures?q=a%23b", "/pictures?q=a%23b"), ("//evil.example/x", "/"), ("/in", "/")]
)
async def test_who_signs_in_goes_on_with_the_page_that_was_wanted(
    opened: Site, page, wanted: str, led: str
) -> None:
    token = opened.web.local_address("a-capability").partition("#")[2]
    await page.goto(f"{opened.web.url}/in?next={quote(wanted, safe='')}#{token}")
    await page.wait_for_url(opened.web.url + led)


async def test_a_link_works_on_the_page_that_signing_out_leads_to(opened: Site, you) -> None:
    """The page's line ends with the session; signing out isn't broken off by that."""
    await you.get_by_role("button", name="More").click()
    await you.get_by_role("button", name="Sign out").click()
    await you.wait_for_url(opened.web.url + "/in**")
    assert you.url == opened.web.url + "/in"
    await you.goto(opened.web.local_address("a-capability"))  # the same page, which isn't loaded again
    await you.wait_for_url(opened.web.url + "/")


async def test_a_studio_that_comes_back_tells_what_happened_meanwhile(
    opened: Site, line: Line, open_page
) -> None:
    line.cut()
    await open_page.clock.fast_forward(3500)
    await open_page.get_by_text("The studio doesn't answer").wait_for()
    await opened.drawn(opened.you)
    line.is_cut = False
    await open_page.evaluate("() => dispatchEvent(new Event('online'))")
    await open_page.wait_for_selector(FOUR)
    await open_page.locator("#banner").wait_for(state="hidden")


async def test_labels_that_find_nobody_are_kept_shown_and_sent_once_the_studio_is_back(
    opened: Site, line: Line, context
) -> None:
    project_id = await project(opened, good=0, bad=1, new=5)
    loaded: list[str] = []
    context.on("requestfinished", lambda request: loaded.append(request.url.rpartition("/")[2]))
    page = await visit(context, line, f"/projects/{project_id}/label")
    await page.locator(".desk img").wait_for()
    await page.keyboard.press("1")
    await page.get_by_text("4 left").wait_for()
    await page.locator("#desk[aria-busy=false]").wait_for(state="attached")
    while loaded.count("next") < 2:  # the picture in sight, and the one after it
        await page.evaluate("() => new Promise((done) => done())")
    line.cut()
    await page.keyboard.press("1")  # its picture is there already
    await page.get_by_text("3 left").wait_for()
    await page.keyboard.press("2")
    await page.get_by_text("2 pictures not sent yet").wait_for()
    line.is_cut = False
    await page.reload()  # what is kept outlives the page
    await page.get_by_text("2 left").wait_for()
    for shown in ("1 left", "Every picture has its label"):
        await page.keyboard.press("1")
        await page.get_by_text(shown).wait_for()
    await page.locator("#desk[aria-busy=false]").wait_for(state="attached")
    card = (await opened.you.get(f"/api/projects/{project_id}")).data
    assert {label["name"]: label["count"] for label in card["labels"]} == {"good": 4, "scratch": 2}


async def test_undo_gives_a_picture_the_label_back_that_it_had(opened: Site, line: Line, context) -> None:
    project_id = await project(opened, good=0, bad=1, new=2)
    [first, *_] = (await opened.you.get(f"/api/projects/{project_id}/pictures?state=new")).data["pictures"]
    box = ["good", 0.1, 0.1, 0.5, 0.5]
    marks = f"/api/projects/{project_id}/marks"
    await opened.you.post(marks, {"picture": first["id"], "label": "good", "boxes": [box]})
    page = await visit(context, line, f"/projects/{project_id}/label?picture={first['id']}")
    await page.locator(".desk img").wait_for()
    async with page.expect_response("**/marks"):
        await page.keyboard.press("2")
    async with page.expect_request("**/marks") as asked:
        await page.keyboard.press("z")
    sent = (await asked.value).post_data_json
    assert (sent["label"], sent["boxes"]) == ("good", [box])


async def test_what_is_typed_while_a_prompt_is_sent_stays_and_outlives_the_session(
    opened: Site, line: Line, context, open_page
) -> None:
    line.cut()
    bar = open_page.locator("#bar-prompt")
    await bar.fill("a red house")
    await bar.press("Enter")
    await open_page.locator("#bar[aria-busy=true]").wait_for()
    await bar.fill("a blue boat")
    line.is_cut = False
    await open_page.clock.fast_forward(1000)
    await open_page.wait_for_selector(FOUR)
    await open_page.locator("#bar[aria-busy=false]").wait_for()
    assert await bar.input_value() == "a blue boat"
    # its session ends; who signs in again finds the words
    await context.clear_cookies()
    await bar.press("Enter")
    await open_page.wait_for_url(re.compile(r"/in\?next=%2F$"))
    await context.add_cookies((await opened.person(YOU, "you")).jar)
    await open_page.goto(line.url)
    assert await open_page.locator("#bar-prompt").input_value() == "a blue boat"


async def test_a_prompt_that_found_nobody_is_brought_back_when_others_words_stand_there(
    line: Line, open_page
) -> None:
    line.cut()
    bar = open_page.locator("#bar-prompt")
    await bar.fill("a red house")
    await bar.press("Enter")
    await bar.fill("a blue boat")
    back = open_page.get_by_role("button", name="Bring it back")
    while not await back.is_visible():
        await open_page.clock.fast_forward(1000)  # no further: what it is in goes by itself
    await back.click()
    assert await bar.input_value() == "a red house"


async def test_a_heart_that_finds_nobody_is_sent_later(opened: Site, line: Line, open_page) -> None:
    job = await opened.drawn(opened.you)
    await open_page.wait_for_selector(FOUR)
    line.cut()
    await open_page.get_by_label("Favourite, picture 1").dispatch_event("click")
    await open_page.wait_for_selector(".heart[aria-pressed=true]", state="attached")
    line.is_cut = False
    async with open_page.expect_response(f"**/api/favourites/{job['id']}/1"):
        await open_page.clock.fast_forward(20_000)
    assert (await opened.you.get(f"/api/jobs/{job['id']}")).data["pictures"][0]["favourite"]
