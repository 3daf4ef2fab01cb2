"""Signing in on Discord's own page, against a Discord of the tests: who comes back is let in, nobody else."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import pytest
from aiohttp import web

from tests.studio.conftest import open_studio
from tests.studio.servers import Server, Servers
from tests.web.conftest import COOKIE, Answered, Browser
from web import auth as oauth
from web.app import serve_web
from web.dispatch import ATTEMPT

CLIENT, SECRET = "1002", "a-secret"
MEMBER, STRANGER, HERE = 21, 22, 10


@dataclass
class Approved:
    """A code that somebody's yes has made."""

    user_id: int
    challenge: str
    redirect: str


@dataclass
class Discord:
    """Discord's endpoints, as strict as they are. fault: what goes wrong, by path."""

    url: str = ""
    codes: dict[str, Approved] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    revoked: list[str] = field(default_factory=list)
    fault: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def approve(self, address: str, user_id: int) -> dict[str, str]:
        """Somebody says yes on the page at ``address``; what their browser brings back."""
        query = {name: value[0] for name, value in parse_qs(urlsplit(address).query).items()}
        assert query["client_id"] == CLIENT and query["scope"] == "identify"
        assert query["code_challenge_method"] == "S256" and query["response_type"] == "code"
        code = secrets.token_urlsafe(8)
        self.codes[code] = Approved(user_id, query["code_challenge"], query["redirect_uri"])
        return {"code": code, "state": query["state"], "iss": "https://discord.com"}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        fault = self.fault.get(request.path)
        if fault == "500":
            return web.Response(status=500, text="<html>oh no</html>")
        if fault == "slow":
            await asyncio.sleep(60)
        if fault == "reset":
            assert request.transport is not None
            request.transport.abort()
        if fault == "html":
            return web.Response(text="<html>", content_type="text/html")
        if request.path == "/users/@me":
            token = request.headers["Authorization"].removeprefix("Bearer ")
            if token not in self.tokens:
                return web.json_response({"message": "401: Unauthorized", "code": 0}, status=401)
            name = f"user{self.tokens[token]}"
            return web.json_response({"id": str(self.tokens[token]), "username": name, "global_name": None})
        form = await request.post()
        assert (form["client_id"], form["client_secret"]) == (CLIENT, SECRET)
        if request.path == "/oauth2/token/revoke":
            self.revoked.append(str(form["token"]))
            return web.json_response({})
        return self._token({name: str(value) for name, value in form.items()})

    def _token(self, form: dict[str, str]) -> web.Response:
        approved = self.codes.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        given = (challenge, form.get("redirect_uri", ""))
        right = approved and (approved.challenge, approved.redirect) == given
        if not right or form["grant_type"] != "authorization_code" or len(form["code_verifier"]) < 43:
            return web.json_response({"error": "invalid_grant"}, status=400)
        token = secrets.token_urlsafe(8)
        self.tokens[token] = approved.user_id
        return web.json_response({"access_token": token, "token_type": "Bearer", "scope": "identify"})


@dataclass
class Way:
    """An open studio and a Discord to sign in through."""

    discord: Discord
    opened: object
    http: aiohttp.ClientSession
    url: str

    def browser(self) -> Visitor:
        return Visitor(self.http, self.url)

    async def sessions(self, user_id: int = MEMBER) -> int:
        return len(await self.opened.services.web.sessions.of(user_id))


class Visitor(Browser):
    """A browser that also keeps what a sign-in leaves in it."""

    attempt: str | None = None

    async def visit(self, path: str) -> Answered:
        cookies = {ATTEMPT: self.attempt, COOKIE: self.cookie}
        sent = "; ".join(f"{name}={value}" for name, value in cookies.items() if value)
        async with self.http.get(self.url + path, headers={"Cookie": sent}, allow_redirects=False) as answer:
            found = Answered(answer.status, answer.headers.copy(), await answer.read())
        for cookie in found.headers.getall("Set-Cookie", ()):
            name, _, rest = cookie.partition("=")
            if name == ATTEMPT:
                self.attempt = rest.split(";")[0]
            elif name == COOKIE:
                self.cookie = rest.split(";")[0]
        return found

    async def leave(self, path: str = "/in/discord") -> str:
        answer = await self.visit(path)
        assert answer.status == 303
        return answer.headers["Location"]

    async def come_back(self, query: dict[str, str]) -> Answered:
        return await self.visit("/in/discord/back?" + "&".join(f"{k}={v}" for k, v in query.items()))


@asynccontextmanager
async def opened_way(folder: Path, **settings: str) -> AsyncIterator[Way]:
    discord = Discord()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", discord.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    discord.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    known = {"DISCORD_CLIENT_ID": CLIENT, "DISCORD_CLIENT_SECRET": SECRET}
    endpoints = oauth.Endpoints(api=discord.url)
    servers = Servers({HERE: Server("Here", {}, {MEMBER: False})})
    async with open_studio(folder, **known | settings) as opened:
        with opened.services.directory.connected(servers):
            async with serve_web(opened.services, opened.studio, port=0, discord=endpoints) as served:
                async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
                    yield Way(discord, opened, http, served.url)
    await runner.cleanup()


@pytest.fixture
async def way(tmp_path: Path) -> AsyncIterator[Way]:
    async with opened_way(tmp_path) as found:
        yield found


async def test_who_says_yes_on_discord_is_signed_in_and_no_token_is_kept(way: Way) -> None:
    browser = way.browser()
    answer = await browser.come_back(way.discord.approve(await browser.leave(), MEMBER))
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    assert (await browser.get("/")).status == 200
    assert way.discord.revoked == list(way.discord.tokens) and len(way.discord.tokens) == 1
    [session] = await way.opened.services.web.sessions.of(MEMBER)
    assert session.name == f"user{MEMBER}"
    page = await browser.page("/in")
    assert "Sign in with Discord" in page


async def test_a_page_that_somebody_wanted_comes_after_signing_in(way: Way) -> None:
    browser = way.browser()
    sent_on = (await browser.get("/pictures?q=a%20house")).headers["Location"]
    assert sent_on == "/in?next=/pictures%3Fq%3Da%2520house"
    page = await browser.page(sent_on)
    [link] = re.findall(r'href="(/in/discord[^"]*)"', page)
    answer = await browser.come_back(way.discord.approve(await browser.leave(link), MEMBER))
    assert (answer.status, answer.headers["Location"]) == (303, "/pictures?q=a%20house")


@pytest.mark.parametrize(
    "page",
    ["//evil.example", "https://evil.example", "/\\evil.example", "/\t/evil.example", "/in", "/api/zip", ""],
)
async def test_signing_in_leads_to_pages_of_this_studio_only(way: Way, page: str) -> None:
    assert 'data-next="/"' in await way.browser().page(f"/in?{urlencode({'next': page})}")
    browser = way.browser()
    left = await browser.leave(f"/in/discord?{urlencode({'next': page})}")
    answer = await browser.come_back(way.discord.approve(left, MEMBER))
    assert (answer.status, answer.headers["Location"]) == (303, "/")


async def test_the_way_out_tells_discord_no_secret_and_binds_this_browser(way: Way) -> None:
    first, second = way.browser(), way.browser()
    addresses = [await first.leave(), await second.leave()]
    for address, browser in zip(addresses, (first, second), strict=True):
        assert address.startswith("https://discord.com/oauth2/authorize?") and SECRET not in address
        assert browser.attempt and browser.attempt not in address
    assert parse_qs(urlsplit(addresses[0]).query)["redirect_uri"] == [f"{way.url}/in/discord/back"]
    assert len({*addresses, first.attempt, second.attempt}) == 4


@pytest.mark.parametrize("change", [{"state": "x" * 43}, {"state": ""}, {"iss": "https://evil.example"}])
async def test_an_answer_that_was_not_asked_for_signs_nobody_in(way: Way, change: dict[str, str]) -> None:
    browser = way.browser()
    answer = await browser.come_back(way.discord.approve(await browser.leave(), MEMBER) | change)
    assert answer.status == 400 and "Start it again" in answer.body.decode()
    assert await way.sessions() == 0 and way.discord.asked == []


async def test_nobody_is_signed_in_as_somebody_else_by_a_link(way: Way) -> None:
    """Login CSRF: the address that Discord leads an attacker back to, opened in another browser."""
    attacker, victim, busy = way.browser(), way.browser(), way.browser()
    address = await attacker.leave()
    query = way.discord.approve(address, MEMBER)
    await busy.leave()
    for browser in (victim, busy):
        assert (await browser.come_back(query)).status == 400
        assert browser.cookie is None
    assert (await attacker.come_back(query)).status == 400, "it was good once"
    assert await way.sessions() == 0


async def test_coming_back_twice_signs_in_once(way: Way) -> None:
    browser = way.browser()
    query = way.discord.approve(await browser.leave(), MEMBER)
    answers = await asyncio.gather(*(browser.come_back(query) for _ in range(5)))
    assert sorted(answer.status for answer in answers) == [303, 400, 400, 400, 400]
    assert await way.sessions() == 1


async def test_a_code_is_good_for_its_own_sign_in_alone(way: Way) -> None:
    thief, owner = way.browser(), way.browser()
    stolen = way.discord.approve(await owner.leave(), MEMBER)["code"]
    mine = way.discord.approve(await thief.leave(), STRANGER)
    answer = await thief.come_back(mine | {"code": stolen})
    assert answer.status == 400 and "refused" in answer.body.decode() and await way.sessions() == 0
    used = way.browser()
    query = way.discord.approve(await used.leave(), MEMBER)
    assert (await used.come_back(query)).status == 303
    again = way.discord.approve(await used.leave(), MEMBER) | {"code": query["code"]}
    assert (await used.come_back(again)).status == 400 and await way.sessions() == 1


async def test_who_says_no_on_discord_reads_so(way: Way) -> None:
    browser = way.browser()
    state = way.discord.approve(await browser.leave(), MEMBER)["state"]
    answer = await browser.come_back({"error": "access_denied", "state": state})
    assert answer.status == 403 and "didn&#39;t allow it" in answer.body.decode()


@pytest.mark.parametrize("path", ["/oauth2/token", "/users/@me"])
@pytest.mark.parametrize("fault", ["500", "slow", "reset", "html"])
async def test_a_discord_that_never_answers_is_said_to_be_silent(way: Way, monkeypatch, path, fault) -> None:
    monkeypatch.setattr(oauth, "PATIENCE", 0.2)
    browser, way.discord.fault = way.browser(), {path: fault}
    answer = await browser.come_back(way.discord.approve(await browser.leave(), MEMBER))
    assert answer.status == 502 and "Discord doesn&#39;t answer" in answer.body.decode()
    assert await way.sessions() == 0
    monkeypatch.undo()  # a Discord that is well gets the time that it really has
    way.discord.fault = {}
    assert (await browser.come_back(way.discord.approve(await browser.leave(), MEMBER))).status == 303


async def test_a_token_that_cannot_be_given_back_is_no_reason_to_refuse(way: Way) -> None:
    browser, way.discord.fault = way.browser(), {"/oauth2/token/revoke": "500"}
    assert (await browser.come_back(way.discord.approve(await browser.leave(), MEMBER))).status == 303


async def test_only_people_of_a_server_of_the_bots_come_in(way: Way) -> None:
    browser = way.browser()
    answer = await browser.come_back(way.discord.approve(await browser.leave(), STRANGER))
    assert answer.status == 403 and "share no server" in answer.body.decode()
    assert browser.cookie is None and await way.sessions(STRANGER) == 0
    await way.opened.services.queue.admin.ban(1, MEMBER)
    answer = await browser.come_back(way.discord.approve(await browser.leave(), MEMBER))
    assert answer.status == 403 and "blocked you" in answer.body.decode()


async def test_everybody_comes_in_where_the_host_says_so(tmp_path: Path) -> None:
    async with opened_way(tmp_path, WEB_MEMBERS="everyone") as way:
        browser = way.browser()
        assert (await browser.come_back(way.discord.approve(await browser.leave(), STRANGER))).status == 303


async def test_without_settings_there_is_no_such_way(site) -> None:
    for path in ("/in/discord", "/in/discord/back?code=1&state=2"):
        answer = await site.stranger().get(path)
        assert answer.status == 404 and "isn&#39;t set up" in answer.body.decode()
    assert "Sign in with Discord" not in await site.stranger().page("/in")


async def test_a_sign_in_that_takes_too_long_begins_anew_and_a_crowd_takes_no_memory() -> None:
    now = [0.0]
    page = oauth.DiscordPage(CLIENT, SECRET, "https://studio.example", clock=lambda: now[0])
    address, browser = page.begin()
    state = parse_qs(urlsplit(address).query)["state"][0]
    now[0] = oauth.LIVES + 1
    with pytest.raises(oauth.SignInFailed, match="too long ago"):
        await page.finish({"state": state, "code": "x"}, browser)
    begun = [page.begin() for _ in range(oauth.MOST + 1)]
    for (address, browser), why in zip(begun[:2], ("too long ago", "didn't allow it"), strict=True):
        state = parse_qs(urlsplit(address).query)["state"][0]
        with pytest.raises(oauth.SignInFailed, match=why):
            await page.finish({"state": state}, browser)
