"""Explore and a server's queue in a real browser: looked through, kept, opened, stopped."""

import random
from contextlib import AbstractContextManager

import pytest

from studio.authority import Actor
from tests.studio.servers import Channel, Server, Servers
from tests.web.browser.conftest import faults
from tests.web.conftest import YOU, Site

pytestmark = pytest.mark.asyncio(loop_scope="session")
HERE, HALL, OTHER = 20, 100, 50


def in_a_server(opened: Site) -> AbstractContextManager[None]:
    """You manage a server and read its hall."""
    hall = Channel({YOU, OTHER})
    server = Server("Lanterns", {HALL: hall}, {YOU: True, OTHER: False})
    return opened.opened.services.directory.connected(Servers({HERE: server}))


async def test_a_picture_of_others_is_kept_opened_and_left(opened: Site, you, axe) -> None:
    with in_a_server(opened):
        for words in ("a red house", "a blue boat"):
            job = (await opened.opened.drawn(Actor(OTHER, HERE, HALL, name="anna"), words)).job
            await opened.opened.services.queue.add_view(job.id, random.getrandbits(60), HALL, HERE)
        await you.goto(opened.web.url + "/explore")
        await you.wait_for_selector(".window .tile img")
        assert await you.locator(".tile img").count() == 8
        assert await faults(you, axe, opened.web.url + "/explore") == []
        await you.keyboard.press("ArrowRight")
        async with you.expect_response(f"**/api/favourites/{job.id}/1"):
            await you.keyboard.press("l")
        await you.locator(".tile a").first.click()
        await you.wait_for_url(f"**/pictures/{job.id}/1")
        assert await you.locator("#heart").get_attribute("aria-pressed") == "true"
        assert await you.get_by_text("Author").count() == 1
        for number in (2, 3, 4):
            await you.keyboard.press("ArrowRight")
            await you.wait_for_url(f"**/pictures/{job.id}/{number}")
        await you.keyboard.press("ArrowRight")
        await you.wait_for_url(lambda address: "/pictures/" in address and job.id not in address)
        await you.keyboard.press("Escape")
        await you.wait_for_url("**/explore")


async def test_a_manager_stops_what_waits_in_their_server(opened: Site, you, axe) -> None:
    studio = opened.opened.studio
    with in_a_server(opened):
        await opened.opened.services.queue.pause(1)
        actor = Actor(OTHER, HERE, HALL, name="anna")
        [new] = await (await studio.requests.imagine(actor, "a red house", None)).jobs()
        await studio.submit(actor, new)
        await you.goto(opened.web.url + "/queue")
        assert await faults(you, axe, opened.web.url + "/queue") == []
        await you.get_by_role("button", name="Cancel the job of anna").click()
        await you.get_by_text("Nothing runs or waits here.").wait_for()
