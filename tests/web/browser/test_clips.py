"""Videos in Chromium: they play, their actions are pressed, a sent one is gone on from, axe finds nothing."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.studio.video_requests import VideosAtOnce
from tests.support.videos import moving, video
from tests.web.browser.conftest import faults, look, shot
from tests.web.conftest import Site

pytestmark = pytest.mark.asyncio(loop_scope="session")
BOAT = "a red boat --video"


EXECUTOR = VideosAtOnce


async def until(work: Callable[[], Awaitable[object]]) -> None:
    """Wait until something holds; the page's policy lets no test wait inside of it."""
    for _ in range(600):
        if await work():
            return
        await asyncio.sleep(0.1)
    pytest.fail("it didn't come to hold")


@pytest.mark.parametrize("width", [360, 1440])
async def test_a_video_plays_and_axe_finds_nothing(opened: Site, you, axe: str, width: int) -> None:
    job = await opened.drawn(opened.you, BOAT)
    await opened.drawn(opened.you, "a red house")
    await look(you, "light", width)
    for name, path in (("create", "/"), ("pictures", "/pictures"), ("video", f"/pictures/{job['id']}/2")):
        assert await faults(you, axe, opened.web.url + path) == [], path
        await shot(you, f"{name}-{width}")
    await until(lambda: you.evaluate("document.querySelector('video').readyState >= 2"))
    await you.keyboard.press("k")
    await until(lambda: you.evaluate("document.querySelector('video').currentTime > 0.2"))
    await you.keyboard.press("k")
    assert await you.evaluate("document.querySelector('video').paused")
    assert await you.evaluate("document.querySelector('video').duration") == pytest.approx(1, abs=0.05)
    assert await you.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_a_part_is_cut_and_the_last_frame_taken(opened: Site, you) -> None:
    job = await opened.drawn(opened.you, f"{BOAT} --bs 1")
    await you.goto(f"{opened.web.url}/pictures/{job['id']}/1")
    await you.get_by_text("Cut", exact=True).first.click()
    await you.get_by_label("From, seconds").fill("0.25")
    await shot(you, "cut")
    await you.locator("form[data-send$='/cut'] button").click()
    await you.get_by_role("button", name="Last frame").click()

    async def are_there() -> bool:
        return len((await opened.you.get("/api/pictures")).data["pictures"]) == 3

    await until(are_there)
    await you.goto(f"{opened.web.url}/pictures")
    await you.locator(".tile img").nth(2).wait_for()
    assert await you.locator(".length").count() == 2


async def test_a_video_is_sent_and_gone_on_from(opened: Site, you) -> None:
    await you.goto(opened.web.url)
    data = video(moving(16, (96, 64)), fps=8)
    await you.set_input_files("#bar-file", [{"name": "mine.mp4", "mimeType": "video/mp4", "buffer": data}])
    await you.locator("#bar-do").wait_for()
    await you.locator("#bar-do").select_option("loop")
    await you.locator(".attached img").wait_for()
    await shot(you, "sent")
    await you.get_by_role("button", name="Send").click()
    await you.locator(".job .length").wait_for()
    job = (await opened.you.get("/api/jobs")).data["jobs"][0]
    stored = await opened.opened.services.queue.job(job["id"])
    assert stored is not None and stored.request.operation == "loop"
    assert await you.locator("#bar-do").is_hidden()
