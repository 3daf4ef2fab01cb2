"""The socket of a tab: what is new about one's own jobs, and of nobody else's."""

import asyncio
import re

import aiohttp
import pytest

from tests.web.conftest import COOKIE, OTHER, YOU


async def connect(site, browser, origin=None, since=""):
    headers = {"Origin": origin or site.web.url, "Cookie": f"{COOKIE}={browser.cookie}"}
    return await site.http.ws_connect(f"{site.web.url}/api/live?since={since}", headers=headers)


async def news(socket, seconds=1.0):
    found = []
    try:
        async with asyncio.timeout(seconds):
            while True:
                found.append(await socket.receive_json())
    except TimeoutError:
        return found


async def test_every_tab_of_a_person_is_told_and_no_other(site) -> None:
    other = await site.person(OTHER)
    mine, mine_too, theirs = [await connect(site, b) for b in (site.you, site.you, other)]
    job = await site.drawn(site.you)
    for socket in (mine, mine_too):
        told = await news(socket, 0.6)
        assert any(job["id"] in message["changed"] for message in told)
    assert await news(theirs, 0.3) == []
    for socket in (mine, mine_too, theirs):
        await socket.close()


async def test_what_comes_between_a_page_and_its_socket_is_told(site) -> None:
    page = (await site.you.get("/")).body.decode()
    point = re.search(r'data-point="(\d+)"', page)[1]
    job = await site.drawn(site.you)
    sockets = [await connect(site, site.you, since=since) for since in (point, "", "nonsense", "9" * 19)]
    told = [await news(socket, 0.4) for socket in sockets]
    assert job["id"] in told[0][0]["changed"] and told[0][0]["complete"]
    assert told[1] == told[2] == []
    assert not told[3][0]["complete"], "a point of another process: read everything again"
    for socket in sockets:
        await socket.close()


async def test_a_job_of_discord_is_told_here_as_well(site) -> None:
    from studio.actor import Actor

    socket = await connect(site, site.you)
    result = await site.opened.drawn(Actor(YOU, 10, 100))
    told = await news(socket, 0.6)
    assert any(result.job.id in message["changed"] for message in told)
    await socket.close()


async def test_a_page_of_another_site_opens_no_socket(site) -> None:
    for origin in ("http://evil.example", "null"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await connect(site, site.you, origin)
        assert refused.value.status == 403
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await connect(site, site.stranger())
    assert refused.value.status == 401


async def test_a_person_has_at_most_eight_tabs(site) -> None:
    sockets = [await connect(site, site.you) for _ in range(9)]
    closed = await sockets[-1].receive()
    assert closed.type is aiohttp.WSMsgType.CLOSE and closed.data == 4429
    for socket in sockets:
        await socket.close()


async def test_a_session_that_ends_closes_its_sockets(site) -> None:
    other = await site.person(OTHER)
    socket = await connect(site, other)
    assert (await other.ask("DELETE", "/api/session")).status == 204
    closed = await socket.receive(timeout=2)
    assert closed.data == 4401
