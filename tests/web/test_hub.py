"""The one task that tells every tab: slow browsers cost nobody anything, and nothing ends it."""

import asyncio
import socket
import time

import pytest

from tests.web.conftest import COOKIE, OTHER
from web import live
from web.live import Hub

LARGE = "x" * 300_000  # more than what aiohttp writes before it waits for a paused transport


async def deaf(site, browser) -> socket.socket:
    """A browser that opens the socket and reads nothing more."""
    host, port = site.web.url.removeprefix("http://").split(":")
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    found.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(found, (host, int(port)))
    request = (
        f"GET /api/live HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: {site.web.url}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng==\r\n"
        f"Cookie: {COOKIE}={browser.cookie}\r\n\r\n"
    )
    await loop.sock_sendall(found, request.encode())
    assert (await loop.sock_recv(found, 100)).startswith(b"HTTP/1.1 101")
    return found


async def test_a_browser_that_reads_nothing_delays_no_other_and_is_let_go(site, monkeypatch) -> None:
    monkeypatch.setattr(live, "EVERY", 0.01)
    monkeypatch.setattr(live, "PATIENCE", 0.5)
    monkeypatch.setattr(Hub, "_news", lambda hub, tab: (tab.at, LARGE))
    silent = await deaf(site, await site.person(OTHER))
    headers = {"Origin": site.web.url, "Cookie": f"{COOKIE}={site.you.cookie}"}
    async with site.http.ws_connect(site.web.url + "/api/live", headers=headers, max_msg_size=0) as reading:
        gaps, began = [], time.monotonic()
        while time.monotonic() - began < 3:
            before = time.monotonic()
            await reading.receive_str(timeout=2)
            gaps.append(time.monotonic() - before)
    assert len(gaps) > 30 and max(gaps) < 0.5
    with pytest.raises(ConnectionError):
        for _ in range(2000):
            if not await asyncio.get_running_loop().sock_recv(silent, 65536):
                raise ConnectionResetError
    silent.close()


async def test_a_turn_that_fails_is_followed_by_another(site, monkeypatch, caplog) -> None:
    calls = []
    news = site.opened.studio.news

    def failing(actor, since):
        calls.append(actor)
        if len(calls) == 1:
            raise RuntimeError("a row of another version")
        return news(actor, since)

    monkeypatch.setattr(site.opened.studio, "news", failing)
    headers = {"Origin": site.web.url, "Cookie": f"{COOKIE}={site.you.cookie}"}
    async with site.http.ws_connect(site.web.url + "/api/live", headers=headers) as reading:
        await asyncio.sleep(0.3)
        job = await site.drawn(site.you)
        assert job["id"] in (await reading.receive_json(timeout=2))["changed"]
    assert "couldn't be told" in caplog.text
