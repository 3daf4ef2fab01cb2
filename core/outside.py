"""Which hosts elsewhere this process may call for people, and what comes of a call.
``host/outside_client.py`` makes the calls.

An address counts, not what a name says of itself: whoever owns a name can point it at this machine's own
network, and point it elsewhere a second later (DNS rebinding). So names are checked when they are given, and
each address at the moment of connecting.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Protocol
from urllib.parse import urlsplit

from core.errors import UserError
from core.language import N_, _

PUBLIC = "public"  # in a list of hosts: every host that the internet reaches
LONGEST_URL = 500  # characters
FREE_PORTS = 1024  # from here on; below, only those of the web: mail and other services listen there
WEB_PORTS = (80, 443)
# All of IPv6 that IANA has given out: https://www.iana.org/assignments/ipv6-unicast-address-assignments
UNICAST = IPv6Network("2000::/3")
_NAME = re.compile(
    r"(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")  # as a last label it makes a name an address: 127.1, 0x7f000001
_TEXT = re.compile(r"[!-~]+")  # of an address that all readers of addresses read alike
Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class Hosts:
    """names: such as hooks.example.org; one that begins with a dot stands for all below it. networks: where
    addresses may lie that the internet doesn't reach. public: any name may be called."""

    names: frozenset[str] = frozenset()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    public: bool = False

    @classmethod
    def of(cls, parts: tuple[str, ...]) -> "Hosts":
        """Return what a list allows: "public", names, *.names and networks. Raises ValueError."""
        names, networks = set[str](), []
        for part in parts:
            text = part.lower()
            if text == PUBLIC:
                continue
            if re.fullmatch(r"[0-9.]+(?:/\d+)?|[0-9a-f:.]*:[0-9a-f:.]*(?:/\d+)?", text):
                networks.append(ip_network(text))
            elif _NAME.fullmatch(text.removeprefix("*.")):
                names.add(text.removeprefix("*"))
            else:
                raise ValueError(f"{part!r} is neither a host nor a network")
        return cls(frozenset(names), tuple(networks), PUBLIC in map(str.lower, parts))

    def __bool__(self) -> bool:
        return bool(self.names or self.networks or self.public)

    def check_url(self, url: str) -> None:
        """Raise UserError unless an address may be called, as far as its text tells."""
        wrong = UserError(_("A webhook takes an address such as https://hooks.example.org/atelier."))
        if len(url) > LONGEST_URL or not _TEXT.fullmatch(url) or "\\" in url or "#" in url:
            raise wrong
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise wrong from None
        if parts.scheme not in ("http", "https") or "@" in parts.netloc or not host:
            raise wrong
        literal = _address(host)
        if literal is None and (not _NAME.fullmatch(host) or _NUMBER.fullmatch(host.rpartition(".")[2])):
            raise wrong
        plain = parts.scheme == "http"
        if plain and not self.networks:
            raise UserError(_("Here webhooks take https only."))
        inside = literal is not None and self._inside(literal)
        if port is not None and not inside and port not in WEB_PORTS and port < FREE_PORTS:
            raise UserError(_("Webhooks take the ports 80, 443, and 1024 or higher."))
        if literal is None:
            labels = host.split(".")
            ways = {host, *("." + ".".join(labels[n:]) for n in range(1, len(labels)))}
            named = self.public or bool(ways & self.names)
        else:
            named = self.public and self.reaches(literal, plain=plain)
        if not (inside or named):
            raise UserError(_("The operator doesn't allow webhooks to {host}.", host=host))

    def reaches(self, address: Address, *, plain: bool) -> bool:
        """Return whether this address may be connected to. plain: without TLS, which only ``networks`` may
        be."""
        if self._inside(address):
            return True
        return not plain and bool(self.public or self.names) and is_public(address)

    def _inside(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


def is_public(address: Address) -> bool:
    """Return whether an address lies on the internet, for sure: none that stands for another address does, as
    of a tunnel (6to4, Teredo) or a translator (NAT64, IPv4-mapped)."""
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast
    tunnel = address.sixtofour is not None or address.teredo is not None
    return address in UNICAST and address.is_global and not tunnel


def read_address(text: str) -> Address | None:
    """Return the address that a socket is to connect to, None for anything else. An IPv4 address inside an
    IPv6 one is itself."""
    address = _address(text)
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _address(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


@dataclass(frozen=True)
class Answered:
    """What a host answered. wait: seconds that it wants to be left alone, 0 = it doesn't say."""

    status: int
    wait: float = 0.0


class Unanswered(Exception):
    """A host that gave no answer. why: forbidden, unknown, late, certificate or broken."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Posting(Protocol):
    """Sends something to a host elsewhere."""

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> Answered:
        """Send ``body`` and return the answer, whatever it is; no redirect is followed and nothing of its
        body is read. Raises Unanswered."""


LATE = N_("The camera doesn't answer.")
NO_KEY = N_("The camera's stream had no key frame for {seconds:.0f} seconds.")
LOGIN = N_("The camera wants another user name or password.")
OTHER = N_("The camera sends {what}. JPEG, PNG, MJPEG, H.264 and H.265 can be read.")
BROKEN = N_("The camera's answer can't be read.")
REFUSED = N_("The camera answers {status}.")
LARGE = N_("The camera sends more than {most:.0f} MB at once.")
NO_VIDEO = N_("no video")
NO_BROKER = N_("The MQTT broker doesn't answer.")
MQTT = "mqtt:"  # begins the place of a camera whose pictures come by a topic
STATUS = "atelier/status"  # topic: online or offline


@dataclass(frozen=True)
class Still:
    """What a camera shows. codec: "" of a picture's file; "h264" or "hevc" of a key frame with all that its
    decoder needs, as a raw stream."""

    data: bytes
    codec: str = ""


class Cameras(Protocol):
    """Looks at cameras that the operator has named."""

    async def still(self, url: str) -> Still:
        """Return what a camera shows now. Raises UserError, which says why that can't be had."""


class Broker(Protocol):
    """A broker of MQTT."""

    def after(self, topic: str, number: int) -> tuple[int, bytes] | None:
        """Return the first picture that came by a topic after ``number``, with its own, None where there is
        none. Raises UserError while there is no connection."""

    async def publish(self, topic: str, payload: Mapping[str, Any] | str, *, keep: bool = False) -> None:
        """Tell whoever has subscribed to a topic. keep: also who comes later."""
