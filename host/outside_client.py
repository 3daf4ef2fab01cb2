"""Calls hosts elsewhere for people: only at addresses that are allowed, checked as the socket is made, within
seconds, and without reading what they send."""

import socket
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp

from core.outside import Answered, Hosts, Unanswered, read_address

PATIENCE, CONNECT = 15.0, 5.0  # seconds for a whole call, and for its connection
AGENT = "Atelier"


class Outgoing:
    """Posts to ``hosts``. No proxy of the environment is used: it would connect to what isn't
    checked."""

    def __init__(self, hosts: Hosts, patience: float = PATIENCE) -> None:
        self._hosts = hosts
        self._timeout = aiohttp.ClientTimeout(total=patience, sock_connect=min(CONNECT, patience))

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> Answered:
        """Send ``body`` to ``url`` and return the status. Raises Unanswered, UserError for an address that
        isn't allowed by its text."""
        self._hosts.check_url(url)
        plain, refused = url.startswith("http:"), list[str]()

        def checked(info: tuple[Any, ...]) -> socket.socket:
            family, kind, protocol, _name, address = info
            found = read_address(address[0].partition("%")[0])
            if found is None or not self._hosts.reaches(found, plain=plain):
                refused.append(address[0])
                raise OSError("this address isn't allowed")
            return socket.socket(family, kind, protocol)

        connector = aiohttp.TCPConnector(socket_factory=checked, force_close=True, use_dns_cache=False)
        session = aiohttp.ClientSession(
            connector=connector, timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar()
        )
        try:
            async with session:
                told = headers | {"User-Agent": AGENT}
                options: dict[str, Any] = {"data": body, "headers": told, "allow_redirects": False}
                answer = await session.post(url, **options)
                answer.close()  # what it says is of no use here, however long
                return Answered(answer.status, _wait(answer.headers.get("Retry-After", "")))
        except TimeoutError:
            raise Unanswered("late") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            why = "unknown" if isinstance(error, aiohttp.ClientConnectorDNSError) else "broken"
            if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
                why = "certificate"
            raise Unanswered("forbidden" if refused else why) from error


def _wait(text: str) -> float:
    """Return the seconds of a Retry-After: https://www.rfc-editor.org/rfc/rfc9110#name-retry-after"""
    if text.strip().isdecimal():
        return float(text.strip()[:9])
    try:
        then = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return max(0.0, (then.replace(tzinfo=then.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
