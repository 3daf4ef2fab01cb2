"""Pictures that come to the editor, in Chromium: dropped, pasted and chosen as layers and as references, and
those that are drawn, in place while they sharpen."""

import asyncio
import base64
import io
import json

import pytest
from PIL import Image

from tests.web.browser.desk import READ, SHOWN, drag, editing, point, script, until

pytestmark = pytest.mark.asyncio(loop_scope="session")
GIVE = """async ([kind, selector, files, address, x, y]) => {
  const data = new DataTransfer();
  for (const [name, type, text] of files) {
    data.items.add(new File([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))], name, { type }));
  }
  if (address) data.setData('text/uri-list', address);
  const place = document.querySelector(selector);
  const event = kind === 'paste'
    ? new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true })
    : new DragEvent(kind, { dataTransfer: data, clientX: x, clientY: y, bubbles: true, cancelable: true });
  place.dispatchEvent(event); }"""
LAYERED = script(
    "return editor.state.layers.length === count && editor.pictures.loaded.size >= count;", "count"
)
REFERENCES = script("return editor.state.references;")


def picture(width: int, height: int, colour: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, "PNG")
    return out.getvalue()


def file(name: str, data: bytes, kind: str = "image/png") -> list[str]:
    return [name, kind, base64.b64encode(data).decode()]


async def give(page, kind: str, selector: str, *files: list[str], address: str = "", at=(0, 0)) -> None:
    await page.evaluate(GIVE, [kind, selector, list(files), address, *at])


async def test_a_picture_that_is_dropped_lies_where_it_was_dropped(desk) -> None:
    place = await point(desk, 600, 400)
    given = file("kite.png", picture(100, 60, "#00ff00"))
    await give(desk, "dragover", "#stage", given, at=place)
    assert await desk.locator("#stage.dropping").count() == 1
    await give(desk, "drop", "#stage", given, at=place)
    await until(desk, LAYERED, 2)
    _, layer = (await desk.evaluate(READ))["layers"]
    assert (layer["name"], layer["scale"], list(layer["source"])) == ("kite.png", 1, ["upload"])
    # a drop's place is in whole px of the window
    assert max(abs(layer["x"] - 550), abs(layer["y"] - 370)) <= 1
    assert (await desk.evaluate(SHOWN, [600, 400]))[:3] == [0, 255, 0]
    assert await desk.locator("#stage.dropping").count() == 0


async def test_several_are_pasted_and_the_large_one_fits_the_canvas(desk) -> None:
    large = file("wide.png", picture(1600, 400, "#0000ff"))
    await give(desk, "paste", "body", large, file("small.png", picture(64, 64, "#ff0000")))
    await until(desk, LAYERED, 3)
    _, wide, small = (await desk.evaluate(READ))["layers"]
    assert (wide["x"], wide["y"], wide["scale"]) == (0, 160, 0.48)
    assert (small["x"], small["y"]) == (352, 224)
    assert (await desk.evaluate(SHOWN, [384, 256]))[:3] == [255, 0, 0]
    assert (await desk.evaluate(SHOWN, [100, 256]))[:3] == [0, 0, 255]
    await desk.locator("#stage").press("Control+z")
    await desk.locator("#stage").press("Control+z")
    assert len((await desk.evaluate(READ))["layers"]) == 1


async def test_files_are_chosen_as_layers_and_as_references(desk) -> None:
    for button in ("Add a picture", "Add a reference picture"):
        async with desk.expect_file_chooser() as chooser:
            await desk.get_by_role("button", name=button, exact=True).click()
        chosen = {"name": "kite.png", "mimeType": "image/png", "buffer": picture(80, 80, "#00ff00")}
        await (await chooser.value).set_files([chosen])
        await until(desk, LAYERED, 2)
    await desk.wait_for_selector(".references li img")
    await desk.locator(".references select").select_option(label="Character")
    [one] = await desk.evaluate(REFERENCES)
    assert (one["as"], len(one["source"]["upload"])) == ("character", 64)
    async with desk.expect_request("**/api/edits") as sent:
        await desk.get_by_role("button", name="Draw").click()
    assert json.loads((await sent.value).post_data)["document"]["references"] == [one]
    await desk.wait_for_selector(".candidate img")
    await desk.get_by_role("button", name="Remove this reference").click()
    assert await desk.evaluate(REFERENCES) == []


async def test_the_studios_own_pictures_are_dropped_and_what_is_none_is_told(desk, scenes) -> None:
    site, _, address = scenes
    job = address.split("/")[-2]
    own = f"{site.web.url}/pictures/{job}/2"
    await give(desk, "drop", "#words", address=own)
    await desk.wait_for_selector(".references li img")
    assert await desk.evaluate(REFERENCES) == [{"source": {"job": job, "n": 2}, "as": "style"}]
    await give(desk, "drop", "#stage", address=own, at=await point(desk, 384, 256))
    await until(desk, LAYERED, 2)
    assert (await desk.evaluate(READ))["layers"][1]["source"] == {"job": job, "n": 2}
    await give(desk, "drop", "#stage", file("notes.txt", b"words", "text/plain"))
    await desk.wait_for_selector(".toast.bad >> text=notes.txt isn't a picture.")


async def test_a_file_that_no_picture_is_in_is_refused_in_place(browser, scenes) -> None:
    async with editing(browser, scenes, status=422) as page:
        await give(page, "paste", "body", file("broken.png", b"not a picture at all"))
        await page.wait_for_selector(".toast.bad")
        assert len((await page.evaluate(READ))["layers"]) == 1


# beside what the model sees, and where it sees only what lies around the mask
OUTSIDE = [[150, 50], [600, 450], [220, 120], [480, 380]]


async def test_what_is_drawn_sharpens_in_place_and_only_in_its_mask(browser, scenes) -> None:
    _, executor, _ = scenes
    executor.looks, executor.box = asyncio.Queue(), (200, 100, 500, 400)
    try:
        async with editing(browser, scenes, status=404) as page:  # a preview whose job has ended is gone
            await drag(page, (300, 200), (400, 300))
            beside = [await page.evaluate(SHOWN, place) for place in OUTSIDE]
            await page.get_by_role("button", name="Draw").click()
            for colour in ((250, 20, 20), (20, 250, 20)):
                executor.looks.put_nowait(colour)
                await until(page, NEAR, [colour, [320, 220]])
                await until(page, NEAR, [colour, [380, 280]])
                for place, before in zip(OUTSIDE, beside, strict=True):
                    assert await page.evaluate(SHOWN, place) == before
            await page.locator("#stage").press("+")  # it goes along with the view
            await until(page, NEAR, [(20, 250, 20), [380, 280]])
            executor.looks.put_nowait(None)
            await page.wait_for_selector(".candidate img")
            await page.locator("#stage").press("0")
            assert (await page.evaluate(READ))["past"] == 1
            await until(page, FAR, [(20, 250, 20), [320, 220]])
    finally:
        executor.looks, executor.box = None, (0, 0, executor.width, executor.height)


NEAR = """async ([colour, [x, y]]) => {
  const { editor } = await import(document.querySelector('script[type=module]').src);
  const [u, v] = editor.view.toScreen(x, y);
  const { data } = editor.parts.picture.getContext('2d').getImageData(Math.floor(u), Math.floor(v), 1, 1);
  return colour.every((one, at) => Math.abs(one - data[at]) < 12); }"""
FAR = NEAR.replace("return colour", "return !colour")
