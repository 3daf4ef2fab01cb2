"""axe finds nothing on any page: light and dark, narrow and wide, empty and full, failing."""

import asyncio
import re

import pytest
import sqlalchemy as sa
from yarl import URL

from storage import schema as rows
from tests.web.browser.conftest import SIDEWAYS, faults, look, pages_of
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
    shown = URL(share["link"]).path
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


OPENED = {  # what is open → of which page, and what is pressed for it
    "parameters": ("/", "#bar-flags"),
    "the other pages": ("/", ".more-button"),
    "what a picture can become": ("/", "[aria-label='Actions for picture 1']"),
    "filters": ("/pictures", "#filters summary, .filters summary"),
    "what is chosen": ("/pictures", ".tile .mark"),
    "a folder": ("/folders", "button:text-is('New folder')"),
    "a smart folder": ("/folders", "button:text-is('New smart folder')"),
    "a set": ("/examples", "button:text-is('New set')"),
    "a link": ("{picture}", "[popovertarget=share]"),
    "where to keep it": ("{picture}", "#to-folder"),
    "its actions": ("{picture}", "#more-button"),
    "new words": ("{picture}", "#more-button", "#more-actions [data-opens=first-remix]"),
    "two beside each other": ("{picture}", "#tools button"),
    "what can't be taken back": ("{picture}", "#more-button", "button:text-is('Delete the job for good')"),
}
# A role of Chromium's own tree without a name: what a screen reader tells of it is its role alone.
NAMELESS = re.compile(
    r"^ *- (?:button|link|textbox|searchbox|combobox|slider|checkbox|switch|spinbutton|radio|menuitem|dialog"
    r"|img|meter|progressbar|form|region|navigation)(?:$|:| \[)",
    re.MULTILINE,
)
CUT = """() => [...document.querySelectorAll('main *, [popover]:popover-open *, dialog[open] *')]
    .filter((one) => one.checkVisibility({ opacityProperty: true, visibilityProperty: true }))
    .filter((one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
    .filter((one) => !one.closest('.sr, .prompt, .answered, svg') && !one.matches('textarea, select, option'))
    .filter((one) => ['hidden', 'clip'].includes(getComputedStyle(one).overflowX))
    .filter((one) => getComputedStyle(one).textOverflow === 'clip')
    .filter((one) => one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1)
    .map((one) => one.outerHTML.slice(0, 120))"""


async def open_one(page, site: Site, picture: str, name: str) -> None:
    path, *pressed = OPENED[name]
    await page.goto(site.web.url + path.format(picture=picture))
    for selector in pressed:
        await page.locator(selector).first.click()


async def nameless(page) -> list[str]:
    """What has no name in the tree that a screen reader reads."""
    return NAMELESS.findall(await page.locator("body").aria_snapshot())


@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 1366)])
async def test_what_is_opened_is_sound(opened: Site, you, axe, scheme, width) -> None:
    *_, picture, _, _, _ = await filled(opened)
    await look(you, scheme, width)
    for name in OPENED:
        await open_one(you, opened, picture, name)
        assert await faults(you, axe) == [], name
        assert await nameless(you) == [], name


async def test_everything_has_a_name_and_fits_at_200_percent(opened: Site, you) -> None:
    paths = await filled(opened)
    await you.set_viewport_size({"width": 683, "height": 360})  # 1366 × 720
    for path in paths:
        await you.goto(opened.web.url + path)
        assert await nameless(you) == [], path
        assert await you.evaluate(SIDEWAYS) <= 0, path
        assert await you.evaluate(CUT) == [], path
    await you.goto(opened.web.url)
    await you.locator(".more-button").click()  # at the foot of a side bar that is higher than the window
    assert await you.get_by_role("link", name="Settings").is_visible()
