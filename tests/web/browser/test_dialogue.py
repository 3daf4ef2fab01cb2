"""A conversation in the browser: by keys alone, with what is understood shown before it is sent; its tree and
its list of changes; axe and the width of a phone."""

import asyncio

import pytest
import pytest_asyncio

from tests.web.browser.conftest import SIDEWAYS, faults, look, sign_in
from tests.web.browser.test_accessibility import LOOKS
from tests.web.conftest import YOU, Site, open_site

pytestmark = pytest.mark.asyncio(loop_scope="session")
DONE = (
    "n => document.querySelectorAll('.turn').length === n && !document.querySelector('.turn[aria-busy=true]')"
)


@pytest_asyncio.fixture(loop_scope="session")
async def talking(tmp_path):
    async with open_site(tmp_path, EDIT_MODEL="tiny/edit", USER_WAITING="100") as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def talker(talking: Site, page):
    """Create, of somebody who has drawn a house."""
    await talking.drawn(talking.you, "a red house in the snow")
    await sign_in(talking, page)
    await page.wait_for_selector(".job .cell a img")
    await page.wait_for_function("() => !document.getElementById('bar-talk').hidden")
    return page


async def say(page, words: str, turns: int) -> None:
    """Type words and send them; wait until that many turns are there and done."""
    await page.locator("#bar-prompt").focus()
    await page.keyboard.type(words)
    await page.keyboard.press("Enter")
    await page.wait_for_function(DONE, arg=turns)


async def begin(page) -> None:
    """Say something about the newest picture."""
    if await page.locator("#bar-talk").is_visible():
        await page.locator("#bar-prompt").focus()
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
    else:  # a phone, where the card under the bar has it
        await page.get_by_role("button", name="Talk", exact=True).first.click()
    await page.wait_for_selector(".on-picture")
    await say(page, "make it blue", 1)


async def test_words_change_what_the_chip_names_and_nothing_surprises(talker, talking: Site) -> None:
    page = talker
    await page.locator("#bar-prompt").focus()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".on-picture")
    assert await page.evaluate("document.activeElement.id") == "bar-prompt"
    await page.keyboard.type("make it blue")
    await page.wait_for_selector("#bar-heard:has-text('changing 1')")
    await page.keyboard.press("Enter")
    await page.wait_for_function(DONE, arg=1)
    assert "/talk/" in page.url
    await page.wait_for_selector(".on-picture:has-text('on 2')")
    # Esc: the next words are about nothing, so they begin another conversation
    await page.locator("#bar-prompt").focus()
    await page.keyboard.press("Escape")
    await page.wait_for_selector(".on-picture", state="detached")
    before = page.url
    await page.keyboard.type("a green boat at sea")
    await page.keyboard.press("Enter")
    await page.wait_for_url(lambda url: url != before)
    await page.wait_for_selector(".turn:has-text('a green boat')")
    await page.go_back()
    await page.wait_for_selector(".turn:has-text('make it blue')")


async def test_a_dialogue_takes_few_keys_beside_its_words(talker) -> None:
    page = talker
    await begin(page)  # Tab, Enter, Enter
    sentences = ("now at night, and add a boat", "go back to the first one", "make it green", "undo")
    for turns, words in enumerate(sentences, 2):
        await say(page, words, turns)  # Enter: the field keeps the focus
        assert await page.evaluate("document.activeElement.id") == "bar-prompt"
    log = await page.locator("#log p").all_inner_texts()
    assert len(log) >= len(sentences) and log[-1].startswith("undo:")


async def test_the_tree_moves_by_arrows_and_enter_shows_a_turn(talker) -> None:
    page = talker
    await page.set_viewport_size({"width": 1440, "height": 900})
    await begin(page)
    await say(page, "add a boat", 2)
    chosen = page.locator("[role=treeitem][aria-selected=true]")
    await chosen.focus()
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("Enter")
    await page.wait_for_function(DONE, arg=1)
    await say(page, "make it green", 2)  # a branch
    await page.wait_for_selector("[role=treeitem][aria-level='2']")
    assert await page.locator("[role=treeitem]").count() == 3
    await page.wait_for_selector(".branches a:has-text('add a boat')")


async def test_a_late_answer_moves_nobody_away(talker) -> None:
    """What was read of one turn may come after another was opened, said or gone back to."""
    page, held = talker, asyncio.Event()
    await page.set_viewport_size({"width": 1440, "height": 900})
    await begin(page)
    first = page.url.rpartition("/")[2]
    await say(page, "add a boat", 2)
    second = page.url.rpartition("/")[2]
    late, answered = asyncio.Event(), asyncio.Event()

    async def hold(route) -> None:
        answer = await route.fetch()
        late.set()
        await held.wait()
        await route.fulfill(response=answer)
        answered.set()

    await page.route(
        f"**/api/talk/{first}",
        lambda route: hold(route) if route.request.method == "GET" else route.continue_(),
    )
    await page.locator("[role=treeitem]").first.click()
    await late.wait()
    await page.locator(f"[role=treeitem][href='/talk/{second}']").click()
    await say(page, "make it green", 3)
    third = page.url
    held.set()
    await answered.wait()
    await page.wait_for_timeout(300)
    assert page.url == third and await page.locator(".turn").count() == 3
    await page.go_back()
    await page.wait_for_function(DONE, arg=2)
    assert page.url.endswith(second)


async def test_news_bring_nobody_back_to_the_picture_that_was_left(talker, talking: Site) -> None:
    page = talker
    await begin(page)
    await page.locator("#bar-prompt").focus()
    await page.keyboard.press("Escape")
    await page.wait_for_selector(".on-picture", state="detached")
    path = page.url.removeprefix(talking.web.url)
    shown = (await talking.you.get(f"/api{path}")).data["shown"]
    async with page.expect_response(lambda answer: answer.url.endswith(f"/api{path}")):
        talking.opened.services.queue.note_changed(YOU, shown["job"])
    await page.wait_for_timeout(100)
    assert await page.locator(".on-picture").count() == 0


async def test_what_is_unclear_is_asked_under_the_bar(talker) -> None:
    page = talker
    await begin(page)
    await page.locator("#bar-prompt").focus()
    await page.keyboard.type("a boat")
    await page.wait_for_selector("#bar-heard:has-text('What do you mean?')")
    assert await page.locator("#bar-heard button").all_inner_texts() == [
        "Draw it",
        "Add it to 2 (make it blue)",
    ]
    await page.keyboard.press("Tab")
    while not await page.evaluate("document.activeElement.closest('#bar-heard') !== null"):
        await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.wait_for_function(DONE, arg=2)
    assert "Changing 2" in await page.locator(".turn:last-child .understood").inner_text()
    assert await page.locator("#bar-heard button").count() == 0


async def test_one_of_a_grid_is_said_where_all_of_it_came_along(talker) -> None:
    page = talker
    await page.get_by_role("button", name="Talk", exact=True).first.click()
    await page.wait_for_selector(".on-picture:has-text('these pictures')")
    await say(page, "the third one", 1)
    assert await page.locator(".sent img").count() == 4
    assert "third of 1" in await page.locator(".understood").inner_text()
    assert "the third one" in await page.title()


async def test_a_change_is_taken_out_after_its_cost_was_shown(talker) -> None:
    page = talker
    await page.set_viewport_size({"width": 1440, "height": 900})
    await begin(page)
    await say(page, "add a boat", 2)
    await page.wait_for_selector(".changes li:nth-child(3)")
    assert await page.locator("#shown-place .shown img").get_attribute("alt") == (
        "a red house in the snow; make it blue; add a boat"
    )
    await page.get_by_role("button", name="Take out: make it blue").click()
    await page.wait_for_selector("dialog:has-text('1 change again')")
    await page.get_by_role("button", name="Take it out", exact=True).click()
    await page.wait_for_selector(".turn:has-text('Without')")
    await page.wait_for_selector(".changes li:nth-child(3)", state="detached")


async def test_changes_are_made_on_a_folder_after_their_cost_was_shown(talker, talking: Site) -> None:
    page = talker
    await page.set_viewport_size({"width": 1440, "height": 900})
    job = await talking.drawn(talking.you, "a green tree")
    folder = (await talking.you.post("/api/folders", {"name": "trees"})).data["id"]
    names = [f"{job['id']}/{n}" for n in (1, 2)]
    await talking.you.post(f"/api/folders/{folder}/items", {"pictures": names})
    await begin(page)
    await page.get_by_role("button", name="Replay on a folder …").click()
    await page.get_by_label("Folder", exact=True).select_option(folder)
    await page.get_by_role("button", name="Choose", exact=True).click()
    await page.wait_for_selector("dialog:has-text('That is 2 jobs')")
    await page.get_by_role("button", name="Queue them").click()
    await page.wait_for_selector("text=2 jobs queued")


async def test_what_was_meant_is_chosen_and_done(talker) -> None:
    page = talker
    await begin(page)
    await page.locator(".turn:last-child .meant select").select_option("draw")
    await page.locator(".turn:last-child .meant button").click()
    await page.wait_for_selector(".turn .pictures[data-count='4']")


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
async def test_axe_finds_nothing_and_nothing_is_wider_than_the_window(
    talker, axe: str, scheme: str, width: int
) -> None:
    page = talker
    await look(page, scheme, width)
    await begin(page)
    await say(page, "a boat", 2)
    assert await faults(page, axe) == []
    assert await page.evaluate(SIDEWAYS) <= 0
    for name in ("tree", "shown"):
        button = page.locator(f".talk-head [popovertarget={name}]")
        if await button.is_visible():
            await button.click()
            await page.wait_for_selector(f"#{name}:popover-open")
            assert await faults(page, axe) == []
            await page.keyboard.press("Escape")
