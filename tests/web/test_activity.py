"""The studio inside Discord: its own door with its own origin, cookie and policy; who is signed in there and
who isn't; and that the plain door stays as it is."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from core.settings import SettingsError, load_settings
from storage.sessions import Sessions
from studio.authority import Place
from tests.web import fake_discord
from tests.web.conftest import COOKIE, YOU, Answered, Browser, Site
from tests.web.fake_discord import INSTANCE, FakeDiscord, open_inside
from tests.web.test_discord_page import CLIENT, Approved
from tests.web.test_guard import address_of, sent
from web import auth
from web.dispatch import ATTEMPT
from web.guard import ACTIVITY, PAGE_POLICY

STRANGER = 22


@dataclass
class Frame:
    """A frame of Discord's with whoever sits before it. keeps: whether it keeps cookies."""

    site: Site
    discord: FakeDiscord
    keeps: bool = True
    cookies: dict[str, str] = field(default_factory=dict)

    async def ask(self, method: str, path: str, **given: Any) -> Answered:
        headers = {"Origin": self.discord.frame, **given.pop("headers", {})}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        asked = Browser(self.site.http, self.discord.target + ACTIVITY)
        answer = await asked.ask(method, path, headers, **given)
        for line in answer.headers.getall("Set-Cookie", ()) if self.keeps else ():
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    async def post(self, path: str, body: Any = None) -> Answered:
        return await self.ask("POST", path, json={} if body is None else body)

    async def begin(self, user_id: int = YOU) -> dict[str, str]:
        """What is sent once Discord has given a code to somebody."""
        begun = (await self.post("/api/activity/begin")).data
        code = f"code-{len(self.discord.oauth.codes)}-{time.monotonic_ns()}"
        self.discord.oauth.codes[code] = Approved(user_id, begun["code_challenge"], "")
        return {"code": code, "state": begun["state"], "instance": INSTANCE}

    async def sign_in(self, user_id: int = YOU) -> Answered:
        return await self.post("/api/activity/sign-in", await self.begin(user_id))


@pytest.fixture
async def inside(tmp_path: Path) -> AsyncIterator[tuple[Site, FakeDiscord]]:
    async with open_inside(tmp_path) as found:
        yield found


@pytest.fixture
def frame(inside: tuple[Site, FakeDiscord]) -> Frame:
    return Frame(*inside)


@pytest.fixture
def sessions(frame: Frame) -> Sessions:
    return frame.site.opened.services.web.sessions


async def test_who_brings_a_code_of_discords_window_is_signed_in(frame: Frame, sessions: Sessions) -> None:
    answer = await frame.sign_in()
    assert (answer.status, answer.data) == (200, {"page": "/"})
    [cookie] = [one for one in answer.headers.getall("Set-Cookie") if one.startswith(COOKIE)]
    assert cookie.endswith("; Path=/; Secure; HttpOnly; SameSite=None; Partitioned")
    assert (await frame.ask("GET", "/")).status == 200
    assert "in Discord" in [one.label for one in await sessions.of(YOU)][0]
    assert frame.discord.oauth.revoked == list(frame.discord.oauth.tokens), "nothing of Discord's is kept"


async def test_opening_it_again_begins_no_second_session(frame: Frame, sessions: Sessions) -> None:
    await frame.sign_in()
    before = [one.id for one in await sessions.of(YOU)]
    again = await frame.sign_in()
    assert again.data == {"page": "/"} and [one.id for one in await sessions.of(YOU)] == before


async def test_who_changes_the_account_leaves_nothing_to_the_next(tmp_path: Path) -> None:
    async with open_inside(tmp_path, WEB_MEMBERS="everyone") as (site, discord):
        frame, sessions = Frame(site, discord), site.opened.services.web.sessions
        await frame.sign_in(STRANGER)
        answer = await frame.sign_in(YOU)
        assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'
        assert await sessions.of(STRANGER) == []
        assert (await sessions.find(frame.cookies[COOKIE])).user_id == YOU


async def test_a_press_on_discord_says_which_page_opens_for_its_presser_once(frame: Frame) -> None:
    web = frame.site.opened.services.web
    web.launch(INSTANCE, YOU, "/edit/abcd2345efgh/3")
    web.launch("i-another", YOU, "/queue")
    web.launch(INSTANCE, STRANGER, "/queue")
    assert (await frame.sign_in()).data == {"page": "/edit/abcd2345efgh/3"}
    assert (await frame.sign_in()).data == {"page": "/"}
    assert len(web.launched) == 2 and web.launched.ttl == 120


async def test_a_frame_without_cookies_gets_a_link_for_a_browser(frame: Frame, sessions: Sessions) -> None:
    frame.keeps = False
    frame.site.opened.services.web.launch(INSTANCE, YOU, "/queue")
    before = len(await sessions.of(YOU))
    link = (await frame.sign_in()).data["link"]
    assert link.startswith("https://studio.example.org/in?next=%2Fqueue#")
    assert len(await sessions.of(YOU)) == before, "no session that nobody could use"
    assert await sessions.sign_in(link.partition("#")[2], "a browser") is not None
    assert await sessions.sign_in(link.partition("#")[2], "a browser") is None


async def test_a_code_is_good_once_and_for_its_own_frame(frame: Frame, sessions: Sessions) -> None:
    given, before = await frame.begin(), len(await sessions.of(YOU))
    other = Frame(frame.site, frame.discord)
    await other.begin()
    assert (await other.post("/api/activity/sign-in", given)).status == 400, "another browser's attempt"
    assert (await frame.post("/api/activity/sign-in", given)).status == 400, "it was good once"
    wrong = await frame.begin()
    assert (await frame.post("/api/activity/sign-in", {**wrong, "code": "x"})).status == 400
    assert (await frame.post("/api/activity/sign-in", {**wrong, "state": "x"})).status == 400
    assert len(await sessions.of(YOU)) == before


async def test_people_of_no_server_of_the_bots_stay_out(frame: Frame, sessions: Sessions) -> None:
    for keeps in (True, False):
        frame.keeps, frame.cookies = keeps, {}
        answer = await frame.sign_in(STRANGER)
        assert answer.status == 403 and "share no server" in answer.data["detail"]
    assert await sessions.of(STRANGER) == [] and COOKIE not in frame.cookies


async def test_the_barred_stay_out(frame: Frame) -> None:
    await frame.site.opened.services.queue.admin.ban(1, YOU)
    answer = await frame.sign_in()
    assert answer.status == 403 and "blocked you" in answer.data["detail"]


@pytest.mark.parametrize("fault", ["500", "slow", "reset", "html"])
async def test_a_silent_discord_is_said_to_be_silent(frame: Frame, monkeypatch, fault: str) -> None:
    monkeypatch.setattr(auth, "PATIENCE", 0.2)
    frame.discord.oauth.fault = {"/oauth2/token": fault}
    answer = await frame.sign_in()
    assert answer.status == 502 and "Discord doesn't answer" in answer.data["detail"]


async def test_many_tries_of_one_instance_wait_and_hold_no_other_up(frame: Frame) -> None:
    given = {"code": "x", "state": "x", "instance": INSTANCE}
    answers = [(await frame.post("/api/activity/sign-in", given)).status for _ in range(12)]
    assert answers[:10] == [400] * 10 and answers[10:] == [429] * 2
    other = await frame.post("/api/activity/sign-in", {**given, "instance": "i-another"})
    assert other.status == 400


WRONG = (
    None,
    "null",
    "http://evil.example",
    "https://discord.com",
    f"https://{CLIENT}.discordsays.com.evil.example",
    "https://999.discordsays.com",
    f"http://{CLIENT}.discordsays.com",
    f"https://{CLIENT}.discordsays.com:8443",
)


async def test_wrong_origins_change_nothing_at_either_door(frame: Frame) -> None:
    assert len(WRONG) == 8
    await frame.sign_in()
    plain, public = frame.site.you, "https://studio.example.org"
    for origin in WRONG:
        for route in frame.site.web.inside:
            if route.method != "GET":
                asked = frame.ask(route.method, address_of(route), headers={"Origin": origin}, **sent(route))
                assert (await asked).status == 403, (route.path, origin)
        for route in frame.site.web.routes:
            if route.method != "GET":
                asked = plain.ask(route.method, address_of(route), {"Origin": origin}, **sent(route))
                assert (await asked).status == 403, (route.path, origin)
    for origin in (public, frame.discord.target):  # ours, but of the other door
        answer = await frame.ask("POST", "/api/jobs", headers={"Origin": origin}, json={"prompt": "a house"})
        assert answer.status == 403
    assert (
        await plain.post("/api/jobs", {"prompt": "x"}, headers={"Origin": frame.discord.frame})
    ).status == 403
    assert (await frame.post("/api/jobs", {"prompt": "a house"})).status == 202


async def test_sockets_open_from_the_frame_alone(frame: Frame) -> None:
    await frame.sign_in()
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    upgrade |= {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    for origin in (*WRONG, frame.discord.target):
        answer = await frame.ask("GET", "/api/live", headers={**upgrade, "Origin": origin})
        assert answer.status == 403, origin
    address = frame.discord.target + ACTIVITY + "/api/live"
    headers = {"Origin": frame.discord.frame, "Cookie": f"{COOKIE}={frame.cookies[COOKIE]}"}
    async with frame.site.http.ws_connect(address, headers=headers) as socket:
        asked = await frame.post("/api/jobs", {"prompt": "a house"})
        async with asyncio.timeout(10):
            told = await socket.receive_json()
        assert told["changed"] or told["jobs"], asked.data


async def test_only_discord_frames_the_frames_pages_and_nobody_the_others(frame: Frame) -> None:
    await frame.sign_in()
    policy = (await frame.ask("GET", "/queue")).headers["Content-Security-Policy"]
    assert f"frame-src 'self'; frame-ancestors 'self' {frame.discord.page}; " in policy
    shell = await frame.ask("GET", "/?frame_id=1")
    assert shell.headers["Content-Security-Policy"] == policy and "script-src 'self';" in policy
    plain = await frame.site.you.get("/queue")
    assert plain.headers["Content-Security-Policy"] == PAGE_POLICY and "frame-ancestors 'none'" in PAGE_POLICY
    assert "https://discord.com https://ptb.discord.com" in " ".join(auth.DISCORD.clients)


async def test_a_stranger_in_the_frame_gets_nothing_but_the_page_around_it(frame: Frame) -> None:
    for route in frame.site.web.inside:
        answer = await frame.ask(route.method, address_of(route), **sent(route))
        if route.everybody:
            assert answer.status in (200, 303, 400, 401, 404, 429), route
        elif route.is_page and route.method == "GET":
            way = f"/in?next={address_of(route)}"
            assert (answer.status, answer.headers["Location"]) == (303, way), route
        else:
            assert answer.status == 401, route
        for line in answer.headers.getall("Set-Cookie", ()):
            assert line.startswith(ATTEMPT), line
    assert "Open the studio in Discord again" in (await frame.ask("GET", "/in")).body.decode()


async def test_the_frame_has_every_route_but_the_ways_to_sign_in_elsewhere(frame: Frame) -> None:
    plain = {(one.method, one.path) for one in frame.site.web.routes}
    there = {(one.method, one.path) for one in frame.site.web.inside}
    assert len(there) == len(frame.site.web.inside)
    elsewhere = {("GET", "/in/discord"), ("GET", "/in/discord/back"), ("POST", "/api/session")}
    assert plain - there == elsewhere | {("POST", "/api/sign-in/look")}
    own = {path.removeprefix("/api/activity/").split("/")[0] for _, path in there - plain}
    assert own == {"begin", "sign-in", "send", "leave"}


async def test_what_is_missing_is_told_as_at_the_plain_door(frame: Frame) -> None:
    await frame.sign_in()
    assert (await frame.ask("GET", "/none")).status == 404
    answer = await frame.ask("PUT", "/api/jobs", json={})
    assert answer.status == 405 and answer.headers["Allow"] == "GET, HEAD, POST"
    assert (await frame.ask("GET", "/static/x/none.js")).status == 404
    answer = await frame.ask("GET", "/pictures?q=a%20house")
    frame.cookies = {}
    answer = await frame.ask("GET", "/pictures?q=a%20house")
    assert answer.headers["Location"] == "/in?next=/pictures%3Fq%3Da%2520house"


async def test_a_picture_goes_to_direct_messages_and_other_files_to_a_browser(frame: Frame) -> None:
    await frame.sign_in()
    job = await frame.site.drawn(frame.site.you)
    assert (await frame.post(f"/api/activity/send/{job['id']}/2")).status == 204
    here = frame.discord.servers
    assert here.posted == [(Place(None, YOU), job["id"], 1, YOU)]
    for wrong in (f"{job['id']}/9", f"{job['id']}/0", "abcd2345efgh/1"):
        assert (await frame.post(f"/api/activity/send/{wrong}")).status == 404
    here.silent = True
    answer = await frame.post(f"/api/activity/send/{job['id']}/2")
    assert answer.status == 429 and "Discord doesn't answer" in answer.data["detail"]
    link = (await frame.post("/api/activity/leave", {"page": f"/pictures/{job['id']}/1"})).data["link"]
    assert link.startswith(f"https://studio.example.org/in?next=%2Fpictures%2F{job['id']}%2F1#")
    for page in ("https://evil.example", "//evil.example", "/api/zip"):
        link = (await frame.post("/api/activity/leave", {"page": page})).data["link"]
        assert link.startswith("https://studio.example.org/in#")


async def test_a_strangers_picture_is_not_sent(tmp_path: Path) -> None:
    async with open_inside(tmp_path, WEB_MEMBERS="everyone") as (site, discord):
        job = await site.drawn(site.you)
        frame = Frame(site, discord)
        await frame.sign_in(STRANGER)
        assert (await frame.post(f"/api/activity/send/{job['id']}/1")).status == 404
        assert discord.servers.posted == []


async def test_who_signs_out_in_the_frame_is_signed_out(frame: Frame) -> None:
    await frame.sign_in()
    answer = await frame.ask("DELETE", "/api/session")
    assert answer.status == 204 and answer.headers["Set-Cookie"].startswith(f"{COOKIE}=; Max-Age=0; ")
    assert answer.headers["Set-Cookie"].endswith("SameSite=None; Partitioned")
    frame.cookies[COOKIE] = ""
    assert (await frame.ask("GET", "/api/jobs")).status == 401


async def test_without_the_setting_there_is_no_such_door(site: Site) -> None:
    for path in ("/activity/", "/activity/?frame_id=1", "/activity/api/activity/begin"):
        assert (await site.you.get(path)).status == 404
    assert site.web.inside == ()


@pytest.mark.parametrize("missing", ["WEB_PORT", "PUBLIC_URL", "DISCORD_CLIENT_ID"])
def test_the_setting_needs_what_discord_needs(missing: str, tmp_path: Path) -> None:
    given = {**fake_discord.SETTINGS, missing: "" if missing != "PUBLIC_URL" else "http://localhost:8080"}
    if missing == "DISCORD_CLIENT_ID":
        given["DISCORD_CLIENT_SECRET"] = ""
    with pytest.raises(SettingsError, match="ACTIVITY=on: needs"):
        load_settings(given, tmp_path / "none.env")
    assert load_settings(fake_discord.SETTINGS, tmp_path / "none.env").activity
