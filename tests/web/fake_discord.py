"""A Discord for an Activity: the client's page, which speaks the protocol of @discord/embedded-app-sdk and
frames the studio; OAuth's calls; and the proxy *.discordsays.com: of another site than the page, with a
prefix on the way in, a policy of its own beside the studio's, and its own address instead of a visitor's."""

import asyncio
import json
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

from tests.jobs.hand_executor import HandExecutor
from tests.studio.conftest import open_studio
from tests.studio.servers import Server, Servers
from tests.web.conftest import YOU, Browser, Site
from tests.web.test_discord_page import CLIENT, HERE, SECRET, Approved, Discord
from web.app import serve_web
from web.auth import Endpoints
from web.guard import ACTIVITY

INSTANCE = "i-1-gc-2-3"
SETTINGS = {
    "ACTIVITY": "on",
    "WEB_PORT": "8080",
    "PUBLIC_URL": "https://studio.example.org",
    "DISCORD_CLIENT_ID": CLIENT,
    "DISCORD_CLIENT_SECRET": SECRET,
}
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Discord</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<style>body { margin: 0 } iframe { border: 0; width: 100vw; height: 100vh; display: block }</style>
<script type="module">
const { frame: address, client, instance } = GIVEN, said = (window.said = []);
const platform = new URLSearchParams(location.search).get("platform") ?? "desktop";
const given = new URLSearchParams({ instance_id: instance, frame_id: crypto.randomUUID(), platform,
  channel_id: "3", guild_id: "2", location_id: "gc-2-3", mobile_app_version: "300.0" });
const frame = document.createElement("iframe");
frame.src = `${address}/?${given}`;
frame.sandbox = `allow-forms allow-modals allow-popups allow-popups-to-escape-sandbox allow-same-origin
  allow-scripts`;
frame.allow = "autoplay; encrypted-media";
const config = { cdn_host: "cdn.discordapp.com", api_endpoint: "//discord.com/api",
  environment: "production" };
const READY = { v: 1, config, user: { id: "1", username: "you", discriminator: "0", avatar: "a" } };
const answers = {
  async AUTHORIZE(args) {
    const answer = await fetch(`/code?${new URLSearchParams(args)}`);
    if (!answer.ok) throw { code: 5000, message: "You said no" };
    return answer.json();
  },
  OPEN_EXTERNAL_LINK: () => ({ opened: true }),
};
addEventListener("message", async ({ source, origin, data: [opcode, data] }) => {
  if (source !== frame.contentWindow || origin !== new URL(address).origin) return;
  said.push([opcode, data]);
  const send = (...message) => frame.contentWindow.postMessage(message, origin);
  if (opcode === 0) {
    const right = data.v === 1 && data.encoding === "json" && data.client_id === client;
    if (!right || data.frame_id !== given.get("frame_id"))
      return send(2, { code: 4000, message: "Invalid handshake" });
    if (!window.silent) send(1, { cmd: "DISPATCH", evt: "READY", nonce: null, data: READY });
  }
  if (opcode !== 1) return;
  const { cmd, args, nonce } = data;
  try {
    if (!answers[cmd]) throw { code: 4002, message: `Invalid command: ${cmd}` };
    send(1, { cmd, evt: null, nonce, data: await answers[cmd](args) });
  } catch ({ code = 1000, message }) {
    send(1, { cmd, evt: "ERROR", nonce, data: { code, message } });
  }
});
document.body.append(frame);
</script></html>"""
# Nothing but the app's own proxy: https://docs.discord.com/developers/activities/development-guides/networking
POLICY = "default-src 'self' blob: data:; frame-ancestors {} 'self'"
opened_at: dict[str, str] = {}  # the origins of frames that are open → the pages around them
HOP = {
    "connection",
    "content-encoding",
    "content-length",
    "host",
    "keep-alive",
    "transfer-encoding",
    "upgrade",
}
HOP |= {f"sec-websocket-{name}" for name in ("key", "version", "extensions")}


@dataclass
class FakeDiscord:
    """page: the address of its page; frame: of the Activity in it. user_id: who sits there; None says no.
    keeps_cookies: whether its frame does. calls: what came through the proxy: method, path, status. servers:
    those of the bot."""

    oauth: Discord = field(default_factory=Discord)
    page: str = ""
    frame: str = ""
    target: str = ""
    user_id: int | None = YOU
    keeps_cookies: bool = True
    calls: list[tuple[str, str, int]] = field(default_factory=list)
    http: aiohttp.ClientSession = field(kw_only=True)
    servers: Servers = field(default_factory=lambda: Servers({HERE: Server("Here", {}, {YOU: False})}))

    async def show(self, request: web.Request) -> web.Response:
        """The client's page."""
        frame = request.query.get("frame", self.frame)  # or a line before it
        given = json.dumps({"frame": frame, "client": CLIENT, "instance": INSTANCE})
        headers = {"Referrer-Policy": "strict-origin-when-cross-origin"}
        return web.Response(text=PAGE.replace("GIVEN", given), content_type="text/html", headers=headers)

    async def code(self, request: web.Request) -> web.Response:
        """A code, once somebody has said yes to what the frame asks for."""
        query = request.query
        asked = [query.get(name) for name in ("client_id", "scope", "response_type", "code_challenge_method")]
        if self.user_id is None or asked != [CLIENT, "identify", "code", "S256"]:
            return web.Response(status=403)
        code = secrets.token_urlsafe(8)
        self.oauth.codes[code] = Approved(self.user_id, query["code_challenge"], "")
        return web.json_response({"code": code})

    async def forward(self, request: web.Request) -> web.StreamResponse:
        """The proxy."""
        address = URL(self.target + ACTIVITY + request.raw_path, encoded=True)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP}
        headers["X-Forwarded-For"] = "203.0.113.7"
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._socket(request, address, headers)
        data = BytesIO(await request.read()) if request.body_exists else None
        given: dict[str, Any] = {"headers": headers, "data": data, "allow_redirects": False}
        async with self.http.request(request.method, address, **given) as found:
            self.calls.append((request.method, request.path, found.status))
            answer = web.Response(body=await found.read(), status=found.status)
            for name, value in found.headers.items():
                if name.lower() not in HOP and (self.keeps_cookies or name != "Set-Cookie"):
                    answer.headers.add(name, value)
            answer.headers.add("Content-Security-Policy", POLICY.format(self.page))
            return answer

    async def _socket(
        self, request: web.Request, address: URL, headers: dict[str, str]
    ) -> web.StreamResponse:
        near = web.WebSocketResponse()
        try:
            far = await self.http.ws_connect(address, headers=headers)
        except aiohttp.WSServerHandshakeError as error:
            return web.Response(status=error.status)
        async with far:
            await near.prepare(request)
            self.calls.append(("SOCKET", request.path, 101))

            async def back() -> None:
                async for message in far:
                    await near.send_str(message.data)
                await near.close(code=far.close_code or 1000)

            sending = asyncio.create_task(back())
            async for message in near:
                await far.send_str(message.data)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        return near


async def _serve(app: web.Application, host: str, opened: AsyncExitStack, port: int = 0) -> str:
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    opened.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, host, port).start()
    return f"http://{host}:{runner.addresses[0][1]}"


@asynccontextmanager
async def open_discord(port: int = 0) -> AsyncIterator[FakeDiscord]:
    """Both pages of a Discord, of two sites: of localhost its own, at ``port`` (0 = a free one), of 127.0.0.1
    the frame's."""
    async with AsyncExitStack() as opened:
        session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        found = FakeDiscord(http=await opened.enter_async_context(session))
        own, proxy = web.Application(), web.Application(client_max_size=2**26)
        own.add_routes([web.get("/", found.show), web.get("/code", found.code)])
        own.router.add_route("*", "/{rest:(?:oauth2|users)/.*}", found.oauth.answer)
        proxy.router.add_route("*", "/{rest:.*}", found.forward)
        found.page = await _serve(own, "localhost", opened, port)
        found.frame = await _serve(proxy, "127.0.0.1", opened)
        opened_at[found.frame] = found.page
        opened.callback(opened_at.pop, found.frame)
        yield found


@asynccontextmanager
async def open_inside(
    folder: Path, executor: HandExecutor | None = None, **settings: str
) -> AsyncIterator[tuple[Site, FakeDiscord]]:
    """A studio inside Discord, where "you" share a server with its bot."""
    async with open_discord() as discord, open_studio(folder, executor, **SETTINGS | settings) as opened:
        endpoints = Endpoints(api=discord.page, proxy=discord.frame, clients=(discord.page,))
        with opened.services.directory.connected(discord.servers):
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            discord.target = f"http://127.0.0.1:{port}"
            async with serve_web(opened.services, opened.studio, port=port, discord=endpoints) as served:
                token = await opened.services.web.sessions.begin(YOU, "you", "a test")
                you = Browser(discord.http, discord.target, token)
                yield Site(opened, served, discord.http, you), discord
