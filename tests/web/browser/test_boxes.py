"""Boxes drawn around objects in a browser, one picture after the other, and again where a model was wrong."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from core.events import Output
from core.requests.custom_models import InspectRequest
from core.results import Region, Verdict
from tests.web.browser.conftest import faults, sign_in
from tests.web.conftest import Site
from tests.web.teacher import Teacher, chart
from tests.web.test_projects import part, send
from vision.protocol import Run

pytestmark = pytest.mark.asyncio(loop_scope="session")
FOUND = Region(0.25, 0.25, 0.75, 0.75, 0.25, 2.0, "nut", 0.6)


class Finding(Teacher):
    """Finds a nut in the middle of every picture."""

    def _inspect(self, run: Run, request: InspectRequest) -> Output:
        said = tuple(
            Verdict(name, 0.6, False, "Found: 1 nut.", "1 nut", 0.3, (("nut", 0.6),), (FOUND,))
            for name in request.images
        )
        told = [{"sentence": "Found: 1 nut.", "regions": [vars(FOUND)]} for _ in said]
        return Output(grid=chart(20), verdicts=said, parameters={"verdicts": told})


EXECUTOR = Finding


async def drag(page, *sides: float) -> None:
    around = await page.locator(".desk-frame").bounding_box()
    left, top, right, bottom = (
        around[at] + share * around[size]
        for at, size, share in zip("xyxy", ("width", "height") * 2, sides, strict=True)
    )
    await page.mouse.move(left, top)
    await page.mouse.down()
    await page.mouse.move(right, bottom, steps=3)
    await page.mouse.up()


@asynccontextmanager
async def next_one(page) -> AsyncIterator[None]:
    """Wait for another picture after what is done within."""
    image = ".desk-frame img"
    before = await page.locator(image).get_attribute("src")
    yield
    await page.wait_for_selector(f'{image}:not([src="{before}"])')


async def test_boxes_are_drawn_picture_by_picture_and_anew_where_they_were_wrong(
    site: Site, page, axe: str
) -> None:
    made = await site.you.post("/api/projects", {"name": "trays", "task": "detect"})
    path = f"/projects/{made.data['id']}"
    given = [(f"{number}.png", part(number)) for number in range(5)]
    brought = await send(site.you, f"/api{path}/pictures", given, label="a folder")
    assert brought.data["sentence"] == "5 taken."
    await sign_in(site, page)
    await page.goto(f"{site.web.url}{path}/label")
    await page.locator(".objects").wait_for()
    # nothing is drawn before it has a name
    await drag(page, 0.1, 0.1, 0.3, 0.3)
    await page.get_by_text("Choose a label before you draw a box.").wait_for()
    await page.get_by_label("New label").fill("nut")
    await page.keyboard.press("Enter")
    await drag(page, 0.1, 0.2, 0.4, 0.5)
    await page.get_by_label("New label").fill("screw")
    await page.keyboard.press("Enter")
    await drag(page, 0.5, 0.5, 0.9, 0.8)
    await drag(page, 0.6, 0.1, 0.8, 0.2)
    assert await page.locator(".object").count() == 3
    await page.get_by_role("button", name="Remove box 3, screw").click()
    await page.reload()  # what is drawn outlives the page
    await page.locator(".objects").wait_for()
    assert await page.locator(".object span").all_inner_texts() == ["nut", "screw"]
    assert await faults(page, axe) == []
    # done by a key; the next one is marked by keys alone, the third has nothing
    await drag(page, 0.5, 0.5, 0.5, 0.5)  # a press is no box, and takes the focus away from the button
    async with next_one(page):
        await page.keyboard.press("Enter")
    async with next_one(page):
        for key in ("1", "b", "ArrowLeft", "Enter", "Enter"):
            await page.keyboard.press(key)
    async with next_one(page):
        await page.get_by_role("button", name="Nothing is there").click()
    card = (await site.you.get(f"/api{path}")).data
    assert {one["name"]: one["count"] for one in card["labels"]} == {"nut": 2, "screw": 1}
    pictures = (await site.you.get(f"/api{path}/pictures")).data["pictures"]
    assert sum(one["state"] == "labelled" for one in pictures) == 3
    # a version is wrong about a picture: its boxes are there to be drawn anew
    for one in pictures:
        boxes = [["nut", 0.1, 0.1, 0.5, 0.5]]
        await site.you.post(f"/api{path}/marks", {"picture": one["id"], "label": "marked", "boxes": boxes})
    await page.goto(f"{site.web.url}{path}")
    await page.get_by_role("button", name="Train").click()
    await page.get_by_role("heading", name="Version 1").wait_for(timeout=90_000)
    await page.goto(f"{site.web.url}{path}/try")
    await page.locator("#try-own").wait_for()
    await page.set_input_files("#try-file", [{"name": "a.png", "mimeType": "image/png", "buffer": part(60)}])
    await page.get_by_text("Found: 1 nut.").wait_for()
    await page.get_by_role("button", name="is wrong").click()
    await page.get_by_role("button", name="Draw them correctly").click()
    await page.locator(".object").wait_for()
    assert await page.locator(".object").inner_text() == "nut"
    assert await page.locator(".object").evaluate("(one) => one.style.left") == "25%"
