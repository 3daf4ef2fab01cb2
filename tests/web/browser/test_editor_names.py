"""A document's name in the editor, in Chromium: given by click and by keys, kept, refused with the reason."""

from typing import Any

import pytest

from tests.web.browser.desk import READ, drag, editing, ready, save, until

pytestmark = pytest.mark.asyncio(loop_scope="session")
ON_STAGE = "() => document.activeElement.id === 'stage'"


async def kept(site) -> list[dict[str, Any]]:
    """Return the documents that the server has, the last changed first."""
    return (await site.you.get("/api/documents")).data["documents"]


async def named(page, name: str) -> None:
    """Type a name and wait until it is kept."""
    await page.locator("#name").fill(name)
    await page.locator("#name").press("Enter")
    await until(page, ON_STAGE)


async def test_a_name_is_kept_shown_on_the_page_of_documents_and_after_a_reload(desk, scenes) -> None:
    site = scenes[0]
    assert await desk.locator("#name").input_value() == ""
    await drag(desk, (300, 200), (400, 300))
    await named(desk, "  The   harbour ")
    assert await desk.locator("#name").input_value() == "The harbour"
    document = desk.url.rsplit("/", 1)[1]
    assert "/edit/d/" in desk.url, "what wasn't kept yet is, when it gets a name"
    assert {one["id"]: one["name"] for one in await kept(site)}[document] == "The harbour"
    assert await desk.title() == "Edit The harbour · Atelier"
    await desk.locator("#stage").press("Control+z")
    assert (await desk.evaluate(READ))["past"] == 0
    assert await desk.locator("#name").input_value() == "The harbour", "undo goes over what is drawn"
    await save(desk)
    await ready(desk, desk.url)
    assert await desk.locator("#name").input_value() == "The harbour"
    await desk.goto(f"{site.web.url}/documents")
    await desk.wait_for_selector(f"a[href='/edit/d/{document}'] >> text=The harbour")


async def test_a_name_is_given_and_left_by_keys_alone(desk, scenes) -> None:
    site = scenes[0]
    await desk.locator("#stage").focus()
    await desk.keyboard.press("F2")
    await desk.keyboard.type("one")
    await desk.keyboard.press("Enter")
    await until(desk, ON_STAGE)
    await desk.keyboard.press("F2")
    await desk.keyboard.type("two")
    await desk.keyboard.press("Escape")
    await until(desk, ON_STAGE)
    assert await desk.locator("#name").input_value() == "one"
    assert (await kept(site))[0]["name"] == "one"
    await desk.keyboard.press("F2")
    await desk.keyboard.press("Delete")  # all of it is selected
    await desk.keyboard.press("Enter")
    await until(desk, ON_STAGE)
    assert (await kept(site))[0]["name"] == ""


async def test_a_name_is_kept_when_its_field_is_left(desk, scenes) -> None:
    site = scenes[0]
    await desk.locator("#name").fill("left")
    async with desk.expect_response("**/name"):
        await desk.locator("#words").click()
    assert (await kept(site))[0]["name"] == "left"
    assert await desk.evaluate("() => document.activeElement.id") == "words"


async def test_a_bad_name_is_told_in_place_and_nothing_is_kept(browser, scenes) -> None:
    site = scenes[0]
    async with editing(browser, scenes, status=400) as page:
        await named(page, "before")
        for name, words in (
            ("x" * 81, "up to 80 characters; this one has 81"),
            ("a\u202eb", "can't be seen (U+202E)"),
        ):
            await page.locator("#name").fill(name)
            await page.locator("#name").press("Enter")
            await page.wait_for_selector(f"#name-problem >> text={words}")
            field = page.locator("#name[aria-invalid=true]")
            assert await field.input_value() == name, "it is there to be mended"
            assert await page.evaluate("() => document.activeElement.id") == "name"
            assert (await kept(site))[0]["name"] == "before"
        await named(page, "after")
        assert await page.locator("#name-problem").text_content() == ""
        assert (await kept(site))[0]["name"] == "after"


async def test_the_name_of_a_document_that_was_deleted_elsewhere_is_told(browser, scenes) -> None:
    site = scenes[0]
    async with editing(browser, scenes, status=404) as page:
        await named(page, "mine")
        document = page.url.rsplit("/", 1)[1]
        assert (await site.you.ask("DELETE", f"/api/documents/{document}")).status == 204
        await page.locator("#name").fill("again")
        await page.locator("#name").press("Enter")
        await page.wait_for_selector("#name-problem:not(:empty)")
        await page.locator("#name").press("Escape")
        await until(page, ON_STAGE)
