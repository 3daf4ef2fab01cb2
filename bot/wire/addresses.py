"""Where this process may speak to: Discord, and nobody else. No address from a prompt, an option or a message
is ever fetched."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import aiohttp
import yarl

from core.errors import ImageError

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
        fine = (
            url.scheme == "https"
            and url.host in servers
            and url.port == 443
            and url.user is None
            and url.password is None
        )
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
    config = aiohttp.TraceConfig()
    config.on_request_start.append(_on_start)
    config.on_request_redirect.append(_on_redirect)
    return config


async def _on_start(session: aiohttp.ClientSession, context: SimpleNamespace, request: Any) -> None:
    check_request(request.url)


async def _on_redirect(session: aiohttp.ClientSession, context: SimpleNamespace, request: Any) -> None:
    raise ForeignHost(f"a redirect by {request.url.host!r} was not followed")
