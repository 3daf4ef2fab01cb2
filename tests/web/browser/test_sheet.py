"""A sheet of drafts on Create: by keys and by a long press, without faults on a phone and on a screen."""

import pytest

from tests.web.browser.conftest import SIDEWAYS, faults, look
from tests.web.conftest import Site

pytestmark = pytest.mark.asyncio(loop_scope="session")
DRAFTS = ".pictures.drafts[data-count='24'] .draft"


async def drawn(page) -> None:
    await page.fill("#bar-prompt", "a {red, blue} boat --sheet")
    await page.keyboard.press("Enter")
    await page.wait_for_selector(DRAFTS)


async def test_marked_drafts_are_drawn_in_full_by_keys(opened: Site, you) -> None:
    await drawn(you)
    await you.locator(DRAFTS).nth(0).focus()
    for key in ("Space", "ArrowRight", "ArrowDown", "Space", "l"):
        await you.keyboard.press(key)
    marked = await you.locator(".cell.marked .draft").evaluate_all("(all) => all.map((one) => one.ariaLabel)")
    assert [one.split(": ")[1] for one in marked] == ["a red boat (picture 1)", "a blue boat (picture 8)"]
    assert await you.locator(".drafts .heart[aria-pressed=true]").count() == 1
    await you.keyboard.press("Shift+Enter")
    await you.wait_for_function(
        "() => document.querySelectorAll('article.job .pictures > .cell > a').length === 2"
    )
    assert await you.locator(".cell.marked").count() == 0


async def test_a_press_draws_and_a_long_press_marks(opened: Site, you) -> None:
    await drawn(you)
    await you.locator(DRAFTS).nth(4).click(delay=800)
    assert await you.locator(".cell.marked").count() == 1 and await you.locator("article.job").count() == 1
    await you.locator(DRAFTS).nth(23).click()
    await you.wait_for_selector("article.job .pictures > .cell > a")
    assert await you.locator("article.job").count() == 2


@pytest.mark.parametrize(("width", "columns"), [(360, 3), (1440, 6)])
async def test_a_sheet_has_no_faults(opened: Site, you, axe: str, width: int, columns: int) -> None:
    await drawn(you)
    for scheme in ("light", "dark"):
        await look(you, scheme, width)
        assert await faults(you, axe) == [] and await you.evaluate(SIDEWAYS) <= 0
    style = "(one) => getComputedStyle(one).gridTemplateColumns.split(' ').length"
    assert await you.locator(".pictures.drafts").evaluate(style) == columns
