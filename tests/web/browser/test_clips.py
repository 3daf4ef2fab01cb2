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
    job = await opened.drawn(opened.you, f"{BOAT} --bs 2")
    await opened.drawn(opened.you, "a red house")
    await look(you, "light", width)
    for name, path in (("create", "/"), ("pictures", "/pictures"), ("video", f"/pictures/{job['id']}/2")):
        assert await faults(you, axe, opened.web.url + path) == [], path
        await shot(you, f"{name}-{width}")
    await until(lambda: you.evaluate("document.querySelector('video').readyState >= 2"))
    await until(lambda: you.evaluate("document.querySelector('video').currentTime > 0.2"))
    siblings = await you.locator(".strip img").evaluate_all("all => all.map(({ alt }) => alt)")
    assert siblings == ["Video 1", "Video 2"]
    await you.keyboard.press("k")
    assert await you.evaluate("document.querySelector('video').paused")
    assert await you.evaluate(
        "(({ muted, loop, controls }) => [muted, loop, controls])(document.querySelector('video'))"
    ) == [True, True, False]
    await you.locator(".player").get_by_role("button", name="Play", exact=True).wait_for()
    assert await you.evaluate("document.querySelector('video').duration") == pytest.approx(1, abs=0.05)
    assert await you.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_a_video_waits_where_less_motion_is_wanted_and_plays_in_a_list_under_the_pointer(
    opened: Site, you
) -> None:
    job = await opened.drawn(opened.you, f"{BOAT} --bs 1")
    await you.goto(f"{opened.web.url}/pictures")
    await you.locator(".tile a").first.hover()
    await until(lambda: you.evaluate("document.querySelector('video.under-pointer')?.currentTime > 0.1"))
    await you.mouse.move(0, 0)
    assert await you.locator("video").count() == 0
    await you.emulate_media(reduced_motion="reduce")
    await you.goto(f"{opened.web.url}/pictures/{job['id']}/1")
    play = you.locator(".player").get_by_role("button", name="Play", exact=True)
    await until(lambda: you.evaluate("document.querySelector('video').readyState >= 1"))
    assert await you.evaluate("document.querySelector('video').paused")
    await play.click()
    await until(lambda: you.evaluate("document.querySelector('video').currentTime > 0.1"))


async def test_the_video_to_blend_with_is_chosen_among_ones_own(opened: Site, you) -> None:
    other = await opened.drawn(opened.you, f"{BOAT} --bs 1")
    job = await opened.drawn(opened.you, "a blue boat --video --bs 1")
    await you.goto(f"{opened.web.url}/pictures/{job['id']}/1")
    await you.click("#more-button")
    await you.get_by_role("button", name="Blend …").click()
    chosen = you.locator("#choose-video input")
    await chosen.wait_for()
    assert await chosen.input_value() == f"{other['id']} 1"
    await you.locator("form[data-send$='/vblend'] button").click()
    await you.wait_for_selector("#made .result:not([aria-busy=true]) a")
    [made] = (await opened.you.get("/api/jobs")).data["jobs"][:1]
    assert made["name"] == "Blend of 2"


async def test_a_part_is_cut_and_the_last_frame_taken(opened: Site, you) -> None:
    job = await opened.drawn(opened.you, f"{BOAT} --bs 1")
    await you.goto(f"{opened.web.url}/pictures/{job['id']}/1")
    await you.get_by_text("Cut", exact=True).first.click()
    await you.get_by_label("From, seconds").fill("0.25")
    await shot(you, "cut")
    await you.locator("form[data-send$='/cut'] button").click()
    await you.click("#more-button")
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
