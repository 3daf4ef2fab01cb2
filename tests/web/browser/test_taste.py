"""Pages of nine to rate in a browser: by keys and touch, narrow and wide; axe is content."""

import pytest

from storage.server_tastes import Noted, Verdict
from studio.authority import Actor
from studio.server_tastes import ServerCard, ServerTastes
from tests.studio.servers import Channel, Server, Servers
from tests.web.browser.conftest import SIDEWAYS, faults, look, shot, sign_in
from tests.web.browser.test_examples import ALL_THERE, LOOKS
from tests.web.browser.test_wall import hung
from tests.web.conftest import YOU, Site
from tests.web.teacher import Teacher
from vision.protocol import Known

pytestmark = pytest.mark.asyncio(loop_scope="session")
EXECUTOR = Teacher
PRESSED = '#nine [aria-pressed="true"]'


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
async def test_axe_finds_nothing_and_nothing_is_cut_off(site: Site, page, axe, scheme, width) -> None:
    await hung(site, 10)
    await sign_in(site, page)
    await look(page, scheme, width)
    assert await faults(page, axe, f"{site.web.url}/taste/nine") == []
    await page.locator("#nine button").nth(8).wait_for()
    await page.locator("#nine button").nth(2).click()
    assert await page.locator(PRESSED).count() == 1
    assert await page.evaluate(SIDEWAYS) <= 0
    assert await page.evaluate(ALL_THERE)
    await shot(page, f"nine-{width}-{scheme}")


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
async def test_a_manager_finds_what_a_servers_taste_may_be_told(
    site: Site, page, axe, scheme, width, monkeypatch
) -> None:
    noted = Noted(verdict=Verdict(0.62, 0.31, 0.86, 4))
    known = [
        ServerCard(10, "Here", True, 4, 61, 23, Known(0.79, 0.64, 0.89), noted=noted, manages=True),
        ServerCard(11, "There", is_on=False, manages=True),
    ]

    async def cards(tastes: ServerTastes, actor: Actor) -> list[ServerCard]:
        return known

    monkeypatch.setattr(ServerTastes, "cards", cards)
    channels = {100: Channel({YOU}, {YOU}, "art"), 101: Channel({YOU}, {YOU}, "hall")}
    here = Servers({n: Server("Here", channels, {YOU: True}) for n in (10, 11)})
    with site.opened.services.directory.connected(here):
        await sign_in(site, page)
        await look(page, scheme, width)
        assert await faults(page, axe, f"{site.web.url}/taste") == []
        for row in await page.locator("#servers > li > div > details > summary").all():
            await row.click()
        await page.get_by_text("Nobody can say yet whether it fits").wait_for()
        assert await page.evaluate(SIDEWAYS) <= 0
        assert await page.evaluate(ALL_THERE)
        await shot(page, f"server-taste-{width}-{scheme}")
        await page.locator("select[name=duels]").select_option("101")
        async with page.expect_navigation():  # a page that is closed meanwhile may hang
            await page.get_by_label("Save where Here votes on pairs").click()
        for _ in range(40):
            if here.told:
                break
            await page.wait_for_timeout(50)
        assert [place.channel_id for place, _text in here.told] == [101]


async def test_pages_are_rated_by_keys_and_said_again(site: Site, page) -> None:
    await hung(site, 28)
    await sign_in(site, page, "/taste/nine")
    await page.locator("#nine button").nth(8).wait_for()
    words = "[...document.querySelectorAll('#nine img')].map((one) => one.src)"
    first = await page.evaluate(words)
    for key in ("1", "5", "5", "9"):
        await page.keyboard.press(key)
    assert await page.locator(PRESSED).count() == 2
    assert await page.locator("#next").inner_text() == "Next"
    async with page.expect_response("**/api/taste/nine") as answered:
        await page.keyboard.press("Space")
    assert (await answered.value).status == 200
    second = await page.evaluate(words)
    assert not {*first} & {*second} and await page.locator("#next").inner_text() == "None of these"
    await page.keyboard.press("ArrowLeft")
    assert await page.evaluate(words) == first and await page.locator(PRESSED).count() == 2
    await page.keyboard.press("1")
    async with page.expect_response("**/api/taste/nine") as answered:
        await page.keyboard.press("ArrowRight")
    said = (await answered.value).request.post_data_json
    assert len(said["liked"]) == 1 and len(said["passed"]) == 8
    likes = await site.opened.services.database.read(lambda c: c.exec_driver_sql(COUNT).scalar())
    assert likes == 1
    async with page.expect_response("**/api/taste/nine"):
        await page.keyboard.press("ArrowRight")
    third = await page.evaluate(words)
    assert len(third) == 9 and not {*third} & {*first, *second}
    async with page.expect_response("**/api/taste/nine"):
        await page.keyboard.press("ArrowRight")
    await page.get_by_text("no more pictures to rate").wait_for()


COUNT = "SELECT count(*) FROM taste_choices WHERE liked = 1"


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
async def test_a_lora_of_a_taste_is_trained_and_chosen_blind(site: Site, page, axe, scheme, width) -> None:
    for number in range(5):
        job = await site.drawn(site.you, f"a red house --seed {10 * number}")
        await site.you.ask("PUT", f"/api/favourites/{job['id']}/2")
    await sign_in(site, page, "/taste")
    await look(page, scheme, width)
    await page.get_by_role("button", name="Make it strong").click()
    await page.get_by_role("button", name="Compare blind").click(timeout=20_000)
    await page.get_by_text("Pair 1 of 8").wait_for(timeout=20_000)
    assert await faults(page, axe, page.url) == []
    assert await page.evaluate(SIDEWAYS) <= 0
    await shot(page, f"blind-{width}-{scheme}")
    for number in range(1, 9):
        await page.get_by_text(f"Pair {number} of 8").wait_for()
        await page.wait_for_load_state("networkidle")  # what was decided is shown no more
        await page.keyboard.press("12"[number % 2])
    await page.get_by_text("of 8 pairs").first.wait_for()
    assert await faults(page, axe, f"{site.web.url}/taste") == []
    await shot(page, f"strong-{width}-{scheme}")
