"""Where the bot's process may speak to, on real connections."""

from unittest.mock import AsyncMock

import aiohttp
import pytest
import yarl
from aiohttp import web

from bot.discord_api import attachments, http
from bot.discord_api.attachments import DiscordFile
from core.errors import ImageError
from proofs.security import links


def test_only_files_on_discords_own_servers_are_taken() -> None:
    assert len(links.corpus()) >= 200
    assert links.let_through(links.corpus()) == []
    assert (
        len(
            links.let_through(
                [
                    "https://cdn.discordapp.com/attachments/1/2/a.png?ex=1",
                    "https://media.discordapp.net/a.png",
                ]
            )
        )
        == 2
    )


@pytest.mark.parametrize(
    "address",
    [
        "https://discord.com/api",
        "wss://gateway.discord.gg/",
        "wss://gateway-us-east1-b.discord.gg/",
        "https://cdn.discordapp.com/a",
    ],
)
def test_discord_may_be_spoken_to(address: str) -> None:
    http.check_request(yarl.URL(address))


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/",
        "http://discord.com/",
        "https://discord.com.evil.example/",
        "https://evildiscord.gg/",
    ],
)
def test_nobody_else_may_be(address: str) -> None:
    with pytest.raises(http.ForeignHost):
        http.check_request(yarl.URL(address))


@pytest.fixture
async def server():
    """Answers /here, sends /away somewhere else; counts."""
    calls: list[str] = []

    async def here(request: web.Request) -> web.Response:
        calls.append(request.path)
        return web.Response(text="here")

    async def away(request: web.Request) -> web.Response:
        calls.append(request.path)
        raise web.HTTPFound("/here")

    app = web.Application()
    app.add_routes([web.get("/here", here), web.get("/away", away)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", calls
    await runner.cleanup()


async def test_a_foreign_host_gets_no_connection(server) -> None:
    address, calls = server
    async with aiohttp.ClientSession(trace_configs=[http.trace()]) as session:
        with pytest.raises(http.ForeignHost):
            await session.get(f"{address}/here")
        with pytest.raises(http.ForeignHost):  # as a kept session might name it, to be told the token
            await session.ws_connect(f"{address}/here")
    assert calls == []
    async with aiohttp.ClientSession() as session:
        assert await (await session.get(f"{address}/here")).text() == "here"


async def test_a_redirect_is_not_followed(server, monkeypatch: pytest.MonkeyPatch) -> None:
    address, calls = server
    monkeypatch.setattr(http, "check_request", lambda url: None)
    async with aiohttp.ClientSession(trace_configs=[http.trace()]) as session:
        with pytest.raises(http.ForeignHost, match="redirect"):
            await session.get(f"{address}/away")
    assert calls == ["/away"]


async def test_a_linked_file_that_leads_elsewhere_is_not_fetched_from_there(server) -> None:
    """Also without the trace that watches every connection."""
    address, calls = server
    async with aiohttp.ClientSession() as session:
        assert await attachments.read_at_most(session, f"{address}/here", 100) == b"here"
        with pytest.raises(ImageError, match="302"):
            await attachments.read_at_most(session, f"{address}/away", 100)
    assert calls == ["/here", "/away"]


async def test_an_attachment_from_elsewhere_is_refused(tmp_path) -> None:
    from proofs.security.pictures import unnoted
    from storage.blobs.local import Folder
    from studio.media.uploads import Intake

    url = "https://evil.example/a.png"
    sent = DiscordFile("a.png", 1, url, http.CDN, AsyncMock(return_value=b""))
    with pytest.raises(ImageError, match="Discord's own servers"):
        await Intake(Folder(tmp_path), 10**6, unnoted).take(sent, 1)
    assert not sent.fetch.called
