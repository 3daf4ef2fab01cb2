"""Answers as tables and boxes in a browser: asked for in the bar, shown without a reload, fitting a phone."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.studio.talker import Talker
from tests.vision.readers.drawn_charts import Drawn, draw
from tests.web.browser.conftest import SIDEWAYS, shot, sign_in
from tests.web.conftest import Site, open_site
from tests.web.test_talks import MODEL
from vision.chat.output_renderer import encoded

pytestmark = pytest.mark.asyncio(loop_scope="session")
ROWS = [["North", 1250, 980], ["South", 870.5, 1400], ["East", 640, 720], ["West", 1100, None]]
TABLE = (
    '{"title": "Sales by region", "x": "Region", "columns": ["Online", "Shops"], "rows": '
    + str(ROWS).replace("'", '"').replace("None", "null")
    + "}"
)
BOXES = (
    '[{"bbox_2d": [60, 120, 330, 990], "label": "first bar"},'
    ' {"bbox_2d": [600, 40, 780, 90], "label": "legend"}]'
)
LOOK = {
    "palette": ("#4c72b0", "#dd8452"),
    "each": False,
    "grid": True,
    "edges": False,
    "told": False,
    "dark": False,
    "size": (800, 600),
    "wide": 0.7,
    "jpeg": 0,
    "font": 16,
    "grouped": True,
}


def chart() -> bytes:
    values = ((1250.0, 870.5, 640.0, 1100.0), (980.0, 1400.0, 720.0, 0.0))
    names = ("North", "South", "East", "West")
    return encoded(draw(Drawn(names, ("Online", "Shops"), values, "Sales by region", "", False, LOOK))).data


@pytest_asyncio.fixture(loop_scope="session")
async def asking(tmp_path: Path) -> AsyncIterator[tuple[Site, str]]:
    executor = Talker()
    executor.say = {"The numbers, please": TABLE, "Where is the first bar?": BOXES}
    async with open_site(tmp_path, executor, **MODEL) as site:
        sent = await site.you.ask("POST", "/api/uploads", data=chart(), headers={"Content-Type": "image/png"})
        body = {"question": "The numbers, please", "answer": "table", "pictures": [sent.data["sha256"]]}
        job = (await site.you.post("/api/talk", body)).data["job"]
        await site.finished(job)
        yield site, job


async def test_a_table_is_shown_with_its_chart_and_boxes_are_asked_for(asking, page) -> None:
    site, job = asking
    await sign_in(site, page, f"/talk/{job}")
    await page.get_by_role("columnheader", name="Shops").wait_for()
    assert await page.get_by_role("cell", name="870.5").count() == 1
    drawn = page.get_by_role("img", name="drawn again from its numbers")
    assert await drawn.evaluate("(one) => one.decode().then(() => one.naturalWidth)") > 1000
    for width, scheme in ((360, "light"), (768, "dark"), (1440, "light"), (1440, "dark")):
        await page.emulate_media(color_scheme=scheme)
        await page.set_viewport_size({"width": width, "height": 900})
        assert await page.evaluate(SIDEWAYS) <= 0, width
        await shot(page, f"table-{width}-{scheme}")
    await page.get_by_label("Form of the answer").select_option("boxes")
    await page.get_by_label("Question", exact=True).fill("Where is the first bar?")
    await page.keyboard.press("Enter")
    await page.get_by_role("listitem").filter(has_text="legend").wait_for()
    await page.get_by_role("img", name="a box around each object").wait_for()
    assert await page.get_by_label("Form of the answer").input_value() == "free"
    await shot(page, "boxes-1440-dark")
    await page.set_viewport_size({"width": 360, "height": 800})
    assert await page.evaluate(SIDEWAYS) <= 0
    await shot(page, "boxes-360-dark")
