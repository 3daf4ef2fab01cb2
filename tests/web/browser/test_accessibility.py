"""axe finds nothing on any page: light and dark, narrow and wide, empty and full, failing."""

import asyncio

import pytest
import sqlalchemy as sa

from storage import schema as rows
from tests.web.browser.conftest import RULES, RUN, faults, look, pages_of
from tests.web.conftest import YOU, Site

pytestmark = pytest.mark.asyncio(loop_scope="session")
LOOKS = [(scheme, width) for scheme in ("light", "dark") for width in (320, 768, 1440)]
FAILING = ("/", "/queue", "/none", "/pictures/abcd2345efgh/1", "/pictures?kind=foo", "/in#spent")


async def fail(site: Site) -> None:
    """A job that failed, one that was stopped, and one that waits in a queue that is paused."""
    jobs = [await site.drawn(site.you, prompt) for prompt in ("a red house", "a blue boat")]

    def work(connection: sa.Connection) -> None:
        for job, status in zip(jobs, ("failed", "cancelled"), strict=True):
            connection.execute(sa.delete(rows.pictures).where(rows.pictures.c.job_id == job["id"]))
            error = "There isn't enough memory. Try a smaller `--ar`." if status == "failed" else None
            changed = {"status": status, "error": error, "rendered_at": None}
            connection.execute(sa.update(rows.jobs).where(rows.jobs.c.id == job["id"]).values(changed))

    await site.opened.services.database.write(work)
    await site.opened.services.queue.pause(YOU)
    await site.you.post("/api/jobs", {"prompt": "a house that waits"})


async def filled(opened: Site) -> list[str]:
    """Draw something, throw some of it away, sort the rest; the pages that show it."""
    job = await opened.drawn(opened.you, "a red house --ar 3:2 --chaos 20")
    first, second = (f"{job['id']}/{n}" for n in (1, 2))
    folder = (await opened.you.post("/api/folders", {"name": "Houses"})).data
    await opened.you.post("/api/folders", {"name": "Red ones", "query": "q=red"})
    await opened.you.post(f"/api/folders/{folder['id']}/items", {"pictures": [first]})
    await opened.you.post("/api/trash", {"pictures": [second]})
    layer = {"id": "base", "source": {"job": job["id"], "n": 1}}
    document = {"v": 1, "width": 512, "height": 512, "layers": [layer]}
    await opened.you.post("/api/documents", {"document": document, "name": "The house"})
    share = (await opened.you.post("/api/shares", {"job": job["id"], "words": True})).data
    shown = share["link"].removeprefix(opened.web.url)
    return [*pages_of(opened), job["pictures"][0]["href"], folder["href"], shown, "/in"]


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
async def test_axe_finds_nothing_on_full_pages(opened: Site, you, axe, scheme, width) -> None:
    paths = await filled(opened)
    await look(you, scheme, width)
    for path in paths:
        assert await faults(you, axe, opened.web.url + path) == [], path


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 320)])
async def test_axe_finds_nothing_on_empty_pages(opened: Site, you, axe, scheme, width) -> None:
    await look(you, scheme, width)
    for path in (*pages_of(opened), "/pictures?q=zebra"):
        assert await faults(you, axe, opened.web.url + path) == [], path


@pytest.mark.parametrize(("scheme", "width"), [("light", 320), ("dark", 1440)])
async def test_axe_finds_nothing_on_failing_pages(opened: Site, browser, axe, scheme, width) -> None:
    await fail(opened)
    context = await browser.new_context()
    await context.add_cookies(opened.you.jar)
    you = await context.new_page()
    await look(you, scheme, width)
    await you.route_web_socket("**/api/live*", lambda socket: asyncio.ensure_future(socket.close()))
    for path in FAILING:
        assert await faults(you, axe, opened.web.url + path) == [], path
    await you.goto(opened.web.url)
    await you.wait_for_selector("#banner:not([hidden])", timeout=6000)
    assert await faults(you, axe) == []
    await context.close()


async def test_axe_finds_nothing_in_menus_and_dialogs(opened: Site, you, axe) -> None:
    job = await opened.drawn(opened.you)
    await you.goto(opened.web.url)
    await you.evaluate(axe)
    await you.locator(".cell").first.hover()
    await you.get_by_label("Actions for picture 1").click()
    await you.wait_for_selector(".menu [role=menuitem]")
    assert await you.evaluate(RUN, RULES) == []
    await you.keyboard.press("Escape")
    await you.locator("#bar-flags").click()
    await you.wait_for_selector(".flag-panel .shape")
    assert await you.evaluate(RUN, RULES) == []
    await you.keyboard.press("Escape")
    await you.goto(opened.web.url + job["pictures"][0]["href"])
    await you.evaluate(axe)
    await you.get_by_role("button", name="Share by link").click()
    await you.wait_for_selector("#share:popover-open")
    assert await you.evaluate(RUN, RULES) == []
    await you.keyboard.press("Escape")
    await you.click("#more-button")
    await you.get_by_role("button", name="Delete the job for good").click()
    await you.wait_for_selector("dialog[open]")
    assert await you.evaluate(RUN, RULES) == []
