"""Attacks on the web that are no question of rights: slow and many connections, addresses that lead
elsewhere, names that break a header, sessions that end, bodies of the wrong kind."""

import asyncio
import gc
import socket
from typing import get_origin

import pytest
from aiohttp import web
from msgspec.structs import fields

from tests.studio.conftest import png
from tests.web.conftest import COOKIE, open_site
from tests.web.test_guard import address_of
from web import app
from web.call import Body
from web.schemas import NewTalk, NewWatch, Press

TRAVERSALS = ("/static/x/../../server.py", "/static/x/%2e%2e/%2e%2e/server.py")
TRAVERSALS += ("/static/x/..%2f..%2fserver.py", "/static/x/....//....//server.py", "/static/x//etc/passwd")
TRAVERSALS += ("/static/x/js/../../../routes.py", "/static/x/%00", "/static/x/js/stream.js%00.png")
TRAVERSALS += ("/static/x/\\..\\..\\server.py", "/files/..%2f..%2fatelier.db/1")
TRAVERSALS += ("/files/abcd2345efgh/1/../../../../etc/passwd", "/files/uploads/../../atelier.db.webp")
TRAVERSALS += ("/previews/abcd2345efgh/%2e%2e",)


async def raw(site, text: bytes, seconds: float = 5.0) -> bytes:
    """What is answered to bytes that no browser would send, until the connection ends."""
    host, port = site.web.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(text)
    try:
        async with asyncio.timeout(seconds):
            return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize("path", TRAVERSALS)
async def test_no_address_leads_out_of_its_folder(site, path: str) -> None:
    head = f"GET {path} HTTP/1.1\r\nHost: {site.web.url.removeprefix('http://')}\r\nConnection: close\r\n"
    head += f"Cookie: {COOKIE}={site.you.cookie}\r\n\r\n"
    answer = await raw(site, head.encode())
    status = int(answer.split(b" ", 2)[1])
    assert status in (400, 404, 422), answer[:200]
    assert b"import " not in answer and b"root:" not in answer and b"SQLite format" not in answer


async def test_a_name_cannot_break_a_header(site) -> None:
    for name in (
        "a%0d%0aSet-Cookie:%20x=1.png",
        "%00",
        "..%2f..%2fx",
        '"; filename="x',
        "%ff%fe",
        "x" * 5000,
    ):
        answer = await site.you.ask(
            "POST", "/api/uploads", data=png(), headers={"Content-Type": "image/png", "X-Name": name}
        )
        assert answer.status in (201, 400, 422), name
        assert "Set-Cookie" not in answer.headers
    job = await site.drawn(site.you)
    answer = await site.you.get(f"/files/{job['id']}/1?download=1&name=a%0d%0ab")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{job["id"]}-1.png"'


async def test_what_is_no_http_is_refused_and_fills_no_log(site, caplog) -> None:
    for text in (b"\x16\x03\x01\x02\x00", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\nX: \x00\r\n\r\n"):
        answer = await raw(site, text + b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.0 400") or answer.startswith(b"HTTP/1.1 400"), answer[:100]
    assert caplog.records == []


async def test_slow_headers_end_their_connections_and_delay_nobody(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(app, "MOST", 12)
    monkeypatch.setattr(app, "HEADER_TIME", 0.3)
    async with open_site(tmp_path) as site:
        host, port = site.web.url.removeprefix("http://").split(":")
        slow = [await asyncio.open_connection(host, int(port)) for _ in range(6)]
        for _, writer in slow:
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        async with asyncio.timeout(0.2):
            assert (await site.you.get("/api/jobs")).status == 200
        async with asyncio.timeout(2):
            assert [await reader.read() for reader, _ in slow] == [b""] * 6
        for _, writer in slow:
            writer.close()
        many = [socket.create_connection((host, int(port))) for _ in range(20)]
        async with asyncio.timeout(2):
            ended = [await asyncio.to_thread(_is_ended, one) for one in many]
        assert all(ended)
        assert (await site.you.get("/api/jobs")).status == 200


async def test_refusals_keep_nothing_of_their_requests(site) -> None:
    stranger = site.stranger()

    def kept() -> int:
        gc.collect()
        return sum(issubclass(type(one), web.BaseRequest) for one in gc.get_objects())

    before = kept()
    for path in ("/s/" + "A" * 43, "/none", "/in/discord", "/api/jobs", "/static/x/none") * 8:
        assert (await stranger.get(path)).status in (303, 401, 404, 429)
        assert (await site.you.ask("PUT", "/api/documents/abcd2345efgh", json={})).status in (400, 404, 428)
    for _ in range(40):
        assert (await stranger.get("/none")).status == 404
        assert (await site.you.ask("PUT", "/api/jobs")).status == 405
    assert kept() - before < 8  # those that connections which are kept have read last


def _is_ended(connection: socket.socket) -> bool:
    with connection:
        connection.settimeout(1.5)
        try:
            return connection.recv(1) == b""
        except OSError:
            return True


async def test_what_a_route_is_said_to_take_is_what_it_reads(site) -> None:
    """A value of the wrong kind is named in the answer."""
    job = await site.drawn(site.you)
    said = [route for route in site.web.routes if route.takes]
    asking = await site.person(77)  # in a short time one person may ask a few questions, and train little
    assert [route.path for route in site.web.routes if route.body is Body.JSON and not route.takes] == []
    for number, route in enumerate(said):
        training = (
            await site.person(1000 + number)
            if route.path.startswith(("/api/projects", "/api/talk", "/api/examples", "/api/wall", "/v1"))
            else site.you
        )
        for value in fields(route.takes):
            if value.type is bool:
                continue
            right = {
                "prompt": "a house",
                "jsonrpc": "2.0",
                "method": "ping",
                "question": "What is it?",
                "job": job["id"],
                "source": f"{job['id']} 2"
                if route.takes in (Press, NewWatch)
                else {"job": job["id"], "n": 1},
                "strokes": [],
                "set": "Pets",
                "messages": [{"role": "user", "content": "What is it?"}],
                "input": "a house",
                "label": "a cat",
                "picture": f"{job['id']} 1",
            }
            if route.takes in (Press, NewWatch):
                right["source"] = f"{job['id']} 2"
            body = {**right, value.name: "no" if get_origin(value.type) is dict else {"no": 1}}
            body = {name: one for name, one in body.items() if name in {f.name for f in fields(route.takes)}}
            headers = {"If-Match": '"1"'}
            by = asking if route.takes is NewTalk else training
            answer = await by.ask(route.method, address_of(route, job["id"]), json=body, headers=headers)
            told = answer.data.get("detail") or answer.data["error"]["message"]
            assert (answer.status, f"`{value.name}`" in told) == (400, True), (route.path, value.name, told)
