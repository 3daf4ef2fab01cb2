"""What is tried again when a request to Discord fails, and when nothing is."""

from types import SimpleNamespace
from unittest.mock import AsyncMock

import aiohttp
import discord
import pytest
from aiohttp import web

from bot.discord_api.http import ROUTES, Breaker, RestCounts, Transport, route_of
from bot.discord_api.interactions import acknowledge


class _Answer:
    def __init__(self, status: int) -> None:
        self.status, self.reason = status, "x"


def _error(status: int) -> discord.HTTPException:
    kind = {404: discord.NotFound, 403: discord.Forbidden}.get(
        status, discord.DiscordServerError if status >= 500 else discord.HTTPException
    )
    return kind(_Answer(status), {"code": 0, "message": "x"})


def _scripted(*outcomes):
    script = iter(outcomes)

    async def call():
        outcome = next(script)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    return call


def _transport(pauses: list[float]) -> Transport:
    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    return Transport(pause=pause)


@pytest.mark.parametrize(
    "failure",
    [
        *map(_error, (503, 520, 500, 429)),
        aiohttp.ServerDisconnectedError(),
        ConnectionResetError(),
        aiohttp.ClientOSError(),
        TimeoutError(),
    ],
    ids=["503", "520", "500", "429", "closed", "reset", "os error", "timeout"],
)
async def test_what_may_pass_is_tried_again(failure: BaseException) -> None:
    pauses: list[float] = []
    assert await _transport(pauses).attempt(_scripted(failure, failure, "sent"), patience=60) == "sent"
    assert len(pauses) == 2 and pauses[1] >= pauses[0] * 0.5


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413])
async def test_what_stays_wrong_is_not_tried_again(status: int) -> None:
    with pytest.raises(discord.HTTPException):
        await _transport([]).attempt(_scripted(_error(status)), patience=60)


async def test_an_open_breaker_makes_every_pause_half_a_minute_longer() -> None:
    pauses: list[float] = []
    transport = _transport(pauses)
    transport.breaker = Breaker(limit=2)
    answer = _scripted(_error(429), _error(429), _error(429), "sent")

    async def counted() -> str:
        transport.breaker.count(429)  # as the trace of the client's session does
        return await answer()

    await transport.attempt(counted, patience=600)
    assert pauses[0] < 1 and all(30 < pause < 33 for pause in pauses[1:]), pauses


async def test_patience_ends() -> None:
    with pytest.raises(discord.DiscordServerError):
        await _transport([]).attempt(_scripted(*[_error(503)] * 50), patience=10)


def test_the_breaker_opens_at_its_limit_and_closes_with_time() -> None:
    now = [0.0]
    breaker = Breaker(limit=3, window=10, clock=lambda: now[0])
    for status in (401, 200, 403, 500, 429):
        breaker.count(status)
    assert breaker.open
    now[0] = 11
    assert not breaker.open


@pytest.mark.parametrize(
    ("status", "headers", "counted"),
    [
        (429, {"X-RateLimit-Scope": "user"}, 1),
        (429, {}, 1),  # of Cloudflare
        (429, {"X-RateLimit-Scope": "shared"}, 0),
        (401, {}, 1),
        (403, {}, 1),
        (404, {}, 0),
        (200, {}, 0),
    ],
)
async def test_the_breaker_counts_each_answer_whoever_asked(status, headers, counted) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, headers=headers)

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    trace, breaker = aiohttp.TraceConfig(), Breaker()
    Transport(breaker).watch(trace)
    async with aiohttp.ClientSession(trace_configs=[trace]) as session:
        await session.get(f"http://127.0.0.1:{runner.addresses[0][1]}/")
    await runner.cleanup()
    assert breaker.invalid == counted


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/api/v10/channels/123456789012345678/messages", "/channels/{id}/messages"),
        ("/api/v10/channels/123456789012345678/messages/223456789012345678", "/channels/{id}/messages/{id}"),
        ("/api/v10/interactions/123456789012345678/aW50ZX/callback", "/interactions/{id}/{token}/callback"),
        ("/api/v10/webhooks/123456789012345678/aW50-token", "/webhooks/{id}/{token}"),
        ("/api/v10/webhooks/1002/aW50-token", "/webhooks/{id}/{token}"),
        ("/api/v10/webhooks/123456789012345678/aW50/messages/@original",
         "/webhooks/{id}/{token}/messages/@original"),
        ("/api/v10/channels/123456789012345678/messages/223456789012345678/reactions/%E2%9C%85/@me",
         "/channels/{id}/messages/{id}/reactions/{emoji}/@me"),
        ("/api/v10/gateway/bot", "/gateway/bot"),
    ],
)  # fmt: skip
def test_a_route_has_neither_ids_nor_tokens(path: str, route: str) -> None:
    assert route_of(path) == route


def test_answers_are_counted_by_route_and_status_and_routes_are_bounded() -> None:
    counts = RestCounts()
    for channel in (123456789012345678, 223456789012345678):
        counts.count("GET", f"/api/v10/channels/{channel}", 200)
    counts.count("GET", "/api/v10/channels/123456789012345678", 429)
    assert counts.counts == {("GET /channels/{id}", 200): 2, ("GET /channels/{id}", 429): 1}
    for number in range(2 * ROUTES):
        counts.count("GET", f"/api/v10/new/n{number}", 404)
    assert len({route for route, _ in counts.counts}) <= ROUTES + 1
    assert counts.counts["other", 404] == ROUTES + 1


async def test_what_an_earlier_process_has_acknowledged_is_dealt_with_here() -> None:
    error = discord.HTTPException(_Answer(400), {"code": 40060, "message": "x"})
    response = SimpleNamespace(is_done=lambda: False, defer=AsyncMock(side_effect=error))
    assert await acknowledge(SimpleNamespace(id=1, client=None, response=response, extras={}))
