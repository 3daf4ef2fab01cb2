"""The editor in Chromium: strokes lie under the pointer, nothing is lost, and all of it goes by keyboard or
finger alone."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.web.browser.desk import BIT, DIGEST, READ, SPOT, drag, editing, painted, point, ready, until

THIN = """async () => {
  const { editor } = await import(document.querySelector('script[type=module]').src);
  editor.set({ size: 1 }); }"""
pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("density", [1, 1.25, 2, 3])
async def test_a_stroke_lies_under_the_pointer_to_the_pixel(browser, scenes, density: float) -> None:
    async with editing(browser, scenes, device_scale_factor=density) as page:
        await page.evaluate(THIN)
        for zoom in ("-", "-", "+"):
            x, y = await point(page, 300.5, 200.5)
            await page.mouse.move(x, y)
            await page.mouse.down()
            await page.mouse.up()
            seen = await painted(page)
            assert seen["bounds"] == [300, 200, 301, 201], (density, seen["scale"])
            await page.locator("#stage").press("Delete")
            await page.locator("#stage").press(zoom)


ZOOMED = """async (zoom) => {
  const { editor } = await import(document.querySelector('script[type=module]').src);
  return Math.abs(editor.view.density - zoom) < 0.01 && Math.abs(devicePixelRatio - zoom) < 0.001; }"""


@pytest.mark.parametrize("percent", [50, 67, 80, 110, 150, 200])
async def test_a_stroke_lies_under_the_pointer_at_every_zoom_of_the_browser(zoomed, scenes, percent) -> None:
    zoom = percent / 100  # as a browser does it: so many px of the screen for one of CSS
    async with zoomed(zoom) as browser, editing(browser, scenes, no_viewport=True) as page:
        await until(page, ZOOMED, zoom)
        await page.evaluate(THIN)
        for x, y, key in ((300, 200, "-"), (450, 300, "+"), (384, 256, "+")):
            await page.locator("#stage").press(key)
            await page.mouse.click(*await point(page, x + 0.5, y + 0.5))
            seen, spot = await painted(page), await page.evaluate(SPOT)
            near = 0.5 / seen["scale"] + 1 / 8  # a mouse is at a whole px of the screen, a spot at ⅛ px
            assert abs(spot[0] / 8 - x - 0.5) <= near and abs(spot[1] / 8 - y - 0.5) <= near, (spot, near)
            assert await page.evaluate(BIT, [x, y]) == 1
            await page.locator("#stage").press("Delete")


async def test_what_is_painted_over_every_edge_and_out_of_the_window_is_kept(browser, scenes) -> None:
    async with editing(browser, scenes) as page:
        far = [(-900, 250), (384, -900), (2500, 250), (384, 2500)]
        for away in far:
            await drag(page, (384, 256), away, (384, 256), steps=8)
        seen = await painted(page)
        assert seen["past"] == 4
        assert seen["bounds"] == [0, 0, 768, 512]
        for x, y in ((2, 252), (384, 2), (765, 252), (384, 509)):
            assert await page.evaluate(BIT, [x, y]) == 1, (x, y)


async def test_undo_and_redo_go_over_everything(browser, scenes) -> None:
    async with editing(browser, scenes) as page:
        await drag(page, (100, 100), (200, 150))
        await page.get_by_role("button", name="Invert").click()
        await page.get_by_role("button", name="Zoom out 2×").click()
        await page.locator("#words").fill("a blue door")
        before = await page.evaluate(DIGEST)
        for _ in range(3):
            await page.locator("#stage").press("Control+z")
        assert (await painted(page))["width"] == 768
        await page.locator("#stage").press("Control+z")
        assert (await page.evaluate(READ))["count"] == 0
        for _ in range(4):
            await page.locator("#stage").press("Control+Shift+z")
        seen = await page.evaluate(READ)
        assert (seen["width"], seen["words"]) == (1536, "a blue door")
        assert await page.evaluate(DIGEST) == before


async def test_no_button_moves_when_it_is_said_what_will_be_drawn(browser, scenes) -> None:
    async with editing(browser, scenes) as page:
        button = page.get_by_role("button", name="Zoom out 2×")
        before = await button.bounding_box()
        await drag(page, (100, 100), (200, 150))
        await page.locator(".words-form > [role=status]", has_text="painted").wait_for()
        assert await button.bounding_box() == before


AT_ONCE = """(values) => { for (const [label, value] of Object.entries(values)) {
  const all = [...document.querySelectorAll('label.number')];
  const found = all.find((one) => one.textContent.trim() === label);
  const field = found.querySelector('input');
  field.value = value;
  field.dispatchEvent(new Event('change')); } }"""


async def test_fields_that_change_before_the_next_frame_all_count(browser, scenes) -> None:
    async with editing(browser, scenes) as page:
        await page.evaluate(AT_ONCE, {"X": "100", "Scale, %": "50", "Width": "800", "Height": "600"})
        seen = await page.evaluate(READ)
        [layer] = seen["layers"]
        assert (seen["width"], seen["height"]) == (800, 600)
        assert (layer["x"], layer["y"], layer["scale"]) == (116, 44, 0.5), "the canvas grew around it"


async def test_every_tool_paints_what_it_says(browser, scenes) -> None:
    async with editing(browser, scenes) as page:
        stage = page.locator("#stage")
        await stage.press("r")
        await drag(page, (10, 20), (110, 60))
        assert (await painted(page))["bounds"] == [10, 20, 110, 60]
        await stage.press("Delete")
        for x, y in ((30, 40), (80, 90)):  # without a drag: two corners
            await page.mouse.click(*await point(page, x, y))
        assert (await page.evaluate(READ))["bounds"] == [30, 40, 80, 90]
        await stage.press("Delete")
        await stage.press("l")
        for x, y in ((100, 100), (200, 100), (200, 200)):
            await page.mouse.click(*await point(page, x, y))
        await stage.press("Enter")
        half = (await page.evaluate(READ))["count"]
        assert 4700 < half < 5200
        await stage.press("Delete")
        await stage.press("w")
        await page.mouse.click(*await point(page, 624, 96))  # the moon
        await until(
            page,
            """async () => {
            const { editor } = await import(document.querySelector('script[type=module]').src);
            return editor.mask.bounds !== null; }""",
        )
        left, top, right, bottom = (await page.evaluate(READ))["bounds"]
        assert (abs(left - 576) < 3, abs(top - 64) < 3, abs(right - 672) < 3, abs(bottom - 128) < 3) == (
            True,
        ) * 4
        await stage.press("Delete")
        await stage.press("v")
        await drag(page, (300, 200), (340, 215))
        [layer] = (await page.evaluate(READ))["layers"]
        assert (layer["x"], layer["y"], layer["scale"]) == (40, 15, 1)
        await stage.press("c")
        await drag(page, (768, 250), (900, 250))
        assert (await page.evaluate(READ))["width"] == 900
        await drag(page, (100, 100), (400, 300))
        seen = await page.evaluate(READ)
        assert (seen["width"], seen["height"]) == (300, 200)


async def test_a_mask_is_painted_and_sent_by_keyboard_alone(browser, scenes) -> None:
    site, executor, _ = scenes
    async with editing(browser, scenes) as page:
        for _ in range(40):
            await page.keyboard.press("Tab")
            if await page.evaluate("() => document.activeElement.id") == "stage":
                break
        await page.keyboard.press("Space")
        for key in ("Shift+ArrowRight",) * 6 + ("ArrowDown",) * 5:
            await page.keyboard.press(key)
        await page.keyboard.press("Space")
        seen = await painted(page)
        left, top, right, bottom = seen["bounds"]
        assert (right - left, bottom - top) == (
            101,
            46,
        )  # 60 px and 5 px of the cursor's way, 40 px of the brush, whose middle is a pixel's
        asked = len(executor.started)
        async with page.expect_request("**/api/edits") as sent:
            await page.keyboard.press("Control+Enter")
        body = json.loads((await sent.value).post_data)
        assert body["painted"] == await page.evaluate(DIGEST)
        await page.wait_for_selector(".candidate img")
        assert len(executor.started) == asked + 1
        await page.locator("#stage").press("2")
        assert (await page.evaluate(READ))["shown"]
        await page.locator("#stage").press("Escape")
        assert not (await page.evaluate(READ))["shown"]


async def test_results_are_compared_kept_and_taken_back(browser, scenes) -> None:
    async with editing(browser, scenes) as page:
        await drag(page, (300, 200), (400, 300))
        await page.get_by_role("button", name="Draw").click()
        await page.wait_for_selector(".candidate img")
        assert await page.locator(".candidate").count() == 6  # with the original, and all of them
        await page.get_by_role("button", name="Picture 2", exact=True).click()
        await page.get_by_role("button", name="Difference").click()
        await page.wait_for_selector(".results p >> text=outside of what was painted")
        await page.get_by_role("button", name="Keep", exact=True).click()
        seen = await page.evaluate(READ)
        assert (seen["count"], seen["layers"][0]["source"]["n"], len(seen["layers"])) == (0, 2, 1)
        await page.locator("#stage").press("Control+z")
        seen = await painted(page)
        assert seen["count"] > 0 and seen["layers"][0]["source"]["n"] == 1


async def test_a_job_is_shown_while_it_is_drawn_and_can_be_stopped(browser, scenes) -> None:
    _, executor, _ = scenes
    executor.gate = asyncio.Event()
    try:
        async with editing(browser, scenes) as page:
            await drag(page, (300, 200), (400, 300))
            await page.get_by_role("button", name="Draw").click()
            await page.wait_for_selector(".strip.running progress")
            await drag(page, (100, 100), (150, 100))  # the stage is still to be used
            assert (await painted(page))["past"] == 2
            await page.get_by_role("button", name="Cancel").click()
            executor.gate.set()
            await page.wait_for_selector(".strip >> text=/Stopped|Before/")
    finally:
        executor.gate = None


async def test_a_reload_brings_everything_back_before_and_after_it_was_sent(browser, scenes) -> None:
    async with editing(browser, scenes) as page:
        await drag(page, (300, 200), (400, 300))
        digest = await page.evaluate(DIGEST)
        await page.wait_for_timeout(1300)  # what is a second old is kept
        await ready(page, page.url)
        assert await page.evaluate(DIGEST) == digest
        await page.locator("#words").fill("a blue door")
        await page.locator("#stage").press("Control+s")
        await page.wait_for_selector(".saved >> text='Saved'")
        assert "/edit/d/" in page.url
        await ready(page, page.url)
        assert await page.evaluate(DIGEST) == digest
        assert (await page.evaluate(READ))["words"] == "a blue door"


async def test_what_was_edited_elsewhere_is_asked_about(browser, scenes) -> None:
    async with editing(browser, scenes) as page:
        await page.locator("#words").fill("one")
        await page.locator("#stage").press("Control+s")
        await page.wait_for_selector(".saved >> text='Saved'")
        other = await page.context.new_page()
        for keep, wanted in ((True, "mine"), (False, "theirs")):
            await ready(other, page.url)
            await other.locator("#words").fill("theirs")
            await other.locator("#stage").press("Control+s")
            await other.wait_for_selector(".saved >> text='Saved'")
            await page.locator("#words").fill("mine")
            await page.locator("#stage").press("Control+s")
            await page.locator("dialog button", has_text="Keep mine" if keep else "Take theirs").click()
            await page.wait_for_selector(".saved >> text='Saved'")
            assert (await page.evaluate(READ))["words"] == wanted


async def test_what_couldnt_be_saved_is_tried_again_until_it_is(browser, scenes) -> None:
    site = scenes[0]
    async with editing(browser, scenes, status=503) as page:
        await page.clock.install()
        await ready(page, page.url)
        await page.route(
            "**/api/documents", lambda route: route.fulfill(status=503, json={"detail": "Busy."})
        )
        await page.locator("#words").fill("a lost door")
        await page.locator("#stage").press("Control+s")
        await page.wait_for_selector(".saved.bad >> text=Busy.")
        before = (await site.you.get("/api/documents")).data["documents"]
        await page.unroute("**/api/documents")
        await page.clock.fast_forward(11_000)
        await page.wait_for_selector(".saved:not(.bad) >> text='Saved'")
        after = (await site.you.get("/api/documents")).data["documents"]
        assert len(after) == len(before) + 1


async def test_what_was_changed_a_moment_before_leaving_is_back_and_gets_saved(browser, scenes) -> None:
    async with editing(browser, scenes) as page:
        address = page.url
        await page.locator("#words").fill("a door in a hurry")
        await page.goto(f"{scenes[0].web.url}/keys")  # nothing has an address on the server yet
        await ready(page, address)
        assert (await page.evaluate(READ))["words"] == "a door in a hurry"
        await page.wait_for_url("**/edit/d/*")


SHUT_OFF = """() => { IDBDatabase.prototype.transaction = () => { throw new Error('shut off'); }; }"""
LEAVES = """() => {
  const event = new Event('beforeunload', { cancelable: true });
  dispatchEvent(event);
  return !event.defaultPrevented; }"""


async def test_leaving_is_asked_about_only_where_something_would_be_lost(browser, scenes) -> None:
    async with editing(browser, scenes) as page:
        await drag(page, (100, 100), (200, 150))
        await page.wait_for_timeout(1300)
        assert await page.evaluate(LEAVES), "this browser has it"
        await page.evaluate(SHUT_OFF)
        await drag(page, (300, 100), (200, 150))
        await page.wait_for_timeout(1300)
        assert not await page.evaluate(LEAVES)
        await page.locator("#stage").press("Control+s")
        await page.wait_for_selector(".saved >> text='Saved'")
        assert await page.evaluate(LEAVES), "the server has it"


@pytest.mark.parametrize("phone", ["Pixel 7", "iPhone 15"])
async def test_a_finger_paints_two_zoom_and_results_are_compared(browser, scenes, device, phone) -> None:
    async with editing(browser, scenes, **device(phone)) as page:
        assert await page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        wire = await page.context.new_cdp_session(page)

        async def touch(kind: str, *points: tuple[float, float]) -> None:
            fingers = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
            await wire.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})

        x, y = await point(page, 300, 250)
        await touch("touchStart", (x, y))
        for step in range(5):
            await touch("touchMove", (x + 6 * step, y))
        await touch("touchEnd")
        seen = await painted(page)
        assert seen["past"] == 1 and seen["count"] > 0
        await touch("touchStart", (x - 20, y))
        await touch("touchStart", (x - 20, y), (x + 20, y))
        for step in range(5):
            await touch("touchMove", (x - 20 - 5 * step, y), (x + 20 + 5 * step, y))
        await touch("touchEnd")
        zoomed = await painted(page)
        assert zoomed["scale"] > 1.5 * seen["scale"]
        assert zoomed["count"] == seen["count"]  # what the first of them began is taken back
        await page.locator("#words").fill("a blue door")
        await page.get_by_role("button", name="Draw").tap()
        await page.wait_for_selector(".candidate img")
        await page.get_by_role("button", name="All beside each other").tap()
        assert (await page.evaluate(READ))["shown"]
        await page.get_by_role("button", name="Picture 2", exact=True).tap()
        await page.get_by_label("How much of the new picture is shown").fill("40")
        assert await page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        await page.get_by_role("button", name="Keep", exact=True).tap()
        assert (await page.evaluate(READ))["layers"][0]["source"]["n"] == 2


async def test_a_pen_paints_as_hard_as_it_is_pressed(browser, scenes) -> None:
    async with editing(browser, scenes) as page:
        wire = await page.context.new_cdp_session(page)
        x, y = await point(page, 200, 200)
        for kind, dx, force in (
            ("mousePressed", 0, 0.2),
            ("mouseMoved", 90, 1.0),
            ("mouseReleased", 90, 0.0),
        ):
            event = {"type": kind, "x": x + dx, "y": y, "button": "left", "buttons": 1, "clickCount": 1}
            await wire.send("Input.dispatchMouseEvent", {**event, "pointerType": "pen", "force": force})
        [stroke] = (await painted(page))["strokes"]
        assert stroke["r"][0] == 32 and max(stroke["r"]) == 160
