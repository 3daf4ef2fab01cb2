"""The pages in Chromium, served by the studio itself with an executor that draws at once."""

import asyncio
import re

import pytest

from studio.authority import Place
from tests.studio.conftest import png
from tests.studio.servers import Channel, Server, Servers
from tests.web.browser.conftest import FOUR, SIDEWAYS, pages_of
from tests.web.conftest import YOU, Site

pytestmark = pytest.mark.asyncio(loop_scope="session")
WIDTHS = (320, 768, 1440)
HOSTILE = '<img src=x onerror="window.hit=1"> a house'


def job_page(job) -> str:
    return f"/pictures/{job['id']}/1"


async def test_every_page_fits_every_width(opened: Site, you) -> None:
    await opened.drawn(opened.you, "a red house --ar 3:2 --chaos 20")
    assert len(pages_of(opened)) >= 6
    for path in pages_of(opened):
        for width in WIDTHS:
            await you.set_viewport_size({"width": width, "height": 800})
            await you.goto(opened.web.url + path)
            assert await you.evaluate(SIDEWAYS) <= 0, (path, width)


async def test_a_page_with_nothing_on_it_says_so(opened: Site, you) -> None:
    for path in ("/", "/pictures", "/pictures?q=zebra", "/explore", "/folders", "/trash", "/queue"):
        await you.goto(opened.web.url + path)
        await you.evaluate("() => new Promise((done) => setTimeout(done, 100))")  # scripts have had their say
        assert await you.locator(".empty h2").is_visible(), path


async def test_a_picture_has_a_page_that_fits_too(opened: Site, you) -> None:
    job = await opened.drawn(opened.you)
    for width in WIDTHS:
        await you.set_viewport_size({"width": width, "height": 800})
        await you.goto(opened.web.url + job["pictures"][1]["href"])
        assert await you.evaluate(SIDEWAYS) <= 0, width
    assert await you.locator("#tools button").get_attribute("aria-pressed") == "false"


async def test_an_enter_before_the_scripts_are_there_sends_the_prompt_once(opened: Site, you) -> None:
    late = asyncio.Event()

    async def held(route) -> None:
        await late.wait()
        await route.continue_()

    await you.route("**/js/stream.js", held)
    await you.goto(opened.web.url, wait_until="commit")
    await you.locator("#bar-prompt").fill("a red house")
    for _ in range(2):
        await you.keyboard.press("Enter")
    assert (await opened.you.get("/api/jobs")).data["jobs"] == [], "it waits for them"
    late.set()
    await you.wait_for_selector(FOUR)
    assert await you.locator(".job").count() == 1 and await you.locator("#bar-prompt").input_value() == ""


async def test_enter_makes_four_pictures_and_empties_the_bar(opened: Site, you) -> None:
    await you.goto(opened.web.url)
    bar = you.locator("#bar-prompt")
    await bar.fill("a red house")
    await bar.press("Shift+Enter")
    assert await bar.input_value() == "a red house\n"
    await bar.press("Enter")
    await you.wait_for_selector(FOUR)
    assert await you.locator(FOUR).count() == 4
    assert await bar.input_value() == ""
    await bar.press("ArrowUp")
    assert await bar.input_value() == "a red house"


async def test_what_is_asked_elsewhere_appears_here_by_itself(opened: Site, you) -> None:
    await you.goto(opened.web.url)
    await you.wait_for_selector(".empty")
    await opened.drawn(opened.you, "a blue boat")
    await you.wait_for_selector(FOUR, timeout=3000)
    assert "a blue boat" in await you.locator(".job").inner_text()


async def test_what_is_wrong_is_said_and_the_words_stay(opened: Site, you) -> None:
    await opened.drawn(opened.you)
    await you.goto(opened.web.url + "/pictures")
    before = len((await opened.you.get("/api/jobs")).data["jobs"])
    await you.locator("#bar-prompt").fill("a {red, blue} boat")
    await you.locator("#bar-prompt").press("Enter")
    await you.locator("dialog button", has_text="Cancel").click()
    assert await you.locator("#bar-prompt").input_value() == "a {red, blue} boat"
    assert len((await opened.you.get("/api/jobs")).data["jobs"]) == before


async def test_a_chosen_picture_is_uploaded_and_goes_along(opened: Site, you) -> None:
    await you.goto(opened.web.url)
    file = {"name": "cat.png", "mimeType": "image/png", "buffer": png()}
    await you.set_input_files("#bar-file", [file])
    await you.wait_for_selector(".attached:not(:has(progress))")
    await you.locator("#bar-prompt").fill("a red house")
    await you.locator("#bar-prompt").press("Enter")
    await you.wait_for_selector(FOUR)
    assert await you.locator(".attached").count() == 0


async def test_a_hostile_prompt_is_text_on_every_page(opened: Site, you) -> None:
    job = await opened.drawn(opened.you, HOSTILE)
    for path in ("/", "/pictures", job["pictures"][0]["href"]):
        await you.goto(opened.web.url + path)
        assert await you.evaluate(
            "() => [window.hit ?? 0, document.querySelectorAll('[onerror]').length]"
        ) == [0, 0]


async def test_pictures_are_thrown_away_taken_back_and_deleted_by_keys(opened: Site, you) -> None:
    await opened.drawn(opened.you, "a red house")
    kept = await opened.drawn(opened.you, "a blue boat")
    await you.goto(opened.web.url + "/pictures")

    async def there(count: int) -> None:
        await you.wait_for_function(f"() => document.querySelectorAll('.tile img').length === {count}")

    await there(8)
    await you.locator(".tile a").nth(4).focus()
    await you.keyboard.press("Space")
    await you.keyboard.press("ArrowRight")
    await you.keyboard.press("Shift+Space")
    assert await you.locator(".chosen-bar p").inner_text() == "2 selected"
    await you.keyboard.press("Delete")
    await there(6)
    await you.get_by_role("button", name="Undo").press("Enter")
    await there(8)
    await you.locator(".tile a").nth(4).focus()
    await you.keyboard.press("Delete")
    await there(7)
    await you.wait_for_function("() => document.activeElement?.closest('[data-index=\"4\"]')")
    await you.keyboard.press("Delete")
    await there(6)
    await you.goto(opened.web.url + "/trash")
    await there(2)
    assert await you.locator(".tile .ends").first.inner_text() == "30 days"
    await you.locator(".tile a").first.focus()
    await you.keyboard.press("Space")
    await you.locator(".chosen-bar").get_by_role("button", name="Restore").press("Enter")
    await there(1)
    await you.locator(".tile a").first.focus()
    await you.keyboard.press("Delete")
    await you.locator("dialog").get_by_role("button", name="Delete").press("Enter")
    await you.wait_for_selector(".empty")
    tiles = (await opened.you.get("/api/pictures")).data["pictures"]
    assert len(tiles) == 7 and [tile["job"] for tile in tiles[:4]] == [kept["id"]] * 4


async def test_the_focus_stays_where_a_picture_was_thrown_away_while_the_page_reads_others(
    opened: Site, you
) -> None:
    await opened.drawn(opened.you, "a red house")
    asked, answered = asyncio.Event(), asyncio.Event()

    async def slow(route) -> None:
        asked.set()
        await answered.wait()
        await route.continue_()

    await you.goto(opened.web.url + "/pictures")
    await you.locator(".tile a").nth(1).focus()
    await you.route("**/api/days*", slow)
    await opened.drawn(opened.you, "a blue boat")  # the page reads what is new
    await asyncio.wait_for(asked.wait(), 30)
    async with you.expect_response("**/api/trash"):
        await you.keyboard.press("Delete")
    answered.set()
    await you.wait_for_function("() => document.querySelectorAll('.tile img').length === 7")
    await you.wait_for_function("() => document.activeElement?.closest('[data-index=\"1\"]')")


async def test_a_picture_is_shared_and_the_link_taken_back_by_keys(opened: Site, you, browser) -> None:
    job = await opened.drawn(opened.you, "a red house")
    await you.goto(opened.web.url + job["pictures"][0]["href"])
    await you.get_by_role("button", name="Share by link").press("Enter")
    await you.locator("#share input[name=title]").fill("My house")
    assert not await you.locator("#share input[name=embed]").is_checked()
    await you.locator("#share input[name=embed]").press("Space")
    await you.locator("#share input[name=title]").press("Enter")
    link = await you.locator("dialog input[readonly]").input_value()
    context = await browser.new_context()
    stranger = await context.new_page()
    await stranger.goto(link)
    assert await stranger.locator("h1").inner_text() == "My house"
    embed = await stranger.locator("link[rel='discord:component-embed']").get_attribute("href")
    assert embed == f"{link}/embed.json"
    assert await stranger.evaluate("() => document.querySelector('figure img').naturalWidth > 0")
    await you.goto(opened.web.url + "/shares")
    assert re.fullmatch(r"until \d+ \w+ \d{4}", await you.locator("#shares time").inner_text())
    await you.get_by_role("button", name="Revoke").press("Enter")
    await you.wait_for_selector(".chip >> text=Revoked")
    assert (await stranger.goto(link)).status == 404
    await context.close()


async def test_pictures_are_sorted_into_a_new_folder_and_taken_out(opened: Site, you) -> None:
    await opened.drawn(opened.you, "a red house")
    await you.goto(opened.web.url + "/pictures?q=house")
    await you.get_by_role("button", name="Save as a smart folder").click()
    await you.locator("dialog input[name=name]").fill("Houses")
    await you.keyboard.press("Enter")
    await you.wait_for_selector(".toast >> text=Houses saved")
    await you.locator(".tile a").nth(1).focus()
    await you.keyboard.press("Space")
    await you.locator(".chosen-bar").get_by_role("button", name="Add to a folder").click()
    await you.locator("dialog input[name=name]").fill("Best")
    await you.keyboard.press("Enter")
    await you.locator(".toast", has_text="added to Best").get_by_role("link", name="Open").click()
    await you.wait_for_selector("h1 >> text=Best")
    await you.locator(".tile .mark").first.click()
    await you.locator(".chosen-bar").get_by_role("button", name="Remove from this folder").click()
    await you.wait_for_selector(".empty >> text=This folder is empty")
    await you.goto(opened.web.url + "/folders")
    assert await you.locator(".folder-name").all_inner_texts() == ["Best", "Houses"]
    await you.locator(".folder").last.click()
    await you.wait_for_function("() => document.querySelectorAll('.tile img').length === 4")


async def test_the_link_is_spent_by_its_button_alone(opened: Site, page) -> None:
    link = await opened.opened.services.web.new(YOU, "you")
    await page.goto(f"{opened.web.url}/in#{link.partition('#')[2]}")
    button = page.get_by_role("button", name="Continue as you")
    await button.wait_for()
    assert [cookie["name"] for cookie in await page.context.cookies()] == ["zone"]
    assert page.url == f"{opened.web.url}/in"
    await button.click()
    await page.wait_for_selector("#bar-prompt")


async def test_the_address_of_ones_own_machine_opens_signed_in(opened: Site, page) -> None:
    await page.goto(opened.web.local_address("a-capability"))
    await page.wait_for_selector("#bar-prompt")
    assert page.url == f"{opened.web.url}/"


async def test_a_link_is_tried_again_where_the_studio_could_not_look_at_it(opened: Site, browser) -> None:
    page = await browser.new_page()  # errors on its console are meant
    busy = {"status": 503, "content_type": "application/json", "body": '{"detail": "The studio is busy."}'}
    await page.route("**/api/session", lambda route: route.fulfill(**busy))
    await page.goto(f"{opened.web.url}/in#a-capability")
    await page.get_by_role("heading", name="You can't sign in right now").wait_for()
    await page.unroute("**/api/session")
    await page.get_by_role("button", name="Try again").click()
    await page.wait_for_selector("#bar-prompt")
    await page.close()


async def test_a_banner_says_that_the_studio_is_away(opened: Site, you) -> None:
    await you.route_web_socket("**/api/live*", lambda socket: asyncio.ensure_future(socket.close()))
    await you.goto(opened.web.url)
    await you.wait_for_selector("#banner:not([hidden])", timeout=6000)
    assert "doesn't answer" in await you.locator("#banner").inner_text()


async def test_a_folder_is_made_filled_renamed_and_deleted_by_its_forms(opened: Site, you) -> None:
    job = await opened.drawn(opened.you)
    await you.goto(f"{opened.web.url}/folders")
    await you.get_by_role("button", name="New smart folder").click()
    await you.locator(":popover-open [name=name]").fill("Red")
    await you.locator(":popover-open [name=q]").fill("red")
    await you.keyboard.press("Enter")
    await you.get_by_text("Smart: “red”").wait_for()
    await you.goto(f"{opened.web.url}/folders")
    await you.get_by_role("button", name="New folder").click()
    await you.locator(":popover-open [name=name]").fill("Houses")
    await you.keyboard.press("Enter")
    await you.get_by_role("heading", name="Houses").wait_for()
    here = you.url
    await you.goto(opened.web.url + job["pictures"][0]["href"])
    await you.get_by_role("button", name="Add to a folder").click()
    async with you.expect_response("**/items") as put:
        await you.get_by_role("button", name="Add", exact=True).click()
    assert (await put.value).status == 200
    await you.goto(here)
    await you.get_by_role("button", name="Rename").click()
    await you.locator(":popover-open [name=name]").fill("Homes")
    await you.keyboard.press("Enter")
    await you.get_by_role("heading", name="Homes").wait_for()
    await you.get_by_role("button", name="Delete the folder").click()
    await you.locator("dialog button", has_text="Delete").click()
    await you.wait_for_url("**/folders")
    assert await you.locator(".folder-name").all_inner_texts() == ["Red"]


async def test_a_document_is_found_named_opened_and_deleted(opened: Site, you) -> None:
    await you.goto(f"{opened.web.url}/documents")
    assert await you.get_by_role("heading", name="No documents yet").count() == 1
    job = await opened.drawn(opened.you)
    layer = {"id": "base", "source": {"job": job["id"], "n": 1}}
    document = {"v": 1, "width": 512, "height": 512, "layers": [layer]}
    made = (await opened.you.post("/api/documents", {"document": document})).data["id"]
    await you.keyboard.press("g")
    await you.keyboard.press("d")
    await you.wait_for_selector("text=Untitled")
    await you.get_by_role("button", name="Rename Untitled").click()
    await you.locator("[popover]:popover-open [name=name]").fill("The house")
    await you.keyboard.press("Enter")
    await you.wait_for_selector(".folder-name >> text=The house")
    await you.get_by_role("link", name="The house").click()
    await you.wait_for_url(f"**/edit/d/{made}")
    assert await you.get_by_role("heading", name="Edit The house").count() == 1
    await you.get_by_role("link", name="Leave the editor").click()
    await you.wait_for_url("**/documents")
    for answer, left in (("Cancel", 1), ("Delete", 0)):
        await you.get_by_role("button", name="Delete The house").click()
        await you.locator("dialog button", has_text=answer).click()
        await you.wait_for_function(f"() => document.querySelectorAll('.folder').length === {left}")


async def test_a_picture_is_posted_to_a_channel_that_is_chosen(opened: Site, you) -> None:
    job = await opened.drawn(opened.you)
    page = opened.web.url + job["pictures"][1]["href"]
    await you.goto(page)
    await you.click("#more-button")
    await you.get_by_role("button", name="Post to Discord").click()
    await you.wait_for_selector(".toast >> text=no channel on Discord where both you and the bot can write")
    channels = {number: Channel({YOU}, {YOU}, name=name) for number, name in ((100, "hall"), (101, "art"))}
    servers = Servers({20: Server("There", channels, {YOU: False})})
    with opened.opened.services.directory.connected(servers):
        await you.goto(page)
        await you.click("#more-button")
        await you.get_by_role("button", name="Post to Discord").click()
        await you.get_by_label("Channel", exact=True).select_option(label="#art")
        await you.locator("dialog button", has_text="Post").click()
        await you.wait_for_selector(".toast >> text=Posted")
    assert servers.posted == [(Place(20, 101), job["id"], 1, YOU)]


ENDS_LEFT = r"""(prompt) => {
  const text = [...prompt.childNodes].find(({ data }) => data?.includes('!'));
  const left = (at) => {
    const range = document.createRange();
    range.setStart(text, at);
    range.setEnd(text, at + 1);
    return range.getBoundingClientRect().left;
  };
  return left(text.data.indexOf('!')) < left(text.data.search(/\S/)); }"""


async def test_hebrew_words_end_at_the_left_and_english_ones_at_the_right(opened: Site, you) -> None:
    for words, ends_left in (("בית אדום!", True), ("a red house!", False)):
        job = await opened.drawn(opened.you, words)
        for path in ("/", f"/pictures/{job['id']}/1"):
            await you.goto(opened.web.url + path)
            prompt = you.locator(".prompt", has_text=words).first
            assert await prompt.evaluate(ENDS_LEFT) is ends_left, (path, words)


async def test_back_undoes_a_filter_and_typing_is_one_step(opened: Site, you) -> None:
    await opened.drawn(opened.you, "a red house")
    await opened.drawn(opened.you, "a blue boat")
    await you.goto(opened.web.url + "/pictures")

    async def there(count: int) -> None:
        await you.wait_for_function(f"() => document.querySelectorAll('.tile img').length === {count}")

    await there(8)
    await you.locator("#search-box").press_sequentially("house")
    await you.wait_for_url("**/pictures?q=house*")
    await there(4)
    await you.locator("#search-box").press("Enter")
    await you.get_by_label("Favourites", exact=True).check()
    await you.wait_for_url("**favourite=1*")
    await you.get_by_text("No picture fits").wait_for()
    await you.go_back()
    await there(4)
    assert await you.locator("#search-box").input_value() == "house"
    assert not await you.get_by_label("Favourites", exact=True).is_checked()
    await you.go_back()
    await there(8)
    assert await you.locator("#search-box").input_value() == ""
