"""The socket of a tab: what is new about one's own jobs, and of nobody else's."""

import asyncio
import re

import aiohttp
import pytest

from storage.schema import metadata
from tests.web.conftest import COOKIE, OTHER, YOU
from web import live


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
    page = await site.you.page("/")
    point = re.search(r'data-point="(\d+)"', page)[1]
    job = await site.drawn(site.you)
    sockets = [await connect(site, site.you, since=since) for since in (point, "", "nonsense", "9" * 19)]
    told = [await news(socket, 0.4) for socket in sockets]
    assert job["id"] in told[0][0]["changed"] and told[0][0]["complete"]
    assert told[1] == told[2] == []
    assert not told[3][0]["complete"], "a point of another process: read everything again"
    for socket in sockets:
        await socket.close()


async def test_the_socket_of_an_activity_is_told_what_was_pressed_since_and_nothing_else(site) -> None:
    web, headers = site.opened.services.web, {"Cookie": f"{COOKIE}={site.you.cookie}", "Origin": site.web.url}
    web.launch("i-1", YOU, "/queue")  # before it opened
    first, second = [
        await site.http.ws_connect(f"{site.web.url}/api/live?instance=i-1", headers=headers) for _ in range(2)
    ]
    await site.drawn(site.you)
    assert await news(first, 0.4) == []
    web.launch("i-1", OTHER, "/keys")
    web.launch("i-2", YOU, "/keys")
    assert await news(first, 0.4) == []
    web.launch("i-1", YOU, "/queue")
    assert await news(first, 0.4) == await news(second, 0.4) == [{"page": "/queue"}], "on each device, once"
    for socket in (first, second):
        await socket.close()


async def test_a_job_of_discord_is_told_here_as_well(site) -> None:
    from studio.authority import Actor

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


async def test_who_is_not_signed_in_is_told_so_by_the_socket(site) -> None:
    """A page can't read an answer of HTTP to its socket; it knows how a socket was closed."""
    closed = await (await connect(site, site.stranger())).receive(timeout=2)
    assert closed.data == 4401
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await connect(site, site.stranger(), "http://evil.example")
    assert refused.value.status == 403


async def test_who_asks_for_the_socket_like_for_a_page_is_told_what_it_is(site) -> None:
    for browser in (site.you, site.stranger()):
        answer = await browser.get("/api/live", headers={"Origin": site.web.url})
        assert (answer.status, "WebSocket" in answer.data["detail"]) == (400, True)


async def test_a_tab_without_news_is_told_that_there_are_none(site, monkeypatch) -> None:
    assert live.QUIET <= 25.0
    monkeypatch.setattr(live, "QUIET", 0.0)
    socket = await connect(site, site.you)
    assert await socket.receive_json(timeout=2) == {"jobs": [], "changed": [], "complete": True}
    await socket.close()


async def test_where_all_places_are_taken_who_has_most_tabs_gives_one_up(site, monkeypatch) -> None:
    monkeypatch.setattr(live, "MOST", 3)
    mine = [await connect(site, site.you) for _ in range(3)]
    first = await connect(site, await site.person(OTHER))
    assert (await mine[0].receive(timeout=2)).data == 4429
    second = await connect(site, await site.person(OTHER + 1))
    assert (await mine[1].receive(timeout=2)).data == 4429
    third = await connect(site, await site.person(OTHER + 2))
    assert (await third.receive(timeout=2)).data == 1013, "each has one: nobody gives it up"
    for socket in (mine[2], first, second):
        assert not socket.closed
        await socket.close()


async def test_an_ended_session_hears_nothing_after_a_minute(site, monkeypatch) -> None:
    assert live.CHECK_EVERY == 60.0
    socket = await connect(site, await site.person(OTHER))
    monkeypatch.setattr(live, "CHECK_EVERY", 0.0)
    await site.opened.services.database.write(lambda c: c.execute(metadata.tables["sessions"].delete()))
    assert (await socket.receive(timeout=2)).data == 4401


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
