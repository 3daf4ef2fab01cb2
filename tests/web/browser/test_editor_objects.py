"""Objects in the editor, in Chromium: picked by pointing, by a box and by words, cut out, rubbed out, brought
back."""

import asyncio
import hashlib
import json
from typing import Any

import pytest

from studio.media import masks
from tests.studio.editor import reference
from tests.web.browser.desk import (
    READ,
    SHOWN,
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
from tests.web.browser.test_keyboard import tab_to
from tests.web.editor.scenery import MOON, Objects

pytestmark = pytest.mark.asyncio(loop_scope="session")
WIDTH, HEIGHT = 768, 512  # px of every scene
LAYERS = script("""
  const digest = async (bits) => [...new Uint8Array(await crypto.subtle.digest('SHA-256', bits))]
    .map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return Promise.all(editor.state.layers.map(async ({ clip, ...one }) => {
    const mask = editor.clips.of({ clip, ...one });
    return { ...one, clip: mask && await digest(mask.bits), bounds: mask?.bounds };
  }));""")
THUMBS = """async (places) => Promise.all([...document.querySelectorAll('.layer img')].map(async (image) => {
  await image.decode();
  const canvas = new OffscreenCanvas(108, 108), context = canvas.getContext('2d');
  context.drawImage(image, 0, 0, 108, 108);
  const { data } = context.getImageData(0, 0, 108, 108);
  const pixels = places.map(([x, y]) => [...data.slice(4 * (108 * y + x), 4 * (108 * y + x) + 3)]);
  return { src: image.getAttribute('src'), pixels }; }))"""
NOTHING = ([143, 140, 134], [124, 121, 114])  # what stands for it
FOUND = script("return editor.history.past.length === past && !editor.picking.now;", "past")


def box(left: float, top: float, right: float, bottom: float) -> list[float]:
    return [left, top, right, bottom]


async def click(page, x: float, y: float, *keys: str) -> None:
    for key in keys:
        await page.keyboard.down(key)
    await page.mouse.click(*await point(page, x, y))
    for key in keys:
        await page.keyboard.up(key)


async def found(page, past: int) -> dict[str, Any]:
    """Wait until the document has so many steps and nothing is asked; return what is in it."""
    await until(page, FOUND, past)
    return await page.evaluate(READ)


async def test_an_object_that_is_pressed_is_painted_and_told_better(objects, desk) -> None:
    await desk.locator("#stage").press("s")
    await desk.wait_for_selector("[name=object]")
    assert not Objects.asked_for(objects.asked[0]), "what can be asked is known before anything is pressed"
    await click(desk, 100, 100)
    assert (await found(desk, 1))["bounds"] == box(80, 80, 120, 120)
    await click(desk, 130, 100, "Shift")
    seen = await found(desk, 1)
    assert (seen["bounds"], seen["count"]) == (box(80, 80, 150, 120), 70 * 40), "one step, one thing"
    await click(desk, 90, 100, "Alt")
    assert (await found(desk, 1))["bounds"] == box(110, 80, 150, 120)
    assert objects.asked[-1].points == ((100, 100, 1), (130, 100, 1), (90, 100, 0))
    await click(desk, 300, 300)
    seen = await found(desk, 2)
    assert objects.asked[-1].points == ((300, 300, 1),) and seen["count"] == 40 * 40 * 2
    await desk.locator("#stage").press("Control+z")
    assert (await desk.evaluate(READ))["bounds"] == box(110, 80, 150, 120)
    await desk.locator("#stage").press("Control+z")
    assert (await desk.evaluate(READ))["count"] == 0


async def test_an_answer_joins_the_mask_as_is_said(objects, desk) -> None:
    await desk.locator("#stage").press("r")
    await drag(desk, (100, 100), (140, 200))
    await desk.locator("#stage").press("s")
    counts = {}
    for how in ("Subtract", "Intersect", "Replace", "Add"):
        await desk.wait_for_selector("[name=object]")
        await desk.get_by_label("What becomes of the mask").select_option(label=how)
        await click(desk, 140, 120)
        counts[how] = (await found(desk, 2))["count"]
        await desk.locator("#stage").press("Control+z")
    assert counts == {"Subtract": 4000 - 800, "Intersect": 800, "Replace": 1600, "Add": 4800}


async def test_a_box_is_dragged_around_an_object_of_a_layer_that_was_moved(objects, desk) -> None:
    await desk.get_by_label("X", exact=True).fill("100")
    await desk.get_by_label("Scale, %").fill("50")
    await desk.keyboard.press("Tab")
    await desk.locator("#stage").press("s")
    await desk.wait_for_selector("[name=object]")
    await drag(desk, (200, 20), (260, 80))
    await found(desk, 3)
    assert objects.asked[-1].box == (200, 40, 320, 160)
    assert (await desk.evaluate(READ))["bounds"] == box(200, 20, 260, 80)


async def test_an_object_is_named_cut_out_moved_and_sent_by_keyboard_alone(scenes, objects, desk) -> None:
    site = scenes[0]
    await tab_to(desk, "#stage")
    await desk.keyboard.press("s")
    await desk.wait_for_selector("[name=object]")
    await tab_to(desk, "[name=object]")
    await desk.keyboard.type("the moon")
    await desk.keyboard.press("Enter")
    assert (await found(desk, 1))["bounds"] == list(MOON)
    await tab_to(desk, "#stage", back=True)
    await desk.keyboard.press("Shift+J")
    below, above = await desk.evaluate(LAYERS)
    assert (above["name"], above["bounds"]) == ("Cut-out", list(MOON))
    hole = {"tool": "rect", "value": 0, "box": list(MOON)}
    rest = reference.replay(WIDTH, HEIGHT, b"\1" * (WIDTH * HEIGHT), [hole])
    assert below["clip"] == hashlib.sha256(rest).hexdigest()
    assert (await desk.evaluate(READ))["count"] == 0
    before = await desk.evaluate(SHOWN, [600, 80])
    await desk.keyboard.press("Space")
    for key in ("Shift+ArrowLeft",) * 12:
        await desk.keyboard.press(key)
    await desk.keyboard.press("Space")
    assert (await desk.evaluate(LAYERS))[1]["x"] == -120
    assert await desk.evaluate(SHOWN, [480, 80]) == before, "the object has moved"
    assert await desk.evaluate(SHOWN, [600, 80]) != before, "and isn't where it was"
    async with desk.expect_request("**/api/edits") as sent:
        await desk.keyboard.press("Control+Enter")
    document = json.loads((await sent.value).post_data)["document"]
    await desk.wait_for_selector(".candidate img")
    for layer, wanted in zip(document["layers"], (below["clip"], above["clip"]), strict=True):
        kept = await site.you.get(f"/files/masks/{layer['clip']}.png")
        mask = masks.read_mask(kept.body)
        pixels = bytes(int(bit) for byte in mask.rows for bit in f"{byte:08b}")
        assert hashlib.sha256(pixels).hexdigest() == wanted
    for _ in range(3):
        await desk.keyboard.press("Control+z")
    [layer] = await desk.evaluate(LAYERS)
    assert (layer["id"], layer["clip"]) == ("base", None), "as before anything was cut out of it"


async def test_the_list_shows_what_was_cut_out_and_the_hole_that_it_left(objects, desk) -> None:
    [whole] = await desk.evaluate(THUMBS, [[54, 54]])
    assert whole["src"].startswith("/files/"), "a layer that isn't cut has the server's small copy"
    await desk.locator("#stage").press("s")
    await desk.locator("[name=object]").fill("the moon")
    await desk.keyboard.press("Enter")
    await found(desk, 1)
    await desk.locator("#stage").press("Shift+J")
    await until(desk, "() => document.querySelectorAll('.layer').length === 2")
    object, rest = await desk.evaluate(THUMBS, [[54, 54], [54, 10], [54, 60], [85, 33]])
    moon, above, *_ = object["pixels"]
    assert moon == [250, 240, 200] and above in NOTHING, "the object alone, as large as it fits"
    _, _, house, hole = rest["pixels"]
    assert house == (await desk.evaluate(SHOWN, [384, 302]))[:3] and hole in NOTHING
    await desk.locator("#stage").press("Control+z")
    await until(desk, "() => document.querySelectorAll('.layer').length === 1")
    assert await desk.evaluate(THUMBS, [[54, 54]]) == [whole]


BAND = script("return editor.band !== null;")


async def test_the_band_around_a_hole_is_shown_hatched(desk) -> None:
    places = [(91, 150), (208, 140), (150, 95), (86, 150), (75, 150), (230, 140)]
    before = [(await desk.evaluate(SHOWN, place))[:3] for place in places]
    await desk.locator("#stage").press("r")
    await drag(desk, (100, 100), (200, 200))
    await desk.locator("#stage").press("Shift+J")
    await drag(desk, (150, 150), (600, 350))
    await until(desk, BAND)  # once it is known how wide it is: 16 px here
    after = [(await desk.evaluate(SHOWN, place))[:3] for place in places]
    same = [old == new for old, new in zip(before, after, strict=True)]
    assert same == [False, False, False, False, True, True]
    await desk.get_by_label("Keep every pixel outside").check()
    await until(desk, f"async () => !(await ({BAND})())")
    assert [(await desk.evaluate(SHOWN, place))[:3] for place in places] == before


async def test_only_what_can_be_asked_here_is_offered(browser, scenes, objects) -> None:
    objects.can = {"points": False, "words": True}
    async with editing(browser, scenes, status=422) as page:
        await page.locator("#stage").press("s")
        await page.wait_for_selector("[name=object]")
        await click(page, 100, 100)
        await page.wait_for_selector("#notice >> text=can't tell what you point at")
        assert not any(map(Objects.asked_for, objects.asked))
        await page.locator("[name=object]").fill("a cat")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#notice >> text=Nothing in the picture fits these words.")
        assert (await page.evaluate(READ))["count"] == 0
    objects.can = {"points": False, "words": False}
    async with editing(browser, scenes) as page:
        await page.locator("#stage").press("s")
        await page.wait_for_selector(".options >> text=no model that finds objects")
        assert await page.locator("[name=object]").count() == 0


async def test_nobody_who_can_look_is_told_and_tried_again(browser, scenes, objects) -> None:
    objects.declines = True
    async with editing(browser, scenes, status=429) as page:
        await page.locator("#stage").press("s")
        await page.wait_for_selector("#notice >> text=Picking is unavailable")
        objects.declines = False
        await page.get_by_role("button", name="Try again").click()
        await page.wait_for_selector("[name=object]")


async def test_who_presses_while_one_is_looked_for_is_answered_last(objects, desk) -> None:
    await desk.locator("#stage").press("s")
    await desk.wait_for_selector("[name=object]")
    objects.gate = asyncio.Event()
    await click(desk, 100, 100)
    await desk.wait_for_selector("#notice progress")
    await click(desk, 200, 100)
    await click(desk, 300, 100)
    await drag_brush(desk)  # the rest of the editor goes on meanwhile
    objects.gate.set()
    seen = await found(desk, 3)
    assert [one.points for one in objects.asked if Objects.asked_for(one)] == [
        ((100, 100, 1),),
        ((300, 100, 1),),
    ]
    assert seen["bounds"][:1] + seen["bounds"][2:3] == [80, 320]


async def drag_brush(page) -> None:
    await page.locator("#stage").press("b")
    await drag(page, (200, 300), (210, 300))
    await page.locator("#stage").press("s")


@pytest.mark.parametrize("scale", [1, 0.5])
async def test_a_layer_is_rubbed_out_and_brought_back_to_the_pixel(desk, scale: float) -> None:
    await desk.get_by_label("Scale, %").fill(str(100 * scale))
    await desk.keyboard.press("Tab")
    await desk.locator("#stage").press("o")
    steps = (await desk.evaluate(READ))["past"]
    before = await desk.evaluate(SHOWN, [200, 120])
    await desk.get_by_role("group", name="What it does").get_by_text("Erase").click()
    await click(desk, 200.5, 120.5)
    spot = await desk.evaluate(SPOT)
    assert [abs(at - px / scale * 8) < 3 for at, px in zip(spot, (200.5, 120.5), strict=True)] == [True] * 2
    stroke = {"tool": "brush", "value": 0, "r": [int(160 / scale)], "at": spot, "xy": ""}
    rest = reference.replay(WIDTH, HEIGHT, b"\1" * (WIDTH * HEIGHT), [stroke])
    [layer] = await desk.evaluate(LAYERS)
    assert layer["clip"] == hashlib.sha256(rest).hexdigest()
    assert await desk.evaluate(SHOWN, [200, 120]) != before
    await desk.get_by_role("group", name="What it does").get_by_text("Restore").click()
    await drag(desk, (150.5, 120.5), (250.5, 120.5))
    assert await desk.evaluate(SHOWN, [200, 120]) == before
    assert [one["clip"] for one in await desk.evaluate(LAYERS)] == [None], "all of it is there again"
    for wanted in (layer["clip"], None):
        await desk.locator("#stage").press("Control+z")
        assert [one["clip"] for one in await desk.evaluate(LAYERS)] == [wanted]
    assert (await painted(desk))["past"] == steps
    await desk.locator("#stage").press("Control+Shift+z")
    assert [one["clip"] for one in await desk.evaluate(LAYERS)] == [layer["clip"]]


async def test_what_is_cut_is_there_after_a_reload_and_on_another_device(browser, scenes) -> None:
    async with editing(browser, scenes) as page:
        await page.locator("#stage").press("r")
        await drag(page, (100, 100), (200, 200))
        await page.get_by_role("button", name="Copy to a layer").click()
        await page.locator("#stage").press("o")
        await page.locator("#stage").press("x")
        await drag(page, (120, 150), (180, 150))
        kept = [(one["clip"], one["bounds"]) for one in await page.evaluate(LAYERS)]
        assert kept[0] == (None, None) and kept[1][1] == [100, 100, 200, 200]
        await page.wait_for_timeout(1300)  # what is a second old is kept here
        await ready(page, page.url)
        assert [(one["clip"], one["bounds"]) for one in await page.evaluate(LAYERS)] == kept
        await save(page)
    async with editing(browser, scenes, page.url) as other:
        assert [(one["clip"], one["bounds"]) for one in await other.evaluate(LAYERS)] == kept


async def test_a_stroke_on_a_layer_is_taken_back_while_it_grows(desk) -> None:
    await desk.locator("#stage").press("o")
    await desk.locator("#stage").press("x")
    before = await desk.evaluate(SHOWN, [200, 120])
    await desk.mouse.move(*await point(desk, 150, 120))
    await desk.mouse.down()
    await desk.mouse.move(*await point(desk, 250, 120), steps=4)
    assert await desk.evaluate(SHOWN, [200, 120]) != before, "it is seen while it grows"
    await desk.locator("#stage").press("Escape")
    await desk.mouse.up()
    assert await desk.evaluate(SHOWN, [200, 120]) == before
    assert (await desk.evaluate(READ))["past"] == 0


async def test_cutting_out_nothing_says_what_is_missing(desk) -> None:
    await desk.get_by_role("button", name="Cut out and fill the hole").click()
    await desk.wait_for_selector(".toast >> text=Paint or pick what is to be cut out first.")
    assert len(await desk.evaluate(LAYERS)) == 1
