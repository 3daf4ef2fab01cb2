"""In the editor, in Chromium: results that take turns with the original or lie beside each other, the list of
steps, the numbered fields, zooming to a point."""

import pytest

from tests.web.browser.desk import DIGEST, READ, SHOWN, drag, painted, point, script, until

pytestmark = pytest.mark.asyncio(loop_scope="session")
FIELDS = """async ([x, y]) => {
  const { editor } = await import(document.querySelector('script[type=module]').src);
  await new Promise(requestAnimationFrame); await new Promise(requestAnimationFrame);
  const { fieldOf } = await import(new URL('../editor/screen.js',
    document.querySelector('script[type=module]').src));
  const { view, instead: { beside }, parts: { picture } } = editor;
  return beside.map((_, at) => {
    const { left, top, width, height } = fieldOf(at, beside.length, picture);
    const [u, v] = view.toScreen(x, y);
    const place = [u + left + (width - picture.width) / 2, v + top + (height - picture.height) / 2];
    return [...picture.getContext('2d').getImageData(...place.map(Math.floor), 1, 1).data].slice(0, 3);
  }); }"""
LOADED = script("return editor.pictures.loaded.size >= count;", "count")
HELD = script("""
  const { x, y, zoom } = editor.view.middle;
  return [x, y, zoom].map((one) => Number(one.toFixed(3)));""")
HOVER = script("return [editor.hover.x, editor.hover.y];")
TURNS = """async ([x, y]) => {
  const { editor } = await import(document.querySelector('script[type=module]').src);
  const seen = new Set();
  const began = performance.now();
  while (performance.now() - began < 3000 && seen.size < 2) {
    await new Promise(requestAnimationFrame);
    const [u, v] = editor.view.toScreen(x, y);
    const { data } = editor.parts.picture.getContext('2d').getImageData(Math.floor(u), Math.floor(v), 1, 1);
    seen.add(data.join());
  }
  return seen.size; }"""
WALL = (330, 260)  # of the house: each picture paints it in its own colour


async def drawn(page, images: int = 4) -> None:
    """Paint something and wait for its results."""
    await page.get_by_role("button", name=str(images), exact=True).click()
    await drag(page, (300, 200), (400, 300))
    await page.get_by_role("button", name="Draw").click()
    await page.wait_for_selector(".candidate img")


async def test_the_original_and_a_result_take_turns(desk) -> None:
    await drawn(desk)
    await desk.get_by_role("button", name="Picture 2", exact=True).click()
    blink = desk.get_by_role("button", name="Blink")
    await blink.click()
    assert await blink.get_attribute("aria-pressed") == "true"
    assert await desk.evaluate(TURNS, WALL) == 2
    steps = (await desk.evaluate(READ))["past"]
    await drag(desk, (100, 100), (150, 150))
    assert (await desk.evaluate(READ))["past"] == steps, "what is looked at isn't painted on"
    await blink.click()
    await desk.wait_for_selector(".candidate[aria-pressed=true][aria-label='Picture 2']")
    assert await desk.evaluate(TURNS, WALL) == 1
    await desk.get_by_role("button", name="Before", exact=True).click()
    assert not (await desk.evaluate(READ))["shown"]


async def test_results_lie_beside_each_other_and_are_zoomed_together(desk) -> None:
    await drawn(desk)
    await desk.locator("#stage").press("0")
    await desk.locator("#stage").press("+")
    before = await desk.evaluate(HELD)
    await desk.get_by_role("button", name="All side by side").click()
    await until(desk, LOADED, 5)
    found = await desk.evaluate(FIELDS, WALL)
    single = []
    for number in "1234":
        await desk.locator("#stage").press(number)
        single.append((await desk.evaluate(SHOWN, WALL))[:3])
    assert found == single and len({tuple(one) for one in found}) == 4
    assert await desk.evaluate(HELD) == before, "one alone is looked at as before"
    await desk.locator("#stage").press("5")
    seen = await desk.evaluate(READ)
    box = await desk.locator("#stage").bounding_box()
    x, y = box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.7  # in the last of four fields
    await desk.mouse.move(x, y)
    at = await desk.evaluate(HOVER)
    assert 0 < at[0] < 768 and 0 < at[1] < 512, "a field's place is a place of the picture in it"
    await desk.keyboard.down("Control")
    await desk.mouse.wheel(0, -300)
    await desk.keyboard.up("Control")
    assert (await desk.evaluate(READ))["scale"] > 2 * seen["scale"]
    await desk.mouse.move(x + 1, y)
    near = await desk.evaluate(HOVER)
    assert all(abs(old - new) < 3 for old, new in zip(at, near, strict=True)), "zoomed at the pointer"
    await desk.locator("#stage").press("Escape")
    assert not (await desk.evaluate(READ))["shown"]
    assert await desk.evaluate(HELD) == before


async def test_a_lone_result_lies_beside_the_original(desk) -> None:
    await drawn(desk, images=1)
    await desk.locator("#stage").press("0")
    original = (await desk.evaluate(SHOWN, WALL))[:3]
    await desk.locator("#stage").press("5")
    await until(desk, LOADED, 2)
    found = await desk.evaluate(FIELDS, WALL)
    assert len(found) == 2 and found[0] == original


async def test_steps_are_listed_and_gone_to_at_once(desk) -> None:
    await drag(desk, (100, 100), (200, 150))
    first = await desk.evaluate(DIGEST)
    await desk.get_by_role("button", name="Invert").click()
    await desk.get_by_role("button", name="Zoom out 2×").click()
    await desk.locator("#words").fill("a blue door")
    last = await desk.evaluate(DIGEST)
    await desk.locator("summary", has_text="History").click()
    steps = desk.locator(".steps button")
    await until(desk, "() => document.querySelectorAll('.steps button').length === 5")
    assert await steps.all_text_contents() == [
        "Words",
        "Canvas, 1536 × 1024 px",
        "Invert",
        "Brush",
        "As it was opened",
    ]
    await steps.nth(3).click()
    seen = await painted(desk)
    assert (await desk.evaluate(DIGEST), seen["width"], seen["past"]) == (first, 768, 1)
    await until(desk, "() => document.querySelector('.steps [aria-current]').textContent === 'Brush'")
    await steps.nth(0).click()
    seen = await desk.evaluate(READ)
    assert (await desk.evaluate(DIGEST), seen["words"], seen["past"]) == (last, "a blue door", 4)
    await steps.nth(4).click()
    seen = await desk.evaluate(READ)
    assert (seen["count"], seen["width"], seen["words"], seen["past"]) == (0, 768, "", 0)
    await desk.locator("#stage").press("Control+Shift+z")
    assert await desk.evaluate(DIGEST) == first


async def test_a_numbered_field_is_painted_and_taken_away(desk) -> None:
    await desk.locator("summary", has_text="Numbered fields").click()
    await desk.get_by_role("button", name="Field 6", exact=True).press("Enter")
    assert (await painted(desk))["bounds"] == [192, 128, 384, 256], "row by row, as on Discord"
    await desk.get_by_role("button", name="Field 7", exact=True).press("Enter")
    assert (await painted(desk))["bounds"] == [192, 128, 576, 256]
    await desk.get_by_role("button", name="Field 6", exact=True).press("Enter")
    assert (await painted(desk))["bounds"] == [384, 128, 576, 256]


async def test_z_zooms_to_the_pointer(desk) -> None:
    scale = (await desk.evaluate(READ))["scale"]
    place = await point(desk, 624, 96)
    await desk.mouse.click(*place)
    await desk.mouse.move(*place)
    for key, times in (("z", 2), ("Shift+Z", 1)):
        await desk.locator("#stage").press(key)
        assert abs((await desk.evaluate(READ))["scale"] - times * scale) < 1e-9
        x, y = await point(desk, 624, 96)
        assert abs(x - place[0]) <= 2 and abs(y - place[1]) <= 2
