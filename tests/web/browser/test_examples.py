"""Sets of examples in a browser: made, filled from files and own pictures, tried, emptied; axe is content."""

import pytest

from tests.studio.conftest import png
from tests.web.browser.conftest import SIDEWAYS, faults, look, shot, sign_in
from tests.web.conftest import Site
from tests.web.test_examples import Trier, filled, sent
from tests.web.test_talks import MODEL

pytestmark = pytest.mark.asyncio(loop_scope="session")
ALL_THERE = """async () => {
  const shown = [...document.querySelectorAll("main img, dialog img")];
  for (const one of shown) one.loading = "eager";
  await Promise.all(shown.map((one) => one.decode()));
  return shown.every((one) => one.naturalWidth > 0);
}"""
LOOKS = [(scheme, width) for scheme in ("light", "dark") for width in (360, 1440)]


EXECUTOR = Trier
SETTINGS = MODEL


def file(number: int) -> dict[str, object]:
    return {"name": f"{number}.png", "mimeType": "image/png", "buffer": png(50 + number, 40)}


async def test_a_set_is_made_filled_tried_and_deleted(site: Site, page) -> None:
    await site.drawn(site.you, "a dog")
    await sign_in(site, page, "/examples")
    await page.get_by_text("No sets yet").wait_for()
    await page.get_by_role("button", name="New set").click()
    await page.get_by_label("Name").fill("Pets")
    await page.get_by_role("button", name="Create").click()
    await page.get_by_role("heading", name="Pets").wait_for()
    await page.get_by_text("A set needs at least two labels").wait_for()
    # files
    await page.get_by_label("Label", exact=True).fill("cat")
    await page.get_by_role("button", name="Add", exact=True).click()
    await page.get_by_text("Choose a picture first").wait_for()
    await page.locator("#add-file").set_input_files([file(1), file(2)])
    await page.get_by_role("button", name="Add", exact=True).click()
    await page.get_by_role("img", name="cat, number 2").wait_for()
    # one of the studio's own
    await page.get_by_label("Label", exact=True).fill("dog")
    await page.get_by_role("button", name="Add some of your pictures").click()
    await page.get_by_role("checkbox", name="a dog").first.check()
    assert await page.evaluate(ALL_THERE)
    await shot(page, "examples-pick-1280-light")
    await page.get_by_role("button", name="Choose").click()
    await page.locator("#add-pictures img").wait_for()
    await page.get_by_role("button", name="Add", exact=True).click()
    await page.get_by_role("img", name="dog, number 1").wait_for()
    # tried
    await page.locator("#try-file").set_input_files(file(9))
    await page.get_by_role("button", name="Try", exact=True).click()
    await page.get_by_text("3 of 4 test examples right").wait_for()
    await page.get_by_text("chat says dog (60 %)").wait_for()  # it may still be coming
    # taken out
    await page.get_by_role("button", name="Remove cat, number 1").click()
    await page.get_by_text("2 examples of 2 labels").wait_for()
    await page.get_by_role("button", name="Delete the set").click()
    await page.get_by_role("button", name="Delete", exact=True).click()
    await page.get_by_text("No sets yet").wait_for()


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
async def test_axe_finds_nothing_and_nothing_is_cut_off(site: Site, page, axe, scheme, width) -> None:
    href = await filled(site)
    tried = await site.you.post(f"/api{href}/try", {"picture": await sent(site.you, 9)})
    await site.finished(tried.data["job"])
    asked = {"set": "Bills", "label": "12.50", "question": "What is the sum?"}
    questions = await site.you.post("/api/examples", {**asked, "pictures": [await sent(site.you, 3)]})
    await sign_in(site, page)
    await look(page, scheme, width)
    for path in ("/examples", href, questions.data["href"]):
        assert await faults(page, axe, site.web.url + path) == [], path
        assert await page.evaluate(SIDEWAYS) <= 0, path
        assert await page.evaluate(ALL_THERE), path
        await shot(page, f"examples{path.replace('/', '-')[:15]}-{width}-{scheme}")
    await page.goto(site.web.url + href)
    await page.get_by_role("button", name="Try one of your pictures").click()
    await page.get_by_role("radio").first.wait_for()
    assert await faults(page, axe) == []
