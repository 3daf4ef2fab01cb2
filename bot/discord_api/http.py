"""Requests to Discord, and to nobody else: what must get through is repeated where discord.py gives up, and a
breaker counts what could lead to a ban.

discord.py 2.7.1 raises at once on connection resets, closed connections, and on 503 and 520 from bot routes;
a result must outlive those. An answer that can't be read (cut off, or of a content type that discord.py hands
on as plain text) may mean that the call was carried out. Only idempotent calls go through ``attempt``: edits,
and sends with an enforced nonce. The breaker counts every answer of Discord's, whoever asked: also those that
discord.py deals with itself, such as a 429 after which it waits, and those of acknowledgements and whispers.
No address from a prompt, an option or a message is ever fetched.
"""

import asyncio
import logging
import random
import re
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, TypeVar

import aiohttp
import discord
import yarl

from core.errors import ImageError

log = logging.getLogger(__name__)
T = TypeVar("T")

INVALID_WINDOW = 600.0  # seconds; Discord bans an address at 10,000 invalid requests in 10 minutes
INVALID_LIMIT = 500  # 5 % of that
# The scope of a 429 that Discord doesn't count, since others filled that limit:
# https://discord.com/developers/docs/topics/rate-limits#invalid-request-limit-aka-cloudflare-bans
SHARED = "shared"
# What discord.py raises over an answer that isn't the JSON it expects
GARBLED = (AttributeError, KeyError, TypeError, ValueError)
GARBLED_TRIES = 6  # after that many, the answers are not what is wrong
# All that ``Transport.attempt`` raises when Discord fails
FAILURES = (discord.HTTPException, aiohttp.ClientError, OSError)
ROUTES = 200  # that are told apart; Discord has about so many
# https://discord.com/developers/docs/reference#snowflakes, #http-api; a token stands behind its webhook's id
_VERSION, _ID = re.compile(r"^/api(/v\d+)?"), re.compile(r"/\d+(?=/|$)")
_TOKEN = re.compile(r"^(/(?:webhooks|interactions)/\{id\})/[^/]+")
_EMOJI = re.compile(r"/reactions/[^/]+")
# HTTP statuses of a place that is out of reach: token expired, message or channel gone, no permission
GONE = (401, 403, 404)


class Breaker:
    """Counts 401, 403 and 429 answers. While it is open, nothing should be sent that may fail again."""

    def __init__(
        self,
        limit: int = INVALID_LIMIT,
        window: float = INVALID_WINDOW,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit, self._window, self._clock = limit, window, clock
        self._times: deque[float] = deque()

    def count(self, status: int) -> None:
        """Count the HTTP status of an answer, if it is an invalid one."""
        if status in (401, 403, 429):
            self._times.append(self._clock())

    @property
    def invalid(self) -> int:
        """The number of invalid requests inside the window."""
        while self._times and self._times[0] < self._clock() - self._window:
            self._times.popleft()
        return len(self._times)

    @property
    def open(self) -> bool:
        """Whether the limit is reached."""
        return self.invalid >= self._limit


class RestCounts:
    """Counts answers of Discord's by route and HTTP status, without an id or a token in any of them."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, int]] = Counter()
        self._routes: dict[str, None] = {}

    def count(self, method: str, path: str, status: int) -> None:
        """Count an answer. Routes beyond ``ROUTES`` are one, "other"."""
        route = f"{method} {route_of(path)}"
        if route not in self._routes and len(self._routes) >= ROUTES:
            route = "other"
        self._routes[route] = None
        self.counts[route, status] += 1


def route_of(path: str) -> str:
    """Return the route of a path of Discord's interface, such as ``/channels/{id}/messages``."""
    path = _ID.sub("/{id}", _VERSION.sub("", path))
    return _EMOJI.sub("/reactions/{emoji}", _TOKEN.sub(r"\1/{token}", path))


class Transport:
    """Repeats calls that fail. ``pause`` sleeps for some seconds."""

    def __init__(
        self, breaker: Breaker | None = None, pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self.breaker, self._pause, self.rest = breaker or Breaker(), pause, RestCounts()

    def watch(self, trace: aiohttp.TraceConfig) -> None:
        """Count the answers in a session with ``trace``."""
        trace.on_request_end.append(self._on_answer)

    async def _on_answer(
        self, session: aiohttp.ClientSession, context: SimpleNamespace, request: Any
    ) -> None:
        status, path = request.response.status, request.url.path
        if request.response.headers.get("X-RateLimit-Scope") != SHARED:
            self.breaker.count(status)
        if path.startswith("/api/"):  # else a picture, or the gateway's upgrade
            self.rest.count(request.method, path, status)

    async def attempt(self, call: Callable[[], Awaitable[T]], *, patience: float) -> T:
        """Return the result of ``call()``, repeated with growing, jittered pauses while it fails, as long as
        they don't exceed ``patience`` seconds in all. Raises what ``call`` raised last, one of FAILURES; 4xx
        other than 429 at once, since they stay wrong."""
        spent, delay, garbled = 0.0, 0.5, 0
        while True:
            try:
                return await call()
            except discord.HTTPException as error:
                if error.status != 429 and error.status < 500:
                    raise
                failure: Exception = error
            except (aiohttp.ClientError, OSError) as error:
                failure = error
            except GARBLED as error:
                garbled += 1
                failure = aiohttp.ClientPayloadError(f"unreadable answer ({type(error).__name__}: {error})")
                failure.__cause__ = error
                if garbled >= GARBLED_TRIES:
                    raise failure from error
            wait = min(30.0, delay) * random.uniform(0.5, 1.0)
            if self.breaker.open:
                wait += 30.0
            if spent + wait > patience:
                raise failure
            log.warning("Discord call failed (%s), again in %.1f s", type(failure).__name__, wait)
            await self._pause(wait)
            spent, delay = spent + wait, delay * 2


# Hosts of attachments; https://discord.com/developers/docs/reference#image-formatting
CDN = frozenset({"cdn.discordapp.com", "media.discordapp.net"})
SIMULATED = frozenset({"cdn.simcord.invalid"})  # the sandbox simulator's; the name resolves nowhere
API = frozenset({"discord.com", "gateway.discord.gg", "status.discord.com"})
GATEWAYS = ".discord.gg"  # of resumed sessions, such as gateway-us-east1-b.discord.gg


class ForeignHost(aiohttp.ClientError):
    """A request to another host than Discord's, which was not made."""


def check_attachment(address: str, servers: frozenset[str] = CDN) -> None:
    """Raise ImageError unless ``address`` is a file on Discord's own ``servers``."""
    try:
        url = yarl.URL(address)
        way = url.scheme, url.port, url.user, url.password
        fine = way == ("https", 443, None, None) and url.host in servers
    except ValueError:
        fine = False
    if not fine:
        raise ImageError("That file isn't on Discord's own servers; attach the picture itself.")


def check_request(url: yarl.URL) -> None:
    """Raise ForeignHost unless ``url`` is Discord's."""
    host = url.host or ""
    if url.scheme not in ("https", "wss") or not (host in CDN or host in API or host.endswith(GATEWAYS)):
        raise ForeignHost(f"a request to {host[:80]!r} was stopped")


def trace() -> aiohttp.TraceConfig:
    """Return what makes discord.py's own session stop each request to another host before it connects, and
    follow no redirect."""

    async def check(session: aiohttp.ClientSession, context: SimpleNamespace, request: Any) -> None:
        check_request(request.url)

    async def refuse(session: aiohttp.ClientSession, context: SimpleNamespace, request: Any) -> None:
        raise ForeignHost(f"a redirect by {request.url.host!r} was not followed")

    config = aiohttp.TraceConfig()
    config.on_request_start.append(check)
    config.on_request_redirect.append(refuse)
    return config
