"""A video under a conversation in Chromium: added, asked about, its strip shown, its times followed."""

import pytest

from tests.studio.conftest import png
from tests.studio.talker import Talker
from tests.support.videos import BLUE, GREEN, RED, WHITE, animation, moving, plain, video
from tests.web.browser.conftest import sign_in
from tests.web.conftest import Site

pytestmark = pytest.mark.asyncio(loop_scope="session")
MODEL = {"VLM_URL": "http://chat.example:9/v1"}  # never called: the executor is the test's


EXECUTOR = Talker
SETTINGS = MODEL


async def talk_page(site: Site) -> str:
    """The page of a conversation that has begun."""
    sent = await site.you.ask("POST", "/api/uploads", data=png(), headers={"Content-Type": "image/png"})
    begun = await site.you.post("/api/talk", {"question": "What?", "pictures": [sent.data["sha256"]]})
    await site.finished(begun.data["job"])
    return f"{site.web.url}/talk/{begun.data['job']}"


@pytest.mark.parametrize("width", [320, 1440])
async def test_a_video_is_added_asked_about_and_shown(opened: Site, you, width: int) -> None:
    slides = animation([plain(colour) for colour in (RED, BLUE, GREEN, WHITE)], "GIF", 2)
    await you.set_viewport_size({"width": width, "height": 740})
    await you.goto(await talk_page(opened))
    await you.set_input_files(
        "#more-file", [{"name": "slides.gif", "mimeType": "image/gif", "buffer": slides}]
    )
    await you.wait_for_selector("#more-pictures img")
    await you.fill("#more-question", "Is it green at 4.0 s?")  # which the answer repeats
    await you.press("#more-question", "Enter")
    await you.wait_for_selector(".strip .named")
    labels = await you.locator(".strip li").all_inner_texts()
    assert [label.strip() for label in labels] == ["0.0 s", "2.0 s", "4.0 s", "6.0 s"]
    assert (await you.locator(".strip .named").inner_text()).strip() == "4.0 s"
    await you.locator(".strip li").last.scroll_into_view_if_needed()
    await you.wait_for_function(
        "() => [...document.querySelectorAll('.strip img')].every((image) => image.naturalWidth > 0)"
    )
    await you.locator(".said a", has_text="4.0").click()
    assert you.url.endswith("-3")
    assert await you.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


async def test_a_video_that_is_not_taken_says_why(opened: Site, browser) -> None:
    context = await browser.new_context()  # of its own: a refusal reaches the console
    page = await context.new_page()
    await sign_in(opened, page)
    await page.goto(await talk_page(opened))
    old = {"name": "old.mp4", "mimeType": "video/mp4", "buffer": video(moving(2), "mpeg4")}
    await page.set_input_files("#more-file", [old])
    await page.get_by_text("Supported: H.264, HEVC, VP8, VP9 and AV1").wait_for()
    assert await page.locator("#more-pictures .attached").count() == 0
    await context.close()
