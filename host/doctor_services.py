"""What ``atelier doctor`` says of what is installed, of the database, its backups and the files that its rows
name, of the bus and of what was deleted by itself, none of which it changes; and ``atelier move-files``."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import sqlalchemy as sa

from core import profiles
from core.errors import AtelierError, BusError, FilesAway, SettingsError, StorageError
from core.settings import BucketAddress, Settings, files_address
from storage import identity, privacy
from storage.blobs import Moved, move, open_at, open_bucket, open_files
from storage.blobs.base import OWNER
from storage.blobs.local import Folder
from storage.engines import sqlite
from storage.engines.base import sqlite_path
from storage.identity import MARK, Read, read_only
from storage.migrate import LAST_BEFORE, newest_schema, oldest_schema, read_schema
from studio.janitor import last_report
from studio.media.provenance import Credentials
from vision.video import codecs

if TYPE_CHECKING:
    from jobs.cluster.nats import Bus


FLOORS = {  # the lowest versions with known fixes that the code is written for
    "discord.py": "2.7.1",
    "torch": "2.10",
    "diffusers": "0.39",
    "transformers": "5.3",
    "pillow": "12.3",
    "aiohttp": "3.13.4",
    "sqlalchemy": "2.0.40",
}


@dataclass(frozen=True)
class Check:
    """One line of the report. ``ok``: None means that somebody should have a look. ``fix``: what to do."""

    name: str
    ok: bool | None
    found: str
    fix: str = ""

    @property
    def page(self) -> str:
        """Where the docs say more."""
        return f"docs/host/troubleshooting.md#doctor-{self.name.lower().replace(' ', '-')}"


def check_python() -> Check:
    """Return whether this Python works with everything."""
    text = ".".join(map(str, sys.version_info[:3]))
    if (3, 14) <= sys.version_info[:3] < (3, 14, 5):  # https://docs.python.org/3.15/whatsnew/3.15.html#gc
        fix = "take 3.14.5 or newer, which has the collector of 3.13 again"
        return Check("Python", None, f"{text}, whose garbage collector lets memory grow", fix)
    fix = "install Python 3.11 or newer and run `make setup` with PYTHON=python3.12, say"
    return Check("Python", sys.version_info >= (3, 11), text, fix)


def check_packages() -> Check:
    """Return whether the packages are there and new enough."""
    wrong = []
    for name, floor in FLOORS.items():
        try:
            found = version(name)
        except PackageNotFoundError:
            wrong.append(f"{name} is missing")
            continue
        if _numbers(found) < _numbers(floor):
            wrong.append(f"{name} {found} is older than {floor}")
    fix = "run `make setup`, or delete .venv and run it again"
    return Check("Packages", not wrong, "; ".join(wrong) or "all there", fix)


def check_extras(ocr: str) -> Iterator[Check]:
    """Say what can't be done here until an extra is installed. ocr: the setting OCR."""
    lacking = {} if profiles.can_train() else {"train": "custom models can't be trained"}
    if ocr == "rapid" and not profiles.is_installed("rapidocr"):
        lacking["ocr"] = "text in pictures can't be read"
    if lacking:
        yield Check("Extras", None, "; ".join(lacking.values()), f"make setup EXTRAS={','.join(lacking)}")


def check_videos(encoder: str, version: str, today: date) -> Check:
    """Return whether videos can be made as the setting wants, by a library that isn't old."""
    try:
        name = codecs.encoder_of(encoder).name
    except ValueError as error:
        return Check("Videos", False, f"VIDEO_ENCODER={encoder}: {error}", "set VIDEO_ENCODER=auto")
    text = f"PyAV {version}, {name}"
    if codecs.is_old(version, today):
        fix = (
            "run `pip install --upgrade av`: it decodes uploaded videos, and its FFmpeg gets security fixes"
            " often"
        )
        return Check("Videos", None, f"{text}; it is more than a year old", fix)
    return Check("Videos", True, text)


def check_certificate(certificate: Path, key: Path) -> Check:
    """Return whether what leaves can be signed by the host's certificate."""
    try:
        Credentials(certificate, key)
    except AtelierError as error:
        fix = "set neither to send pictures with the mark alone; docs/host/hardening.md says which keys do"
        return Check("C2PA", False, str(error), fix)
    return Check("C2PA", True, f"signs by {certificate.name}")


def check_secrets(files: Mapping[str, Path]) -> list[Check]:
    """Return a line for each file with a secret that every account of this machine can read. files: by the
    setting that names it."""
    if sys.platform == "win32":  # its rights aren't in the mode
        return []
    found = []
    for path in dict.fromkeys(files.values()):
        try:
            mode = path.stat().st_mode
        except OSError:  # the settings say so
            continue
        if mode & stat.S_IROTH:
            names = ", ".join(name for name, one in files.items() if one == path)
            text = f"every account of this machine can read {path} ({names})"
            found.append(Check("Secrets", None, text, f"chmod 600 {path}, owned by who runs Atelier"))
    return found


def _numbers(text: str) -> tuple[int, ...]:
    parts = text.partition("+")[0].split(".")
    return tuple(int("".join(c for c in part if c.isdigit()) or 0) for part in parts)


OLDEST = 130000  # server_version_num; pg_current_xact_id came with 13
EACH = 6  # connections of one bot
DATABASE_MOST_APART = 2.0  # seconds between two clocks: jobs are ordered by them
FILES_AT_ONCE = 500  # that rows are asked for
BACKUPS_OLD = 2 * 86_400.0  # seconds
_ASK = """
SELECT current_setting('server_version_num')::int, current_setting('server_version'),
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
       coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false),
       coalesce(host(inet_server_addr()), ''), extract(epoch FROM clock_timestamp())::float
"""


@dataclass(frozen=True)
class Server:
    """A server as it answers. connections: for ordinary users. host: of the server's end of the line, "" = a
    socket on this machine. apart: seconds that its clock is before ours."""

    number: int
    version: str
    connections: int
    encrypted: bool
    host: str
    apart: float


def ask_server(connection: sa.Connection) -> Server | None:
    """Ask the server; None where the database is a file."""
    if connection.dialect.name == "sqlite":
        return None
    before = time.time()
    row = connection.execute(sa.text(_ASK)).one()
    ours = (before + time.time()) / 2
    number, version, connections, encrypted, host, clock = row
    return Server(number, version, connections, encrypted, host, clock - ours)


async def check_database(settings: Settings, disk: Check) -> list[Check]:
    """Return what is to be said. disk: what was found out about DATA_DIR."""
    address = settings.database
    name, path = str(address).rpartition("@")[2], sqlite_path(address)
    if path is not None and not path.is_file():
        return [_none(settings, path, disk)]
    try:
        async with read_only(address) as read:
            rows = await _rows(read, name, path)
            backups = [] if path is None else [_backups(settings, path)]
            readable = not any(line.ok is False for line in rows)
            return [*rows, *backups, *(await _files(read, settings) if readable else [])]
    except StorageError as error:
        return [Check("Database", False, str(error), "check DATABASE_URL")]


def _none(settings: Settings, path: Path, disk: Check) -> Check:
    """Say that there is no database, and whether there should be."""
    if disk.ok is False:
        return Check("Database", False, f"none can be created at {path}", disk.fix)
    left = [str(one) for one in sqlite.backups(path, settings.backups)[-1:]]
    pictures = settings.data_dir / "pictures"
    left += [str(pictures)] if any(pictures.glob("??")) else []
    if left:
        fix = "correct DATA_DIR or DATABASE_URL, or run `atelier restore`"
        return Check("Database", False, f"there is none at {path}, but {' and '.join(left)}", fix)
    fix = "the first start creates it; if there should be one, correct DATA_DIR or DATABASE_URL"
    return Check("Database", None, f"there is none at {path} yet", fix)


async def _rows(read: Read, name: str, path: Path | None) -> list[Check]:
    """Say whether the rows are intact and of this program's schema."""
    if path is not None:
        if flaw := await asyncio.to_thread(sqlite.find_flaw, path, sqlite.read_only):
            fix = "`atelier restore` restores the newest intact backup"
            return [Check("Database", False, f"{path} is damaged ({flaw})", fix)]
        holder = await asyncio.to_thread(sqlite.ProcessLock(path).holder)
        name += "" if holder is None else f", in use: Atelier is running (process {holder})"
    server, now = await read(ask_server), await read(read_schema)
    lines = [Check("Database", True, name)] if server is None else check_server(server, name)
    if now is not None and now > newest_schema():
        fix = "update Atelier, or restore an older backup: `atelier restore NAME`"
        told = f"schema {now} is a newer Atelier's; this one knows up to {newest_schema()}"
        lines.append(Check("Database", False, told, fix))
    elif now is not None and now < oldest_schema():
        fix = f"start once with commit {LAST_BEFORE}, which upgrades it, or start again in another DATA_DIR"
        told = (
            f"schema {now} is from before release 0.1.0; this Atelier knows schemas from {oldest_schema()} on"
        )
        lines.append(Check("Database", False, told, fix))
    elif now != newest_schema():
        fix = "the next start upgrades it, after a backup"
        fix = "back it up, then run `atelier migrate`" if server else fix
        lines.append(Check("Database", None, f"schema {now}; this Atelier's is {newest_schema()}", fix))
    return lines


def _backups(settings: Settings, path: Path) -> Check:
    """Say how old the file's backups are."""
    ages = [time.time() - sqlite.made_at(one) for one in sqlite.backups(path, settings.backups)]
    usual = settings.data_dir / "backups"
    if usual != settings.backups and (left := sqlite.backups(path, usual)):
        fix = "move or delete them yourself: nothing else does, and they hold data that people delete"
        return Check("Backups", None, f"{len(left)} are still in {usual}, outside BACKUP_DIR", fix)
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
    if not isinstance(files, Folder) or await read(read_schema) != newest_schema():
        return []
    try:
        await identity.inspect_studio(read, files, settings.data_dir, settings.backups)
    except StorageError as error:
        return [Check("Studio", False, str(error), "docs/host/backup.md, What belongs together")]
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


def check_server(server: Server, name: str) -> list[Check]:
    """Return a line for the server and each thing to look at. name: of the database, without a password."""
    lines = [Check("Database", True, f"{name}, PostgreSQL {server.version}")]
    if server.number < OLDEST:
        fix = "upgrade the server"
        return [Check("Database", False, f"PostgreSQL {server.version}: Atelier needs 13 or newer", fix)]
    if server.connections < EACH:
        text = f"it takes {server.connections} connections, one bot needs {EACH}"
        lines.append(Check("Database", False, text, "raise max_connections of the server"))
    if not server.encrypted and server.host not in ("", "127.0.0.1", "::1"):
        fix = "add ?sslmode=verify-full to DATABASE_URL, and ssl = on to the server"
        lines.append(
            Check("Database", None, "traffic is not encrypted: others can read prompts and the password", fix)
        )
    if abs(server.apart) > DATABASE_MOST_APART:
        text = f"its clock is {server.apart:+.0f} s from this machine's"
        lines.append(Check("Database", None, text, "set both clocks by NTP: jobs are ordered by their times"))
    return lines


PATIENCE = 6.0  # seconds for a connection
LISTENED = 1.6  # seconds in which every machine that works is heard once
APART = 2.0  # seconds between two clocks
WRITE_CONFIG = (
    "give each program an account of its own: `atelier bus --print-config` writes the server's file"
)


async def check_bus(settings: Settings) -> list[Check]:
    """Say whether the bus can be used; nothing without one."""
    if not settings.bus_url:
        return []
    try:
        from jobs.cluster.nats import connected

        async with connected(settings, "doctor") as bus:
            where = ", ".join(settings.bus_url)
            if not await bus.until_up(PATIENCE):
                fix = "check BUS_URL, BUS_CREDS and BUS_CA, and whether nats-server runs there"
                why = f" ({bus.last_trouble})" if bus.last_trouble else ""
                return [Check("Bus", False, f"{where} can't be reached{why}", fix)]
            found = [Check("Bus", True, f"{where} answers, as {bus.me}")]
            if bus.most < 8 * 2**20:
                text = f"the server takes messages of up to {bus.most / 2**20:.0f} MB"
                found.append(Check("Bus", None, text, "set max_payload: 8MB in its file"))
            if _in_the_clear(settings.bus_url):
                fix = (
                    "give the server a certificate and write tls://: prompts and pictures travel over that"
                    " connection"
                )
                found.append(Check("Bus", None, "traffic is not encrypted", fix))
            return [*found, await _rights(bus), *await check_machines(bus)]
    except ModuleNotFoundError:
        return [Check("Bus", False, "isn't installed", "make setup EXTRAS=scale")]
    except BusError as error:
        return [Check("Bus", False, str(error), "correct the settings of the bus")]


def _in_the_clear(servers: tuple[str, ...]) -> bool:
    for one in servers:
        found = urlsplit(one)
        host = found.hostname or ""
        try:
            is_here = ip_address(host).is_loopback
        except ValueError:
            is_here = host == "localhost"
        if found.scheme != "tls" and not is_here:
            return True
    return False


async def _rights(bus: Bus) -> Check:
    """Publish what nobody may."""
    from jobs.cluster.nats import Message

    class Nothing(Message, frozen=True):
        pass

    before = bus.counts.refused
    await bus.publish("refused.by.the.server", Nothing())
    await bus.flush()
    await asyncio.sleep(0.1)
    if bus.counts.refused > before:
        return Check("Rights on the bus", True, "what must be refused is refused")
    text = "anyone who reaches the server can send and read everything"
    return Check("Rights on the bus", None, text, WRITE_CONFIG)


async def check_machines(bus: Bus) -> list[Check]:
    """Tell who is heard, where this account may hear it."""
    from jobs.cluster.protocol import BEAT_MOST, Beat

    heard, unread, refused = dict[str, tuple[Beat, float]](), set[str](), bus.counts.refused
    processes = defaultdict[str, set[str]](set)

    def hear(beat: Beat, subject: str) -> None:
        name = subject.partition(".")[2]
        heard[name] = beat, time.time()
        processes[name].add(beat.instance)

    def fail(error: Exception, subject: str) -> None:
        unread.add(subject.partition(".")[2])

    await bus.listen("beat.*", Beat, hear, most=BEAT_MOST, unread=fail)
    await asyncio.sleep(LISTENED)
    if bus.counts.refused > refused:  # this is a worker's account
        return []
    found = []
    if unread:
        text = f"another version than this runs on {', '.join(sorted(unread))}"
        found.append(Check("Machines", None, text, "bring all machines to one version"))
    if same := [name for name, instances in sorted(processes.items()) if len(instances) > 1]:
        text = f"several `atelier worker` have the name {', '.join(same)}, and only one of each gets jobs"
        found.append(Check("Machines", False, text, "give each a NODE_NAME of its own"))
    for name, (beat, at) in sorted(heard.items()):
        apart = beat.clock - at
        if abs(apart) > APART:
            text = f"the clock of {name} is {apart:+.0f} s from this machine's"
            found.append(Check("Machines", None, text, "set the clocks by NTP"))
    names = ", ".join(f"{name} ({len(beat.devices)})" for name, (beat, _) in sorted(heard.items()))
    return [Check("Machines", True, f"responding, with devices: {names or 'none yet'}"), *found]


FILES_MOST_APART = 60.0  # seconds between two clocks; S3 refuses requests from 900 on
TOLD_EVERY = 5.0  # seconds
PROBLEMS_TOLD = 20
THEN = (
    "If the studio ran meanwhile, stop it and run this once more before you start it with that. The old files"
    " were not deleted. Delete them once everything works: later deletions by members don't reach them."
)


def check_files(settings: Settings) -> list[Check]:
    """Say whether the store of FILES_URL can be used; of the usual folder the disk's check says that."""
    address = settings.files_url
    if address is None:
        return []
    if isinstance(address, Path):
        return [_folder(address, settings.data_dir)]
    return asyncio.run(_bucket(address, settings))


def check_sweep(settings: Settings) -> list[Check]:
    """Say what the last sweep of what has expired has done, and what it left alone; nothing before one."""
    report = last_report(settings.data_dir)
    if report is None:
        return []
    hours = (time.time() - report.at) / 3600
    done = "; ".join(report.done) or "nothing had to be deleted"
    fix = "the log says more"
    problems = [Check("Expired", None, problem, fix) for problem in report.problems]
    return [Check("Expired", True, f"checked {hours:,.0f} h ago: {done}"), *problems]


def _folder(folder: Path, data_dir: Path) -> Check:
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if (data_dir / MARK).is_file() and not (folder / OWNER).is_file():
        fix = "mount its disk, or correct FILES_URL"
        return Check("Files", False, f"{folder} isn't where this studio's pictures are", fix)
    if not there.is_dir() or not os.access(there, os.W_OK):
        return Check("Files", False, f"can't write to {folder}", "correct FILES_URL, or who may write there")
    return Check("Files", True, f"in {folder}")


async def _bucket(address: BucketAddress, settings: Settings) -> list[Check]:
    try:
        bucket = open_bucket(address, settings)
    except StorageError as error:
        return [Check("Files", False, str(error), "install it, or leave FILES_URL empty")]
    from storage.blobs.s3 import try_bucket

    trial = await try_bucket(bucket)
    if trial.problem:
        fix = "check FILES_URL and the keys; nothing is lost meanwhile: jobs wait"
        return [Check("Files", False, trial.problem, fix)]
    found = [Check("Files", True, f"{address}: can be written to, read and deleted from")]
    if trial.keeps:
        fix = (
            "switch versioning off, or let a lifecycle rule end old versions within BACKUP_DAYS: members are"
            " promised that what they delete is gone"
        )
        found.append(Check("Files", None, f"{address} keeps versions of what is deleted", fix))
    if abs(trial.apart) > FILES_MOST_APART:
        fix = "set this machine's clock by NTP: S3 refuses requests from 15 minutes on"
        found.append(
            Check("Files", None, (f"the server's clock is {trial.apart:+.0f} s from this machine's"), fix)
        )
    return found


def move_files(settings: Settings, to: str, since: str | None, *, dry_run: bool) -> int:
    """Copy all files to the store that ``to`` names, and say what was done. since: the store that they are
    in; None = that of FILES_URL. Return the exit status: 1 if a file couldn't be copied. Raises SettingsError
    for a wrong address, StorageError when a store can't be used."""
    try:
        new = files_address(to)
        old = settings.files_url if since is None else files_address(since)
    except ValueError as error:
        raise SettingsError([f"{to if since is None else f'{since} or {to}'}: {error}."]) from error
    usual = settings.data_dir / "pictures"
    if (new or usual) == (old or usual):
        raise StorageError("the files are there already: --to names the store that FILES_URL names.")
    began = time.monotonic()
    try:
        moved = asyncio.run(_move(new, old, settings, dry_run))
    except FilesAway as error:
        raise StorageError(
            f"{error}. What was copied stays; the same command continues from there."
        ) from error
    verb = "would be copied" if dry_run else "copied, and read back"
    print(
        f"{moved.found:,} files: {moved.there:,} were there, {moved.copied:,} {verb}"
        f" ({moved.size / 10**6:,.1f} MB), {len(moved.problems):,} could not be, in"
        f" {time.monotonic() - began:.1f} s"
    )
    print(*(f"  {line}" for line in moved.problems[:PROBLEMS_TOLD]), sep="\n" if moved.problems else "")
    if not dry_run and not moved.problems:
        print(f"Then FILES_URL={to} is where they are.", THEN)
    return int(bool(moved.problems))


async def _move(
    new: Path | BucketAddress | None, old: Path | BucketAddress | None, settings: Settings, dry_run: bool
) -> Moved:
    told_at = time.monotonic()

    def tell(moved: Moved) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= TOLD_EVERY:
            told_at = time.monotonic()
            print(f"{moved.found:,} checked, {moved.copied:,} copied …", file=sys.stderr, flush=True)

    return await move(open_at(old, settings), open_at(new, settings), dry_run=dry_run, told=tell)
