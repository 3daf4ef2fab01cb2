"""What a host sets about servers beside the program: a database, and a bus between programs."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from core.setting.field import setting
from core.setting.values import on_or_off

_WORD = re.compile(r"[A-Za-z0-9_-]{1,63}", re.ASCII)
GROUP = "Workers elsewhere"


def bus_servers(text: str) -> tuple[str, ...]:
    """Return the addresses of NATS servers, separated by commas. Raises ValueError."""
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    for part in parts:
        found = urlsplit(part)
        try:
            port = found.port
        except ValueError:
            port = 0
        if found.scheme not in ("nats", "tls") or not found.hostname or port == 0 or found.path.strip("/"):
            raise ValueError("takes addresses such as nats://10.0.0.1:4222 or tls://bus.example.org:4222")
        if "@" in found.netloc:
            raise ValueError("takes no name or password; they stand in BUS_CREDS")
    if len({urlsplit(part).scheme for part in parts}) > 1:
        raise ValueError("takes either nats:// or tls:// for all servers")
    return parts


def word(text: str) -> str:
    """Return a word that subjects of the bus may hold. Raises ValueError."""
    if text and not _WORD.fullmatch(text):
        raise ValueError("takes up to 63 letters, digits, hyphens and underscores")
    return text


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """The settings of a database, of the bus, and of what both are for."""

    database_url: str = setting(
        "",
        "postgresql+psycopg://user:password@host/name for a PostgreSQL server; empty = SQLite in DATA_DIR",
        group="Storage",
        secret=True,
    )
    migrate: bool = setting(
        "off",
        "bring a PostgreSQL database that has rows to this program's schema at a start; on = you make backups"
        " of it yourself",
        on_or_off,
        group="Storage",
    )
    bus_url: tuple[str, ...] = setting(
        "",
        "NATS server that connects the bot with workers on other machines, such as tls://bus.example.org:4222"
        " (needs the extra scale); empty = workers of this machine only",
        bus_servers,
        group=GROUP,
    )
    bus_creds: str = setting(
        "",
        "who this program is on the bus: user:password, or the path of a file with that, an nkey's seed, or"
        " what NATS calls credentials",
        group=GROUP,
        secret=True,
    )
    bus_ca: str = setting(
        "", "file of the authority that signed the bus's certificate; empty = the system's", group=GROUP
    )
    bus_prefix: str = setting(
        "at", "first word of all subjects on the bus: one studio, one word", word, group=GROUP
    )
    node_name: str = setting(
        "", "what this machine is called on the bus; empty = its host name", word, group=GROUP
    )

    @property
    def node(self) -> str:
        """What this machine is called on the bus."""
        return self.node_name or re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname())[:63] or "node"
