"""What ``atelier doctor`` says of a database server."""

from __future__ import annotations

import time
from dataclasses import dataclass

import sqlalchemy as sa

from host.installed import Check
from storage.database import Database

OLDEST = 130000  # server_version_num; pg_current_xact_id came with 13
EACH = 6  # connections of one bot
MOST_APART = 2.0  # seconds between two clocks: jobs are ordered by them
_ASK = """
SELECT current_setting('server_version_num')::int, current_setting('server_version'),
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
       coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false),
       coalesce(host(inet_server_addr()), ''), extract(epoch FROM clock_timestamp())::float
"""


@dataclass(frozen=True)
class Found:
    """A server as it answers. connections: for ordinary users. host: of the server's end of the line, "" = a
    socket on this machine. apart: seconds that its clock is before ours."""

    number: int
    version: str
    connections: int
    encrypted: bool
    host: str
    apart: float


async def found(database: Database) -> Found | None:
    """Ask the server; None where the database is a file. Raises StorageError."""
    if database.path is not None:
        return None
    before = time.time()
    row = await database.read(lambda connection: connection.execute(sa.text(_ASK)).one(), once=True)
    ours = (before + time.time()) / 2
    number, version, connections, encrypted, host, clock = row
    return Found(number, version, connections, encrypted, host, clock - ours)


def checks(server: Found, name: str) -> list[Check]:
    """Return a line for what is there, and one for each thing to look at. name: of the database, without a
    password."""
    lines = [Check("Database", True, f"{name}, PostgreSQL {server.version}")]
    if server.number < OLDEST:
        fix = "upgrade the server"
        return [Check("Database", False, f"PostgreSQL {server.version}: Atelier needs 13 or newer", fix)]
    if server.connections < EACH:
        text = f"it takes {server.connections} connections, one bot needs {EACH}"
        lines.append(Check("Database", False, text, "raise max_connections of the server"))
    if not server.encrypted and server.host not in ("", "127.0.0.1", "::1"):
        fix = "add ?sslmode=verify-full to DATABASE_URL, and ssl = on to the server"
        lines.append(Check("Database", None, "anybody on the way can read prompts and the password", fix))
    if abs(server.apart) > MOST_APART:
        text = f"its clock is {server.apart:+.0f} s from ours"
        lines.append(Check("Database", None, text, "set both clocks by NTP: jobs are ordered by their times"))
    return lines
