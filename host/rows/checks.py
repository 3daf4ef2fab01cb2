"""What ``atelier doctor`` says of the database, its backups and the pictures that its rows name. It changes
none of them."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from core.errors import StorageError
from core.settings import Settings
from host.installed import Check
from storage import identity, privacy
from storage.engine import sqlite_file
from storage.engine.address import sqlite_path
from storage.engine.looking import Read, looking
from storage.engine.migrate import LAST_BEFORE, newest, oldest, schema
from storage.filing.folder import Folder
from storage.filing.opening import open_files

OLDEST = 130000  # server_version_num; pg_current_xact_id came with 13
EACH = 6  # connections of one bot
MOST_APART = 2.0  # seconds between two clocks: jobs are ordered by them
FILES_AT_ONCE = 500  # that rows are asked for
BACKUPS_OLD = 2 * 86_400.0  # seconds
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


def found(connection: sa.Connection) -> Found | None:
    """Ask the server; None where the database is a file."""
    if connection.dialect.name == "sqlite":
        return None
    before = time.time()
    row = connection.execute(sa.text(_ASK)).one()
    ours = (before + time.time()) / 2
    number, version, connections, encrypted, host, clock = row
    return Found(number, version, connections, encrypted, host, clock - ours)


async def look(settings: Settings, disk: Check) -> list[Check]:
    """Return what is to be said. disk: what was found out about DATA_DIR."""
    address = settings.database
    name, path = str(address).rpartition("@")[2], sqlite_path(address)
    if path is not None and not path.is_file():
        return [_none(settings, path, disk)]
    try:
        async with looking(address) as read:
            rows = await _rows(read, name, path)
            backups = [] if path is None else [_backups(settings, path)]
            readable = not any(line.ok is False for line in rows)
            return [*rows, *backups, *(await _files(read, settings) if readable else [])]
    except StorageError as error:
        return [Check("Database", False, str(error), "look at DATABASE_URL")]


def _none(settings: Settings, path: Path, disk: Check) -> Check:
    """Say that there is no database, and whether there should be."""
    if disk.ok is False:
        return Check("Database", False, f"there can be none at {path}", disk.fix)
    left = [str(one) for one in sqlite_file.backups(path, settings.backups)[-1:]]
    pictures = settings.data_dir / "pictures"
    left += [str(pictures)] if any(pictures.glob("??")) else []
    if left:
        fix = "correct DATA_DIR or DATABASE_URL, or run `atelier restore`"
        return Check("Database", False, f"there is none at {path}, but {' and '.join(left)}", fix)
    fix = "the first start makes it; if there should be one, correct DATA_DIR or DATABASE_URL"
    return Check("Database", None, f"there is none at {path} yet", fix)


async def _rows(read: Read, name: str, path: Path | None) -> list[Check]:
    """Say whether the rows are sound and of this program's schema."""
    if path is not None:
        if flaw := await asyncio.to_thread(sqlite_file.flaw, path, sqlite_file.read_only):
            fix = "`atelier restore` puts the newest sound backup back"
            return [Check("Database", False, f"{path} is damaged ({flaw})", fix)]
        holder = await asyncio.to_thread(sqlite_file.ProcessLock(path).holder)
        name += "" if holder is None else f", in use: Atelier is running (process {holder})"
    server, now = await read(found), await read(schema)
    lines = [Check("Database", True, name)] if server is None else checks(server, name)
    if now is not None and now > newest():
        fix = "update Atelier, or put a backup from before that back: `atelier restore NAME`"
        told = f"schema {now} is a newer Atelier's; this one knows up to {newest()}"
        lines.append(Check("Database", False, told, fix))
    elif now is not None and now < oldest():
        fix = f"start once with commit {LAST_BEFORE}, which brings it up, or begin anew in another DATA_DIR"
        told = f"schema {now} is from before release 0.1.0; this Atelier knows schemas from {oldest()} on"
        lines.append(Check("Database", False, told, fix))
    elif now != newest():
        fix = (
            "back it up, then run `atelier migrate`"
            if server
            else "the next start brings it up, after a backup"
        )
        lines.append(Check("Database", None, f"schema {now}; this Atelier's is {newest()}", fix))
    return lines


def _backups(settings: Settings, path: Path) -> Check:
    """Say how old the file's backups are."""
    ages = [time.time() - sqlite_file.made_at(one) for one in sqlite_file.backups(path, settings.backups)]
    usual = settings.data_dir / "backups"
    if usual != settings.backups and (left := sqlite_file.backups(path, usual)):
        fix = "move or delete them: nothing does by itself, and they hold what people delete"
        return Check("Backups", None, f"{len(left)} lie in {usual} still, beside BACKUP_DIR", fix)
    if not ages:
        fix = "one is made each day while Atelier runs, and by `atelier backup`"
        return Check("Backups", None, f"there is none in {settings.backups}", fix)
    told = (
        f"{len(ages)} in {settings.backups}, the newest {_age(min(ages))} old, the oldest {_age(max(ages))}"
    )
    fix = "one is made each day while Atelier runs: has it run, and is there room?"
    return Check("Backups", True if min(ages) < BACKUPS_OLD else None, told, fix)


def _age(seconds: float) -> str:
    return f"{seconds / 86_400:.0f} days" if seconds > BACKUPS_OLD else f"{seconds / 3600:.0f} h"


async def _files(read: Read, settings: Settings) -> list[Check]:
    """Say how many files rows name, and how many of them are there. No bucket is listed: that costs money."""
    files = open_files(settings)
    if not isinstance(files, Folder) or await read(schema) != newest():
        return []
    try:
        await identity.look(read, files, settings.data_dir, settings.backups)
    except StorageError as error:
        return [Check("Studio", False, str(error), "docs/hosting.md, What belongs together")]
    names = await asyncio.to_thread(lambda: list(files.all()))
    known = 0
    for first in range(0, len(names), FILES_AT_ONCE):
        some = names[first : first + FILES_AT_ONCE]
        known += len(await read(partial(privacy.known_files, sha256s=some)))
    named = await read(privacy.count_files)
    told = (
        f"{named:,} named by rows, {known:,} of them in {files.root}; {len(names) - known:,} that none names"
    )
    fix = "is FILES_URL or DATA_DIR right, and mounted? Else copy them from a backup of the pictures"
    return [Check("Pictures", True if known >= named else None, told, fix)]


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
