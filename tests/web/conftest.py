"""The studio on the web over real sockets, with an executor that draws at once and people who sign in."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from studio.authority import Actor
from studio.programs import Scope
from tests.jobs.hand_executor import HandExecutor
from tests.studio.conftest import AtOnce, Opened, open_studio, png
from web.app import Web, serve_web

YOU, GUEST, OTHER = 1, 2, 3
COOKIE = "__Host-atelier"


@dataclass(frozen=True)
class Answered:
    """An answer that was read to its end."""

    status: int
    headers: Any
    body: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.body)


class Browser:
    """Somebody's browser: it keeps a cookie and names the page that it is on."""

    def __init__(self, http: aiohttp.ClientSession, url: str, cookie: str | None = None) -> None:
        self.http, self.url, self.cookie = http, url, cookie

    async def ask(
        self, method: str, path: str, headers: dict[str, str | None] | None = None, **kw: Any
    ) -> Answered:
        sent: dict[str, str | None] = {"Origin": self.url, **(headers or {})}
        if self.cookie:
            sent["Cookie"] = f"{COOKIE}={self.cookie}"
        kept = {name: value for name, value in sent.items() if value is not None}
        async with self.http.request(
            method, self.url + path, headers=kept, allow_redirects=False, **kw
        ) as answer:
            return Answered(answer.status, answer.headers.copy(), await answer.read())

    async def get(self, path: str, **kw: Any) -> Answered:
        return await self.ask("GET", path, **kw)

    async def post(self, path: str, body: Any = None, **kw: Any) -> Answered:
        return await self.ask("POST", path, json={} if body is None else body, **kw)

    @property
    def jar(self) -> list[dict[str, Any]]:
        """The cookie, as Chromium takes it."""
        place = {"domain": "127.0.0.1", "path": "/", "secure": True}
        return [{"name": COOKIE, "value": self.cookie, **place}]

    async def page(self, path: str) -> str:
        """The text of a page that is there."""
        answer = await self.get(path)
        assert answer.status == 200, (path, answer.body)
        return answer.body.decode()

    async def upload(self, data: bytes | None = None) -> str:
        """The SHA-256 of a picture that was sent."""
        headers: dict[str, str | None] = {"Content-Type": "image/png"}
        sent = await self.ask("POST", "/api/uploads", headers, data=png() if data is None else data)
        return str(sent.data["sha256"])

    async def sign_in(self, token: str, who: str | None = None) -> Answered:
        answer = await self.post("/api/session", {"token": token, **({"who": who} if who else {})})
        if answer.status == 204:
            self.cookie = answer.headers["Set-Cookie"].split("=", 1)[1].split(";")[0]
        return answer


class Program(Browser):
    """A program that sends a token, and no page's origin."""

    async def ask(
        self, method: str, path: str, headers: dict[str, str | None] | None = None, **kw: Any
    ) -> Answered:
        sent = {"Origin": None, "Authorization": f"Bearer {self.cookie}", **(headers or {})}
        return await Browser(self.http, self.url).ask(method, path, sent, **kw)


@dataclass
class Site:
    """An open studio with its web, and somebody called "you" who is signed in there."""

    opened: Opened
    web: Web
    http: aiohttp.ClientSession
    you: Browser

    def stranger(self) -> Browser:
        return Browser(self.http, self.web.url)

    async def person(self, user_id: int, name: str = "somebody") -> Browser:
        sessions = self.opened.services.web.sessions
        return Browser(self.http, self.web.url, await sessions.begin(user_id, name, "a test"))

    async def program(self, *scopes: str, who: Browser | None = None) -> Program:
        """A program of somebody's, with all scopes if none is named."""
        body = {"name": "a script", "scopes": list(scopes or Scope)}
        made = await (who or self.you).post("/api/tokens", body)
        assert made.status == 201, made.body
        return Program(self.http, self.web.url, made.data["token"])

    async def drawn(self, browser: Browser, prompt: str = "a red house") -> dict[str, Any]:
        """A finished job that a browser has asked for."""
        return await self.made("/api/jobs", {"prompt": prompt}, browser)

    async def made(self, path: str, body: Any = None, browser: Browser | None = None) -> dict[str, Any]:
        """The job that a call has queued, when it is over."""
        browser = browser or self.you
        asked = await browser.post(path, body)
        while asked.status == 429:  # a test asks for more in a second than a person does
            await asyncio.sleep(asked.data["retry_after"])
            asked = await browser.post(path, body)
        assert asked.status == 202, asked.body
        job = asked.data["job"] if "job" in asked.data else asked.data["jobs"][0]["id"]
        await self.finished(job)
        return (await browser.get(f"/api/jobs/{job}")).data

    async def finished(self, job_id: str) -> None:
        found = await self.opened.services.queue.job(job_id)
        assert found is not None
        async for _ in await self.opened.studio.watch(Actor(found.origin.user_id, None), job_id):
            pass


@asynccontextmanager
async def open_site(
    folder: Path, executor: HandExecutor | None = None, **settings: str
) -> AsyncIterator[Site]:
    if os.environ.get("INSIDE"):  # the tests of the pages, once more in Discord's frame
        from tests.web.fake_discord import open_inside

        async with open_inside(folder, executor, **settings) as (inside, discord):
            you = Browser(inside.http, discord.frame, inside.you.cookie)
            yield Site(inside.opened, replace(inside.web, url=discord.frame), inside.http, you)
        return
    async with open_studio(folder, executor, **settings) as opened:
        local = {"you": YOU, "guest": GUEST}
        async with serve_web(opened.services, opened.studio, port=0, local=lambda: local) as web:
            async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
                site = Site(opened, web, http, Browser(http, web.url))
                address = web.local_address("a-capability")
                assert (await site.you.sign_in(address.partition("#")[2])).status == 204
                yield site


@asynccontextmanager
async def open_site_of(module: Any, folder: Path) -> AsyncIterator[Site]:
    """Open a site with a test module's SETTINGS and EXECUTOR, a class, where it has them."""
    executor = getattr(module, "EXECUTOR", AtOnce)()
    async with open_site(folder, executor, **getattr(module, "SETTINGS", {})) as site:
        yield site


@pytest.fixture
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site_of(request.module, tmp_path) as found:
        yield found
