"""Links, sessions, and who may become whom."""

import asyncio
from datetime import timedelta

from tests.web.conftest import COOKIE, GUEST, OTHER, YOU, Browser

FORGET = '"cache", "storage"'


async def test_a_link_is_looked_at_without_being_spent_and_spent_once(site) -> None:
    link = await site.opened.services.web.new(5, "mira")
    token = link.partition("#")[2]
    browser = site.stranger()
    for _ in range(3):
        assert (await browser.post("/api/sign-in/look", {"token": token})).data["name"] == "mira"
    signed = await browser.sign_in(token)
    assert signed.status == 204
    flags = signed.headers["Set-Cookie"]
    assert flags.startswith(f"{COOKIE}=")
    assert all(flag in flags for flag in ("HttpOnly", "Secure", "SameSite=Lax", "Path=/"))
    assert (await browser.get("/api/jobs")).status == 200
    assert (await site.stranger().sign_in(token)).status == 404
    assert (await browser.post("/api/sign-in/look", {"token": token})).status == 404


async def test_many_browsers_at_once_make_one_session_of_one_link(site) -> None:
    token = (await site.opened.services.web.new(5, "mira")).partition("#")[2]
    answers = await asyncio.gather(
        *(site.opened.services.web.sessions.sign_in(token, "x") for _ in range(200))
    )
    assert sum(answer is not None for answer in answers) == 1


async def test_an_expired_link_signs_nobody_in(site) -> None:
    token = await site.opened.services.web.sessions.offer(5, "mira", timedelta(seconds=-1))
    assert (await site.stranger().sign_in(token)).status == 404


async def test_a_session_can_be_ended_from_another_browser(site) -> None:
    other = await site.person(YOU)
    sessions = await site.you.page("/sessions")
    assert "a test" in sessions
    [ended] = [s for s in await site.opened.services.web.sessions.of(YOU) if s.label == "a test"]
    assert (await site.you.ask("DELETE", f"/api/sessions/{ended.id}")).status == 204
    assert (await other.get("/api/jobs")).status == 401
    assert (await site.you.get("/api/jobs")).status == 200


async def test_nobody_ends_somebody_elses_session(site) -> None:
    other = await site.person(7)
    [theirs] = await site.opened.services.web.sessions.of(7)
    await site.you.ask("DELETE", f"/api/sessions/{theirs.id}")
    assert (await other.get("/api/jobs")).status == 200


async def test_the_eleventh_session_ends_the_oldest(site) -> None:
    first = await site.person(7)
    for _ in range(10):
        await site.person(7)
    assert (await first.get("/api/jobs")).status == 401
    assert len(await site.opened.services.web.sessions.of(7)) == 10


async def test_local_people_become_each_other_and_nobody_else(site) -> None:
    assert (await site.you.post("/api/session", {"who": "guest"})).status == 204
    stranger = await site.person(9, "you")
    assert (await stranger.post("/api/session", {"who": "guest"})).status != 204
    assert len(await site.opened.services.web.sessions.of(GUEST)) == 1


async def test_deleting_ones_data_signs_out_everywhere(site) -> None:
    browser = await site.person(7)
    await site.opened.services.privacy.delete(7)
    assert (await browser.get("/api/jobs")).status == 401


async def test_who_signs_out_leaves_nothing_in_the_browser(site) -> None:
    for path in ("/api/session", "/api/privacy"):
        browser = await site.person(OTHER)
        answer = await browser.ask("DELETE", path)
        assert answer.headers.get("Clear-Site-Data") == FORGET, path
        assert (await browser.get("/api/jobs")).status == 401, path
    browser = await site.person(OTHER)
    [session] = await site.opened.services.web.sessions.of(OTHER)
    answer = await browser.ask("DELETE", f"/api/sessions/{session.id}")
    assert answer.headers.get("Clear-Site-Data") == FORGET


async def test_who_signs_in_as_somebody_else_finds_nothing_of_them(site) -> None:
    token = await site.opened.services.web.sessions.offer(YOU, "you", timedelta(minutes=1))
    again = await site.you.sign_in(token)
    assert again.status == 204 and "Clear-Site-Data" not in again.headers, "one's own work stays"
    other = await site.you.post("/api/session", {"who": "guest"})
    assert other.headers.get("Clear-Site-Data") == FORGET


async def test_a_page_of_somebody_who_has_left_this_browser_does_nothing_as_the_next(site) -> None:
    assert (await site.you.post("/api/session", {"who": "guest"})).status == 204
    guest = await site.person(GUEST)
    headers = {"X-Person": str(YOU)}
    assert (await guest.post("/api/jobs", {"prompt": "a secret"}, headers=headers)).status == 401
    assert (await guest.get("/api/jobs")).data["jobs"] == []
    own = {"X-Person": str(GUEST)}
    assert (await guest.post("/api/jobs", {"prompt": "a house"}, headers=own)).status == 202


async def test_who_signs_in_ends_the_session_that_somebody_else_had_in_this_browser(site) -> None:
    link = (await site.opened.services.web.new(5, "mira")).partition("#")[2]
    before = site.you.cookie
    assert (await site.you.sign_in(link)).status == 204
    assert (await Browser(site.http, site.web.url, before).get("/api/jobs")).status == 401


async def test_who_is_signed_in_is_led_on_from_where_people_sign_in(site) -> None:
    led = await site.you.get("/in?next=/pictures")
    assert (led.status, led.headers["Location"]) == (303, "/pictures")
    assert (await site.you.get("/in")).status == 200, "a link for somebody else works"
