"""The editor in Chromium: strokes lie under the pointer, nothing is lost, and all of it goes by keyboard or
finger alone."""

import asyncio
import json

import pytest

from tests.web.browser.conftest import shot
from tests.web.browser.desk import (
    BIT,
    DIGEST,
    READ,
    SPOT,
    drag,
    editing,
    painted,
    point,
    ready,
    save,
    script,
    until,
)

THIN = script("editor.set({ size: 1 });")
SELECTED = """(name) => document.querySelector("#tools [tabindex='0']")?.ariaLabel === name"""
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


ZOOMED = script(
    "return Math.abs(editor.view.density - zoom) < 0.01 && Math.abs(devicePixelRatio - zoom) < 0.001;", "zoom"
)


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


async def test_what_is_painted_over_every_edge_and_out_of_the_window_is_kept(desk) -> None:
    far = [(-900, 250), (384, -900), (2500, 250), (384, 2500)]
    for away in far:
        await drag(desk, (384, 256), away, (384, 256), steps=8)
    seen = await painted(desk)
    assert seen["past"] == 4
    assert seen["bounds"] == [0, 0, 768, 512]
    for x, y in ((2, 252), (384, 2), (765, 252), (384, 509)):
        assert await desk.evaluate(BIT, [x, y]) == 1, (x, y)


async def test_undo_and_redo_go_over_everything(desk) -> None:
    await drag(desk, (100, 100), (200, 150))
    await desk.get_by_role("button", name="Invert").click()
    await desk.get_by_role("button", name="Zoom out 2×").click()
    await desk.locator("#words").fill("a blue door")
    before = await desk.evaluate(DIGEST)
    for _ in range(3):
        await desk.locator("#stage").press("Control+z")
    assert (await painted(desk))["width"] == 768
    await desk.locator("#stage").press("Control+z")
    assert (await desk.evaluate(READ))["count"] == 0
    for _ in range(4):
        await desk.locator("#stage").press("Control+Shift+z")
    seen = await desk.evaluate(READ)
    assert (seen["width"], seen["words"]) == (1536, "a blue door")
    assert await desk.evaluate(DIGEST) == before


async def test_no_button_moves_when_it_is_said_what_will_be_drawn(desk) -> None:
    button = desk.get_by_role("button", name="Zoom out 2×")
    before = await button.bounding_box()
    await drag(desk, (100, 100), (200, 150))
    await desk.locator(".words-form > [role=status]", has_text="painted").wait_for()
    assert await button.bounding_box() == before


AT_ONCE = """(values) => { for (const [label, value] of Object.entries(values)) {
  const all = [...document.querySelectorAll('label.number')];
  const found = all.find((one) => one.textContent.trim() === label);
  const field = found.querySelector('input');
  field.value = value;
  field.dispatchEvent(new Event('change')); } }"""


async def test_fields_that_change_before_the_next_frame_all_count(desk) -> None:
    await desk.evaluate(AT_ONCE, {"X": "100", "Scale, %": "50", "Width": "800", "Height": "600"})
    seen = await desk.evaluate(READ)
    [layer] = seen["layers"]
    assert (seen["width"], seen["height"]) == (800, 600)
    assert (layer["x"], layer["y"], layer["scale"]) == (116, 44, 0.5), "the canvas grew around it"


async def test_every_tool_paints_what_it_says(desk) -> None:
    stage = desk.locator("#stage")
    await stage.press("r")
    await drag(desk, (10, 20), (110, 60))
    assert (await painted(desk))["bounds"] == [10, 20, 110, 60]
    await stage.press("Delete")
    for x, y in ((30, 40), (80, 90)):  # without a drag: two corners
        await desk.mouse.click(*await point(desk, x, y))
    assert (await desk.evaluate(READ))["bounds"] == [30, 40, 80, 90]
    await stage.press("Delete")
    await stage.press("l")
    for x, y in ((100, 100), (200, 100), (200, 200)):
        await desk.mouse.click(*await point(desk, x, y))
    await stage.press("Enter")
    half = (await desk.evaluate(READ))["count"]
    assert 4700 < half < 5200
    await stage.press("Delete")
    await stage.press("w")
    await desk.mouse.click(*await point(desk, 624, 96))  # the moon
    await until(desk, script("return editor.mask.bounds !== null;"))
    left, top, right, bottom = (await desk.evaluate(READ))["bounds"]
    assert (abs(left - 576) < 3, abs(top - 64) < 3, abs(right - 672) < 3, abs(bottom - 128) < 3) == (
        True,
    ) * 4
    await stage.press("Delete")
    await stage.press("v")
    await drag(desk, (300, 200), (340, 215))
    [layer] = (await desk.evaluate(READ))["layers"]
    assert (layer["x"], layer["y"], layer["scale"]) == (40, 15, 1)
    await stage.press("c")
    await drag(desk, (768, 250), (900, 250))
    assert (await desk.evaluate(READ))["width"] == 900
    await drag(desk, (100, 100), (400, 300))
    seen = await desk.evaluate(READ)
    assert (seen["width"], seen["height"]) == (300, 200)


async def test_tab_stops_at_one_tool_and_arrows_go_on_from_it(desk) -> None:
    tools = desk.get_by_role("toolbar", name="Tools")
    await desk.get_by_role("button", name="Brush").focus()
    for key, name in (("ArrowDown", "Eraser"), ("End", "Hand"), ("ArrowDown", "Brush"), ("ArrowUp", "Hand")):
        await desk.keyboard.press(key)
        assert await desk.evaluate("() => document.activeElement.ariaLabel") == name
    await desk.keyboard.press("Enter")
    await until(desk, SELECTED, "Hand")
    await desk.keyboard.press("Tab")
    assert not await tools.evaluate("(one) => one.contains(document.activeElement)")


async def test_a_mask_is_painted_and_sent_by_keyboard_alone(desk, scenes) -> None:
    site, executor, _ = scenes
    for _ in range(40):
        await desk.keyboard.press("Tab")
        if await desk.evaluate("() => document.activeElement.id") == "stage":
            break
    await desk.keyboard.press("Space")
    for key in ("Shift+ArrowRight",) * 6 + ("ArrowDown",) * 5:
        await desk.keyboard.press(key)
    await desk.keyboard.press("Space")
    seen = await painted(desk)
    left, top, right, bottom = seen["bounds"]
    assert (right - left, bottom - top) == (
        101,
        46,
    )  # 60 px and 5 px of the cursor's way, 40 px of the brush, whose middle is a pixel's
    asked = len(executor.started)
    async with desk.expect_request("**/api/edits") as sent:
        await desk.keyboard.press("Control+Enter")
    body = json.loads((await sent.value).post_data)
    assert body["painted"] == await desk.evaluate(DIGEST)
    await desk.wait_for_selector(".candidate img")
    assert len(executor.started) == asked + 1
    await desk.locator("#stage").press("2")
    assert (await desk.evaluate(READ))["shown"]
    await desk.locator("#stage").press("Escape")
    assert not (await desk.evaluate(READ))["shown"]


async def test_results_are_compared_kept_and_taken_back(desk) -> None:
    await drag(desk, (300, 200), (400, 300))
    await desk.get_by_role("button", name="Draw").click()
    await desk.wait_for_selector(".candidate img")
    assert await desk.locator(".candidate").count() == 6  # with the original, and all of them
    await desk.get_by_role("button", name="Picture 2", exact=True).click()
    await desk.get_by_role("button", name="Difference").click()
    await desk.wait_for_selector(".results p >> text=outside of what was painted")
    await desk.get_by_role("button", name="Keep", exact=True).click()
    seen = await desk.evaluate(READ)
    assert (seen["count"], seen["layers"][0]["source"]["n"], len(seen["layers"])) == (0, 2, 1)
    await desk.locator("#stage").press("Control+z")
    seen = await painted(desk)
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
            await page.wait_for_timeout(1300)  # what is a second old is kept
            await ready(page, page.url)
            await page.wait_for_selector(".strip.running progress")
            await page.get_by_role("button", name="Cancel").click()
            executor.gate.set()
            await page.wait_for_selector(".strip >> text=/Stopped|Before/")
    finally:
        executor.gate = None


async def test_a_reload_brings_everything_back_before_and_after_it_was_sent(desk) -> None:
    await drag(desk, (300, 200), (400, 300))
    digest = await desk.evaluate(DIGEST)
    await desk.wait_for_timeout(1300)  # what is a second old is kept
    await ready(desk, desk.url)
    assert await desk.evaluate(DIGEST) == digest
    await desk.locator("#words").fill("a blue door")
    await save(desk)
    assert "/edit/d/" in desk.url
    await ready(desk, desk.url)
    assert await desk.evaluate(DIGEST) == digest
    assert (await desk.evaluate(READ))["words"] == "a blue door"
    assert (await desk.evaluate(READ))["past"] == 2
    for _ in range(2):
        await desk.locator("#stage").press("Control+z")
    seen = await desk.evaluate(READ)
    assert (seen["words"], seen["count"], seen["past"]) == ("", 0, 0), "undone after a reload"
    await desk.locator("#stage").press("Control+Shift+z")
    assert await desk.evaluate(DIGEST) == digest


async def test_results_come_back_after_a_reload_and_nothing_moves_meanwhile(desk) -> None:
    before = await desk.evaluate(READ)
    await drag(desk, (300, 200), (400, 300))
    await desk.get_by_role("button", name="Draw").click()
    await desk.wait_for_selector(".candidate img")
    await ready(desk, desk.url)
    await desk.wait_for_selector(".candidate[aria-pressed=true][aria-label='Picture 1']")
    now = await desk.evaluate(READ)
    assert [now[at] for at in ("scale", "left", "top")] == [before[at] for at in ("scale", "left", "top")]
    await desk.get_by_role("button", name="Keep", exact=True).click()
    assert (await desk.evaluate(READ))["count"] == 0
    await desk.locator("#stage").press("Control+z")
    assert (await desk.evaluate(READ))["count"] > 0
    await ready(desk, desk.url)
    await desk.wait_for_selector(".results >> text=Results appear here")


async def test_what_was_edited_elsewhere_is_asked_about(desk) -> None:
    await desk.locator("#words").fill("one")
    await save(desk)
    other = await desk.context.new_page()
    for keep, wanted in ((True, "mine"), (False, "theirs")):
        await ready(other, desk.url)
        await other.locator("#words").fill("theirs")
        await save(other)
        await desk.locator("#words").fill("mine")
        await desk.locator("#stage").press("Control+s")
        await desk.locator("dialog button", has_text="Keep mine" if keep else "Take theirs").click()
        await desk.wait_for_selector(".saved >> text=/^Saved/")
        assert (await desk.evaluate(READ))["words"] == wanted
    await desk.locator("#stage").press("Control+z")
    assert (await desk.evaluate(READ))["words"] == "mine"
    await desk.wait_for_selector(".saved >> text='Saved'")


async def test_a_page_that_is_left_before_it_is_there_fails_nothing(desk) -> None:
    wrong: list[str] = []
    page = await desk.context.new_page()
    page.on("pageerror", lambda error: wrong.append(str(error)))
    await page.add_init_script(
        "const leave = () => document.dispatchEvent(new Event('visibilitychange'));"
        "document.addEventListener('readystatechange', leave);"
        "Object.defineProperty(document, 'visibilityState', {get: () => 'hidden'})"
    )
    await page.goto(desk.url)
    await page.wait_for_selector("#words")
    assert wrong == []


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


async def test_what_was_changed_a_moment_before_leaving_is_back_and_gets_saved(desk, scenes) -> None:
    address = desk.url
    await desk.locator("#words").fill("a door in a hurry")
    await desk.goto(f"{scenes[0].web.url}/keys")  # nothing has an address on the server yet
    await ready(desk, address)
    assert (await desk.evaluate(READ))["words"] == "a door in a hurry"
    await desk.wait_for_url("**/edit/d/*")


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
        await save(page)
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
        await shot(page, "editor-finger")
        assert zoomed["scale"] > 1.5 * seen["scale"]
        assert zoomed["count"] == seen["count"]  # what the first of them began is taken back
        await page.locator("#words").fill("a blue door")
        await page.get_by_role("button", name="Draw").tap()
        await page.wait_for_selector(".candidate img")
        await page.get_by_role("button", name="All side by side").tap()
        assert (await page.evaluate(READ))["shown"]
        await page.get_by_role("button", name="Picture 2", exact=True).tap()
        await page.get_by_label("How much of the new picture is shown").fill("40")
        await shot(page, "editor-finger-results")
        assert await page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        await page.get_by_role("button", name="Keep", exact=True).tap()
        assert (await page.evaluate(READ))["layers"][0]["source"]["n"] == 2


async def test_a_pen_paints_as_hard_as_it_is_pressed(desk) -> None:
    wire = await desk.context.new_cdp_session(desk)
    x, y = await point(desk, 200, 200)
    for kind, dx, force in (("mousePressed", 0, 0.2), ("mouseMoved", 90, 1.0), ("mouseReleased", 90, 0.0)):
        event = {"type": kind, "x": x + dx, "y": y, "button": "left", "buttons": 1, "clickCount": 1}
        await wire.send("Input.dispatchMouseEvent", {**event, "pointerType": "pen", "force": force})
    [stroke] = (await painted(desk))["strokes"]
    assert stroke["r"][0] == 32 and max(stroke["r"]) == 160
