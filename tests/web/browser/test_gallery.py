"""A gallery of many pictures: rows that fill the width, three sizes, dates, what is chosen, the way back."""

import pytest

from proofs.web.filled import fill
from tests.web.conftest import Site

A_TILE = """() => {  // where the page is, and of a picture in the middle of it: its address, its own middle
    for (const one of document.querySelectorAll('.window .tile a')) {
        const { left, right, top, bottom } = one.getBoundingClientRect();
        const [x, y] = [(left + right) / 2, (top + bottom) / 2];
        if (y > 250 && y < 600) return [scrollY, one.href, x, y];
    } }"""
pytestmark = pytest.mark.asyncio(loop_scope="session")

ROWS = """() => {
  const rows = {};
  for (const tile of document.querySelectorAll('.window .tile')) {
    const { top, right, left, width, height } = tile.getBoundingClientRect();
    const img = tile.querySelector('img');
    const off = img && width / height / (img.getAttribute('width') / img.getAttribute('height'));
    const row = (rows[Math.round(top)] ??= { left: 1e9, right: 0, height, worst: 1, days: 0 });
    [row.left, row.right] = [Math.min(row.left, left), Math.max(row.right, right)];
    row.worst = Math.max(row.worst, off ?? 1);
  }
  return Object.values(rows);
}"""


async def test_pictures_fill_rows_in_the_size_that_was_chosen_last(opened: Site, you) -> None:
    await fill(opened, 400)
    await you.goto(opened.web.url + "/pictures")
    await you.wait_for_selector(".window .tile img")
    rows = await you.evaluate(ROWS)
    inside = await you.evaluate("() => parseFloat(getComputedStyle(gallery).paddingRight)")
    width = await you.evaluate("() => gallery.clientWidth") - inside
    assert all(row["height"] > 190 and row["worst"] < 1.03 for row in rows), rows
    assert sum(row["right"] - row["left"] >= width - 2 for row in rows) >= len(rows) / 2
    await you.mouse.move(500, 500)
    under = "() => document.elementFromPoint(500, 500)?.closest('[data-index]')?.dataset.index"
    await you.evaluate("() => scrollTo(0, 3000)")
    await you.wait_for_function(f"() => ({under})() && document.querySelector('.window img')?.naturalWidth")
    meant = await you.evaluate(under)
    await you.keyboard.down("Control")
    await you.mouse.wheel(0, 120)
    await you.keyboard.up("Control")
    await you.wait_for_function("() => document.querySelector('.window .tile').offsetHeight < 280")
    assert await you.evaluate(under) == meant, "the picture under the pointer stays there"
    await you.goto(opened.web.url + "/pictures")
    await you.wait_for_selector(".window .tile img")
    assert await you.locator("#sizes").input_value() == "1"
    await you.keyboard.press("+")
    assert await you.locator("#sizes").input_value() == "2"


async def test_pictures_are_chosen_by_day_by_range_and_by_a_drag(opened: Site, you) -> None:
    await fill(opened, 60)
    await you.goto(opened.web.url + "/pictures")
    await you.wait_for_selector(".window .tile img")
    count = you.locator(".chosen-bar p")
    await you.keyboard.press("ArrowRight")
    assert await you.evaluate("() => document.activeElement.closest('[data-index]')?.dataset.index") == "0"
    await you.locator(".day input").first.check()
    assert await count.inner_text() == "4 selected"
    await you.locator(".day input").first.uncheck()
    assert await count.count() == 0
    cell = you.locator(".window [data-index]")
    await cell.nth(0).hover()
    mark, end = await cell.nth(0).locator(".mark").bounding_box(), await cell.nth(2).bounding_box()
    assert mark is not None and end is not None
    await you.mouse.move(mark["x"] + 12, mark["y"] + 12)
    await you.mouse.down()
    await you.mouse.move(end["x"] + 40, end["y"] + 40, steps=6)
    await you.mouse.up()
    assert await count.inner_text() == "3 selected"
    await cell.nth(5).click(modifiers=["Shift"])
    assert await count.inner_text() == "6 selected"
    await you.keyboard.press("Escape")
    await you.locator("#more-filters summary").click()
    await you.locator('#more-filters input[name="model"]').focus()
    await you.keyboard.press("Escape")
    assert await you.locator("#more-filters[open]").count() == 0


async def test_going_back_finds_the_pictures_where_they_were(opened: Site, you) -> None:
    await fill(opened, 400)
    await you.goto(opened.web.url + "/pictures")
    await you.wait_for_selector(".window .tile img")
    await you.evaluate("() => scrollTo(0, 4321)")
    tile = await you.wait_for_function(A_TILE)
    top, href, x, y = await tile.json_value()
    await you.mouse.click(x, y)
    await you.wait_for_url(href)
    await you.go_back()
    await you.wait_for_selector(".window .tile img")
    await you.wait_for_function("(top) => Math.abs(scrollY - top) < 2", arg=top)


async def test_a_first_model_of_ones_own_is_ready_to_be_trained(opened: Site, you) -> None:
    await you.goto(opened.web.url + "/projects")
    await you.get_by_role("button", name="Start with washers").click()
    await you.wait_for_url("**/projects/*", wait_until="commit", timeout=60_000)
    await you.get_by_text("Train it: there are enough good pictures.").wait_for()
    for label in ("All 16", "good 12", "scratched 2", "broken 2"):
        assert await you.locator("main").get_by_text(label, exact=True).count() == 1, label
    assert await you.get_by_role("button", name="Train", exact=True).is_enabled()
