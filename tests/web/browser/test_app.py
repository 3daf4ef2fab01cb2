"""The studio as an app, in Chromium at a phone's width: no network, pictures kept for one person at a time,
and pictures that a phone shares."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.studio.conftest import png
from tests.web.browser.conftest import SIDEWAYS, faults, look, shot, sign_in
from tests.web.browser.line import Line, open_line
from tests.web.conftest import Browser, Site

pytestmark = pytest.mark.asyncio(loop_scope="session")
PHONE = {"viewport": {"width": 390, "height": 844}, "locale": "en-GB"}
WORKS = "() => navigator.serviceWorker.controller?.state === 'activated'"
KEPT = """async () => { const found = {};
  for (const name of await caches.keys()) if (!name.startsWith('shell'))
    found[name] = (await (await caches.open(name)).keys()).map(({ url }) => new URL(url).pathname).sort();
  return found; }"""
ASKED = "(person) => navigator.serviceWorker.controller.postMessage({ person, language: 'en' })"
SHARE = """([data, name]) => { const form = Object.assign(document.createElement('form'),
  { action: '/share', method: 'post', enctype: 'multipart/form-data' });
  const field = Object.assign(document.createElement('input'), { type: 'file', name: 'pictures' });
  const given = new DataTransfer();
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  given.items.add(new File([bytes], name, { type: 'image/png' }));
  field.files = given.files; form.append(field); document.body.append(form); form.submit(); }"""


@asynccontextmanager
async def a_phone(site: Site, browser, who: Browser | None = None) -> AsyncIterator[tuple[Line, Any]]:
    """A phone's page by a line that can be cut, whose service worker is at work."""
    async with open_line(int(site.web.url.rpartition(":")[2])) as line:
        context = await browser.new_context(**PHONE)
        await context.add_cookies((who or site.you).jar)
        try:
            page = await context.new_page()
            await page.goto(line.url)
            await page.wait_for_function(WORKS)
            yield line, page
        finally:
            await context.close()


async def kept(page, wanted: dict[str, list[str]]) -> None:
    """Wait until that is kept, and nothing else."""
    for _turn in range(200):
        if (found := await page.evaluate(KEPT)) == wanted:
            return
        await page.wait_for_timeout(25)
    assert found == wanted


def own(user: int, *pictures: str) -> dict[str, list[str]]:
    return {f"pictures {user}": sorted(["/offline", *(f"/files/{one}/512.webp" for one in pictures)])}


async def test_a_page_without_a_network_shows_the_last_pictures_and_goes_on(site: Site, browser, axe) -> None:
    job = (await site.drawn(site.you))["id"]
    async with a_phone(site, browser) as (line, page):
        await kept(page, own(1, *(f"{job}/{n}" for n in (1, 2, 3, 4))))
        line.cut()
        await page.goto(f"{line.url}/pictures")
        await page.locator(".phone-pictures img").nth(3).wait_for()
        assert await page.title() == "No connection · Atelier"
        assert await page.evaluate("() => document.fonts.check('16px Inter')")
        for scheme in ("light", "dark"):
            await look(page, scheme, 390)
            assert await faults(page, axe) == [] and await page.evaluate(SIDEWAYS) <= 0
            await shot(page, f"offline-{scheme}")
        line.is_cut = False
        await page.get_by_role("button", name="Try again").click()
        await page.wait_for_url("**/pictures")
        await page.locator(".tile img").first.wait_for()


async def test_a_deleted_picture_is_forgotten_the_next_time_online(site: Site, browser) -> None:
    job = (await site.drawn(site.you))["id"]
    async with a_phone(site, browser) as (line, page):
        await kept(page, own(1, *(f"{job}/{n}" for n in (1, 2, 3, 4))))
        line.cut()
        await site.you.post("/api/trash", {"pictures": [f"{job}/1", f"{job}/3"]})  # elsewhere, meanwhile
        line.is_cut = False
        await page.evaluate("() => fetch('/api/trash', { method: 'OPTIONS' })")
        await page.goto(line.url)
        await kept(page, own(1, f"{job}/2", f"{job}/4"))


async def test_nothing_is_kept_for_who_comes_next(site: Site, browser) -> None:
    await site.drawn(site.you)
    guest = await site.person(2)
    theirs = (await site.drawn(guest))["id"]
    async with a_phone(site, browser) as (line, page):
        await page.wait_for_function("async () => (await caches.keys()).includes('pictures 1')")
        await page.context.add_cookies(guest.jar)
        await page.evaluate(ASKED, "1")  # a page of before
        await page.goto(line.url)
        await kept(page, own(2, *(f"{theirs}/{n}" for n in (1, 2, 3, 4))))
        await page.goto(f"{line.url}/settings")
        await page.evaluate("() => document.querySelector('[data-leaves]').requestSubmit()")
        await page.wait_for_url("**/in*")
        await kept(page, {})
        await page.wait_for_function(WORKS)
        line.cut()
        await page.goto(line.url)
        await page.get_by_text("can’t be reached").wait_for()
        assert await page.locator("img").count() == 1  # the studio's own


async def test_a_session_that_ends_elsewhere_takes_its_pictures_along(site: Site, browser) -> None:
    await site.drawn(site.you)
    async with a_phone(site, browser) as (line, page):
        await page.wait_for_function("async () => (await caches.keys()).includes('pictures 1')")
        await site.opened.services.web.sessions.end(1)
        await page.goto(line.url)
        await page.wait_for_url("**/in*")
        await kept(page, {})


@pytest.mark.parametrize("way", ["Describe", "Edit", "Cut out", "Use in a prompt"])
async def test_a_shared_picture_waits_until_its_person_says_what_for(
    site: Site, browser, axe, way: str
) -> None:
    async with a_phone(site, browser) as (_line, page):
        await page.evaluate(SHARE, [base64.b64encode(png(96, 64)).decode(), "a boat.png"])
        await page.wait_for_url("**/share")
        await page.get_by_alt_text("a boat.png").wait_for()
        if way == "Describe":
            for scheme in ("light", "dark"):
                await look(page, scheme, 390)
                assert await faults(page, axe) == [] and await page.evaluate(SIDEWAYS) <= 0
                await shot(page, f"share-{scheme}")
        assert (await site.you.get("/api/jobs")).data["jobs"] == []
        await page.get_by_role("button", name=way).click()
        match way:
            case "Edit":
                await page.wait_for_url("**/edit/d/*")
            case "Use in a prompt":
                await page.get_by_alt_text("a boat.png").wait_for()
                await page.wait_for_url("**/#prompt")
            case _:
                await page.locator(".job").wait_for()
                [job] = (await site.you.get("/api/jobs")).data["jobs"]
                assert job["kind"] == {"Describe": "describe", "Cut out": "cutout"}[way]
        assert "shared" not in await page.evaluate(KEPT)


SUBSCRIBES = """() => { PushManager.prototype.getSubscription = async () => window.subscribed ?? null;
  PushManager.prototype.subscribe = async ({ applicationServerKey }) => { window.asked = applicationServerKey;
    return window.subscribed = { unsubscribe: async () => delete window.subscribed, toJSON: () => ({
      endpoint: 'https://fcm.googleapis.com/fcm/send/a',
      keys: { p256dh: window.asked, auth: 'A'.repeat(22) } }) }; }; }"""
SHOWN = """async () => (await (await navigator.serviceWorker.ready).getNotifications())
  .map(({ title, body, tag }) => [title, body, tag])"""


async def test_a_message_shows_a_notification_once_and_leads_to_its_job(site: Site, browser) -> None:
    pytest.importorskip("cryptography", reason="the extra push is missing")
    async with a_phone(site, browser) as (line, page):
        await page.context.grant_permissions(["notifications"])
        await page.goto(f"{line.url}/settings")
        await page.evaluate(SUBSCRIBES)  # no push service is reached from here
        switch = page.get_by_label("Notify me when a job is ready")
        async with page.expect_response("**/api/push") as answered:
            await switch.check()
        assert (await answered.value).status == 204
        assert await page.evaluate("() => window.asked") == await site.opened.studio.pushes.public_key()
        await shot(page, "push")
        devtools = await page.context.new_cdp_session(page)
        registrations: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def note(told: Any) -> None:
            if told["registrations"] and not registrations.done():
                registrations.set_result(told["registrations"])

        devtools.on("ServiceWorker.workerRegistrationUpdated", note)
        await devtools.send("ServiceWorker.enable")
        [registration] = await registrations
        text = json.dumps({"title": "Ready", "body": "a boat", "tag": "abc", "href": "/#job-abc"})
        told = {"origin": line.url, "registrationId": registration["registrationId"], "data": text}
        for _again in range(2):
            await devtools.send("ServiceWorker.deliverPushMessage", told)
        for _turn in range(100):
            if await page.evaluate(SHOWN):
                break
            await page.wait_for_timeout(25)
        assert await page.evaluate(SHOWN) == [["Ready", "a boat", "abc"]]
        async with page.expect_response("**/api/push") as answered:
            await switch.uncheck()
        assert (await answered.value).request.method == "DELETE"


async def test_the_hint_to_install_is_given_once(site: Site, page) -> None:
    await sign_in(site, page)
    asks = "() => dispatchEvent(new Event('beforeinstallprompt', { cancelable: true }))"
    assert await page.evaluate(asks) is False  # the browser's own hint stays away
    await page.get_by_text("works as an app").wait_for()
    await page.goto(f"{site.web.url}/settings")
    await page.evaluate(asks)
    await page.wait_for_function("() => performance.getEntriesByName(location.origin).length === 0")
    assert await page.get_by_text("works as an app").count() == 0
