"""The studio inside Discord: its pages in a frame in a frame of another site, as far as browsers let them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from studio.authority import Place
from tests.web.browser.conftest import SIDEWAYS, faults, served, shot
from tests.web.browser.inside import OUTSIDE
from tests.web.conftest import YOU, Site
from tests.web.fake_discord import INSTANCE, FakeDiscord, open_inside

pytestmark = pytest.mark.asyncio(loop_scope="session")
DESK, PHONE = {"width": 1100, "height": 760}, {"width": 390, "height": 844}
ASKED = "() => said.filter(([opcode]) => opcode === 1).map(([, { cmd, args }]) => [cmd, args])"
INSETS = """() => { for (const [side, size] of [["top", 47], ["bottom", 34]])
  document.documentElement.style.setProperty(`--discord-safe-area-inset-${side}`, `${size}px`); }"""


@dataclass
class Shown:
    """Discord's page, the page around the studio in it, and the studio's own frame."""

    page: Any
    shell: Any
    studio: Any
    wrong: list[str]

    async def until_open(self) -> None:
        """Wait until somebody is signed in and the studio's scripts listen."""
        await self.studio.locator("#bar-flags").wait_for(state="visible")

    @property
    def inner(self) -> Any:
        """The studio's frame, to run scripts in."""
        return self.page.frames[2]


@asynccontextmanager
async def opened(browser, discord: FakeDiscord, viewport=DESK, **context) -> AsyncIterator[Shown]:
    """Discord with the Activity open, in a browser of its own. Fails when the console tells of a fault."""
    made = await browser.new_context(locale="en-GB", timezone_id="UTC", viewport=viewport, **context)
    page, wrong = await made.new_page(), []
    page.on("console", lambda told: wrong.append(told.text) if told.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    shell = page.frame_locator("iframe")
    found = Shown(page, shell, shell.frame_locator("iframe"), wrong)
    await page.goto(f"{discord.page}/{'?platform=mobile' if viewport is PHONE else ''}")
    yield found
    await made.close()
    assert found.wrong == []


@pytest_asyncio.fixture(loop_scope="session")
async def inside(tmp_path: Path) -> AsyncIterator[tuple[Site, FakeDiscord]]:
    async with open_inside(tmp_path) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def strict(playwright, chromium):
    """A browser that keeps no cookies of other sites but partitioned ones."""
    found = await playwright.chromium.launch(
        executable_path=chromium, args=["--test-third-party-cookie-phaseout"]
    )
    yield found
    await found.close()


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
async def test_people_draw_look_and_go_from_page_to_page_inside_discord(
    strict, inside, axe, viewport
) -> None:
    site, discord = inside
    async with opened(strict, discord, viewport, has_touch=viewport is PHONE) as shown:
        await shown.until_open()
        await shown.shell.locator("html").evaluate(INSETS)
        await shown.studio.locator("#bar-prompt").fill("a red house")
        await shown.studio.locator("#bar-prompt").press("Enter")
        picture = shown.studio.locator(".job:first-child .cell a img").first
        await picture.wait_for()
        await shown.inner.wait_for_function("() => document.querySelector('.cell img').naturalWidth > 0")
        assert ("SOCKET", "/api/live", 101) in discord.calls, "what is new comes by itself"
        assert await shown.inner.evaluate(SIDEWAYS) <= 0
        box = await shown.shell.locator("iframe").bounding_box()
        assert (box["y"], box["height"]) == (47, viewport["height"] - 47 - 34), "nothing lies below an edge"
        await shot(shown.page, f"activity-{viewport['width']}")
        await picture.click()
        await shown.studio.locator(".about-head").wait_for()
        assert await faults(shown.inner, axe) == []
        for path in ("/settings", "/pictures"):
            await shown.inner.evaluate("(to) => location.assign(to)", path)
            await shown.studio.locator(f'body[data-page="{path[1:]}"][data-started]').wait_for(
                state="attached"
            )
        cookies = await shown.page.context.cookies(discord.frame)
        assert [(one["name"], one["sameSite"]) for one in cookies if "attempt" not in one["name"]] == [
            ("__Host-atelier", "None")
        ]


async def test_what_a_button_on_discord_meant_is_the_first_page(browser, inside) -> None:
    site, discord = inside
    job = await site.drawn(site.you)
    site.opened.services.web.launch(INSTANCE, YOU, f"/edit/{job['id']}/1")
    async with opened(browser, discord) as shown:
        await shown.studio.locator("#tools button").first.wait_for()
        assert shown.inner.url == f"{discord.frame}/edit/{job['id']}/1"


async def test_a_page_that_is_loaded_late_leaves_the_focus_where_somebody_types(browser, inside) -> None:
    _, discord = inside
    async with opened(browser, discord) as shown:
        await shown.until_open()
        await shown.studio.locator("#bar-prompt").focus()
        await shown.shell.locator("iframe").dispatch_event("load")
        await shown.page.keyboard.type("a house")
        assert await shown.studio.locator("#bar-prompt").input_value() == "a house"


async def test_a_later_press_leads_an_activity_that_is_open_on(browser, inside) -> None:
    site, discord = inside
    job = await site.drawn(site.you)
    web = site.opened.services.web
    async with opened(browser, discord) as shown:
        await shown.until_open()
        edit = f"/edit/{job['id']}/1"
        for path in (edit, "/keys", edit):  # one of them has no news of its own
            web.launch(INSTANCE, YOU, path)
            await shown.inner.wait_for_url(discord.frame + path)
            await shown.studio.locator("body[data-started]").wait_for(state="attached")
        assert discord.calls.count(("POST", "/api/activity/sign-in", 200)) == 1, "the page around it stays"


async def test_who_says_no_can_try_again(browser, inside) -> None:
    _, discord = inside
    discord.user_id = None
    async with opened(browser, discord) as shown:
        await shown.shell.get_by_text("You aren't signed in: You said no.").wait_for()
        await shot(shown.page, "activity-no")
        discord.user_id = YOU
        await shown.shell.get_by_role("button", name="Try again").click()
        await shown.until_open()
        assert all("403" in line for line in shown.wrong)
        shown.wrong.clear()


async def test_a_frame_without_cookies_leads_to_a_browser_where_one_is_signed_in(browser, inside) -> None:
    site, discord = inside
    discord.keeps_cookies = False
    async with opened(browser, discord, PHONE) as shown:
        await shown.shell.get_by_role("button", name="Open in the browser").click()
        await shown.page.wait_for_function("said.at(-1)[1].cmd === 'OPEN_EXTERNAL_LINK'")
        _, (_, asked) = await shown.page.evaluate(ASKED)
        assert asked["url"].startswith("https://studio.example.org/in#")
        await shot(shown.page, "activity-no-cookie")
        sessions = site.opened.services.web.sessions
        assert await sessions.offered(asked["url"].partition("#")[2]) == f"user{YOU}"


async def test_pictures_go_to_direct_messages_and_what_is_outside_to_discord(browser, inside) -> None:
    site, discord = inside
    job = await site.drawn(site.you)
    async with opened(browser, discord) as shown:
        await shown.until_open()
        await shown.inner.evaluate("(to) => location.assign(to)", f"/pictures/{job['id']}/2")
        await shown.studio.get_by_role("link", name="Send to me").click()
        await shown.studio.get_by_text("Sent to your direct messages").wait_for()
        assert discord.servers.posted == [(Place(None, YOU), job["id"], 1, YOU)]
        await shown.inner.evaluate("(to) => location.assign(to)", "/pictures")
        await shown.inner.wait_for_url("**/pictures")
        await shown.studio.locator("body[data-started]").wait_for(state="attached")
        await shown.inner.evaluate(
            """() => { for (const [href, saves] of [["https://example.org/a", 0], ["/files/x.csv", 1]]) {
              const link = Object.assign(document.createElement("a"), { href, target: "_blank" });
              if (saves) link.download = "";
              document.body.append(link); link.click(); } }"""
        )
        await shown.page.wait_for_function(
            "() => said.filter(([, { cmd }]) => cmd === 'OPEN_EXTERNAL_LINK')[1]"
        )
        told = [args["url"] for cmd, args in await shown.page.evaluate(ASKED) if cmd == "OPEN_EXTERNAL_LINK"]
        assert told[0] == "https://example.org/a"
        assert told[1].startswith("https://studio.example.org/in?next=%2Fpictures#")


async def test_who_signs_out_can_sign_in_again_there(browser, inside) -> None:
    site, discord = inside
    async with opened(browser, discord) as shown:
        await shown.until_open()
        await shown.studio.get_by_role("button", name="More").click()
        await shown.studio.get_by_role("button", name="Sign out").click()
        await shown.shell.get_by_text("You are signed out.").wait_for()
        await shown.shell.get_by_role("button", name="Sign in").click()
        await shown.until_open()
        shown.wrong[:] = [line for line in shown.wrong if "401" not in line]


async def test_nobody_but_discord_shows_it_in_a_frame(browser, inside) -> None:
    site, discord = inside
    addresses = (f"{discord.frame}/?frame_id=1&instance_id=1&platform=desktop", f"{discord.target}/in")

    async def other(request: web.Request) -> web.Response:
        frames = "".join(f'<iframe src="{address}"></iframe>' for address in addresses)
        return web.Response(text=frames, content_type="text/html")

    page = await browser.new_page()
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    async with served(web.get("/", other)) as address:
        await page.goto(address)
        await page.wait_for_timeout(300)
    assert [frame.url for frame in page.frames[1:]] == ["chrome-error://chromewebdata/"] * 2
    assert sum("frame-ancestors" in line for line in told) >= 2
    await page.close()


async def test_a_discord_that_says_nothing_is_told_so(browser, inside) -> None:
    _, discord = inside
    context = await browser.new_context()
    page = await context.new_page()
    await page.clock.install()
    await page.add_init_script("window.silent = true")
    await page.goto(discord.page)
    shell = page.frame_locator("iframe")
    await shell.get_by_text("Signing you in").wait_for()
    async with asyncio.timeout(20):
        while not await shell.get_by_text("Discord doesn't answer").count():
            await page.clock.fast_forward(5000)
    await context.close()


async def test_outside_of_discord_it_says_where_it_belongs(browser, inside) -> None:
    _, discord = inside
    page = await browser.new_page()
    await page.goto(f"{discord.frame}/?frame_id=1&instance_id=1&platform=desktop")
    await page.get_by_text("This page is opened in Discord").wait_for()
    await page.close()


async def test_what_is_named_as_not_running_inside_is_there() -> None:
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    assert [name for name in OUTSIDE if f"async def {name}(" not in tests] == []
