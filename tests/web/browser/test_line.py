"""The page's line to the studio in Chromium: it goes silent, sleeps, loses its session or its studio."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from tests.web.browser.conftest import FOUR
from tests.web.browser.line import Line, open_line
from tests.web.conftest import COOKIE, YOU, Site

pytestmark = pytest.mark.asyncio(loop_scope="session")
STILL = 41_000  # ms: the page asks itself each second whether it heard something within 40 s
SWEPT = 1600  # ms: connections that the browser kept are given up by then


@pytest_asyncio.fixture(loop_scope="session")
async def line(opened: Site) -> AsyncIterator[Line]:
    async with open_line(int(opened.web.url.rpartition(":")[2])) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(opened: Site, line: Line, browser) -> AsyncIterator:
    """A page of Create whose clock can be moved, with its socket open."""
    context = await browser.new_context(locale="en-GB", timezone_id="UTC")
    cookie = {"name": COOKIE, "value": opened.you.cookie, "domain": "127.0.0.1", "path": "/", "secure": True}
    await context.add_cookies([cookie])
    page = await context.new_page()
    await page.clock.install()
    await page.goto(line.url)
    await page.wait_for_selector("#bar-flags", state="visible")
    await sockets(page, line, 1)
    yield page
    await context.close()


async def sockets(page, line: Line, count: int) -> None:
    """Wait until so many were opened; each turn asks the page."""
    while line.sockets < count:  # noqa: ASYNC110 - a proxy has no event for the page
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


async def test_a_laptop_that_wakes_up_hears_at_once(
    opened: Site, line: Line, open_page
) -> None:
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
